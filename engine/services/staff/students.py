"""Students as staff look for them: those of their schools alone, and every look is noted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.services.actor import Actor
from engine.store import directory
from engine.store.staff import audit, students
from engine.store.staff.students import Around as Around  # a part of the answers
from engine.store.staff.students import Student as Student
from rules.change import PersonId, StudentId
from rules.tool_rights import Schools

LOOKED: Final = "why.looked"
MOST_FOUND: Final = 50
A_LOOK: Final = timedelta(minutes=15)
"""Pages about one student that somebody opens within this time are one look."""

_LATELY: Final = 100  # entries


class Found(NamedTuple):
    """Students, at most MOST_FOUND of all that were *meant*; *through* are people around them."""

    students: Sequence[Student]
    through: Mapping[StudentId, Sequence[Around]]
    there_are_more: bool


class Family(NamedTuple):
    """A student and the people around them."""

    student: Student
    people: Sequence[Around]

    def person(self, person: PersonId) -> Around | None:
        """Who of them that is; None for somebody who has nothing to do with the student now."""
        return next((one for one in self.people if one.person == person), None)


def search(database: Database, typed: str, where: Schools) -> Found:
    """The students of these schools whom *typed* means, by name or id, or by people around them."""
    if not typed.strip():
        return Found((), {}, False)
    with database.read() as connection:
        ids = students.meant(connection, typed.strip(), where, MOST_FOUND + 1)
        shown = ids[:MOST_FOUND]
        known = students.described(connection, shown, where)
        through: dict[StudentId, list[Around]] = defaultdict(list)
        for one in students.around(connection, shown, typed.strip()):
            if one.relation:
                through[one.student].append(one)
    return Found([known[one] for one in shown if one in known], through, len(ids) > len(shown))


def family(database: Database, student: StudentId, where: Schools) -> Family | None:
    """A student of these schools; None for any other, whether there is one or not."""
    with database.read() as connection:
        known = students.described(connection, [student], where).get(student)
        return Family(known, students.around(connection, [student])) if known else None


def described(
    database: Database, wanted: Collection[StudentId], where: Schools
) -> Mapping[StudentId, Family]:
    """Those *wanted* who are students of these schools, with the people around them."""
    with database.read() as connection:
        known = students.described(connection, wanted, where)
        people: dict[StudentId, list[Around]] = defaultdict(list)
        for one in students.around(connection, list(known)):
            people[one.student].append(one)
    return {student: Family(one, people[student]) for student, one in known.items()}


def names(database: Database, people: Collection[PersonId]) -> Mapping[PersonId, str]:
    """What people are called, as far as the directory knows them."""
    with database.read() as connection:
        return directory.full_names(connection, people)


def looked(database: Database, by: Actor, seen: Collection[StudentId]) -> None:
    """Note that somebody looked at what became of news about these students."""
    with database.write() as connection:
        for student in sorted(set(seen) - _seen_lately(connection, by)):
            by.did(connection, LOOKED, student, None, None)


def _seen_lately(connection: Connection, by: Actor) -> set[StudentId]:
    if by.staff is None:
        return set()
    entries = audit.newest(connection, staff=by.staff, limit=_LATELY)
    return {
        StudentId(one.subject)
        for one in entries
        if one.act == LOOKED and by.at - one.at < A_LOOK
    }  # fmt: skip
