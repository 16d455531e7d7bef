"""Signing in: families, with a password of their own or for the first time with an invitation."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.secrets import authenticator, passwords
from engine.secrets.keyring import Keyring
from engine.services.families import logins
from engine.services.families.accounts import sign_out
from engine.services.families.logins import Given
from engine.services.families.standing import Barred, refusal, standing
from engine.services.signing import credentials
from engine.services.signing.tries import Tries, tries
from engine.store.families import accounts, invitations
from engine.store.signing.usernames import folded
from rules.change import PersonId

_WHOSE: Final = "family sign-in"
# A whole school signs in from one address.
_MOST_OF_AN_ADDRESS: Final = 200


class Asked(NamedTuple):
    """From where somebody signs in, what the app or browser calls itself, and whether to stay."""

    address: str
    name: str
    stay_logged_in: bool


class Refused(NamedTuple):
    """Nobody was signed in. *wait* is true where there were too many tries."""

    wait: bool = False


def sign_in(
    database: Database, keyring: Keyring, username: str, password: str, asked: Asked,
    now: datetime, today: date,
) -> Given | Refused | Barred:  # fmt: skip
    """Begin a login of who has this password; too many failures are refused unasked."""
    counted = _tries(keyring, folded(username), asked)
    with database.read() as connection:
        if counted.are_too_many(connection, now):
            return Refused(wait=True)
        local = accounts.by_username(connection, username)
    is_right = passwords.matches(password, local.password_hash if local else None)
    if local is None or not is_right:
        return _refuse(database, counted, now)
    newer = passwords.hashed(password) if passwords.is_outdated(local.password_hash) else None
    with database.write() as connection:
        counted.succeeded(connection)
        if newer:
            accounts.rehash(connection, local.person, newer)
        return _begin(connection, keyring, local.person, asked, now, today)


def accept(
    database: Database, keyring: Keyring, code: str, username: str, password: str, asked: Asked,
    now: datetime, today: date,
) -> Given | Refused | Barred:  # fmt: skip
    """Choose a username and a password by an invitation, which is used up, and begin a login.

    Every other login of the person ends. Raises SchoolbellError, and leaves the invitation, for a
    username that is another's or none, and for a weak password.
    """
    hashed = authenticator.code_hash(code)
    counted = _tries(keyring, f"\0code {hashed.hex()}", asked)
    with database.read() as connection:
        if counted.are_too_many(connection, now):
            return Refused(wait=True)
        person = invitations.find(connection, hashed, now)
        barred = standing(connection, person, today) if person else None
    if person is None:
        return _refuse(database, counted, now)
    if isinstance(barred, Barred):
        return barred
    username = credentials.username(username)
    kept = credentials.hashed(password, username)
    with database.write() as connection:
        if invitations.take(connection, hashed, now) != person:
            return Refused()
        if not accounts.set_local(connection, person, username, kept, now):
            raise SchoolbellError(
                "Somebody else has this username.", "Choose another one.", username=username
            )
        counted.succeeded(connection)
        sign_out(connection, person, now)
        begun = _begin(connection, keyring, person, asked, now, today)
        if isinstance(begun, Barred):  # since we looked
            raise refusal(begun)
        return begun


def _begin(
    connection: Connection, keyring: Keyring, person: PersonId, asked: Asked, now: datetime,
    today: date,
) -> Given | Barred:  # fmt: skip
    member = standing(connection, person, today)
    if isinstance(member, Barred):
        return member
    return logins.begin(
        connection, keyring, person, asked.name, now, stay_logged_in=asked.stay_logged_in
    )


def _tries(keyring: Keyring, name: str, asked: Asked) -> Tries:
    return tries(keyring, _WHOSE, name, asked.address, _MOST_OF_AN_ADDRESS)


def _refuse(database: Database, counted: Tries, now: datetime) -> Refused:
    with database.write() as connection:
        counted.failed(connection, now)
    return Refused()
