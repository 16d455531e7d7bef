"""Students as staff look for them, with the people around them: those of some schools alone.

A student is looked for at the schools where they are enrolled; who is enrolled nowhere, at all that
list them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    exists,
    func,
    not_,
    or_,
    select,
    union,
)

from engine.dialects.searching import holds
from engine.store import searched_names
from engine.store.bulk import one_of
from engine.store.tables import people, rights, schools, students
from rules.audience import Audience
from rules.change import PersonId, StudentId
from rules.gates import EVERY_SCHOOL
from rules.tool_rights import Schools

_MOST_WORDS: Final = 5
_MOST_ORDERED: Final = 3_000


class Student(NamedTuple):
    """A student, and what the schools are called at which staff look for them."""

    id: StudentId
    name: str
    schools: Sequence[str]


class Around(NamedTuple):
    """A person who has to do with a student; *relation* is the SIS's word, empty for themselves."""

    student: StudentId
    person: PersonId
    name: str
    audience: Audience
    relation: str = ""


_OTHER: Final = students.alias()
_NAME: Final = func.coalesce(
    func.nullif(func.trim(people.c.first_name + " " + people.c.last_name), ""),
    func.trim(students.c.first_name + " " + students.c.last_name),
)
_LAST_NAME: Final = func.lower(func.coalesce(people.c.last_name, students.c.last_name))


def meant(connection: Connection, typed: str, where: Schools, limit: int) -> list[StudentId]:
    """Students whom *typed* means, by their last names: a name of theirs, of somebody around them,
    or the id of either. A name is meant by some of its letters, all words of *typed* in it. Where
    more than _MOST_ORDERED are meant, whoever searches must write more: only some are ordered."""
    words = typed.split()[:_MOST_WORDS]
    named = union(
        searched_names.ids("people", words),
        select(people.c.id).where(people.c.id == typed),
    ).cte("named")
    # Joined, and not asked with OR: a database would look through all of them for each student.
    found = union(
        searched_names.ids("students", words),
        select(students.c.id).where(students.c.id == typed),
        select(students.c.id).join(named, named.c.id == students.c.person_id),
        select(rights.c.student_id).join(named, named.c.id == rights.c.person_id),
    ).subquery("found")
    seen = (
        select(students.c.id, students.c.school_id)
        .join(found, found.c.id == students.c.id)
        .where(*_seen_at(where))
        .limit(_MOST_ORDERED)
        .subquery("seen")
    )
    query = (
        select(students.c.id)
        .join(seen, and_(seen.c.id == students.c.id, seen.c.school_id == students.c.school_id))
        .outerjoin(people, people.c.id == students.c.person_id)
        .group_by(students.c.id)
        .order_by(func.min(_LAST_NAME), func.min(func.lower(_NAME)), students.c.id)
        .limit(limit)
    )
    return [StudentId(row.id) for row in connection.execute(query)]


def described(
    connection: Connection, wanted: Collection[StudentId], where: Schools
) -> Mapping[StudentId, Student]:
    """Those *wanted* whom staff of these schools may look for."""
    rows = connection.execute(
        select(students.c.id, _NAME.label("name"), _SCHOOL.label("school"))
        .outerjoin(people, people.c.id == students.c.person_id)
        .outerjoin(schools, schools.c.id == students.c.school_id)
        .where(one_of(connection, students.c.id, wanted), *_seen_at(where))
        .order_by(_SCHOOL)
    )
    names: dict[StudentId, str] = {}
    at: dict[StudentId, list[str]] = defaultdict(list)
    for student, name, school in rows:
        names[StudentId(student)] = name
        at[StudentId(student)].append(school)
    return {student: Student(student, name, at[student]) for student, name in names.items()}


_SCHOOL: Final = func.coalesce(func.nullif(schools.c.name, ""), students.c.school_id)


def around(connection: Connection, wanted: Collection[StudentId], typed: str = "") -> list[Around]:
    """The people around these students, themselves first; those whom *typed* means where given."""
    is_meant = [_is_meant(connection, people, typed)] if typed else []
    themselves = connection.execute(
        select(students.c.id, people.c.id, _FULL_NAME)
        .join(people, people.c.id == students.c.person_id)
        .where(one_of(connection, students.c.id, wanted), *is_meant)
        .distinct()
    )
    guardians = connection.execute(
        select(rights.c.student_id, rights.c.person_id, _FULL_NAME, rights.c.relation)
        .join(people, people.c.id == rights.c.person_id)
        .where(one_of(connection, rights.c.student_id, wanted), *is_meant)
        .order_by(rights.c.relation, people.c.last_name, people.c.first_name)
    )
    own = {(student, person): name for student, person, name in themselves}
    return [
        *(
            Around(StudentId(student), PersonId(person), name, Audience.STUDENT)
            for (student, person), name in own.items()
        ),
        *(
            Around(StudentId(student), PersonId(person), name, Audience.GUARDIAN, relation)
            for student, person, name, relation in guardians
            if (student, person) not in own
        ),
    ]


_FULL_NAME: Final = func.trim(people.c.first_name + " " + people.c.last_name).label("name")


def _is_meant(connection: Connection, table: Table, typed: str) -> ColumnElement[bool]:
    name: ColumnElement[Any] = table.c.first_name + " " + table.c.last_name
    words = typed.split()[:_MOST_WORDS]
    return or_(table.c.id == typed, and_(*(holds(connection, name, word) for word in words)))


def _seen_at(where: Schools) -> Iterator[ColumnElement[bool]]:
    """Rows of students that staff of these schools may see."""
    is_somewhere = exists().where(_OTHER.c.id == students.c.id, _OTHER.c.enrolled)
    yield or_(students.c.enrolled, not_(is_somewhere))
    if not where.everywhere:
        yield students.c.school_id.in_(sorted(where.only))
    elif where.but_not:
        yield students.c.school_id.not_in(sorted({EVERY_SCHOOL, *where.but_not}))
