"""Notifications with rows of their own: held, folded, digests, broadcasts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    bindparam,
    literal,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from engine.ports.broadcasts import Texts
from engine.store import broadcasts
from engine.store.bulk import append, one_of
from engine.store.tables import notifications
from rules.audience import Audience, DeviceId
from rules.broadcasts import BroadcastId, BroadcastState, Message, Unit
from rules.change import ChangeId, Facts, Kind, PersonId, SchoolId, StudentId, Subject, TermId
from rules.lanes import Lane
from rules.notification import Hold, Notification, NotificationId, Origin, State
from rules.outcomes import SUPERSEDED
from rules.reasons import Reason


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

    None about the students whom they are *apart_from* alone; a broadcast may be about others, too.
    """
    query = (
        select(notifications)
        .where(
            notifications.c.person_id == person,
            notifications.c.state == State.TOLD,
            or_(
                notifications.c.origin == Origin.BROADCAST,
                not_(one_of(connection, notifications.c.student_id, apart_from)),
            ),
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
    connection: Connection, since: datetime | None, before: datetime, lane: Lane, at_once: int
) -> Iterator[list[tuple[NotificationId, Sequence[str]]]]:
    """Those of a lane that were told in that time, with their devices: in portions of *at_once*."""
    is_broadcast = notifications.c.origin == Origin.BROADCAST
    window = [
        is_broadcast if lane is Lane.BROADCASTS else not_(is_broadcast),
        notifications.c.state == State.TOLD,
        notifications.c.at < before,
    ]
    if since is not None:
        window.append(notifications.c.at >= since)
    place = tuple_(notifications.c.at, notifications.c.id)
    query = (
        select(notifications.c.id, notifications.c.devices, notifications.c.at)
        .where(*window)
        .order_by(notifications.c.at, notifications.c.id)
        .limit(at_once)
    )
    found = connection.execute(query).all()
    while found:
        yield [(NotificationId(row.id), row.devices) for row in found]
        after = tuple_(
            literal(found[-1].at, notifications.c.at.type),
            literal(found[-1].id, notifications.c.id.type),
        )
        found = connection.execute(query.where(place > after)).all()


def save(connection: Connection, found: Sequence[Notification]) -> None:
    """Store the states, moments, devices and words of notifications that are there."""
    if not found:
        return
    connection.execute(
        update(notifications)
        .where(notifications.c.id == bindparam("which"))
        .values(
            {
                column: bindparam(f"new_{column.name}")
                for column in (
                    notifications.c.state, notifications.c.hold, notifications.c.at,
                    notifications.c.devices, notifications.c.facts,
                )
            }
        ),
        [
            {
                "which": one.id, "new_state": one.state, "new_hold": one.hold, "new_at": one.at,
                "new_devices": list(one.devices), "new_facts": _words(one.facts, one.below),
            }
            for one in found
        ],
    )  # fmt: skip


def of_broadcast(
    connection: Connection, name: BroadcastId, limit: int, *, before: int | None = None
) -> list[Notification]:
    """Some of a broadcast that are held, or with *before* held or told of an older revision."""
    query = select(notifications).where(
        notifications.c.record == name, notifications.c.origin == Origin.BROADCAST
    )
    if before is None:
        query = query.where(notifications.c.state == State.HELD)
    else:
        query = query.where(
            notifications.c.state.in_([State.HELD, State.TOLD]), notifications.c.position < before
        )
    return _found(connection, query.limit(limit))


def of_recipient(
    connection: Connection, name: BroadcastId, person: PersonId
) -> Notification | None:
    """The newest words of a broadcast to one person, told or held; None where there are none."""
    query = (
        select(notifications)
        .where(
            notifications.c.person_id == person,
            notifications.c.record == name,
            notifications.c.origin == Origin.BROADCAST,
        )
        .order_by(notifications.c.position.desc())
        .limit(1)
    )
    return next(iter(_found(connection, query)), None)


def overtaken_broadcasts(
    connection: Connection, found: Collection[Notification]
) -> dict[tuple[NotificationId, PersonId], str]:
    """Those of broadcasts that were corrected or stopped since, and why they are not told.

    A broadcast stays as it is found until the transaction ends.
    """
    known = broadcasts.some(connection, {one.record for one in found})
    reasons = {}
    for one in found:
        of = known.get(BroadcastId(one.record))
        if of is not None and of.state is BroadcastState.CANCELLED:
            reasons[one.id, one.person] = str(Reason.CANCELLED)
        elif one.state is State.REPLACED or (of is not None and of.revision > one.position):
            reasons[one.id, one.person] = SUPERSEDED
    return reasons


def newer_broadcasts(
    connection: Connection, found: Collection[Notification]
) -> dict[tuple[NotificationId, PersonId], Notification]:
    """For each of a broadcast what the same person was told by a correction of it."""
    if not found:
        return {}
    query = select(notifications).where(
        one_of(connection, notifications.c.record, {one.record for one in found}),
        one_of(connection, notifications.c.person_id, {one.person for one in found}),
        notifications.c.origin == Origin.BROADCAST,
        notifications.c.state == State.TOLD,
    )
    told = {(one.record, one.person): one for one in _found(connection, query)}
    newest = {(one.id, one.person): told.get((one.record, one.person)) for one in found}
    positions = {(one.id, one.person): one.position for one in found}
    return {key: one for key, one in newest.items() if one and one.position > positions[key]}


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
    return [*words, *numbers, facts.school, facts.term, closes]


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
    name, before, after, details, *numbers, school, term, closes = row.facts
    number, below = (None if one is None else Decimal(one) for one in numbers)
    return Facts(
        Kind(row.kind), name, before, after, details, number,
        datetime.fromisoformat(closes) if closes else None, SchoolId(school), TermId(term),
    ), below  # fmt: skip
