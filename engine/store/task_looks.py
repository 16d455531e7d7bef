"""Looks: which tasks that went wrong somebody has looked at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, select

from engine.ports.broadcasts import Broadcast
from engine.store import broadcasts, recipients
from engine.store.bulk import one_of
from engine.store.tables import broadcast_recipients, notifications, task_looks
from engine.store.tables import broadcasts as broadcasts_table
from rules.broadcasts import BroadcastId, BroadcastState
from rules.notification import Origin, State
from rules.reasons import Reason

FAULTS: frozenset[Reason] = frozenset({Reason.TEXT_BLANK, Reason.TEMPLATE_INVALID})
"""Why somebody is not told whom staff meant to tell: the text, and not a choice of theirs."""

_ENDED = (BroadcastState.SENT, BroadcastState.CANCELLED)
_table = broadcasts_table.c


class Look(NamedTuple):
    """Who looked, and when."""

    who: str
    at: datetime


def add(connection: Connection, name: str, look: Look) -> None:
    """Somebody has looked at what became of a task."""
    forget(connection, [name])
    connection.execute(task_looks.insert().values(task_id=name, who=look.who, at=look.at))


def of(connection: Connection, names: Collection[str]) -> Mapping[str, Look]:
    """Who looked last at each."""
    if not names:
        return {}
    found = connection.execute(
        select(task_looks).where(one_of(connection, task_looks.c.task_id, names))
    )
    return {row.task_id: Look(row.who, row.at) for row in found}


def forget(connection: Connection, names: Collection[str]) -> None:
    """Nobody has looked at these."""
    connection.execute(delete(task_looks).where(one_of(connection, task_looks.c.task_id, names)))


def failed(connection: Connection) -> Sequence[Broadcast]:
    """Those that have ended with faults and that nobody has looked at since, however old."""
    query = (
        select(_table.id)
        .where(_table.state.in_(_ENDED), _has_faults(), ~_was_looked_at())
        .order_by(_table.changed_at.desc())
    )
    names = connection.execute(query).scalars().all()
    found = (broadcasts.one(connection, name) for name in names)
    return [one for one in found if one is not None]


def take_back_faults(connection: Connection, name: BroadcastId) -> int:
    """Forget whom a text of a broadcast could not be made for, and return how many they are.

    Expand then finds them anew, as it does whoever it has not seen.
    """
    people = set(
        connection.execute(
            select(broadcast_recipients.c.person_id).where(*_faults_of(name))
        ).scalars()
    )
    if not people:
        return 0
    connection.execute(
        delete(notifications).where(
            notifications.c.origin == Origin.BROADCAST,
            notifications.c.record == name,
            notifications.c.state == State.WITHDRAWN,
            one_of(connection, notifications.c.person_id, people),
        )
    )
    recipients.forget(connection, name, people)
    return len(people)


def _faults_of(name: str | ColumnElement[str]) -> tuple[ColumnElement[bool], ...]:
    return (
        broadcast_recipients.c.broadcast_id == name,
        broadcast_recipients.c.reason.in_(sorted(FAULTS)),
    )


def _has_faults() -> ColumnElement[bool]:
    return select(broadcast_recipients.c.person_id).where(*_faults_of(_table.id)).exists()


def _was_looked_at() -> ColumnElement[bool]:
    ended = func.coalesce(_table.sent_at, _table.changed_at)
    return (
        select(task_looks.c.at)
        .where(task_looks.c.task_id == _table.id, task_looks.c.at >= ended)
        .exists()
    )
