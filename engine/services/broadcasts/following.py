"""Following: how far a broadcast is, and what became of it for everybody."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.ports.broadcasts import Broadcast, Recipient
from engine.services.broadcasts.drafts import known
from engine.services.csv_lines import Portion, line
from engine.store import directory, recipients
from engine.store.recipients import Phones as Phones  # a part of the answers
from engine.store.said_of_students import said_of
from rules.audience import Audience
from rules.broadcasts import BroadcastId
from rules.change import PersonId, StudentId
from rules.gates import EVERY_SCHOOL
from rules.reasons import Reason
from rules.tool_rights import EVERYWHERE, Schools

HEADING: Final = line((
    "person", "name", "audience", "students", "reason", "what_it_means", "problem", "phones",
    "accepted", "refused",
))  # fmt: skip
"""The first line of an export."""
_HEARD: Final = frozenset({Reason.TOLD, Reason.DEVICE_ALREADY_TOLD, Reason.TOO_LATE})


class Progress(NamedTuple):
    """How far a broadcast is: its recipients by what became of it, and what phones were told.

    Before it is *expanded* nobody knows how many recipients there are.
    """

    broadcast: Broadcast
    by_reason: Mapping[Reason, int]
    phones: Phones

    @property
    def is_expanded(self) -> bool:
        """Whether all recipients are known."""
        return self.broadcast.expanded > 0

    @property
    def recipients(self) -> int:
        """How many there are, those who are not told among them."""
        return sum(self.by_reason.values())

    @property
    def told(self) -> int:
        """How many people find it in their inbox."""
        return sum(self.by_reason.get(reason, 0) for reason in _HEARD)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return self.by_reason.get(Reason.HELD, 0)

    @property
    def silent(self) -> int:
        """How many are not told."""
        return self.recipients - self.told - self.waiting

    @property
    def faulty(self) -> int:
        """How many are not told because their text came out blank, or could not be made."""
        faults = (Reason.TEXT_BLANK, Reason.TEMPLATE_INVALID)
        return sum(self.by_reason.get(reason, 0) for reason in faults)


class Became(NamedTuple):
    """What became of a broadcast for one person, because of some *students*.

    Names are empty where nobody knows them now, and where they are of another school by now.
    """

    person: PersonId
    name: str
    audience: Audience
    students: Mapping[StudentId, str]
    reason: Reason
    problem: str | None
    phones: Phones


def progress(database: Database, name: BroadcastId, schools: Schools = EVERYWHERE) -> Progress:
    """How far it is with those who hear because of students at *schools*; raises NotThere."""
    with database.read() as connection:
        one = known(connection, name)
        return Progress(
            one,
            recipients.counts(connection, name, schools),
            recipients.phones(connection, name, schools),
        )


def that_reached(
    database: Database, names: Collection[BroadcastId], schools: Schools
) -> Collection[BroadcastId]:
    """Those that were sent for some of these *schools* and have a recipient there."""
    with database.read() as connection:
        return recipients.that_reached(connection, names, schools)


def became(
    database: Database,
    name: BroadcastId,
    schools: Schools,
    *,
    reasons: Collection[Reason] = (),
    after: str = "",
    limit: int = 100,
) -> Sequence[Became]:
    """Recipients that come *after* a person, in the order of their ids; of some *reasons* or any.

    Those alone who hear because of a student who was at one of these *schools* when it was sent;
    raises NotThere.
    """
    with database.read() as connection:
        known(connection, name)
        some = recipients.some(connection, name, schools, reasons=reasons, after=after, limit=limit)
        return list(_told_of(connection, name, some, schools))


def portion(
    database: Database, name: BroadcastId, schools: Schools, after: str, limit: int
) -> Portion:
    """The same as CSV, of the next so many recipients; raises NotThere."""
    with database.read() as connection:
        known(connection, name)
        some = recipients.some(connection, name, schools, after=after, limit=limit)
        lines = [_line(one) for one in _told_of(connection, name, some, schools)]
    return Portion(lines, some[-1].person if some else after, len(some), len(some) < limit)


def _told_of(
    connection: Connection, name: BroadcastId, some: Sequence[Recipient], schools: Schools
) -> Iterator[Became]:
    behind = _behind(connection, name, some, schools)
    named = _named(connection, {one for theirs in behind.values() for one in theirs}, schools)
    people = directory.full_names(
        connection,
        {person for person, theirs in behind.items() if not named.isdisjoint(theirs)},
    )
    said = said_of(connection, named)
    phones = recipients.phones_of(connection, name, behind.keys())
    for one in some:
        theirs = {
            student: f"{said[student].first_name} {said[student].last_name}".strip()
            if student in said
            else ""
            for student in behind.get(one.person, ())
        }
        yield Became(
            one.person, people.get(one.person, ""), one.audience, theirs, one.reason,
            one.problem, phones.get(one.person, Phones()),
        )  # fmt: skip


def _behind(
    connection: Connection, name: BroadcastId, some: Sequence[Recipient], schools: Schools
) -> Mapping[PersonId, Sequence[StudentId]]:
    """The students because of whom each is a recipient, of these *schools* when it was sent."""
    if schools.includes(EVERY_SCHOOL):
        return {one.person: one.students for one in some}
    return recipients.students_at(connection, name, {one.person for one in some}, schools)


def _named(
    connection: Connection, students: Collection[StudentId], schools: Schools
) -> AbstractSet[StudentId]:
    """Those who are of these *schools* now: of others not even the name is told."""
    if schools.includes(EVERY_SCHOOL):
        return set(students)
    found = directory.schools_of(connection, students)
    return {student for student, theirs in found.items() if any(map(schools.includes, theirs))}


def _line(one: Became) -> str:
    return line((
        one.person, one.name, one.audience, "; ".join(
            f"{name} ({student})" if name else student for student, name in one.students.items()
        ),
        one.reason, one.reason.for_staff, one.problem or "", str(one.phones.told),
        str(one.phones.accepted), str(one.phones.refused),
    ))  # fmt: skip
