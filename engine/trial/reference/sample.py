"""What a scenario needs to know of a populated reference SIS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class SampleSchool:
    """Ids around the Reyes family. Ada and Ben go to the same school and share a meal account.

    Their mother (who reads Spanish) and father may see everything. Their grandmother has no
    portal right, their stepfather's has ended, their uncle is restricted, and the stranger is
    another child's guardian. *section_id* is Ada's class in the first period.
    """

    school_id: int
    calendar_id: int
    last_calendar_id: int
    school_year_id: int
    last_school_year_id: int

    ada_id: int
    ben_id: int
    ada_person_id: int
    ben_person_id: int
    mother_id: int
    father_id: int
    grandmother_id: int
    stepfather_id: int
    uncle_id: int
    stranger_id: int
    meal_account_id: int  # $6.25 are on it

    section_id: int
    period: int
    classmates: tuple[int, ...]  # the students of the section, Ada among them
    closed_term_id: int  # its grades are posted
    term_id: int  # its grades are entered and not posted
    homework_id: int  # released and scored
    project_id: int  # released, and nobody is scored yet
    unit_test_id: int  # scored, and not released
    last_section_id: int  # of last year, which is over
    last_term_id: int  # its grades are posted
    last_essay_id: int  # released and scored

    session_id: int  # where Ada is placed on session_day
    other_session_id: int
    session_day: date


_PLACE = """
SELECT school.school_id, this.calendar_id, last.calendar_id AS last_calendar_id,
    this.school_year_id, last.school_year_id AS last_school_year_id
FROM student
JOIN calendar this ON this.calendar_id = student.calendar_id
JOIN school ON school.school_id = this.school_id
JOIN calendar last ON last.school_id = school.school_id AND last.calendar_id <> this.calendar_id
WHERE student.student_id = 1
"""

_FAMILY = """
SELECT ada.student_id AS ada_id, ben.student_id AS ben_id,
    ada.person_id AS ada_person_id, ben.person_id AS ben_person_id, ada.meal_account_id,
    (SELECT MIN(person_id) FROM guardian WHERE student_id = 3) AS stranger_id
FROM student ada JOIN student ben ON ben.student_id = 2
WHERE ada.student_id = 1
"""

_GUARDIANS = "SELECT relation, person_id FROM guardian WHERE student_id = 1"

_SECTION = """
SELECT section.section_id, section.period
FROM roster
JOIN section ON section.section_id = roster.section_id
JOIN course ON course.course_id = section.course_id
WHERE roster.student_id = 1 AND course.calendar_id = :calendar_id AND section.period = 1
"""

_CLASSMATES = "SELECT student_id FROM roster WHERE section_id = :section_id ORDER BY student_id"

_TERMS = "SELECT name, term_id FROM term WHERE calendar_id = :calendar_id"

_WORK = "SELECT title, assignment_id FROM assignment WHERE section_id = :section_id"

_SESSIONS = """
SELECT placement.session_id, placement.day AS session_day, MIN(other.session_id) AS other_session_id
FROM placement
JOIN responsive_session other
    ON other.calendar_id = :calendar_id AND other.day = placement.day
    AND other.session_id <> placement.session_id
WHERE placement.student_id = 1
GROUP BY placement.session_id, placement.day
ORDER BY placement.day
LIMIT 1
"""


def find(connection: Connection) -> SampleSchool:
    """Look the Reyes family up in a database that `populate` filled."""
    place = _one(connection, _PLACE)
    section = _one(connection, _SECTION, calendar_id=place["calendar_id"])
    last = _one(connection, _SECTION, calendar_id=place["last_calendar_id"])
    guardians = _pairs(connection, _GUARDIANS)
    terms = _pairs(connection, _TERMS, calendar_id=place["calendar_id"])
    last_terms = _pairs(connection, _TERMS, calendar_id=place["last_calendar_id"])
    work = _pairs(connection, _WORK, section_id=section["section_id"])
    last_work = _pairs(connection, _WORK, section_id=last["section_id"])
    session = _one(connection, _SESSIONS, calendar_id=place["calendar_id"])
    session["session_day"] = date.fromisoformat(str(session["session_day"]))
    return SampleSchool(
        **place,
        **_one(connection, _FAMILY),
        **section,
        **session,
        **{f"{relation}_id": person_id for relation, person_id in guardians.items()},
        classmates=tuple(
            connection.execute(text(_CLASSMATES), {"section_id": section["section_id"]}).scalars()
        ),
        closed_term_id=terms["Q1"],
        term_id=terms["Q2"],
        homework_id=work["Homework 1"],
        project_id=work["Project"],
        unit_test_id=work["Unit test"],
        last_section_id=last["section_id"],
        last_term_id=last_terms["Q2"],
        last_essay_id=last_work["Essay"],
    )


def _one(connection: Connection, query: str, **keys: int) -> dict[str, Any]:
    return dict(connection.execute(text(query), keys).mappings().one())


def _pairs(connection: Connection, query: str, **keys: int) -> dict[str, Any]:
    return dict(connection.execute(text(query), keys).all())
