"""Tallies: how much was done in each minute, so that nobody has to count rows to know it.

Each process counts in rows of its own: two that count at once never wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from secrets import randbelow
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, select, text

from engine.store.tables import Moment, tallies

KEPT: Final = timedelta(days=1)
_SLOTS: Final = 32_768
_SLOT: Final = randbelow(_SLOTS)

# One statement for both databases, which spell this alike.
_ADD: Final = text(
    "INSERT INTO schoolbell_tallies (minute, gateway, what, slot, count)"
    " VALUES (:minute, :gateway, :what, :slot, :count)"
    " ON CONFLICT (minute, gateway, what, slot)"
    " DO UPDATE SET count = schoolbell_tallies.count + excluded.count"
).bindparams(bindparam("minute", type_=Moment()))


class Tallied(NamedTuple):
    """What is counted: changes that were evaluated, or what a *gateway* said, if one did."""

    what: str
    gateway: str = ""


CHANGES: Final = Tallied("changes")


def add(connection: Connection, counts: Mapping[Tallied, int], now: datetime) -> None:
    """Count more."""
    minute = now.replace(second=0, microsecond=0)
    rows = [
        {"minute": minute, "gateway": one.gateway, "what": one.what, "slot": _SLOT, "count": count}
        for one, count in sorted(counts.items())
        if count
    ]
    if rows:
        connection.execute(_ADD, rows)


def since(connection: Connection, moment: datetime) -> Mapping[Tallied, int]:
    """What was counted in the minutes after *moment*; what never occurred is left out."""
    table = tallies.c
    found = connection.execute(
        select(table.what, table.gateway, func.sum(table.count))
        .where(table.minute > moment)
        .group_by(table.what, table.gateway)
    )
    return {Tallied(what, gateway): int(count) for what, gateway, count in found}


def forget(connection: Connection, now: datetime) -> None:
    """Delete what nobody asks for any more."""
    connection.execute(delete(tallies).where(tallies.c.minute < now - KEPT))
