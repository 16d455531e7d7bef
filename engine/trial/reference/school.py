"""One school of the reference SIS: its calendars, and a year of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from engine.trial.reference.day import mark_for
from engine.trial.reference.load import Rows

STUDENTS_PER_SECTION: Final = 25
STUDENTS_PER_SESSION: Final = 20
WAITING_ONE_IN: Final = 8

PLACES: Final = (
    *("Lincoln", "Riverside", "Oak Hill", "Marie Curie", "Washington", "Lakeview", "Cedar Grove"),
    *("Rosa Parks", "Northgate", "Sunset", "Cesar Chavez", "Prairie", "Harbor", "Maple Street"),
    *("Jefferson", "Stone Creek", "Katherine Johnson", "Westfield", "Mountain View", "Bayside"),
)
SORTS: Final = (
    ("High School", (9, 10, 11, 12)),
    ("Middle School", (6, 7, 8)),
    ("Elementary School", (1, 2, 3, 4, 5)),
)
LAST_YEAR: Final = ("2025-26", "2025-08-25", "2026-06-05", False)
THIS_YEAR: Final = ("2026-27", "2026-08-24", "2027-06-04", True)
YEARS: Final = (LAST_YEAR, THIS_YEAR)
TERMS: Final = (
    (("Q1", "2025-08-25", "2025-10-24"), ("Q2", "2025-10-27", "2026-01-16")),
    (
        ("Q1", "2026-08-24", "2026-10-23"),
        ("Q2", "2026-10-26", "2027-01-15"),
        ("Q3", "2027-01-19", "2027-03-26"),
        ("Q4", "2027-04-05", "2027-06-04"),
    ),
)
SUBJECTS: Final = ("Biology", "Algebra", "English", "History", "Spanish", "Art", "Music")
FIRST_PERIOD, LAST_PERIOD = 1, len(SUBJECTS)

# Title, points possible, due, released.
SCORED_WORK: Final = (
    ("Homework 1", 20, "2026-11-06", True),
    ("Quiz 1", 10, "2026-11-13", True),
)
UNSCORED_WORK: Final = ("Project", 50, "2026-11-20", True)
HIDDEN_WORK: Final = ("Unit test", 100, "2026-11-20", False)
LAST_YEARS_WORK: Final = ("Essay", 100, "2025-12-12", True)

ATTENDANCE_CODES: Final = (
    ("P", "Present", "present", "unknown"),
    ("A", "Absent", "absent", "unknown"),
    ("AU", "Absent, unexcused", "absent", "unexcused"),
    ("AE", "Absent, excused", "absent", "excused"),
    ("FT", "Field trip", "absent", "exempt"),
    ("T", "Tardy", "tardy", "unexcused"),
    ("TE", "Tardy, excused", "tardy", "excused"),
    ("LE", "Left early", "left_early", "unknown"),
)
ATTENDANCE_DAYS: Final = ("2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20")

SESSIONS: Final = ("Robotics", "Choir", "Chess", "Math help", "Debate", "Yearbook", "Study hall")
SESSION_DAYS: Final = ("2026-12-01", "2026-12-03")

# The students of one school, by level.
Pupils = dict[int, list[int]]


@dataclass(frozen=True, slots=True)
class School:
    """One school, with the calendars and terms of last year and this year."""

    school_id: int
    last_calendar_id: int
    calendar_id: int
    last_terms: tuple[int, ...]
    terms: tuple[int, ...]
    levels: tuple[int, ...]


def found_schools(rows: Rows, count: int) -> list[School]:
    """Add *count* schools, high, middle and elementary in turn, and what they share."""
    years = [rows.add("school_year", *year) for year in YEARS]
    for code in ATTENDANCE_CODES:
        rows.add("attendance_code", *code)
    return [_found_school(rows, index, years) for index in range(count)]


def _found_school(rows: Rows, index: int, years: Sequence[int]) -> School:
    sort, levels = SORTS[index % len(SORTS)]
    lap, place = divmod(index // len(SORTS), len(PLACES))
    number = f" {lap + 1}" if lap else ""
    school_id = rows.add("school", f"{PLACES[place]} {sort}{number}")
    last, this = (rows.add("calendar", school_id, year) for year in years)
    last_terms, terms = (
        tuple(rows.add("term", calendar, *term) for term in of_year)
        for calendar, of_year in zip((last, this), TERMS, strict=True)
    )
    return School(school_id, last, this, last_terms, terms, levels)


def run_year(rows: Rows, rng: Random, school: School, pupils: Pupils) -> None:
    """Add what happened at a school up to today."""
    cohorts = [
        (level, cohort)
        for level in school.levels
        for cohort in _groups(pupils[level], STUDENTS_PER_SECTION)
    ]
    students = sorted(student for _, cohort in cohorts for student in cohort)
    if not students:
        return
    teachers = _hire(rows, rng, school, len(cohorts))
    _recall_last_year(rows, rng, school, teachers[0], students[:STUDENTS_PER_SECTION])
    sections = _Sections(rows, school)
    for period in range(FIRST_PERIOD, LAST_PERIOD + 1):
        for index, (level, cohort) in enumerate(cohorts):
            attending = cohort[::2] if period == LAST_PERIOD else cohort
            teacher = teachers[(index + period) % len(teachers)]
            subject = SUBJECTS[(index + period) % len(SUBJECTS)]
            section = sections.open(level, subject, teacher, period)
            _teach(rows, rng, school, section, period, attending)
            if period == LAST_PERIOD:
                _let_wait(rows, section, cohort[1::WAITING_ONE_IN])
    for index, (level, cohort) in enumerate(cohorts):
        _seat(rows, school, teachers[index], f"{level}-{index + 1}", cohort)
    _plan_sessions(rows, school, teachers, students)


def _groups(students: Sequence[int], most: int) -> list[Sequence[int]]:
    """Deal *students* out to as few groups of about the same size as *most* allows."""
    count = -(-len(students) // most)
    return [students[start::count] for start in range(count)]


def _hire(rows: Rows, rng: Random, school: School, count: int) -> list[int]:
    """As many teachers as there are classes at the same time."""
    names = ("Allen", "Baker", "Castillo", "Dubois", "Evans", "Fischer", "Gupta", "Haddad", "Ito")
    return [
        rows.add(
            "staff",
            rows.add_person(rng, rng.choice(("Alex", "Jamie", "Robin", "Sam")), name, "en"),
            school.school_id,
            "Teacher",
        )
        for name in (names[index % len(names)] for index in range(count))
    ]


class _Sections:
    """The sections of one school, each with its course and a number of its own."""

    def __init__(self, rows: Rows, school: School) -> None:
        self._rows = rows
        self._school = school
        self._courses: dict[tuple[int, str], int] = {}
        self._opened: dict[int, int] = {}

    def open(self, level: int, subject: str, teacher: int, period: int) -> int:
        """Open one more section of a course; return its id."""
        course = self._courses.get((level, subject))
        if course is None:
            course = _add_course(self._rows, self._school.calendar_id, level, subject)
            self._courses[level, subject] = course
        self._opened[course] = number = self._opened.get(course, 0) + 1
        return self._rows.add(
            "section", course, teacher, number, period, f"Room {100 + teacher % 60}"
        )


def _add_course(rows: Rows, calendar_id: int, level: int, subject: str) -> int:
    return rows.add("course", calendar_id, f"{subject[:3].upper()}{level}", f"{subject} {level}")


def _teach(
    rows: Rows, rng: Random, school: School, section: int, period: int, students: Sequence[int]
) -> None:
    """Fill a section's roster, grade book and attendance.

    Every section has work that is scored and work that is not yet; only in the first period are
    there also scores and grades that families do not see yet.
    """
    closed, current = school.terms[:2]
    for student in students:
        rows.add("roster", section, student, "active", *THIS_YEAR[1:3])
    for work in SCORED_WORK:
        _score(rows, rng, rows.add("assignment", section, current, *work), work[1], students)
    rows.add("assignment", section, current, *UNSCORED_WORK)
    hidden = rows.add("assignment", section, current, *HIDDEN_WORK)
    _grade(rows, rng, section, closed, students, posted=True)
    if period == FIRST_PERIOD:
        _score(rows, rng, hidden, HIDDEN_WORK[1], students)
        _grade(rows, rng, section, current, students, posted=False)
    _record_attendance(rows, rng, section, period, students)


def _let_wait(rows: Rows, section: int, students: Sequence[int]) -> None:
    """Some of those who have the hour free would like to come."""
    for student in students:
        rows.add("roster", section, student, "waitlisted", None, None)


def _seat(rows: Rows, school: School, teacher: int, name: str, students: Sequence[int]) -> None:
    homeroom = rows.add("homeroom", school.calendar_id, teacher, name)
    for student in students:
        rows.add("homeroom_seat", homeroom, student)


def _score(
    rows: Rows, rng: Random, assignment: int, possible: int, students: Sequence[int]
) -> None:
    """Score to the half point; a few have handed in nothing."""
    for student in students:
        share = min(max(rng.gauss(0.82, 0.14), 0), 1)
        points = None if rng.random() < 0.04 else round(share * possible * 2) / 2
        rows.add("score", assignment, student, points)


def _grade(
    rows: Rows, rng: Random, section: int, term: int, students: Sequence[int], *, posted: bool
) -> None:
    for student in students:
        percent = round(min(max(rng.gauss(82, 11), 0), 100), 1)
        rows.add("posted_grade", section, term, student, percent, mark_for(percent), posted)


def _record_attendance(
    rows: Rows, rng: Random, section: int, period: int, students: Sequence[int]
) -> None:
    codes = range(2, len(ATTENDANCE_CODES) + 1)
    for day in ATTENDANCE_DAYS:
        for student in students:
            if rng.random() < 0.05:
                rows.add("attendance", student, section, day, period, rng.choice(codes))


def _recall_last_year(
    rows: Rows, rng: Random, school: School, teacher: int, students: Sequence[int]
) -> None:
    """One class of last year, which the calendar says is over."""
    course = _add_course(rows, school.last_calendar_id, school.levels[0], SUBJECTS[0])
    section = rows.add("section", course, teacher, 1, FIRST_PERIOD, "Room 100")
    term = school.last_terms[-1]
    for student in students:
        rows.add("roster", section, student, "active", *LAST_YEAR[1:3])
    essay = rows.add("assignment", section, term, *LAST_YEARS_WORK)
    _score(rows, rng, essay, LAST_YEARS_WORK[1], students)
    _grade(rows, rng, section, term, students, posted=True)


def _plan_sessions(
    rows: Rows, school: School, teachers: Sequence[int], students: Sequence[int]
) -> None:
    """Place every student in one session on each day that has them."""
    count = max(2, -(-len(students) // STUDENTS_PER_SESSION))
    for shift, day in enumerate(SESSION_DAYS):
        sessions = [
            rows.add(
                *("responsive_session", school.calendar_id, teachers[index % len(teachers)]),
                *(SESSIONS[index % len(SESSIONS)], f"Room {index + 1}", day, "09:40"),
            )
            for index in range(count)
        ]
        for index, student in enumerate(students):
            rows.add("placement", student, sessions[(index + shift) % count], day)
