"""Signing in by the district's provider: the way out, the way back, and out of it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from engine.errors import SchoolbellError
from engine.portal import cookies
from engine.portal.guards import ThePortal, browser_of
from engine.portal.labels import TROUBLES
from engine.portal.pages.sign_in import ask_again, local, with_session
from engine.portal.portal import Portal
from engine.services.staff import single_sign_on
from engine.services.staff.provider import Provider
from engine.services.staff.single_sign_on import LIFE, Trouble

pages = APIRouter(prefix="/sign-in/oidc", include_in_schema=False)

_BACK: Final = "/sign-in/oidc/callback"


@pages.get("")
def send(request: Request, portal: ThePortal, next: str = "/") -> Response:  # noqa: A002
    """Send the browser to the provider."""
    sent = single_sign_on.send(
        portal.district.database, _provider(portal), portal.address(request) + _BACK,
        cookies.under_way_in(request), local(next), portal.now,
    )  # fmt: skip
    if isinstance(sent, Trouble):
        return _ask_again(request, portal, sent)
    answer = RedirectResponse(sent.address, 303)
    cookies.keep_under_way(answer, sent.token, LIFE)
    return answer


@pages.get("/callback")
def receive(request: Request, portal: ThePortal) -> Response:
    """Sign in who comes back."""
    returned = single_sign_on.receive(
        portal.district.database, _provider(portal), portal.address(request) + _BACK,
        cookies.under_way_in(request), request.query_params, browser_of(request), portal.now,
    )  # fmt: skip
    if isinstance(returned, Trouble):
        return _ask_again(request, portal, returned)
    return with_session(returned.began, returned.next)


@pages.get("/end")
def end(request: Request, portal: ThePortal) -> Response:
    """Sign out at the provider, too."""
    try:
        address = _provider(portal).end_address(f"{portal.address(request)}/sign-in")
    except SchoolbellError:
        return _ask_again(request, portal, Trouble.AWAY)
    return RedirectResponse(address or "/sign-in", 303)


@pages.post("/back-channel-logout")
def signed_out(
    portal: ThePortal, logout_token: Annotated[str, Form(max_length=10_000)]
) -> Response:
    """The provider says, server to server, that somebody has signed out there."""
    provider, now = _provider(portal), portal.now
    if single_sign_on.signed_out(portal.district.database, provider, logout_token, now):
        return Response(status_code=200)
    return JSONResponse({"error": "invalid_request"}, 400)


def _ask_again(request: Request, portal: Portal, trouble: Trouble) -> Response:
    status = 503 if trouble is Trouble.AWAY else 403
    return ask_again(request, portal, TROUBLES[trouble], status=status)


def _provider(portal: Portal) -> Provider:
    if portal.provider is None:
        raise HTTPException(404)
    return portal.provider
