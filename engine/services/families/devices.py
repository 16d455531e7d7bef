"""Devices of families: registered at sign-in and at every app start, and heard on while they stay.

What an app is known by belongs to one account at a time, and to one login. Ending the login ends
the pushes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.secrets import addresses
from engine.secrets.keyring import Keyring
from engine.services import typed
from engine.services.families.logins import Visit
from engine.store import app
from engine.store import devices as store_devices
from engine.store.families import devices, logins
from engine.store.families.devices import OwnDevice as OwnDevice  # the answer of of
from engine.store.families.logins import LoginId
from engine.wire.endpoints import PUSH_SERVICES
from engine.wire.messages import Token
from rules.audience import DeviceId
from rules.change import PersonId
from rules.privacy import Level


def register(
    database: Database, keyring: Keyring, visit: Visit, token: Token, push_key: bytes | None,
    now: datetime, *, hosts: Collection[str] = PUSH_SERVICES,
) -> DeviceId:  # fmt: skip
    """Let pushes for who is signed in go to this app, while the login lasts and is to stay.

    Whoever else heard on it does no more, nor does what this login was known by before.
    Repeatable. The push service of a browser is among *hosts*. Raises SchoolbellError for what can
    be no token of its kind or no key, and for a login that has just ended.
    """
    token, push_key = addresses.checked(token, hosts), typed.push_key(push_key)
    login = visit.login
    with database.write() as connection:
        _require(connection, login.id)
        device = app.sign_in(
            connection, keyring, visit.identity, token, now, push_key=push_key,
            stay_logged_in=login.stay_logged_in, expires_at=login.expires_at, login=login.id,
        )  # fmt: skip
        app.sign_out_others(connection, visit.identity, device, now)
        devices.end_others_of_login(connection, login.id, device, now)
    return device


def of(database: Database, visit: Visit, now: datetime) -> Sequence[OwnDevice]:
    """The devices on which somebody hears, or would with Stay Logged In."""
    with database.read() as connection:
        return devices.of(connection, visit.identity, now)


def one(database: Database, visit: Visit, which: DeviceId, now: datetime) -> OwnDevice | None:
    """One of one's own; None for any other, whether there is one or not."""
    with database.read() as connection:
        return _own(connection, visit.identity, which, now)


def remove(database: Database, visit: Visit, which: DeviceId, now: datetime) -> bool:
    """Let one of one's own devices hear no more; whether there was one."""
    with database.write() as connection:
        there = _own(connection, visit.identity, which, now)
        return there is not None and app.sign_out(connection, visit.identity, there.id, now)


def set_level(
    database: Database, visit: Visit, which: DeviceId, level: Level | None, now: datetime
) -> bool:
    """Let one of one's own devices show at most *level*; whether there is one."""
    with database.write() as connection:
        there = _own(connection, visit.identity, which, now)
        if there is not None:
            store_devices.set_level(connection, there.id, level)
        return there is not None


def _require(connection: Connection, login: LoginId) -> None:
    """Somebody may end a login while its app registers: then nothing is sent there."""
    if not logins.hold(connection, login):
        raise SchoolbellError("This login has ended.", "Sign in again.")


def _own(
    connection: Connection, person: PersonId, which: DeviceId, now: datetime
) -> OwnDevice | None:
    number = typed.device_or_none(which)
    return devices.one(connection, person, number, now) if number else None
