"""The monitor: what the engine does, how late it is, and what is in its way."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from engine.portal.charts import Bars, share
from engine.portal.guards import Needs, ThePortal
from engine.portal.portal import Portal
from engine.portal.rendering import page
from engine.services.monitor import NAMES, stages
from engine.services.staff.signing_in import Visit
from rules.tool_rights import Tool

pages = APIRouter(prefix="/monitor", include_in_schema=False)

May = Annotated[Visit, Depends(Needs(Tool.MONITOR))]


@pages.get("")
def show(request: Request, portal: ThePortal, visit: May) -> Response:
    """All of it; with JavaScript it renews itself."""
    return page(request, "monitor.html", visit=visit, **_seen(portal))


@pages.get("/now")
def renew(request: Request, portal: ThePortal, visit: May) -> Response:
    """What changes on the page."""
    return page(request, "monitor_now.html", visit=visit, **_seen(portal))


def _seen(portal: Portal) -> dict[str, Any]:
    seen = portal.seen()
    answers = sorted(seen.answers.items(), key=lambda each: (-each[1], each[0]))
    most = max(seen.answers.values(), default=0)
    return {
        "seen": seen,
        "names": NAMES,
        "stages": stages(seen),
        "answers": [(one, count, share(count, most)) for one, count in answers],
        "changes": Bars([one.changes for one in seen.minutes]),
        "pushes": Bars([one.accepted for one in seen.minutes]),
    }
