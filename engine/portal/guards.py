"""Guards: who is signed in, and whether they may. Every page has one, or is public on purpose."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request

from engine.portal import cookies
from engine.portal.portal import Portal, portal_of, the_portal
from engine.services.actor import Actor
from engine.services.staff import signing_in, tokens
from engine.services.staff.signing_in import Browser, Visit
from rules.change import SchoolId
from rules.gates import EVERY_SCHOOL
from rules.tool_rights import Grant, Right, Tool

UNATTENDED: Final = "schoolbell-unattended"
"""The header of a request that a page makes by itself: it keeps no session alive."""
SETTLED: Final = "schoolbell-settled"
"""The header of an answer to such a request, where nothing will change any more."""
API: Final = "/api/"
_UNKNOWN: Final = "unknown"


class SignInNeeded(Exception):
    """Nobody is signed in, or not for long enough: what the API says of it."""

    problem = "Nobody is signed in, or the access token is over."
    remedy = "Make an access token on your account's page, and show it as Authorization: Bearer."


class Forbidden(Exception):
    """Who is signed in may not; *visit* says who that is."""

    def __init__(self, visit: Visit, grant: Grant) -> None:
        super().__init__(str(grant))
        self.visit = visit
        self.grant = grant

    @property
    def lacks_a_factor(self) -> bool:
        """Whether they may, once they have shown a second factor."""
        return self.visit.rights.may(*self.grant)


def signed_in(request: Request) -> Visit:
    """Who is signed in, or, at the API alone, whose access token is shown; raises SignInNeeded."""
    visit = _visit_of_a_program(request) if is_api(request) else None
    visit = visit or _visit_of_a_browser(request)
    if visit is None:
        raise SignInNeeded
    request.state.visit = visit
    return visit


def is_api(request: Request) -> bool:
    """Whether a program asks, and no page."""
    return request.url.path.startswith(API)


def shown_token(request: Request) -> str | None:
    """The access token that a request shows; None where it shows none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _visit_of_a_program(request: Request) -> Visit | None:
    token = shown_token(request)
    if token is None:
        return None
    portal = portal_of(request)
    visit = tokens.visit_of(portal.district.database, token, portal.now)
    if visit is None:
        raise SignInNeeded
    return visit


def _visit_of_a_browser(request: Request) -> Visit | None:
    portal, token = portal_of(request), cookies.token_in(request)
    if not token:
        return None
    return signing_in.visit(
        portal.district.database, token, portal.now, is_use=UNATTENDED not in request.headers
    )


class Needs:
    """A dependency: who is signed in and has *right* for *tool*; raises Forbidden.

    With *anywhere* a right for some school is enough to see the page, which then shows those alone.
    """

    def __init__(self, tool: Tool, right: Right = Right.READ, *, anywhere: bool = False) -> None:
        self.grant = Grant(tool, right)
        self.anywhere = anywhere

    async def __call__(self, visit: Annotated[Visit, Depends(signed_in)]) -> Visit:
        """The visit, where it may."""
        if not (self.anywhere and visit.may_somewhere(self.grant)):
            require(visit, self.grant.tool, self.grant.right)
        return visit


def require(visit: Visit, tool: Tool, right: Right, school: SchoolId = EVERY_SCHOOL) -> None:
    """Raise Forbidden unless a right holds at *school*, or for the whole district."""
    grant = Grant(tool, right, school)
    if not visit.may(grant):
        raise Forbidden(visit, grant)


def browser_of(request: Request) -> Browser:
    """Who asks, as far as it shows."""
    address = request.client.host if request.client else _UNKNOWN
    return Browser(address, request.headers.get("user-agent", _UNKNOWN))


def actor(portal: Portal, visit: Visit) -> Actor:
    """Who is signed in, as the audit log names them."""
    return Actor(visit.account.name, portal.now, visit.account.id)


ThePortal = Annotated[Portal, Depends(the_portal)]
SignedIn = Annotated[Visit, Depends(signed_in)]
