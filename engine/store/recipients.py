"""Recipients: everybody who has to do with whom a broadcast is about, and what became of it.

Who is not told is a recipient, too: "why did this parent not get it?" is asked long afterwards.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    exists,
    func,
    select,
    update,
)

from engine.ports.broadcasts import Became, Recipient
from engine.store import directory
from engine.store.bulk import append, one_of
from engine.store.decisions import spanning
from engine.store.tables import (
    broadcast_devices,
    broadcast_reached,
    broadcast_recipients,
    broadcasts,
    notifications,
    outcomes,
)
from rules.audience import Audience, DeviceId
from rules.broadcasts import BroadcastId
from rules.change import PersonId, StudentId
from rules.gates import EVERY_SCHOOL
from rules.notification import Origin, State
from rules.outcomes import Verdict
from rules.reasons import Reason
from rules.tool_rights import EVERYWHERE, Schools

_reached = broadcast_reached.c


class Phones(NamedTuple):
    """How many phones were told, how many of these took it, and how many never will."""

    told: int = 0
    accepted: int = 0
    refused: int = 0


def add(
    connection: Connection, name: BroadcastId, found: Sequence[Recipient], schools: Schools
) -> None:
    """Store recipients of what is sent for *schools*; none of them may be there."""
    append(
        connection,
        broadcast_recipients,
        [(name, *each[:3], list(each.students), each.problem) for each in found],
    )
    at = directory.schools_of(connection, {student for one in found for student in one.students})
    reached = {
        (name, school, one.person, student)
        for one in found
        for student in one.students
        for school in at.get(student, ())
        if school != EVERY_SCHOOL and schools.includes(school)
    }
    append(connection, broadcast_reached, sorted(reached))


def forget(connection: Connection, name: BroadcastId, people: Collection[PersonId]) -> None:
    """Forget some recipients, and because of whom they were."""
    for table in (broadcast_reached, broadcast_recipients):
        connection.execute(
            delete(table).where(
                table.c.broadcast_id == name, one_of(connection, table.c.person_id, people)
            )
        )


def that_reached(
    connection: Connection, names: Collection[BroadcastId], schools: Schools
) -> set[BroadcastId]:
    """Those broadcasts that have a recipient because of a student at one of *schools*."""
    if not names or schools.is_empty:
        return set()
    found = connection.execute(
        select(broadcasts.c.id).where(
            one_of(connection, broadcasts.c.id, names),
            exists().where(_reached.broadcast_id == broadcasts.c.id, *_at(schools)),
        )
    )
    return {BroadcastId(one) for one in found.scalars()}


def students_at(
    connection: Connection, name: BroadcastId, people: Collection[PersonId], schools: Schools
) -> Mapping[PersonId, Sequence[StudentId]]:
    """The students at *schools* because of whom each of *people* is a recipient."""
    found = connection.execute(
        select(_reached.person_id, _reached.student_id)
        .where(
            _reached.broadcast_id == name,
            one_of(connection, _reached.person_id, people),
            *_at(schools),
        )
        .distinct()
        .order_by(_reached.person_id, _reached.student_id)
    )
    students: dict[PersonId, list[StudentId]] = defaultdict(list)
    for person, student in found:
        students[PersonId(person)].append(StudentId(student))
    return students


def known(connection: Connection, name: BroadcastId, people: Collection[PersonId]) -> set[PersonId]:
    """Those who are there."""
    found = connection.execute(
        select(broadcast_recipients.c.person_id).where(
            broadcast_recipients.c.broadcast_id == name,
            one_of(connection, broadcast_recipients.c.person_id, people),
        )
    )
    return set(found.scalars())


def told(connection: Connection, found: Sequence[Became]) -> None:
    """Say what became of it."""
    if not found:
        return
    connection.execute(
        update(broadcast_recipients)
        .where(
            broadcast_recipients.c.broadcast_id == bindparam("which"),
            broadcast_recipients.c.person_id == bindparam("who"),
        )
        .values(reason=bindparam("became"), problem=bindparam("wrong")),
        [
            {"which": name, "who": person, "became": reason, "wrong": problem}
            for name, person, reason, problem in found
        ],
    )


def counts(
    connection: Connection, name: BroadcastId, schools: Schools = EVERYWHERE
) -> Mapping[Reason, int]:
    """How many there are of each reason, because of students at *schools*."""
    table = broadcast_recipients.c
    found = connection.execute(
        select(table.reason, func.count())
        .where(table.broadcast_id == name, *_because_of(name, table.person_id, schools))
        .group_by(table.reason)
    )
    return {Reason(one): int(number) for one, number in found}


def some(
    connection: Connection,
    name: BroadcastId,
    schools: Schools = EVERYWHERE,
    *,
    reasons: Collection[Reason] = (),
    after: str = "",
    limit: int = 100,
) -> list[Recipient]:
    """Those that come *after* a person, in the order of their ids; of some *reasons* or of any.

    Those alone who are there because of a student at one of *schools*.
    """
    table = broadcast_recipients.c
    query = (
        select(broadcast_recipients)
        .where(
            table.broadcast_id == name,
            table.person_id > after,
            *_because_of(name, table.person_id, schools),
        )
        .order_by(table.person_id)
        .limit(limit)
    )
    if reasons:
        query = query.where(table.reason.in_(sorted(reasons)))
    return [_recipient(row) for row in connection.execute(query)]


def of_person(
    connection: Connection, people: Collection[PersonId], limit: int
) -> list[tuple[BroadcastId, Recipient]]:
    """The newest broadcasts of which some *people* are recipients, the newest first."""
    query = (
        select(broadcast_recipients)
        .where(one_of(connection, broadcast_recipients.c.person_id, people))
        .order_by(broadcast_recipients.c.broadcast_id.desc())
        .limit(limit)
    )
    return [(BroadcastId(row.broadcast_id), _recipient(row)) for row in connection.execute(query)]


def heard_on(
    connection: Connection, names: Collection[str], devices: Collection[DeviceId]
) -> Mapping[tuple[str, DeviceId], PersonId]:
    """Because of whom each of *devices* was told of each broadcast."""
    if not names or not devices:
        return {}
    table = broadcast_devices.c
    found = connection.execute(
        select(broadcast_devices).where(
            one_of(connection, table.broadcast_id, names),
            one_of(connection, table.device_id, [int(one) for one in devices]),
        )
    )
    return {
        (row.broadcast_id, DeviceId(str(row.device_id))): PersonId(row.person_id) for row in found
    }


def hears_on(connection: Connection, found: Mapping[tuple[str, DeviceId], PersonId]) -> None:
    """Note because of whom devices are told that were not told before."""
    append(
        connection,
        broadcast_devices,
        [(name, int(device), person) for (name, device), person in found.items()],
    )


def phones(connection: Connection, name: BroadcastId, schools: Schools = EVERYWHERE) -> Phones:
    """What phones were told of a broadcast, in its newest words, because of students at *schools*.

    A phone that people share is told because of one of them.
    """
    devices = broadcast_devices.c
    told = connection.execute(
        select(func.count()).where(
            devices.broadcast_id == name, *_because_of(name, devices.person_id, schools)
        )
    ).scalar_one()
    found = connection.execute(
        select(outcomes.c.verdict, func.count())
        .join(notifications, notifications.c.id == outcomes.c.origin_id)
        .where(
            *_told_by(name),
            outcomes.c.verdict != Verdict.DEFERRED,
            *_because_of(name, notifications.c.person_id, schools),
        )
        .group_by(outcomes.c.verdict)
    )
    return _phones(told, {verdict: int(number) for verdict, number in found})


def phones_of(
    connection: Connection, name: BroadcastId, people: Collection[PersonId]
) -> Mapping[PersonId, Phones]:
    """The same of each person."""
    told = connection.execute(
        select(notifications.c.id, notifications.c.person_id, notifications.c.devices).where(
            *_told_by(name), one_of(connection, notifications.c.person_id, people)
        )
    ).all()
    if not told:
        return {}
    ids = {row.id for row in told}
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for origin, verdict in connection.execute(
        select(outcomes.c.origin_id, outcomes.c.verdict).where(
            *spanning(outcomes.c.origin_id, ids), one_of(connection, outcomes.c.origin_id, ids)
        )
    ):
        answers[origin][verdict] += 1
    return {PersonId(row.person_id): _phones(len(row.devices), answers[row.id]) for row in told}


def _because_of(
    name: BroadcastId, person: ColumnElement[str], schools: Schools
) -> Iterator[ColumnElement[bool]]:
    """A *person* who is a recipient because of a student at one of *schools*."""
    if not schools.includes(EVERY_SCHOOL):
        yield person.in_(
            select(_reached.person_id).where(_reached.broadcast_id == name, *_at(schools))
        )


def _at(schools: Schools) -> Iterator[ColumnElement[bool]]:
    if not schools.everywhere:
        yield _reached.school_id.in_(sorted(schools.only))
    elif schools.but_not:
        yield _reached.school_id.not_in(sorted(schools.but_not))


def _told_by(name: BroadcastId) -> tuple[ColumnElement[bool], ...]:
    return (
        notifications.c.record == name,
        notifications.c.origin == Origin.BROADCAST,
        notifications.c.state == State.TOLD,
    )


def _phones(told: int, answers: Mapping[str, int]) -> Phones:
    refused = (answers.get(one, 0) for one in (Verdict.REFUSED, Verdict.UNREGISTERED))
    return Phones(int(told), answers.get(Verdict.ACCEPTED, 0), sum(refused))


def _recipient(row: Row[Any]) -> Recipient:
    return Recipient(
        PersonId(row.person_id), Audience(row.audience), Reason(row.reason),
        [StudentId(student) for student in row.students], row.problem,
    )  # fmt: skip
