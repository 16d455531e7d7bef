"""Guards of families: who is signed in. What is another's is not there for them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from engine.portal.guards import SignInNeeded, browser_of, shown_token
from engine.portal.portal import portal_of
from engine.services.families import logins
from engine.services.families.logins import Visit
from engine.services.families.signing_in import Asked


class FamilySignInNeeded(SignInNeeded):
    """No member of a family is signed in, or not any more."""

    problem = "Nobody is signed in, or the access token is over."
    remedy = "Refresh the session, or sign in again; show the token as Authorization: Bearer."


class AppIsOff(Exception):
    """This portal serves no families."""


def families_are_served(request: Request) -> None:
    """Raise AppIsOff where the settings say that families have no app here."""
    if not portal_of(request).district.config.app.enabled:
        raise AppIsOff


def family_member(request: Request) -> Visit:
    """Who shows an access token; raises FamilySignInNeeded."""
    portal = portal_of(request)
    visit = logins.visit(
        portal.district.database, portal.district.keyring, shown_token(request) or "", portal.now,
        portal.today,
    )  # fmt: skip
    if visit is None:
        raise FamilySignInNeeded
    return visit


def asked_by(request: Request, device_name: str, *, stay_logged_in: bool) -> Asked:
    """From where somebody signs in; an app without a name is called what it calls itself."""
    browser = browser_of(request)
    return Asked(browser.address, device_name or browser.agent, stay_logged_in)


FamilyVisit = Visit
FamilyMember = Annotated[Visit, Depends(family_member)]
"""Who is signed in: on what they may see, `visit.member.sees(today)` has the last word."""
FamiliesServed = Depends(families_are_served)
