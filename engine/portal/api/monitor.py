"""What the engine does, and what an operator must mend."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from engine.portal.api.document import REFUSALS
from engine.portal.guards import Needs, ThePortal
from engine.services.monitor import stages
from engine.services.staff.signing_in import Visit
from rules.gateway_state import GatewayState
from rules.tool_rights import Tool

api = APIRouter(prefix="/api/v1", tags=["monitor"], responses=REFUSALS)

May = Annotated[Visit, Depends(Needs(Tool.MONITOR))]


class Stage(BaseModel):
    """One stage: what waits for it, None while nobody can see that; seconds from the commit."""

    name: str
    waiting: int | None
    parked: int | None
    seconds_after_commit: float | None


class Gateway(BaseModel):
    """A push gateway, and how many pushes it took in the last hour."""

    name: str
    state: GatewayState
    accepted: int


class Alarm(BaseModel):
    """Something that must be mended; it goes by itself when it is."""

    kind: str
    subject: str
    problem: str
    remedy: str
    times: int
    first_at: datetime
    last_at: datetime


class Monitor(BaseModel):
    """The district's engine at one moment; changes and pushes are those of the last hour."""

    at: datetime
    well: bool
    changes: int
    accepted: int
    stages: list[Stage]
    gateways: list[Gateway]
    alarms: list[Alarm]


@api.get("/monitor")
def read_monitor(portal: ThePortal, visit: May) -> Monitor:
    """How the engine stands now."""
    del visit
    seen = portal.seen()
    return Monitor(
        at=seen.at, well=seen.is_well, changes=seen.changes, accepted=seen.accepted,
        stages=[
            Stage(
                name=one.name, waiting=one.waiting, parked=one.dead,
                seconds_after_commit=one.done_after.total_seconds() if one.done_after else None,
            )
            for one in stages(seen)
        ],
        gateways=[
            Gateway(name=one.name, state=one.state, accepted=one.accepted) for one in seen.gateways
        ],
        alarms=[
            Alarm(
                kind=one.kind, subject=one.subject, problem=one.problem, remedy=one.remedy,
                times=one.times, first_at=one.first_at, last_at=one.last_at,
            )
            for one in seen.alarms
        ],
    )  # fmt: skip
