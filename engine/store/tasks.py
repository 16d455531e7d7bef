"""Background tasks: what went wrong without anybody watching, for staff to look up."""

from __future__ import annotations

from collections.abc import Sequence
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
) -> None:
    """Note a problem; the same kind and subject again only counts up, so nothing floods."""
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


def resolve(connection: Connection, kind: str, subject: str) -> None:
    """Forget a problem that is mended."""
    connection.execute(
        delete(background_tasks).where(
            background_tasks.c.kind == kind, background_tasks.c.subject == subject
        )
    )
