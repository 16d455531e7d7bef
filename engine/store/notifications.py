"""Notifications with rows of their own: held, folded, digests, broadcasts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, not_, select, update

from engine.store import broadcasts
from engine.store.broadcasts import Texts
from engine.store.bulk import append, one_of
from engine.store.tables import notifications
from rules.audience import Audience, DeviceId
from rules.broadcasts import BroadcastId, Message, Unit
from rules.change import ChangeId, Facts, Kind, PersonId, SchoolId, StudentId, Subject
from rules.lanes import Lane
from rules.notification import Hold, Notification, NotificationId, Origin, State


def hold(connection: Connection, found: Sequence[Notification]) -> None:
    """Store notifications that are held."""
    append(connection, notifications, [_row(one) for one in found])


def by_id(connection: Connection, ids: Collection[str]) -> dict[str, Notification]:
    """Notifications by their ids."""
    if not ids:
        return {}
    query = select(notifications).where(one_of(connection, notifications.c.id, ids))
    return {one.id: one for one in _found(connection, query)}


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
    query = (
        select(notifications)
        .where(
            notifications.c.person_id == person,
            notifications.c.state == State.TOLD,
            not_(one_of(connection, notifications.c.student_id, apart_from)),
        )
        .order_by(notifications.c.at.desc())
        .limit(limit)
    )
    return _found(connection, query)


def fold(connection: Connection, name: NotificationId, subject: Subject) -> None:
    """Add the change of *subject* to a notification; the words are those of the latest change."""
    for one in by_id(connection, [name]).values():
        if isinstance(one.facts, Message):
            raise ValueError("a change is folded into what tells of changes")
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
    connection: Connection, since: datetime | None, before: datetime, lane: Lane
) -> list[Notification]:
    """Those of a lane that were told in that time."""
    is_broadcast = notifications.c.origin == Origin.BROADCAST
    window = [
        is_broadcast if lane is Lane.BROADCASTS else not_(is_broadcast),
        notifications.c.state == State.TOLD,
        notifications.c.at < before,
    ]
    if since is not None:
        window.append(notifications.c.at >= since)
    return _found(connection, select(notifications).where(*window))


def save(connection: Connection, one: Notification) -> None:
    """Store the state, the moment and the devices of a notification that is there."""
    connection.execute(
        update(notifications)
        .where(notifications.c.id == one.id)
        .values(state=one.state, hold=one.hold, at=one.at, devices=list(one.devices))
    )


def _found(connection: Connection, query: Select[Any]) -> list[Notification]:
    """What a query finds. The words of broadcasts stand by themselves: they are many people's."""
    rows = connection.execute(query).all()
    which = {(row.record, row.position) for row in rows if row.origin == Origin.BROADCAST}
    texts = broadcasts.texts_of(connection, which) if which else {}
    return [_notification(row, texts) for row in rows]


def _row(one: Notification) -> tuple[Any, ...]:
    return (
        one.id, one.origin, one.state, one.hold, one.person, one.student, one.audience,
        one.language, one.facts.kind, one.record, one.position, _words(one.facts, one.below),
        list(one.changes), list(one.devices), one.at,
    )  # fmt: skip


def _words(facts: Facts | Message, below: Decimal | None) -> list[Any]:
    if isinstance(facts, Message):
        units = [[one.student, dict(one.variables)] for one in facts.units]
        return [facts.is_emergency, units]
    numbers = (None if one is None else str(one) for one in (facts.number, below))
    closes = facts.closes.isoformat() if facts.closes else None
    words = (facts.student_name, facts.before, facts.after, dict(facts.details))
    return [*words, *numbers, facts.school, closes]


def _notification(row: Row[Any], texts: Mapping[tuple[str, int], Texts]) -> Notification:
    facts, below = _facts(row, texts)
    return Notification(
        NotificationId(row.id), Origin(row.origin), State(row.state), PersonId(row.person_id),
        StudentId(row.student_id), Audience(row.audience), row.language, row.record, row.position,
        facts,
        tuple(ChangeId(one) for one in row.changes), tuple(DeviceId(one) for one in row.devices),
        row.at, Hold(row.hold) if row.hold else None, below=below,
    )  # fmt: skip


def _facts(
    row: Row[Any], texts: Mapping[tuple[str, int], Texts]
) -> tuple[Facts | Message, Decimal | None]:
    if row.origin == Origin.BROADCAST:
        is_emergency, units = row.facts
        return Message(
            BroadcastId(row.record), texts.get((row.record, row.position), {}),
            tuple(Unit(StudentId(student), variables) for student, variables in units),
            is_emergency,
        ), None  # fmt: skip
    name, before, after, details, *numbers, school, closes = row.facts
    number, below = (None if one is None else Decimal(one) for one in numbers)
    return Facts(
        Kind(row.kind), name, before, after, details, number,
        datetime.fromisoformat(closes) if closes else None, SchoolId(school),
    ), below  # fmt: skip
