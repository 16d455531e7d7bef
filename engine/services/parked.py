"""Parked changes and messages: look at them, and try them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import select

from engine.ports import Queue
from engine.runtime.district import Engine
from engine.stages.publishing import publish_all
from engine.store.tables import parked_changes
from engine.wire.messages import Changes, encode, packed
from rules.change import Change, ChangeId

_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class ParkedChange:
    """A change that could not be evaluated, with what is wrong and what to do."""

    id: ChangeId
    problem: str
    remedy: str
    parked_at: datetime


def changes(engine: Engine, limit: int = 50) -> Sequence[ParkedChange]:
    """The oldest parked changes."""
    table = parked_changes.c
    with engine.database.read() as connection:
        found = connection.execute(
            select(table.id, table.problem, table.remedy, table.parked_at)
            .order_by(table.id)
            .limit(limit)
        )
        return [ParkedChange(*row) for row in found]


def retry(engine: Engine) -> tuple[int, int]:
    """Publish parked changes again and requeue dead-lettered messages; return how many of each.

    A parked change stays parked until it is evaluated with success.
    """
    with engine.database.read() as connection:
        found = connection.execute(
            select(parked_changes.c.change).order_by(parked_changes.c.id).limit(_AT_ONCE)
        )
        again = [msgspec.convert(row.change, Change) for row in found]
    publisher = engine.broker.publisher()
    try:
        publish_all(publisher, Queue.CHANGES, [encode(Changes(group)) for group in packed(again)])
    finally:
        publisher.close()
    return len(again), sum(engine.broker.requeue_parked(queue, _AT_ONCE) for queue in Queue)
