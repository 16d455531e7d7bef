"""Signing in, with a second factor where there is one, and signing out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from engine.portal import cookies
from engine.portal.guards import ThePortal, browser_of
from engine.portal.languages import marked as _
from engine.portal.portal import Portal
from engine.portal.rendering import page
from engine.services.staff import accounts, passkeys, signing_in
from engine.services.staff.signing_in import Began, Refused

pages = APIRouter(include_in_schema=False)

Words = Annotated[str, Form()]

_WAIT = _("Too many tries. Wait a quarter of an hour, or ask an administrator.")
_WRONG = _("The username or the password is not right.")
_NO_CODE = _("This code is not right, or it was used before. Wait for the next one.")


@pages.get("/sign-in")
def ask(
    request: Request, portal: ThePortal,
    next: str = "/",  # noqa: A002 - the query's
    left: str = "",
) -> Response:  # fmt: skip
    """Ask for a username and a password."""
    return _ask(request, portal, local(next), left=left)


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
        return _refuse(request, portal, local(next), began, username)
    return with_session(began, local(next))


@pages.get("/sign-in/code")
def ask_for_code(request: Request, portal: ThePortal, next: str = "/") -> Response:  # noqa: A002
    """Ask for a code of the authenticator app."""
    if not signing_in.is_pending(portal.district.database, cookies.token_in(request), portal.now):
        return RedirectResponse("/sign-in", 303)
    return _ask_for_code(request, portal, local(next))


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
        return ask_for_code_again(request, portal, local(next), _WAIT if began.wait else _NO_CODE)
    return with_session(began, local(next))


@pages.post("/sign-out")
def sign_out(request: Request, portal: ThePortal) -> Response:
    """End the session; who came by the provider is told that they are still signed in there."""
    gone = signing_in.sign_out(portal.district.database, cookies.token_in(request))
    is_there = gone is not None and not gone.has_password and portal.provider is not None
    answer = RedirectResponse("/sign-in?left=provider" if is_there else "/sign-in", 303)
    cookies.drop(answer)
    return answer


def local(address: str) -> str:
    """Where to go next: a path of ours, never another site."""
    parts = urlsplit(address)
    is_path = address.startswith("/") and not address.startswith(("//", "/\\"))
    is_plain = not (parts.scheme or parts.netloc) and address.isprintable() and "\\" not in address
    return address if is_path and is_plain and not address.startswith("/sign-") else "/"


def ask_again(request: Request, portal: Portal, problem: str, *, status: int = 403) -> Response:
    """Say why another way to sign in did not work; a password still does."""
    return _ask(request, portal, "/", status=status, problem=problem)


def ask_for_code_again(request: Request, portal: Portal, after: str, problem: str) -> Response:
    """Say why a second factor was not taken; without a pending session all begins anew."""
    if not signing_in.is_pending(portal.district.database, cookies.token_in(request), portal.now):
        return _ask(request, portal, after, status=403, problem=problem)
    return _ask_for_code(request, portal, after, status=403, problem=problem)


def _ask_for_code(
    request: Request, portal: Portal, after: str, *, status: int = 200, problem: str = ""
) -> Response:
    return page(
        request, "sign_in_code.html", status=status, next=after, problem=problem,
        factors=signing_in.pending_account(
            portal.district.database, cookies.token_in(request), portal.now
        ),
        place=passkeys.place(portal.address(request)),
    )  # fmt: skip


def _refuse(
    request: Request, portal: Portal, after: str, refused: Refused, username: str = ""
) -> Response:
    problem = _WAIT if refused.wait else _WRONG
    return _ask(request, portal, after, status=403, problem=problem, username=username)


def _ask(
    request: Request, portal: Portal, after: str, *, status: int = 200, problem: str = "",
    username: str = "", left: str = "",
) -> Response:  # fmt: skip
    return page(
        request, "sign_in.html", status=status, next=after, username=username, problem=problem,
        left=left, nobody_yet=not accounts.exist(portal.district.database),
        takes_passkeys=passkeys.place(portal.address(request)) is not None
        and passkeys.exist(portal.district.database),
    )  # fmt: skip


def with_session(began: Began, after: str) -> Response:
    """Go on to *after* with a session, by way of a code where one is to be shown."""
    where = f"/sign-in/code?next={quote(after)}" if began.is_pending else after
    answer = RedirectResponse(where, 303)
    cookies.keep(answer, began.token)
    return answer
