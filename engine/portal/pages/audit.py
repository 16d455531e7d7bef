"""The audit log: who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from engine.portal.guards import Needs, ThePortal
from engine.portal.pages.background_tasks import to_export
from engine.portal.rendering import page
from engine.portal.task_guards import FILES, exported
from engine.services import exports
from engine.services.staff import auditing
from engine.services.staff.signing_in import Visit
from rules.exports import ExportOf
from rules.tool_rights import Tool

pages = APIRouter(prefix="/audit", include_in_schema=False)

May = Annotated[Visit, Depends(Needs(Tool.AUDIT))]
_SHOWN = 50
_LARGEST_ID = 2**63 - 1


@pages.get("")
def show(
    request: Request, portal: ThePortal, visit: May,
    before: Annotated[int | None, Query(ge=1, le=_LARGEST_ID)] = None,
    act: Annotated[str, Query(max_length=48)] = "",
) -> Response:  # fmt: skip
    """The newest entries, and older ones."""
    found = auditing.newest(portal.district.database, before=before, act=act, limit=_SHOWN + 1)
    return page(
        request, "audit.html", visit=visit, entries=found[:_SHOWN], act=act, before=before,
        older=found[_SHOWN - 1].id if len(found) > _SHOWN else None,
    )  # fmt: skip


@pages.post("/export")
def export(portal: ThePortal, visit: May) -> Response:
    """All of it, for a spreadsheet: at once, or as a task where it is much."""
    return to_export(exported(portal, visit, exports.of_audit(), FILES[ExportOf.AUDIT]))
