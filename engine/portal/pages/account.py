"""One's own account: language, password, authenticator app, and where one is signed in."""

from __future__ import annotations

from typing import Annotated

import segno
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from engine.errors import SchoolbellError
from engine.portal import cookies
from engine.portal.guards import SignedIn, ThePortal, browser_of
from engine.portal.languages import marked as _
from engine.portal.rendering import page
from engine.services.staff import accounts, passkeys, second_factor, signing_in, tokens

pages = APIRouter(include_in_schema=False)

Words = Annotated[str, Form()]
_LARGEST_ID = 2**63 - 1


@pages.get("/account")
def show(request: Request, portal: ThePortal, visit: SignedIn) -> Response:
    """What belongs to who is signed in."""
    return _show(request, portal, visit)


@pages.post("/account/language")
def set_language(portal: ThePortal, visit: SignedIn, language: Words) -> Response:
    """Choose the language of the pages."""
    accounts.set_language(portal.district.database, visit.account.id, language)
    return RedirectResponse("/account?done=saved", 303)


@pages.post("/account/password")
def set_password(
    request: Request, portal: ThePortal, visit: SignedIn, now: Words, new: Words, again: Words
) -> Response:
    """Choose another password; every session ends, and this one begins anew."""
    username, browser = visit.account.username, browser_of(request)
    if new != again:
        return _show(request, portal, visit, _("The new passwords are not the same."))
    began = signing_in.change_password(
        portal.district.database, portal.district.keyring, username, now, new, browser, portal.now
    )
    if isinstance(began, signing_in.Refused):
        return _show(request, portal, visit, _("The password of now is another one."))
    answer = RedirectResponse(
        "/sign-in/code" if began.is_pending else "/account?done=password", 303
    )
    cookies.keep(answer, began.token)
    return answer


@pages.get("/account/authenticator")
def offer_app(request: Request, portal: ThePortal, visit: SignedIn) -> Response:
    """Show a new secret as a QR code, to be proved by a code."""
    return _offer_app(request, portal, visit, second_factor.new_secret())


@pages.post("/account/authenticator")
def begin_app(
    request: Request, portal: ThePortal, visit: SignedIn, secret: Words, code: Words,
    setup_code: Words = "",
) -> Response:  # fmt: skip
    """Use the app from now on, and show the recovery codes once."""
    try:
        began, codes = second_factor.begin_use(
            portal.district.database, portal.district.keyring, visit, secret, code,
            browser_of(request), portal.now, setup_code,
        )  # fmt: skip
    except SchoolbellError as error:
        return _offer_app(request, portal, visit, secret, error)
    answer = page(request, "recovery_codes.html", visit=visit, codes=codes)
    cookies.keep(answer, began.token)
    return answer


@pages.post("/account/authenticator/end")
def end_app(portal: ThePortal, visit: SignedIn) -> Response:
    """Use no app any more; every session ends."""
    second_factor.end_use(portal.district.database, visit, portal.now)
    answer = RedirectResponse("/sign-in?done=factor-ended", 303)
    cookies.drop(answer)
    return answer


@pages.post("/account/sessions/end")
def end_session(portal: ThePortal, visit: SignedIn, session: Words) -> Response:
    """End one of one's own sessions."""
    signing_in.end_session(portal.district.database, visit.account.id, session, portal.now)
    return RedirectResponse("/account?done=ended", 303)


@pages.post("/account/sessions/end-others")
def end_others(portal: ThePortal, visit: SignedIn) -> Response:
    """End every session but this one."""
    signing_in.end_others(portal.district.database, visit)
    return RedirectResponse("/account?done=ended", 303)


@pages.post("/account/tokens")
def make_token(
    request: Request, portal: ThePortal, visit: SignedIn, name: Words, days: Annotated[int, Form()]
) -> Response:
    """Make an access token for a program, and show it once."""
    made = tokens.make(portal.district.database, visit, name, days, portal.now)
    public = portal.district.config.portal.public_url
    address = f"{public.rstrip('/')}/" if public else str(request.base_url)
    return page(request, "access_token.html", visit=visit, token=made, name=name, address=address)


@pages.post("/account/tokens/end")
def end_token(
    portal: ThePortal, visit: SignedIn, token: Annotated[int, Form(ge=1, le=_LARGEST_ID)]
) -> Response:
    """End one of one's own access tokens."""
    tokens.end(portal.district.database, visit, token, portal.now)
    return RedirectResponse("/account?done=token-ended#tokens", 303)


def _show(request: Request, portal: ThePortal, visit: SignedIn, problem: str = "") -> Response:
    return page(
        request, "account.html", visit=visit, status=422 if problem else 200, problem=problem,
        sessions=signing_in.sessions_of(portal.district.database, visit.account.id, portal.now),
        name_of=signing_in.name_of, languages=accounts.LANGUAGES,
        passkeys=passkeys.of(portal.district.database, visit), name_of_passkey=passkeys.name_of,
        codes_left=second_factor.recovery_codes_left(portal.district.database, visit),
        tokens=tokens.tokens_of(portal.district.database, visit, portal.now),
        token_lives=tokens.LIVES,
    )  # fmt: skip


def _offer_app(
    request: Request, portal: ThePortal, visit: SignedIn, secret: str,
    error: SchoolbellError | None = None,
) -> Response:  # fmt: skip
    issuer = f"Schoolbell {portal.district.config.district.id}"
    address = second_factor.address(secret, visit, issuer)
    picture = segno.make(address, error="m").svg_inline(
        scale=5, border=3, light="#fff", dark="#000", svgclass=None, lineclass=None, omitsize=True
    )
    return page(
        request, "authenticator.html", visit=visit, secret=secret, error=error,
        status=422 if error else 200, needs_setup_code=second_factor.needs_setup_code(visit),
        picture=Markup(picture),  # noqa: S704 - made by segno of numbers alone
    )  # fmt: skip
