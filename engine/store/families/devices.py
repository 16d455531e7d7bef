"""Devices of families: the phones and browsers on which somebody is signed in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, or_, select, update

from engine.store.families.logins import LoginId
from engine.store.families.tables import logins
from engine.store.tables import devices, sessions
from engine.wire.messages import DeviceKind
from rules.audience import DeviceId
from rules.change import PersonId
from rules.privacy import Level


class OwnDevice(NamedTuple):
    """A device of somebody: its kind, what it may show, and the login that it follows.

    *login* and *name* are those of the login, None and empty of one that the school registered.
    A device that *is_retired* hears nothing until its app registers it again.
    """

    id: DeviceId
    kind: DeviceKind
    level: Level | None
    stay_logged_in: bool
    registered_at: datetime
    is_retired: bool
    login: LoginId | None
    name: str


def of(connection: Connection, person: PersonId, now: datetime) -> Sequence[OwnDevice]:
    """The devices on which somebody is signed in now, in the order of their numbers."""
    return [_own(row) for row in connection.execute(_of(person, now))]


def one(
    connection: Connection, person: PersonId, which: DeviceId, now: datetime
) -> OwnDevice | None:
    """One of them; None for a device of anybody else."""
    row = connection.execute(_of(person, now).where(devices.c.id == int(which))).first()
    return _own(row) if row else None


def end_others_of_login(
    connection: Connection, login: LoginId, but: DeviceId, now: datetime
) -> None:
    """End the sessions of a login on what its app was known by before: it is one device."""
    connection.execute(
        update(sessions)
        .where(
            sessions.c.login_id == login, sessions.c.device_id != int(but),
            sessions.c.ended_at.is_(None),
        )
        .values(ended_at=now)
    )  # fmt: skip


def _of(person: PersonId, now: datetime) -> Select[Any]:
    return (
        select(
            devices.c.id, devices.c.kind, devices.c.privacy, devices.c.registered_at,
            devices.c.retired_at, sessions.c.stay_logged_in, sessions.c.login_id, logins.c.name,
        )
        .join(sessions, sessions.c.device_id == devices.c.id)
        .outerjoin(logins, logins.c.id == sessions.c.login_id)
        .where(
            sessions.c.person_id == person,
            sessions.c.ended_at.is_(None),
            or_(sessions.c.expires_at.is_(None), sessions.c.expires_at > now),
        )
        .order_by(devices.c.id)
    )  # fmt: skip


def _own(row: Row[Any]) -> OwnDevice:
    return OwnDevice(
        DeviceId(str(row.id)), row.kind, Level(row.privacy) if row.privacy else None,
        row.stay_logged_in, row.registered_at, row.retired_at is not None,
        None if row.login_id is None else LoginId(row.login_id), row.name or "",
    )  # fmt: skip
