"""Who a program is, and what it may do."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from engine.portal.api.document import REFUSALS
from engine.portal.guards import SignedIn
from rules.tool_rights import Right, Tool

api = APIRouter(prefix="/api/v1", tags=["me"], responses=REFUSALS)


class Held(BaseModel):
    """One right, for one school; an empty *school* is the whole district."""

    tool: Tool
    right: Right
    school: str


class Me(BaseModel):
    """Whose token it is, until when, and the rights that are in force."""

    username: str
    name: str
    until: datetime
    rights: list[Held]


@api.get("/me")
def read_me(visit: SignedIn) -> Me:
    """Who you are here."""
    return Me(
        username=visit.account.username, name=visit.account.name, until=visit.session.expires_at,
        rights=[
            Held(tool=one.tool, right=one.right, school=one.school)
            for one in sorted(visit.rights.granted)
            if visit.rights.in_force(one)
        ],
    )  # fmt: skip
