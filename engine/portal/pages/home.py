"""The start page: what one may do here, and whether push notifications are on."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from engine.portal.guards import SignedIn, ThePortal
from engine.portal.rendering import page
from engine.services import settings

pages = APIRouter(include_in_schema=False)


@pages.get("/")
def home(request: Request, portal: ThePortal, visit: SignedIn) -> Response:
    """Where somebody is who has just signed in."""
    return page(
        request, "home.html", visit=visit, reach=portal.reach(),
        is_enabled=settings.is_enabled(portal.district.database),
    )  # fmt: skip
