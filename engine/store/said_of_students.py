"""What messages of staff say of students, as far as the directory knows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from engine.store.bulk import one_of
from engine.store.tables import people, schools, students
from rules.change import StudentId


class Said(NamedTuple):
    """A student's names, and that of the school; of several schools one where they are enrolled."""

    first_name: str
    last_name: str
    school_name: str


def said_of(connection: Connection, wanted: Collection[StudentId]) -> Mapping[StudentId, Said]:
    """What is said of those *wanted* students whom the directory knows."""
    found = connection.execute(
        select(
            students.c.id,
            func.coalesce(func.nullif(people.c.first_name, ""), students.c.first_name),
            func.coalesce(func.nullif(people.c.last_name, ""), students.c.last_name),
            func.coalesce(schools.c.name, ""),
        )
        .outerjoin(people, people.c.id == students.c.person_id)
        .outerjoin(schools, schools.c.id == students.c.school_id)
        .where(one_of(connection, students.c.id, wanted))
        .order_by(students.c.enrolled, students.c.school_id.desc())
    )
    return {StudentId(student): Said(*words) for student, *words in found.all()}
