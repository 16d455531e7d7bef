"""Housekeeping: what is older than its keeping time goes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete

from engine.database import Database
from engine.store import alarms, partitions, tallies
from engine.store.staff import attempts, failures, selections, sessions, tokens
from engine.store.tables import decisions, facts, inbox_reads, notifications, outcomes

_KEEP_FAILURES: Final = timedelta(days=1)
_KEEP_SELECTIONS: Final = timedelta(days=30)


def forget(
    database: Database, now: datetime, keep_content: timedelta, keep_decisions: timedelta
) -> int:
    """Forget old texts, and old decisions and outcomes; return how many partitions and rows went.

    Texts go first: who was told of what, and why, is kept much longer than the words. Alarms that
    are over, old tallies, staff's sessions and access tokens that are over, sign-ins that were not
    finished, those that failed the day before and selections of a month ago go, too. What has no
    partition to drop goes in slices, each a transaction of its own, until nothing is left.
    """
    with database.write() as connection:
        alarms.forget(connection, now)
        tallies.forget(connection, now)
        sessions.forget(connection, now)
        tokens.forget(connection, now)
        attempts.forget(connection, now)
        failures.forget(connection, now - _KEEP_FAILURES)
        selections.forget(connection, now - _KEEP_SELECTIONS)
        gone = _forget_own_notifications(connection, now - keep_content)
    for table, keep in (
        (facts, keep_content), (outcomes, keep_decisions), (decisions, keep_decisions),
    ):  # fmt: skip
        with database.write() as connection:
            gone += partitions.forget(connection, table, now - keep)
        while True:
            with database.write() as connection:
                slice_ = partitions.forget_rows(connection, table, now - keep)
            gone += slice_
            if not slice_:
                break
    return gone


def _forget_own_notifications(connection: Connection, before: datetime) -> int:
    """Notifications with rows of their own, and what was read of any that is gone."""
    connection.execute(delete(inbox_reads).where(inbox_reads.c.read_at < before))
    return connection.execute(delete(notifications).where(notifications.c.at < before)).rowcount
