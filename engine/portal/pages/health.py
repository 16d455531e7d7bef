"""Health: whether the process lives, and whether it can do its work."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from engine.portal.guards import ThePortal

pages = APIRouter(include_in_schema=False)


@pages.get("/health/live")
async def live() -> PlainTextResponse:
    """Whether the process answers at all; also while every thread of it waits for a database."""
    return PlainTextResponse("live\n")


@pages.get("/health/ready")
def ready(portal: ThePortal) -> PlainTextResponse:
    """Whether the database is there, with the tables of this release; told within two seconds.

    A broker that is away is none of its business: the pages show that, and another portal could
    do no better.
    """
    if trouble := portal.watch.unready():
        return PlainTextResponse(f"{trouble.problem} {trouble.remedy}\n", 503)
    return PlainTextResponse("ready\n")
