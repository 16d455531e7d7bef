"""Background tasks: what went wrong without anybody watching, for staff to look up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from engine.store.tables import background_tasks


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """One kind of trouble with one subject, and how often it came up."""

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
        update(background_tasks)
        .where(background_tasks.c.kind == kind, background_tasks.c.subject == subject)
        .values(problem=problem, remedy=remedy, times=background_tasks.c.times + 1, last_at=now)
    )
    if not again.rowcount:
        connection.execute(
            background_tasks.insert().values(
                kind=kind, subject=subject, problem=problem, remedy=remedy,
                times=1, first_at=now, last_at=now,
            )
        )  # fmt: skip
    return not again.rowcount


def known(connection: Connection, kinds: Sequence[str]) -> Mapping[str, set[str]]:
    """The subjects that there is something to say of, by kind; kinds without any are left out."""
    found: dict[str, set[str]] = {}
    table = background_tasks.c
    query = select(table.kind, table.subject).where(table.kind.in_(kinds))
    for kind, subject in connection.execute(query):
        found.setdefault(kind, set()).add(subject)
    return found


def latest(connection: Connection, limit: int) -> Sequence[BackgroundTask]:
    """The newest first."""
    table = background_tasks.c
    found = connection.execute(
        select(
            table.kind, table.subject, table.problem, table.remedy,
            table.times, table.first_at, table.last_at,
        )
        .order_by(table.last_at.desc())
        .limit(limit)
    )  # fmt: skip
    return [BackgroundTask(*row) for row in found]


def forget(connection: Connection, before: datetime) -> None:
    """Forget what did not come up again since a moment."""
    connection.execute(delete(background_tasks).where(background_tasks.c.last_at < before))


def resolve(connection: Connection, kind: str, subject: str) -> None:
    """Forget a problem that is mended."""
    connection.execute(
        delete(background_tasks).where(
            background_tasks.c.kind == kind, background_tasks.c.subject == subject
        )
    )
