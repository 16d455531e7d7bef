"""Signing in, with a second factor where there is one, and signing out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from engine.portal import cookies
from engine.portal.guards import ThePortal, browser_of
from engine.portal.rendering import page
from engine.services.staff import accounts, signing_in
from engine.services.staff.signing_in import Began, Refused

pages = APIRouter(include_in_schema=False)

Words = Annotated[str, Form()]


@pages.get("/sign-in")
def ask(request: Request, portal: ThePortal, next: str = "/") -> Response:  # noqa: A002 - the query's
    """Ask for a username and a password."""
    return _ask(request, portal, local(next))


@pages.post("/sign-in")
def sign_in(
    request: Request, portal: ThePortal, username: Words = "", password: Words = "",
    next: Words = "/",  # noqa: A002 - the form's
) -> Response:  # fmt: skip
    """Begin a session, which may still need a code."""
    browser = browser_of(request)
    began = signing_in.sign_in(
        portal.district.database, portal.district.keyring, username, password, browser, portal.now
    )
    if isinstance(began, Refused):
        return _ask(request, portal, local(next), username=username, refused=began)
    where = f"/sign-in/code?next={quote(local(next))}" if began.is_pending else local(next)
    return _with_session(began, where)


@pages.get("/sign-in/code")
def ask_for_code(request: Request, portal: ThePortal, next: str = "/") -> Response:  # noqa: A002
    """Ask for a code of the authenticator app."""
    if not signing_in.is_pending(portal.district.database, cookies.token_in(request), portal.now):
        return RedirectResponse("/sign-in", 303)
    return page(request, "sign_in_code.html", next=local(next), refused=None)


@pages.post("/sign-in/code")
def show_code(
    request: Request,
    portal: ThePortal,
    code: Words = "",
    next: Words = "/",  # noqa: A002
) -> Response:
    """Take the code; the session begins anew."""
    token, browser = cookies.token_in(request), browser_of(request)
    began = signing_in.show_second_factor(
        portal.district.database, portal.district.keyring, token, code, browser, portal.now
    )
    if isinstance(began, Refused):
        if not signing_in.is_pending(portal.district.database, token, portal.now):
            return _ask(request, portal, local(next), refused=began)
        return page(request, "sign_in_code.html", status=403, next=local(next), refused=began)
    return _with_session(began, local(next))


@pages.post("/sign-out")
def sign_out(request: Request, portal: ThePortal) -> Response:
    """End the session."""
    signing_in.sign_out(portal.district.database, cookies.token_in(request))
    answer = RedirectResponse("/sign-in", 303)
    cookies.drop(answer)
    return answer


def local(address: str) -> str:
    """Where to go next: a path of ours, never another site."""
    parts = urlsplit(address)
    is_path = address.startswith("/") and not address.startswith(("//", "/\\"))
    is_plain = not (parts.scheme or parts.netloc) and address.isprintable() and "\\" not in address
    return address if is_path and is_plain and not address.startswith("/sign-") else "/"


def _ask(
    request: Request, portal: ThePortal, after: str, *, username: str = "",
    refused: Refused | None = None,
) -> Response:  # fmt: skip
    return page(
        request, "sign_in.html", status=403 if refused else 200, next=after, username=username,
        refused=refused, nobody_yet=not accounts.exist(portal.district.database),
    )  # fmt: skip


def _with_session(began: Began, where: str) -> Response:
    answer = RedirectResponse(where, 303)
    cookies.keep(answer, began.token)
    return answer
