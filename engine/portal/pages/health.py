"""Health: whether the process lives, and whether it can do its work."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from engine.errors import SchoolbellError
from engine.portal.guards import ThePortal
from engine.services.install import require_tables

pages = APIRouter(include_in_schema=False)


@pages.get("/health/live")
def live() -> PlainTextResponse:
    """Whether the process answers at all."""
    return PlainTextResponse("live\n")


@pages.get("/health/ready")
def ready(portal: ThePortal) -> PlainTextResponse:
    """Whether the database is there, with the tables of this release."""
    try:
        require_tables(portal.district)
    except SchoolbellError as error:
        return PlainTextResponse(f"{error.problem} {error.remedy}\n", 503)
    return PlainTextResponse("ready\n")
