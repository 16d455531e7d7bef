"""Notifications with rows of their own: held, folded, digests, broadcasts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, not_, select, update

from engine.store.bulk import append, one_of
from engine.store.tables import notifications
from rules.audience import Audience, DeviceId
from rules.change import ChangeId, Facts, Kind, PersonId, StudentId, Subject
from rules.notification import Hold, Notification, NotificationId, Origin, State


def hold(connection: Connection, found: Sequence[Notification]) -> None:
    """Store notifications that are held."""
    append(connection, notifications, [_row(one) for one in found])


def by_id(connection: Connection, ids: Collection[str]) -> dict[str, Notification]:
    """Notifications by their ids."""
    if not ids:
        return {}
    found = connection.execute(
        select(notifications).where(one_of(connection, notifications.c.id, ids))
    )
    return {row.id: _notification(row) for row in found}


def of_person(
    connection: Connection,
    person: PersonId,
    limit: int,
    *,
    apart_from: Collection[StudentId] = (),
) -> list[Notification]:
    """What a person was told by notifications of their own rows, the newest first.

    None about the students whom they are *apart_from*.
    """
    found = connection.execute(
        select(notifications)
        .where(
            notifications.c.person_id == person,
            notifications.c.state == State.TOLD,
            not_(one_of(connection, notifications.c.student_id, apart_from)),
        )
        .order_by(notifications.c.at.desc())
        .limit(limit)
    )
    return [_notification(row) for row in found]


def fold(connection: Connection, name: NotificationId, subject: Subject) -> None:
    """Add the change of *subject* to a notification; the words are those of the latest change."""
    for one in by_id(connection, [name]).values():
        latest = subject.position >= one.position
        connection.execute(
            update(notifications)
            .where(notifications.c.id == name)
            .values(
                changes=[*one.changes, subject.change],
                facts=_words(subject.facts if latest else one.facts, one.below),
                position=max(subject.position, one.position),
            )
        )


def told_between(
    connection: Connection, since: datetime | None, before: datetime
) -> list[Notification]:
    """Those that were told in that time."""
    window = [notifications.c.state == State.TOLD, notifications.c.at < before]
    if since is not None:
        window.append(notifications.c.at >= since)
    return [_notification(row) for row in connection.execute(select(notifications).where(*window))]


def save(connection: Connection, one: Notification) -> None:
    """Store the state, the moment and the devices of a notification that is there."""
    connection.execute(
        update(notifications)
        .where(notifications.c.id == one.id)
        .values(state=one.state, hold=one.hold, at=one.at, devices=list(one.devices))
    )


def _row(one: Notification) -> tuple[Any, ...]:
    return (
        one.id, one.origin, one.state, one.hold, one.person, one.student, one.audience,
        one.language, one.facts.kind, one.record, one.position, _words(one.facts, one.below),
        list(one.changes), list(one.devices), one.at,
    )  # fmt: skip


def _words(facts: Facts, below: Decimal | None) -> list[Any]:
    numbers = (None if one is None else str(one) for one in (facts.number, below))
    return [facts.student_name, facts.before, facts.after, dict(facts.details), *numbers]


def _notification(row: Row[Any]) -> Notification:
    name, before, after, details, *numbers = row.facts
    number, below = (None if one is None else Decimal(one) for one in numbers)
    return Notification(
        NotificationId(row.id), Origin(row.origin), State(row.state), PersonId(row.person_id),
        StudentId(row.student_id), Audience(row.audience), row.language, row.record, row.position,
        Facts(Kind(row.kind), name, before, after, details, number),
        tuple(ChangeId(one) for one in row.changes), tuple(DeviceId(one) for one in row.devices),
        row.at, Hold(row.hold) if row.hold else None, below=below,
    )  # fmt: skip
