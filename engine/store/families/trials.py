"""Trials: pushes that people sent to their own devices, each known by the key that asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from engine.store import app
from engine.store.families.tables import trials
from rules.audience import DeviceId
from rules.change import PersonId


def is_known(connection: Connection, key_hash: bytes) -> bool:
    """Whether a key asked before."""
    found = connection.execute(select(trials.c.key_hash).where(trials.c.key_hash == key_hash))
    return found.first() is not None


def count(connection: Connection, person: PersonId, since: datetime) -> int:
    """How often somebody tried since then."""
    return int(
        connection.execute(
            select(func.count())
            .select_from(trials)
            .where(trials.c.person_id == person, trials.c.at > since)
        ).scalar_one()
    )


def note(connection: Connection, key_hash: bytes, person: PersonId, now: datetime) -> None:
    """Keep in mind that a key has asked."""
    connection.execute(trials.insert().values(key_hash=key_hash, person_id=person, at=now))


def hearing(
    connection: Connection, person: PersonId, which: DeviceId, now: datetime
) -> Sequence[DeviceId]:
    """The device, if somebody hears on it now."""
    return [one for one in app.devices_of(connection, person, now) if one == which]


def forget(connection: Connection, before: datetime) -> int:
    """Forget what is too old to be asked again; how many there were."""
    return connection.execute(delete(trials).where(trials.c.at < before)).rowcount
