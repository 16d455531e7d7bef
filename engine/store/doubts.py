"""Doubts: rows of the directory that changed in the SIS, and that nobody could read since.

While a right is in doubt nobody is told because of it: what stands here may have been withdrawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, select, union

from engine.sources.directory import Scope
from engine.store.bulk import append, one_of
from engine.store.tables import directory_doubts, rights, students
from rules.change import StudentId

# A year or a term that ended, or a school that is called otherwise, gives nobody a right.
_RIGHTLESS: Final = ("schools", "calendars", "terms")
_OF_PEOPLE: Final = (("people", "id"), ("rights", "person_id"), ("students", "person_id"))
_OF_STUDENTS: Final = (("students", "id"), ("rights", "student_id"))


def note(connection: Connection, scopes: Iterable[Scope], version: int) -> None:
    """Doubt the rows of *scopes* from *version* on."""
    for scope in scopes:
        if scope.entity not in _RIGHTLESS:
            _forget(connection, scope)
            append(
                connection,
                directory_doubts,
                [(scope.entity, scope.by, key, version) for key in _keys(scope)],
            )


def settle(connection: Connection, scope: Scope, base: int) -> None:
    """Doubt the rows of *scope* no more: they were read when *base* was the current version."""
    _forget(connection, scope, directory_doubts.c.version <= base)


def exist(connection: Connection) -> bool:
    """Whether anything is in doubt."""
    return connection.execute(select(directory_doubts.c.entity).limit(1)).first() is not None


def about(connection: Connection, wanted: Collection[StudentId]) -> set[StudentId]:
    """Those of the *wanted* students about whom nobody knows who may be told."""
    table = directory_doubts.c
    found: Mapping[tuple[str, str], set[str]] = defaultdict(set)
    for entity, by, key in connection.execute(select(table.entity, table.by_column, table.key)):
        found[entity, by].add(key)
    of_students = {key for scope in _OF_STUDENTS for key in found.get(scope, ())}
    of_people = {key for scope in _OF_PEOPLE for key in found.get(scope, ())}
    if found.keys() - {*_OF_STUDENTS, *_OF_PEOPLE}:
        return set(wanted)
    doubted = {one for one in wanted if one in of_students}
    return doubted | _related(connection, of_people).intersection(wanted)


def _related(connection: Connection, people: Collection[str]) -> set[StudentId]:
    """The students to whom one of these people is related, or who are one of them."""
    if not people:
        return set()
    found = connection.execute(
        union(
            select(rights.c.student_id).where(one_of(connection, rights.c.person_id, people)),
            select(students.c.id).where(one_of(connection, students.c.person_id, people)),
        )
    )
    return {StudentId(student) for (student,) in found}


def _forget(connection: Connection, scope: Scope, *where: ColumnElement[bool]) -> None:
    table = directory_doubts.c
    conditions = [table.entity == scope.entity, *where]
    if scope.by:
        conditions += [table.by_column == scope.by, one_of(connection, table.key, scope.keys)]
    connection.execute(delete(directory_doubts).where(*conditions))


def _keys(scope: Scope) -> Collection[str]:
    return scope.keys if scope.by else {""}
