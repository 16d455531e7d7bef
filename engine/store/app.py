"""What people do in the app: sign in on a device, sign out, choose what to hear about."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, delete, select, update

from engine.secrets.keyring import Keyring
from engine.store import devices
from engine.store.tables import accounts, sessions, subscriptions
from engine.wire.messages import Token
from rules.audience import DeviceId
from rules.change import Kind, PersonId, StudentId


def sign_in(
    connection: Connection,
    keyring: Keyring,
    person: PersonId,
    token: Token,
    now: datetime,
    *,
    push_key: bytes | None = None,
    stay_logged_in: bool = True,
    expires_at: datetime | None = None,
) -> DeviceId:
    """Begin a session of *person* on the device with *token*; repeatable at every app start.

    A device that was retired lives again: the app on it just proved so. *push_key* (32 bytes)
    opens what is sealed for this phone alone.
    """
    if not connection.execute(
        select(accounts.c.person_id).where(accounts.c.person_id == person)
    ).first():
        connection.execute(accounts.insert().values(person_id=person))
    device = devices.register(connection, keyring, token, push_key, now)
    connection.execute(
        delete(sessions).where(sessions.c.person_id == person, sessions.c.device_id == int(device))
    )
    connection.execute(
        sessions.insert().values(
            person_id=person, device_id=int(device), stay_logged_in=stay_logged_in,
            started_at=now, expires_at=expires_at,
        )
    )  # fmt: skip
    return device


def sign_out(connection: Connection, person: PersonId, device: DeviceId, now: datetime) -> bool:
    """End the session of *person* on *device*; return whether there was one that had not ended."""
    ended = connection.execute(
        update(sessions)
        .where(
            sessions.c.person_id == person,
            sessions.c.device_id == int(device),
            sessions.c.ended_at.is_(None),
        )
        .values(ended_at=now)
    )
    return bool(ended.rowcount)


def subscribe(
    connection: Connection,
    person: PersonId,
    student: StudentId,
    kind: Kind,
    *,
    enabled: bool = True,
    threshold: Decimal | None = None,
) -> None:
    """Choose whether *person* hears of *kind* about *student*, and below which threshold."""
    chosen = {"student_id": student, "person_id": person, "kind": kind}
    conditions = [subscriptions.c[name] == value for name, value in chosen.items()]
    connection.execute(delete(subscriptions).where(*conditions))
    connection.execute(
        subscriptions.insert().values(**chosen, enabled=enabled, threshold=threshold)
    )
