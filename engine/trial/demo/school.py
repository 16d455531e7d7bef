"""Brings the cast into the reference SIS, as its office would: two schools with their classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from sqlalchemy import ColumnClause, Connection, column, insert, table, text

from engine.trial.demo import cast
from engine.trial.reference.load import TABLES
from engine.trial.reference.school import TERMS

SCHOOL_DAY: Final = date(2026, 11, 23)
SESSION_DAY: Final = "2026-12-01"
RIGHT_STARTS: Final = "2024-08-01"
TERM: Final = "Q2"
LAST: Final = "Q4"
LAST_TERM: Final = ("Q2", "2025-10-27", "2026-01-16")

# Title: points possible, and whether families see it. All of Biology 9, with nobody scored yet.
WORK: Final[Mapping[str, tuple[int, bool]]] = {
    "Lab report": (20, True),
    "Unit test": (100, False),
    "Homework 5": (10, True),
    "Homework 6": (10, True),
}

Cell = str | int | bool | None


@dataclass(slots=True)
class School:
    """The ids of the cast and of what the acts write to, as the SIS gave them."""

    people: dict[str, int] = field(default_factory=dict)
    students: dict[str, int] = field(default_factory=dict)
    work: dict[str, int] = field(default_factory=dict)
    high_school: int = 0
    hidden_at: int = 0  # the school that hides attendance from guardians
    biology: int = 0
    reading: int = 0
    term: int = 0
    last_term: int = 0  # of the year, at the school that hides attendance
    last_years_essay: int = 0
    robotics: int = 0


def enroll(connection: Connection) -> School:
    """Add the cast to a populated reference SIS; the caller commits."""
    school = School()
    high, elementary = (_found(connection, name) for name in _SCHOOLS)
    school.high_school, school.hidden_at = high.school, elementary.school
    _admit(connection, school, {cast.HIGH_SCHOOL: high, cast.ELEMENTARY_SCHOOL: elementary})
    _name_guardians(connection, school)
    _settle(connection, school)
    terms = _begin_year(connection, high)
    school.term, school.last_term = terms[TERM], _begin_year(connection, elementary)[LAST]
    school.biology = _open_class(connection, high, "Biology 9", "Rivera")
    school.reading = _open_class(connection, elementary, "Reading 3", "Brooks")
    _set_work(connection, school)
    _recall_last_year(connection, school, high)
    _plan_robotics(connection, school, high)
    return school


_SCHOOLS: Final = (cast.HIGH_SCHOOL, cast.ELEMENTARY_SCHOOL)


@dataclass(frozen=True, slots=True)
class _Place:
    school: int
    calendar: int
    last_calendar: int


def _found(connection: Connection, name: str) -> _Place:
    years = _years(connection)
    school = _add(connection, "school", name=name)
    this, last = (
        _add(connection, "calendar", school_id=school, school_year_id=years[active])
        for active in (True, False)
    )
    return _Place(school, this, last)


def _begin_year(connection: Connection, place: _Place) -> Mapping[str, int]:
    """The terms of this year at a school, by their names."""
    return {term[0]: _add_term(connection, place.calendar, *term) for term in TERMS[-1]}


def _years(connection: Connection) -> dict[bool, int]:
    """The active year's id, and that of the one before."""
    found = connection.execute(text("SELECT active, school_year_id FROM school_year"))
    return {bool(active): year for active, year in found}


def _admit(connection: Connection, school: School, places: Mapping[str, _Place]) -> None:
    accounts = {
        name: _add(connection, "meal_account", balance=balance)
        for name, balance in cast.MEAL_ACCOUNTS.items()
    }
    for one in cast.STUDENTS:
        school.people[one.name] = _add_person(connection, one.name, one.family)
        school.students[one.name] = _add(
            connection,
            "student",
            person_id=school.people[one.name],
            calendar_id=places[one.school].calendar,
            meal_account_id=accounts[one.meal_account],
            grade_level=one.level,
        )


def _name_guardians(connection: Connection, school: School) -> None:
    for one in cast.GUARDIANS:
        if one.name not in school.people:
            school.people[one.name] = _add_person(connection, one.name, one.family, one.language)
        _add(
            connection,
            "guardian",
            student_id=school.students[one.student],
            person_id=school.people[one.name],
            relation=one.relation,
            portal=one.portal,
            starts=RIGHT_STARTS,
            ends=one.ends,
        )


def _settle(connection: Connection, school: School) -> None:
    """Each student lives with those guardians who may see them now; siblings share a home."""
    homes: dict[tuple[str, frozenset[str]], list[str]] = {}
    for one in cast.STUDENTS:
        adults = frozenset(
            guardian.name
            for guardian in cast.GUARDIANS
            if guardian.student == one.name and guardian.portal and guardian.ends is None
        )
        homes.setdefault((one.family, adults), []).append(one.name)
    for (family, adults), children in homes.items():
        household = _add(connection, "household", name=family)
        for name in (*sorted(adults), *children):
            _add(
                connection,
                "household_member",
                household_id=household,
                person_id=school.people[name],
            )


def _open_class(connection: Connection, place: _Place, title: str, teacher: str) -> int:
    """A class in the first period, with the whole cast of the school in it."""
    staff = _hire(connection, place, teacher)
    section = _add_section(connection, place.calendar, title, staff)
    connection.execute(
        text("""
            INSERT INTO roster (section_id, student_id)
            SELECT :section, student_id FROM student WHERE calendar_id = :calendar
        """),
        {"section": section, "calendar": place.calendar},
    )
    return section


def _hire(connection: Connection, place: _Place, name: str) -> int:
    person = _add_person(connection, "Ana", name)
    return _add(connection, "staff", person_id=person, school_id=place.school, title="Teacher")


def _set_work(connection: Connection, school: School) -> None:
    for title, (points, released) in WORK.items():
        school.work[title] = _add_assignment(
            connection, school.biology, school.term, title, points, released=released
        )


def _recall_last_year(connection: Connection, school: School, place: _Place) -> None:
    """Chidi's essay of last year, which was scored then."""
    term = _add_term(connection, place.last_calendar, *LAST_TERM)
    staff = _hire(connection, place, "Stone")
    section = _add_section(connection, place.last_calendar, "English 8", staff)
    school.last_years_essay = _add_assignment(
        connection, section, term, "Essay", 100, released=True
    )
    _add(
        connection,
        "score",
        assignment_id=school.last_years_essay,
        student_id=school.students["Chidi"],
        points=71,
    )


def _plan_robotics(connection: Connection, school: School, place: _Place) -> None:
    """Chidi and Priya are placed in one session."""
    school.robotics = _add(
        connection,
        "responsive_session",
        calendar_id=place.calendar,
        staff_id=_hire(connection, place, "Wu"),
        title="Robotics",
        room="Room 12",
        day=SESSION_DAY,
        starts_at="09:40",
    )
    for name in ("Chidi", "Priya"):
        _add(
            connection,
            "placement",
            student_id=school.students[name],
            session_id=school.robotics,
            day=SESSION_DAY,
        )


def _add_person(connection: Connection, name: str, family: str, language: str = "en") -> int:
    return _add(connection, "person", first_name=name, last_name=family, language=language)


def _add_term(connection: Connection, calendar: int, name: str, starts: str, ends: str) -> int:
    return _add(connection, "term", calendar_id=calendar, name=name, starts=starts, ends=ends)


def _add_section(connection: Connection, calendar: int, title: str, staff: int) -> int:
    course = _add(connection, "course", calendar_id=calendar, number=title, title=title)
    return _add(
        connection, "section", course_id=course, staff_id=staff, number=1, period=1, room="Room 7"
    )


def _add_assignment(
    connection: Connection, section: int, term: int, title: str, points: int, *, released: bool
) -> int:
    return _add(
        connection,
        "assignment",
        section_id=section,
        term_id=term,
        title=title,
        points_possible=points,
        due=SCHOOL_DAY.isoformat(),
        released=released,
    )


def _add(connection: Connection, into: str, **cells: Cell) -> int:
    """Insert a row; return the id that the SIS gave it."""
    columns: list[ColumnClause[Cell]] = [column(name) for name in cells]
    key: ColumnClause[int] = column(TABLES[into][0])
    return connection.execute(
        insert(table(into, *columns)).values(**cells).returning(key)
    ).scalar_one()
