"""Who and what the SIS is about, as it stands here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, or_, select

from engine.sources.definition import Entity
from engine.sources.directory_rows import identity
from engine.store.bulk import one_of
from engine.store.directory.rows import TABLES
from engine.store.tables import known_ids, people, rights, students
from rules.change import PersonId, SchoolId, StudentId

ALWAYS: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """Since when an id was somebody's, and until when; None is until now."""

    since: datetime
    until: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether it was theirs *at* a moment."""
        return self.since <= at and (self.until is None or at < self.until)


def knows_person(connection: Connection, person: PersonId) -> bool:
    """Whether the SIS lists this person."""
    return connection.execute(select(people.c.id).where(people.c.id == person)).first() is not None


def knows_student(connection: Connection, student: StudentId) -> bool:
    """Whether the SIS lists this student."""
    found = connection.execute(select(students.c.id).where(students.c.id == student))
    return found.first() is not None


def schools_of(
    connection: Connection, wanted: Collection[StudentId]
) -> dict[StudentId, list[SchoolId]]:
    """The schools at which each student is enrolled; all that are listed where at none."""
    query = select(students.c.id, students.c.school_id, students.c.enrolled)
    found = connection.execute(
        query.where(one_of(connection, students.c.id, wanted)).order_by(students.c.school_id)
    ).all()
    enrolled, listed = defaultdict(list), defaultdict(list)
    for student, school, is_enrolled in found:
        listed[StudentId(student)].append(SchoolId(school))
        if is_enrolled:
            enrolled[StudentId(student)].append(SchoolId(school))
    return listed | enrolled


def identity_of(connection: Connection, person: PersonId) -> PersonId:
    """What the settings of a person are kept under, also after their id left the directory."""
    return PersonId(_identity_of(connection, "people", person))


def identity_of_student(connection: Connection, student: StudentId) -> StudentId:
    """The same of a student."""
    return StudentId(_identity_of(connection, "students", student))


def ids_of(connection: Connection, person: PersonId) -> Mapping[PersonId, Sequence[Span]]:
    """All ids that a person has or had, *person* among them, and when each was theirs."""
    found = connection.execute(
        select(known_ids.c.id, known_ids.c.since, known_ids.c.until)
        .where(
            known_ids.c.entity == "people",
            known_ids.c.identity == _identity_of(connection, "people", person),
        )
        .order_by(known_ids.c.id, known_ids.c.since)
    )
    ids: dict[PersonId, list[Span]] = defaultdict(list)
    for id_, since, until in found:
        ids[PersonId(id_)].append(Span(since, until))
    return ids or {person: [Span(ALWAYS, None)]}


def restricted(connection: Connection, people_: Collection[PersonId]) -> set[StudentId]:
    """The students from whom a restriction parts one of these people, by all of their ids."""
    found = connection.execute(
        select(rights.c.student_id, students.c.identity)
        .outerjoin(students, students.c.id == rights.c.student_id)
        .where(one_of(connection, rights.c.person_id, people_), rights.c.restricted)
    ).all()
    others = connection.execute(
        select(known_ids.c.id).where(
            known_ids.c.entity == "students",
            one_of(connection, known_ids.c.identity, {row.identity for row in found} - {None}),
        )
    )
    return {StudentId(row[0]) for row in (*found, *others)}


def _identity_of(connection: Connection, entity: Entity, id_: str) -> str:
    table = TABLES[entity]
    query = select(table.c.identity).where(table.c.id == id_).order_by(table.c.identity)
    now = connection.execute(query).scalar()
    if now is not None:
        return str(now)
    before = connection.execute(
        select(known_ids.c.identity)
        .where(known_ids.c.entity == entity, known_ids.c.id == id_)
        .order_by(known_ids.c.since.desc())
    ).scalar()
    return identity("", id_) if before is None else str(before)


def names(
    connection: Connection, wanted: Collection[StudentId], *, with_accounts: bool = False
) -> dict[StudentId, str]:
    """The first names of those *wanted* students whom the directory knows.

    A student without an account has the name that the students query gives; empty if it gives none.
    *with_accounts* leaves out those whose account the directory does not know.
    """
    of_account = func.nullif(people.c.first_name, "")
    query = (
        select(students.c.id, func.coalesce(of_account, students.c.first_name))
        .outerjoin(people, people.c.id == students.c.person_id)
        .where(one_of(connection, students.c.id, wanted))
    )
    if with_accounts:
        query = query.where(or_(people.c.id.is_not(None), students.c.person_id == ""))
    return {StudentId(student): name for student, name in connection.execute(query).all()}


def full_names(connection: Connection, wanted: Collection[PersonId]) -> dict[PersonId, str]:
    """The names of those *wanted* people whom the directory knows."""
    found = connection.execute(
        select(people.c.id, people.c.first_name, people.c.last_name).where(
            one_of(connection, people.c.id, wanted)
        )
    ).all()
    return {PersonId(person): f"{first} {last}".strip() for person, first, last in found}
