"""Housekeeping: what is older than its keeping time goes, a slice at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column, Connection, Table, delete, select

from engine.store import alarms, tallies
from engine.store.bulk import one_of
from engine.store.tables import changes, decisions, notifications, outcomes, pushes
from rules.identity import first_id_at

_AT_ONCE: Final = 5_000


def forget(
    connection: Connection, now: datetime, keep_content: timedelta, keep_decisions: timedelta
) -> int:
    """Delete a slice of old texts, and of old decisions and outcomes; return how many rows went.

    Texts go first: who was told of what, and why, is kept much longer than the words. Alarms
    that are over and old tallies go, too.
    """
    alarms.forget(connection, now)
    tallies.forget(connection, now)
    return _forget_content(connection, now - keep_content) + _forget_decisions(
        connection, now - keep_decisions
    )


def _forget_content(connection: Connection, before: datetime) -> int:
    old = _oldest(connection, notifications, notifications.c.created_at, before)
    return _delete(connection, notifications, old)


def _forget_decisions(connection: Connection, before: datetime) -> int:
    old_pushes = _oldest(connection, pushes, pushes.c.created_at, before)
    connection.execute(delete(outcomes).where(one_of(connection, outcomes.c.push_id, old_pushes)))
    old_changes = _oldest(connection, changes, changes.c.evaluated_at, before)
    connection.execute(
        delete(decisions).where(one_of(connection, decisions.c.change_id, old_changes))
    )
    return _delete(connection, pushes, old_pushes) + _delete(connection, changes, old_changes)


def _oldest(
    connection: Connection, table: Table, moment: Column[datetime], before: datetime
) -> list[str]:
    """Ids are in the order of time: the oldest stand at the beginning of the primary key."""
    found = connection.execute(
        select(table.c.id)
        .where(table.c.id < first_id_at(before), moment < before)
        .order_by(table.c.id)
        .limit(_AT_ONCE)
    )
    return [row.id for row in found]


def _delete(connection: Connection, table: Table, ids: list[str]) -> int:
    return connection.execute(delete(table).where(one_of(connection, table.c.id, ids))).rowcount
