"""Sessions of families' apps: begun by a password or an invitation, refreshed, and ended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from engine.portal.families.api.document import FOR_EVERYBODY, FOR_MEMBERS, router
from engine.portal.families.declining import WAIT, Declined
from engine.portal.families.guards import FamilyMember, FamilySignInNeeded, asked_by
from engine.portal.guards import ThePortal
from engine.services.families import logins, signing_in
from engine.services.families.logins import ACCESS, Given, Over
from engine.services.families.signing_in import Refused
from engine.services.families.standing import FOR_FAMILIES, Barred

api = router()

Typed = Annotated[str, Field(max_length=1_000)]


class _Asked(BaseModel):
    """What an app asks for; a field that is not known is a mistake of its author."""

    model_config = ConfigDict(extra="forbid")


class SignIn(_Asked):
    """A password. Only a session that is to *stay_logged_in* lasts, and gets pushes.

    *device_name* is what the list of sessions shows, like "Lucía's phone".
    """

    username: Typed
    password: Typed
    stay_logged_in: bool = False
    device_name: Annotated[str, Field(max_length=200)] = ""


class Invitation(SignIn):
    """A code of the school, and the username and the password that one chooses by it."""

    code: Typed


class Refresh(_Asked):
    """The refresh token of the newest answer."""

    refresh_token: Typed


class Session(BaseModel):
    """What an app keeps in the phone's key store.

    Show the access token as `Authorization: Bearer`. After *expires_in* seconds, or when it is
    refused, show the refresh token once, and keep both of the answer. An answer that never came is
    asked for again with the same token. The session ends at *until*, whatever happens.
    """

    access_token: str
    expires_in: int
    refresh_token: str
    login: int
    stay_logged_in: bool
    until: datetime


@api.post("/session", openapi_extra=FOR_EVERYBODY)
def sign_in(request: Request, portal: ThePortal, asked: SignIn) -> Session:
    """Sign in with a username and a password."""
    return _session(
        signing_in.sign_in(
            portal.district.database, portal.district.keyring, asked.username, asked.password,
            asked_by(request, asked.device_name, stay_logged_in=asked.stay_logged_in),
            portal.now, portal.today,
        ),
        "The username or the password is not right.",
    )  # fmt: skip


@api.post("/session/invitation", openapi_extra=FOR_EVERYBODY)
def accept_invitation(request: Request, portal: ThePortal, asked: Invitation) -> Session:
    """Sign in for the first time, or after a password was forgotten: every other session ends."""
    return _session(
        signing_in.accept(
            portal.district.database, portal.district.keyring, asked.code, asked.username,
            asked.password,
            asked_by(request, asked.device_name, stay_logged_in=asked.stay_logged_in),
            portal.now, portal.today,
        ),
        "This is no code of the school, or it was used before, or it is too old.",
    )  # fmt: skip


@api.post("/session/refresh", openapi_extra=FOR_EVERYBODY)
def refresh(portal: ThePortal, asked: Refresh) -> Session:
    """Get the next access token and the next refresh token."""
    found = logins.refresh(
        portal.district.database, portal.district.keyring, asked.refresh_token, portal.now,
        portal.today,
    )  # fmt: skip
    if isinstance(found, Over):
        raise FamilySignInNeeded
    return _session(found, "")


@api.delete("/session", status_code=204, openapi_extra=FOR_MEMBERS)
def sign_out(portal: ThePortal, visit: FamilyMember) -> None:
    """Sign out: the session ends, and pushes to its device."""
    logins.end(portal.district.database, visit, visit.login.id, portal.now)


def _session(found: Given | Refused | Barred, wrong: str) -> Session:
    if isinstance(found, Barred):
        raise Declined(403, *FOR_FAMILIES[found])
    if isinstance(found, Refused):
        if found.wait:
            raise Declined(
                429, "Too many tries.", "Wait a quarter of an hour, or ask the school.",
                {"retry-after": str(WAIT)},
            )  # fmt: skip
        raise Declined(401, wrong, "Try again, or ask the school for an invitation.")
    return Session(
        access_token=found.access_token, expires_in=int(ACCESS.total_seconds()),
        refresh_token=found.refresh_token, login=found.login.id,
        stay_logged_in=found.login.stay_logged_in, until=found.login.expires_at,
    )  # fmt: skip
