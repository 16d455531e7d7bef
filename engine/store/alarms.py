"""Alarms: what is wrong in the installation, for an operator to mend.

Whatever is wrong reports its alarm again as long as it lasts, at least every hour. What is seen to
be mended resolves it; what nobody can see to be mended (a text that could not be made, a push that
was refused) is over when it was not reported for a day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, select, update

from engine.store.tables import alarms

OVER_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One kind of trouble with one subject, and how often it was reported."""

    kind: str
    subject: str
    problem: str
    remedy: str
    times: int
    first_at: datetime
    last_at: datetime


def report(
    connection: Connection, kind: str, subject: str, problem: str, remedy: str, now: datetime
) -> bool:
    """Note a problem, and return whether it is new.

    The same kind and subject again only counts up, so nothing floods.
    """
    again = connection.execute(
        update(alarms)
        .where(alarms.c.kind == kind, alarms.c.subject == subject)
        .values(problem=problem, remedy=remedy, times=alarms.c.times + 1, last_at=now)
    )
    if not again.rowcount:
        connection.execute(
            alarms.insert().values(
                kind=kind, subject=subject, problem=problem, remedy=remedy,
                times=1, first_at=now, last_at=now,
            )
        )  # fmt: skip
    return not again.rowcount


def known(connection: Connection, kinds: Sequence[str]) -> Mapping[str, set[str]]:
    """The subjects that there is something to say of, by kind; kinds without any are left out."""
    found: dict[str, set[str]] = {}
    query = select(alarms.c.kind, alarms.c.subject).where(alarms.c.kind.in_(kinds))
    for kind, subject in connection.execute(query):
        found.setdefault(kind, set()).add(subject)
    return found


def current(connection: Connection, now: datetime, limit: int) -> Sequence[Alarm]:
    """Those that are not over, the newest first."""
    table = alarms.c
    found = connection.execute(
        select(
            table.kind, table.subject, table.problem, table.remedy,
            table.times, table.first_at, table.last_at,
        )
        .where(table.last_at >= now - OVER_AFTER)
        .order_by(table.last_at.desc(), table.id.desc())
        .limit(limit)
    )  # fmt: skip
    return [Alarm(*row) for row in found]


def forget(connection: Connection, now: datetime) -> None:
    """Delete those that are over."""
    connection.execute(delete(alarms).where(alarms.c.last_at < now - OVER_AFTER))


def resolve(connection: Connection, kind: str, subject: str) -> None:
    """Delete one whose trouble is mended."""
    connection.execute(delete(alarms).where(alarms.c.kind == kind, alarms.c.subject == subject))
