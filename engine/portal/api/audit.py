"""The audit log, for programs that keep it elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from engine.portal.api.document import REFUSALS
from engine.portal.guards import Needs, ThePortal
from engine.services.staff import auditing
from engine.services.staff.signing_in import Visit
from rules.tool_rights import Tool

api = APIRouter(prefix="/api/v1", tags=["audit"], responses=REFUSALS)

May = Annotated[Visit, Depends(Needs(Tool.AUDIT))]
_LARGEST_ID = 2**63 - 1


class Entry(BaseModel):
    """One act: who did what, with what was there before and after."""

    id: int
    at: datetime
    who: str
    act: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@api.get("/audit")
def read_audit(
    portal: ThePortal, visit: May,
    before: Annotated[int | None, Query(ge=1, le=_LARGEST_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[Entry]:  # fmt: skip
    """The newest entries, or those older than the id *before*."""
    del visit
    return [
        Entry(
            id=one.id, at=one.at, who=one.who, act=one.act, subject=one.subject,
            before=dict(one.before) if one.before is not None else None,
            after=dict(one.after) if one.after is not None else None,
        )
        for one in auditing.newest(portal.district.database, before=before, limit=limit)
    ]  # fmt: skip
