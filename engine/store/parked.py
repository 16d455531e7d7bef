"""Changes that could not be evaluated, kept until they can."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, func, select

from engine.store.bulk import one_of
from engine.store.tables import parked_changes
from rules.change import Change, ChangeId


@dataclass(frozen=True, slots=True)
class ParkedChange:
    """A change that could not be evaluated, with what is wrong and what to do."""

    id: ChangeId
    problem: str
    remedy: str
    parked_at: datetime


def oldest(connection: Connection, limit: int) -> Sequence[ParkedChange]:
    """What is known of the oldest."""
    table = parked_changes.c
    found = connection.execute(
        select(table.id, table.problem, table.remedy, table.parked_at)
        .order_by(table.id)
        .limit(limit)
    )
    return [ParkedChange(*row) for row in found]


def of_change(connection: Connection, change: ChangeId) -> ParkedChange | None:
    """What is known of one change, if it is parked."""
    table = parked_changes.c
    found = connection.execute(
        select(table.id, table.problem, table.remedy, table.parked_at).where(table.id == change)
    ).first()
    return ParkedChange(*found) if found else None


def which_are_parked(connection: Connection, wanted: Collection[ChangeId]) -> set[ChangeId]:
    """Which of the *wanted* are parked."""
    found = connection.execute(
        select(parked_changes.c.id).where(one_of(connection, parked_changes.c.id, wanted))
    )
    return {ChangeId(change) for (change,) in found}


def changes(connection: Connection, limit: int) -> Sequence[Change]:
    """The oldest themselves."""
    found = connection.execute(
        select(parked_changes.c.change).order_by(parked_changes.c.id).limit(limit)
    )
    return [msgspec.convert(row.change, Change) for row in found]


def count(connection: Connection) -> int:
    """How many there are."""
    return connection.execute(select(func.count()).select_from(parked_changes)).scalar_one()
