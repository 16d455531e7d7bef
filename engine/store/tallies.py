"""Tallies: how much was done in each minute, so that nobody has to count rows to know it.

Each process counts in rows of its own: two that count at once never wait for each other. What is
older than a day is kept as one sum without a minute, so that the whole only ever grows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from secrets import randbelow
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, select, text

from engine.store.tables import Moment, tallies

KEPT: Final = timedelta(days=1)
_SLOTS: Final = 32_768
_SLOT: Final = randbelow(_SLOTS)
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

# One statement for both databases, which spell this alike.
_ADD: Final = text(
    "INSERT INTO schoolbell_tallies (minute, gateway, what, reason, slot, count)"
    " VALUES (:minute, :gateway, :what, :reason, :slot, :count)"
    " ON CONFLICT (minute, gateway, what, reason, slot)"
    " DO UPDATE SET count = schoolbell_tallies.count + excluded.count"
).bindparams(bindparam("minute", type_=Moment()))


class Tallied(NamedTuple):
    """What is counted: changes that were evaluated, or what a *gateway* said, if one did, and why.

    The *reason* is a code; empty where there is none, and in sums over all reasons.
    """

    what: str
    gateway: str = ""
    reason: str = ""


CHANGES: Final = Tallied("changes")


def add(connection: Connection, counts: Mapping[Tallied, int], now: datetime) -> None:
    """Count more."""
    _add(connection, counts, now.replace(second=0, microsecond=0))


def _add(connection: Connection, counts: Mapping[Tallied, int], minute: datetime) -> None:
    rows = [
        {**one._asdict(), "minute": minute, "slot": _SLOT, "count": count}
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


def with_reasons(connection: Connection, moment: datetime) -> Mapping[Tallied, int]:
    """The same, each reason apart."""
    return _by_reason(connection, tallies.c.minute > moment)


def by_minute(connection: Connection, moment: datetime) -> Mapping[datetime, Mapping[str, int]]:
    """What was counted in each minute after *moment*, over all gateways and reasons.

    Minutes in which nothing was counted are left out.
    """
    table = tallies.c
    found: dict[datetime, dict[str, int]] = {}
    query = (
        select(table.minute, table.what, func.sum(table.count))
        .where(table.minute > moment)
        .group_by(table.minute, table.what)
    )
    for minute, what, count in connection.execute(query):
        found.setdefault(minute, {})[what] = int(count)
    return found


def ever(connection: Connection) -> Mapping[Tallied, int]:
    """What was counted since the installation; no number ever falls."""
    return _by_reason(connection, tallies.c.minute >= _LONG_AGO)


def forget(connection: Connection, now: datetime) -> None:
    """Keep of what nobody asks for by the minute only the sum."""
    table = tallies.c
    gone = connection.execute(
        delete(tallies)
        .where(table.minute < now - KEPT, table.minute > _LONG_AGO)
        .returning(table.what, table.gateway, table.reason, table.count)
    )
    sums = Counter[Tallied]()
    for what, gateway, reason, count in gone:
        sums[Tallied(what, gateway, reason)] += count
    _add(connection, sums, _LONG_AGO)


def _by_reason(connection: Connection, which: ColumnElement[bool]) -> Mapping[Tallied, int]:
    table = tallies.c
    kinds = (table.what, table.gateway, table.reason)
    found = connection.execute(select(*kinds, func.sum(table.count)).where(which).group_by(*kinds))
    return {Tallied(what, gateway, reason): int(count) for what, gateway, reason, count in found}
