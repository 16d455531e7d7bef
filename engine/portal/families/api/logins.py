"""Where a member of a family is signed in, for themselves to see and to end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel

from engine.portal.families.api.document import FOR_MEMBERS, router
from engine.portal.families.declining import not_there
from engine.portal.families.guards import FamilyMember
from engine.portal.guards import ThePortal
from engine.services.families import logins
from engine.services.families.logins import LoginId

api = router()

Which = Annotated[int, Path(ge=1, lt=2**63)]


class Login(BaseModel):
    """One app or browser. *this* is the one that asks."""

    id: int
    name: str
    started_at: datetime
    seen_at: datetime
    until: datetime
    stay_logged_in: bool
    this: bool


@api.get("/logins", openapi_extra=FOR_MEMBERS)
def read_logins(portal: ThePortal, visit: FamilyMember) -> list[Login]:
    """Where you are signed in, the newest first."""
    return [
        Login(
            id=one.id, name=one.name, started_at=one.started_at, seen_at=one.seen_at,
            until=one.expires_at, stay_logged_in=one.stay_logged_in,
            this=one.id == visit.login.id,
        )
        for one in logins.of(portal.district.database, visit.identity, portal.now)
    ]  # fmt: skip


@api.delete("/logins", status_code=204, openapi_extra=FOR_MEMBERS)
def end_others(portal: ThePortal, visit: FamilyMember) -> None:
    """Sign out everywhere but here."""
    logins.end_others(portal.district.database, visit, portal.now)


@api.delete("/logins/{login}", status_code=204, openapi_extra=FOR_MEMBERS)
def end(portal: ThePortal, visit: FamilyMember, login: Which) -> None:
    """Sign out one app or browser of yours."""
    if not logins.end(portal.district.database, visit, LoginId(login), portal.now):
        raise not_there()
