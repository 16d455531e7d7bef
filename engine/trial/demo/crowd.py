"""The crowd: everybody of the district but the cast, and what they should see, by one plain rule.

Each student and each guardian has one phone, and hears of every assignment and session. A student
is told; so is a guardian who has the portal right, today, and no restriction. In Spanish where the
guardian asked for it, else in English. A phone is told of one change once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import Connection, text

from engine.trial.demo.expected import Shown
from rules.change import Kind

HEARS_OF: Final = (Kind.ASSIGNMENT, Kind.RESPONSIVE_SCHEDULE)
MOVED_TO: Final = ("11:15", "Library")


@dataclass(frozen=True, slots=True)
class Relative:
    """A student (without *relation*) or a guardian; *may_see* says whether they should be told."""

    person: int
    student: int
    relation: str
    language: str
    may_see: bool

    @property
    def phone(self) -> str:
        """The name of this person's phone."""
        return phone_of(self.person)


@dataclass(frozen=True, slots=True)
class Pupil:
    """A student of the crowd, and everybody who might hear about them."""

    student: int
    name: str
    relatives: tuple[Relative, ...]

    def told(self) -> Iterator[Relative]:
        """Who should be told."""
        return (one for one in self.relatives if one.may_see)


@dataclass(frozen=True, slots=True)
class Project:
    """An assignment that a first-period class will be scored for, and that class."""

    assignment: int
    course: str
    pupils: tuple[Pupil, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """A session that will be moved, and who is placed in it."""

    session: int
    title: str
    day: str
    starts_at: str
    room: str
    pupils: tuple[Pupil, ...]


@dataclass(frozen=True, slots=True)
class Crowd:
    """All that the acts about the crowd need."""

    pupils: tuple[Pupil, ...]
    projects: tuple[Project, ...]
    session: Session


def phone_of(person: int) -> str:
    """The name of the one phone of somebody of the crowd."""
    return f"person {person}'s phone"


def points_of(student: int) -> int:
    """What a student of the crowd is scored for the project, of 50."""
    return 25 + student % 26


# --- what they should see -----------------------------------------------------------------------


def of_projects(crowd: Crowd) -> Sequence[Shown]:
    """What appears when every class is scored for its project."""
    return [
        Shown(
            one.phone,
            f"{project.course}: Project",
            _score_words(pupil, one, f"{points_of(pupil.student)}/50"),
        )
        for project in crowd.projects
        for pupil in project.pupils
        for one in pupil.told()
    ]


def of_session(crowd: Crowd) -> Sequence[Shown]:
    """What appears when the session moves: of each child once on each phone."""
    session = crowd.session
    then = f"{session.day}, {session.starts_at}, {session.room}"
    now = ", ".join((session.day, *MOVED_TO))
    shown: list[Shown] = []
    for pupil in session.pupils:
        first: dict[str, Shown] = {}
        for one in pupil.told():
            title, body = _session_words(pupil, one, session.title, then, now)
            first.setdefault(one.phone, Shown(one.phone, title, body))
        shown += first.values()
    return shown


def _score_words(pupil: Pupil, one: Relative, score: str) -> str:
    if not one.relation:
        return f"You scored {score}."
    if one.language == "es":
        return f"{pupil.name} obtuvo {score}."
    return f"{pupil.name} scored {score}."


def _session_words(pupil: Pupil, one: Relative, title: str, then: str, now: str) -> tuple[str, str]:
    if not one.relation:
        return "Schedule", f"Your {title} is now: {now} (was {then})."
    if one.language == "es":
        return f"Horario: {pupil.name}", f"{title} de {pupil.name} ahora: {now} (antes {then})."
    return f"Schedule: {pupil.name}", f"{pupil.name}'s {title} is now: {now} (was {then})."


# --- who they are -------------------------------------------------------------------------------

_STUDENTS: Final = """
SELECT student.student_id, student.person_id, person.first_name, person.language
FROM student
JOIN person ON person.person_id = student.person_id
WHERE student.status = 'enrolled'
ORDER BY student.student_id
"""
_GUARDIANS: Final = """
SELECT guardian.student_id, guardian.person_id, guardian.relation, person.language,
    guardian.portal, guardian.restricted, guardian.starts, guardian.ends
FROM guardian
JOIN person ON person.person_id = guardian.person_id
JOIN student ON student.student_id = guardian.student_id
WHERE student.status = 'enrolled'
ORDER BY guardian.student_id, guardian.person_id
"""
_PROJECTS: Final = """
SELECT assignment.assignment_id, course.title, roster.student_id
FROM assignment
JOIN section ON section.section_id = assignment.section_id
JOIN course ON course.course_id = section.course_id
JOIN calendar ON calendar.calendar_id = course.calendar_id
JOIN school_year ON school_year.school_year_id = calendar.school_year_id
JOIN roster ON roster.section_id = section.section_id
WHERE assignment.title = 'Project' AND section.period = 1 AND school_year.active
ORDER BY assignment.assignment_id, roster.student_id
"""
_SESSION: Final = """
SELECT responsive_session.session_id, title, responsive_session.day, starts_at, room, student_id
FROM responsive_session
JOIN placement ON placement.session_id = responsive_session.session_id
WHERE responsive_session.session_id = (SELECT MIN(session_id) FROM placement)
"""


def find(connection: Connection, today: date) -> Crowd:
    """Read the crowd from a populated SIS that the cast has not joined yet."""
    relatives = _relatives(connection, today)
    pupils = {
        row.student_id: Pupil(row.student_id, row.first_name, tuple(relatives[row.student_id]))
        for row in connection.execute(text(_STUDENTS))
    }
    return Crowd(
        tuple(pupils.values()), _projects(connection, pupils), _session(connection, pupils)
    )


def _relatives(connection: Connection, today: date) -> dict[int, list[Relative]]:
    found = {
        row.student_id: [Relative(row.person_id, row.student_id, "", row.language, may_see=True)]
        for row in connection.execute(text(_STUDENTS))
    }
    for row in connection.execute(text(_GUARDIANS)):
        in_force = str(row.starts) <= today.isoformat() <= str(row.ends or "9999")
        may_see = bool(row.portal and not row.restricted and in_force)
        found[row.student_id].append(
            Relative(row.person_id, row.student_id, row.relation, row.language, may_see)
        )
    return found


def _projects(connection: Connection, pupils: dict[int, Pupil]) -> tuple[Project, ...]:
    classes: dict[tuple[int, str], list[Pupil]] = {}
    for assignment, course, student in connection.execute(text(_PROJECTS)):
        classes.setdefault((assignment, course), []).append(pupils[student])
    return tuple(
        Project(assignment, course, tuple(members))
        for (assignment, course), members in classes.items()
    )


def _session(connection: Connection, pupils: dict[int, Pupil]) -> Session:
    rows = connection.execute(text(_SESSION)).all()
    first = rows[0]
    return Session(
        first.session_id, first.title, str(first.day), first.starts_at, first.room,
        tuple(pupils[row.student_id] for row in rows),
    )  # fmt: skip
