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
    Select,
    Table,
    and_,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
    union,
    union_all,
)

from engine.dialects.searching import holds
from engine.store import searched_names
from engine.store.bulk import one_of
from engine.store.tables import people, rights, schools, students
from engine.store.tables import searched_names as names
from rules.audience import Audience
from rules.change import PersonId, StudentId
from rules.gates import EVERY_SCHOOL
from rules.tool_rights import Schools

_MOST_WORDS: Final = 5
_MANY: Final = 500  # people or students


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


def meant(connection: Connection, typed: str, where: Schools, limit: int) -> list[StudentId]:
    """At most *limit* students whom *typed* means: by an id or a name, their own or of a person
    around them. A name is meant by some of its letters, all words of *typed* in it.

    Those with the id come first, then those around whom somebody is called exactly so, then whose
    own name it is a part of, then the rest; each by last names, so it is the same at every search.
    """
    found: dict[StudentId, None] = {}
    for one in _meant(connection, typed, where):
        found[one] = None
        if len(found) == limit:
            break
    return list(found)


def _meant(connection: Connection, typed: str, where: Schools) -> Iterator[StudentId]:
    """The same, and some of them twice; what is not asked for any more is not looked for."""
    words = typed.split()[:_MOST_WORDS]
    yield from _with_id(connection, typed, where)
    for exactly in (True, False):
        named = searched_names.called(connection, "people", words, _MANY, exactly=exactly)
        if len(named) < _MANY:
            own, others = _of_people(connection, named, where)
            yield from own
            yield from _without_person(connection, words, where, exactly=exactly)
            yield from others
    if len(named) == _MANY:  # very many: they are read in their order, as far as is asked for
        yield from _in_order(connection, _own(words, where))
        yield from _without_person(connection, words, where)
        yield from _in_order(connection, _others(words, where))


def _with_id(connection: Connection, typed: str, where: Schools) -> list[StudentId]:
    which = union(
        select(students.c.id).where(students.c.id == typed),
        select(students.c.id).where(students.c.person_id == typed),
        select(rights.c.student_id).where(rights.c.person_id == typed),
    ).subquery()
    found = select(students.c.id).where(students.c.id.in_(select(which.c.id)), *_seen_at(where))
    return _ids(connection, found.order_by(students.c.last_name, students.c.id))


def _of_people(
    connection: Connection, named: Sequence[str], where: Schools
) -> tuple[Sequence[StudentId], Sequence[StudentId]]:
    """The students who are these people, and those around whom they are, in the people's order."""
    if not named:
        return (), ()
    own = select(students.c.id, students.c.person_id, true().label("own")).where(
        one_of(connection, students.c.person_id, named), *_seen_at(where)
    )
    others = select(rights.c.student_id, rights.c.person_id, false()).where(
        one_of(connection, rights.c.person_id, named), _is_seen(rights.c.student_id, where)
    )
    order = {person: place for place, person in enumerate(named)}
    rows = sorted(
        connection.execute(union_all(own, others)), key=lambda row: (order[row.person_id], row.id)
    )
    return (
        [StudentId(row.id) for row in rows if row.own],
        [StudentId(row.id) for row in rows if not row.own],
    )


def _without_person(
    connection: Connection, words: Sequence[str], where: Schools, *, exactly: bool = False
) -> list[StudentId]:
    """Students whom the SIS names in their own row alone."""
    named = searched_names.called(connection, "students", words, _MANY, exactly=exactly)
    order = {student: place for place, student in enumerate(named)}
    found = select(students.c.id).where(one_of(connection, students.c.id, named), *_seen_at(where))
    return sorted(_ids(connection, found), key=lambda one: order[one]) if named else []


def _own(words: Sequence[str], where: Schools) -> Select[str, str]:
    return (
        select(students.c.id, names.c.words)
        .join(names, names.c.id == students.c.person_id)
        .where(*searched_names.holding(words, "people"), *_seen_at(where))
    )


def _others(words: Sequence[str], where: Schools) -> Select[str, str]:
    return (
        select(rights.c.student_id.label("id"), names.c.words)
        .join(names, names.c.id == rights.c.person_id)
        .where(
            *searched_names.holding(words, "people"), _is_seen(rights.c.student_id, where)
        )
    )  # fmt: skip


def _in_order(connection: Connection, found: Select[str, str]) -> list[StudentId]:
    """As many as fill a page, some of them twice."""
    which, words = found.selected_columns
    return _ids(connection, found.order_by(words, which).limit(_MANY))


def _ids(connection: Connection, found: Select[*tuple[Any, ...]]) -> list[StudentId]:
    return [StudentId(one) for one in connection.execute(found).scalars()]


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


def _is_seen(student: ColumnElement[str], where: Schools) -> ColumnElement[bool]:
    return exists().where(students.c.id == student, *_seen_at(where))


def _seen_at(where: Schools) -> Iterator[ColumnElement[bool]]:
    """Rows of students that staff of these schools may see."""
    is_somewhere = exists().where(_OTHER.c.id == students.c.id, _OTHER.c.enrolled)
    yield or_(students.c.enrolled, not_(is_somewhere))
    if not where.everywhere:
        yield students.c.school_id.in_(sorted(where.only))
    elif where.but_not:
        yield students.c.school_id.not_in(sorted({EVERY_SCHOOL, *where.but_not}))
