"""Passkeys: signing in with one, and one's own. A browser without scripts has other ways."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from engine.errors import SchoolbellError
from engine.portal import cookies
from engine.portal.guards import SignedIn, ThePortal, browser_of
from engine.portal.labels import PASSKEY_TROUBLES
from engine.portal.pages.sign_in import ask_again, ask_for_code_again, local, with_session
from engine.portal.portal import Portal
from engine.portal.rendering import page
from engine.services.staff import passkeys, second_factor
from engine.services.staff.passkeys import Place, Trouble
from engine.services.staff.signing_in import Visit

pages = APIRouter(include_in_schema=False)

Words = Annotated[str, Form()]


@pages.post("/sign-in/passkey/options")
def ask(request: Request, portal: ThePortal) -> Response:
    """What an authenticator is asked, where a passkey is the whole sign-in."""
    asked = passkeys.ask(
        portal.district.database, _place(portal, request), cookies.under_way_in(request), portal.now
    )
    answer = _json(asked.options)
    cookies.keep_under_way(answer, asked.token, passkeys.LIFE)
    return answer


@pages.post("/sign-in/passkey")
def sign_in(
    request: Request,
    portal: ThePortal,
    credential: Words = "",
    next: Words = "/",  # noqa: A002 - the form's
) -> Response:
    """Begin a session of who showed a passkey."""
    began = passkeys.sign_in(
        portal.district.database, _place(portal, request), cookies.under_way_in(request),
        credential, browser_of(request), portal.now,
    )  # fmt: skip
    if isinstance(began, Trouble):
        return ask_again(request, portal, PASSKEY_TROUBLES[began])
    return with_session(began, local(next))


@pages.post("/sign-in/code/passkey/options")
def ask_second(request: Request, portal: ThePortal) -> Response:
    """What an authenticator is asked after a password."""
    options = passkeys.ask_second(
        portal.district.database, _place(portal, request), cookies.token_in(request), portal.now
    )
    return _json(options) if options else Response(status_code=401)


@pages.post("/sign-in/code/passkey")
def show_second(
    request: Request,
    portal: ThePortal,
    credential: Words = "",
    next: Words = "/",  # noqa: A002 - the form's
) -> Response:
    """Take a passkey in place of a code; the session begins anew."""
    began = passkeys.show_second(
        portal.district.database, _place(portal, request), cookies.token_in(request), credential,
        browser_of(request), portal.now,
    )  # fmt: skip
    if isinstance(began, Trouble):
        return ask_for_code_again(request, portal, local(next), PASSKEY_TROUBLES[began])
    return with_session(began, local(next))


@pages.get("/account/passkeys")
def offer(request: Request, portal: ThePortal, visit: SignedIn) -> Response:
    """Offer to add a passkey, or say what it lacks."""
    return _offer(request, portal, visit)


@pages.post("/account/passkeys/options")
def options(request: Request, portal: ThePortal, visit: SignedIn) -> Response:
    """What an authenticator needs to know to make a passkey."""
    return _json(
        passkeys.offer(portal.district.database, _place(portal, request), visit, portal.now)
    )


@pages.post("/account/passkeys")
def add(
    request: Request, portal: ThePortal, visit: SignedIn, credential: Words = "",
    name: Words = "", setup_code: Words = "",
) -> Response:  # fmt: skip
    """Keep a passkey; a first factor comes with recovery codes, which are shown once."""
    try:
        added = passkeys.add(
            portal.district.database, _place(portal, request), visit, credential, name,
            browser_of(request), portal.now, setup_code,
        )  # fmt: skip
    except SchoolbellError as error:
        return _offer(request, portal, visit, error, name)
    answer: Response = RedirectResponse("/account?done=passkey#passkeys", 303)
    if added.recovery_codes:
        answer = page(request, "recovery_codes.html", visit=visit, codes=added.recovery_codes)
    cookies.keep(answer, added.began.token)
    return answer


@pages.post("/account/passkeys/remove")
def remove(portal: ThePortal, visit: SignedIn, passkey: Words) -> Response:
    """Take one of one's own passkeys away."""
    passkeys.remove(portal.district.database, visit, passkey, portal.now)
    return RedirectResponse("/account?done=removed#passkeys", 303)


def _offer(
    request: Request, portal: Portal, visit: Visit, error: SchoolbellError | None = None,
    name: str = "",
) -> Response:  # fmt: skip
    return page(
        request, "passkey.html", visit=visit, status=422 if error else 200, error=error, name=name,
        agent=browser_of(request).agent, place=passkeys.place(portal.address(request)),
        needs_setup_code=second_factor.needs_setup_code(visit),
    )  # fmt: skip


def _place(portal: Portal, request: Request) -> Place:
    return passkeys.required_place(portal.address(request))


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
