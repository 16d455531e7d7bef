"""Housekeeping: what is older than its keeping time goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, select

from engine.database import Database
from engine.store import alarms, broadcasts, partitions, tallies
from engine.store.bulk import one_of
from engine.store.families import invitations, logins, trials
from engine.store.signing import attempts, failures
from engine.store.staff import selections, sessions, tokens
from engine.store.tables import decisions, facts, inbox_reads, notifications, outcomes

_AT_ONCE: Final = 5_000
_KEEP_FAILURES: Final = timedelta(days=1)
_KEEP_INVITATIONS: Final = timedelta(days=30)
_KEEP_TRIALS: Final = timedelta(days=1)
_KEEP_SELECTIONS: Final = timedelta(days=30)


def forget(
    database: Database, now: datetime, keep_content: timedelta, keep_decisions: timedelta
) -> int:
    """Forget old texts, and old decisions and outcomes; return how many partitions and rows went.

    Texts go first: who was told of what, and why, is kept much longer than the words. Alarms that
    are over, old tallies, staff's sessions and access tokens that are over, sign-ins that were not
    finished, those that failed the day before, families' logins that are over, invitations that
    were for a month, and selections of a month ago go, too. What has no partition to drop goes in
    slices, each a transaction of its own, until nothing is left.
    """
    with database.write() as connection:
        alarms.forget(connection, now)
        tallies.forget(connection, now)
        sessions.forget(connection, now)
        tokens.forget(connection, now)
        attempts.forget(connection, now)
        failures.forget(connection, now - _KEEP_FAILURES)
        invitations.forget(connection, now - _KEEP_INVITATIONS)
        trials.forget(connection, now - _KEEP_TRIALS)
        selections.forget(connection, now - _KEEP_SELECTIONS)
        connection.execute(delete(inbox_reads).where(inbox_reads.c.read_at < now - keep_content))
        broadcasts.forget_texts(connection, now - keep_content)
    _in_slices(database, lambda connection: logins.forget(connection, now))
    gone = _in_slices(
        database, lambda connection: _forget_own_notifications(connection, now - keep_content)
    )
    gone += _in_slices(
        database, lambda connection: broadcasts.forget(connection, now - keep_decisions, _AT_ONCE)
    )
    for table, keep in (
        (facts, keep_content), (outcomes, keep_decisions), (decisions, keep_decisions),
    ):  # fmt: skip
        with database.write() as connection:
            gone += partitions.forget(connection, table, now - keep)
        gone += _in_slices(
            database, partial(partitions.forget_rows, table=table, before=now - keep)
        )
    return gone


def _in_slices(database: Database, forget: Callable[[Connection], int]) -> int:
    """Forget in transactions of their own until nothing is left: others write between them."""
    gone = 0
    while True:
        with database.write() as connection:
            slice_ = forget(connection)
        if not slice_:
            return gone
        gone += slice_


def _forget_own_notifications(connection: Connection, before: datetime) -> int:
    """Notifications with rows of their own."""
    old = connection.execute(
        select(notifications.c.id).where(notifications.c.at < before).limit(_AT_ONCE)
    )
    ids = set(old.scalars())
    if not ids:
        return 0
    connection.execute(delete(notifications).where(one_of(connection, notifications.c.id, ids)))
    return len(ids)
