"""Signing in by the district's provider: out, back, and the account of who comes back.

An administrator makes the account. It is bound to somebody's subject at the provider when they
first sign in under its username; from then on the subject alone says whose it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError, Unavailable
from engine.services.actor import Actor
from engine.services.signing.credentials import new_token, token_hash
from engine.services.staff import signing_in
from engine.services.staff.provider import LONGEST_ON_ITS_WAY, Person, Provider, SignedOut
from engine.services.staff.signing_in import Began, Browser
from engine.store.signing import attempts
from engine.store.signing.attempts import Attempt
from engine.store.staff import accounts, identities, sessions
from engine.store.staff.accounts import Account
from engine.store.staff.identities import Bound as Bound  # the answer of bound
from engine.telemetry import Event, emit
from rules.tool_rights import StaffId

LIFE: Final = timedelta(minutes=10)
_PURPOSE: Final = "provider"
_LOGOUT: Final = "logout"
_HEARD_FOR: Final = 2 * LONGEST_ON_ITS_WAY


class Trouble(StrEnum):
    """Why nobody was signed in."""

    AWAY = "away"
    FAULTY = "faulty"
    REFUSED = "refused"
    STALE = "stale"
    UNKNOWN = "unknown"
    SOMEBODY_ELSE = "somebody-else"
    DISABLED = "disabled"


class Sent(NamedTuple):
    """A browser goes to *address*, and keeps *token* until it comes back."""

    address: str
    token: str


class Returned(NamedTuple):
    """Somebody is signed in, and goes on to *next*."""

    began: Began
    next: str


def send(
    database: Database, provider: Provider, back_to: str, token: str, next_: str, now: datetime
) -> Sent | Trouble:
    """Send a browser to the provider. *token* is the one that it keeps already, or empty."""
    try:
        sending = provider.send(back_to)
    except SchoolbellError as error:
        return _told(error)
    token = token or new_token()
    carried = {"nonce": sending.nonce, "verifier": sending.verifier, "next": next_}
    with database.write() as connection:
        attempts.begin(
            connection,
            Attempt(token_hash(sending.state), token_hash(token), _PURPOSE, carried, now + LIFE),
            now,
        )
    return Sent(sending.address, token)


def receive(
    database: Database, provider: Provider, back_to: str, token: str,
    answer: Mapping[str, str], browser: Browser, now: datetime,
) -> Returned | Trouble:  # fmt: skip
    """Sign in who comes back with *answer*, once; *token* is what the browser kept."""
    with database.write() as connection:
        attempt = attempts.take(
            connection, token_hash(answer.get("state", "")), token_hash(token), _PURPOSE, now
        )
    if attempt is None:
        return Trouble.STALE
    if "error" in answer:
        return Trouble.REFUSED if answer["error"] == "access_denied" else Trouble.FAULTY
    carried = attempt.carried
    try:
        person = provider.person(answer, back_to, carried["nonce"], carried["verifier"], now)
    except SchoolbellError as error:
        return _told(error)
    with database.write() as connection:
        began = _begin(connection, person, browser, now)
    return Returned(began, carried["next"]) if isinstance(began, Began) else began


def signed_out(database: Database, provider: Provider, token: str, now: datetime) -> bool:
    """End the sessions here that a logout token of the provider ends; False where it is none.

    One session where it names one, else all of the person. Access tokens of programs stay. The
    same token does nothing a second time. Raises Unavailable where the provider does not answer.
    """
    try:
        out = provider.signed_out(token, now)
    except Unavailable:
        raise
    except SchoolbellError as error:
        _told(error)
        return False
    heard = Attempt(token_hash(f"logout\0{out.token}"), b"", _LOGOUT, {}, now + _HEARD_FOR)
    with database.write() as connection:
        if attempts.is_first(connection, heard):
            for account in _end_sessions(connection, provider.issuer, out):
                Actor(account.name, now, account.id).did(
                    connection, "sign-out.provider", account.username, None, None
                )
    return True


def _end_sessions(connection: Connection, issuer: str, out: SignedOut) -> Sequence[Account]:
    """Whose sessions ended."""
    if session := _session_hash(issuer, out.session):
        ended = set(sessions.end_of_provider(connection, session))
    else:
        owner = identities.owner(connection, out.identity) if out.identity else None
        ended = {owner} if owner is not None and sessions.end_all(connection, owner) else set()
    found = (accounts.by_id(connection, who) for who in sorted(ended))
    return [account for account in found if account is not None]


def _session_hash(issuer: str, session: str) -> bytes | None:
    return token_hash(f"{issuer}\0{session}") if session else None


def bound(database: Database, who: StaffId) -> Bound | None:
    """Whose subject at the provider an account is bound to; None before the first sign-in."""
    with database.read() as connection:
        return identities.of(connection, who)


def _begin(
    connection: Connection, person: Person, browser: Browser, now: datetime
) -> Began | Trouble:
    account = _account(connection, person, now)
    if isinstance(account, Trouble):
        Actor("somebody", now).did(
            connection, "sign-in.refused", "somebody of the provider", None, {"why": account.value}
        )
        return account
    by = Actor(account.name, now, account.id)
    if account.is_disabled:
        by.did(connection, "sign-in.refused", account.username, None, {"why": Trouble.DISABLED})
        return Trouble.DISABLED
    proved = person.showed_second_factor
    by.did(connection, "sign-in.provider", account.username, None, {"second_factor": proved})
    return signing_in.begin(
        connection, account, browser, now,
        is_pending=account.has_second_factor and not proved, proved=proved,
        provider_session=_session_hash(person.identity.issuer, person.session),
    )  # fmt: skip


def _account(connection: Connection, person: Person, now: datetime) -> Account | Trouble:
    """Whose account it is: by the subject, else by the username where nobody has it yet."""
    owner = identities.owner(connection, person.identity)
    if owner is not None:
        return accounts.by_id(connection, owner) or Trouble.UNKNOWN
    account = accounts.by_username(connection, person.username) if person.username else None
    if account is None or account.has_password:
        return Trouble.UNKNOWN
    accounts.lock(connection, account.id)
    if there := identities.of(connection, account.id):
        return account if there.identity == person.identity else Trouble.SOMEBODY_ELSE
    if not account.is_disabled:
        identities.bind(connection, person.identity, account.id, now)
        Actor(account.name, now, account.id).did(
            connection, "staff.bound", account.username, None,
            {"subject": person.identity.subject},
        )  # fmt: skip
    return account


def _told(error: SchoolbellError) -> Trouble:
    """What people read is in their words; who runs the portal reads the rest in the log."""
    emit(Event.PROVIDER_FAILED, level=logging.WARNING, problem=error.problem, remedy=error.remedy)
    return Trouble.AWAY if isinstance(error, Unavailable) else Trouble.FAULTY
