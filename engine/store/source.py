"""The database of the SIS, as our own database remembers it: where it is, and which one it is."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, select, update

from engine.sources.source import Era
from engine.store.tables import notifications, relayed, source
from rules.notification import State

# Positions that relay may have published and not yet noted lie far within this.
_MARGIN: Final = 10**12


class Known(NamedTuple):
    """Where the SIS was, empty where nobody said yet; and which of its databases that is."""

    address: str
    era: Era


def current(connection: Connection) -> Known:
    """What we listen to."""
    row = connection.execute(select(source.c.address, source.c.number, source.c.since)).one()
    return Known(row.address, Era(row.number, row.since))


def was_heard(connection: Connection) -> bool:
    """Whether anything of it was ever relayed."""
    return bool(connection.execute(select(relayed.c.position)).scalar_one())


def note_address(connection: Connection, address: str) -> None:
    """Remember where the SIS is; its records are those that we know."""
    connection.execute(update(source).values(address=address))


def begin(connection: Connection, address: str) -> Era:
    """Begin with another database: whatever was captured before is of an earlier one.

    Positions go on above all that were given, and what is held to be told later is withdrawn.
    """
    known = current(connection)
    since = connection.execute(select(relayed.c.position)).scalar_one() + _MARGIN
    era = Era(known.era.number + 1, since)
    connection.execute(update(source).values(address=address, number=era.number, since=era.since))
    connection.execute(update(relayed).values(position=since))
    connection.execute(
        update(notifications)
        .where(notifications.c.state == State.HELD)
        .values(state=State.WITHDRAWN)
    )
    return era
