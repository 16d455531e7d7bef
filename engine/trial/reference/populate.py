"""Fill an empty reference SIS with a believable district, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import Final

from sqlalchemy import Connection

from engine.trial.reference.families import REYES, RIGHT_STARTS, Family, a_family
from engine.trial.reference.holidays import hold_camps
from engine.trial.reference.load import Rows
from engine.trial.reference.sample import SampleSchool, find
from engine.trial.reference.school import Pupils, School, found_schools, run_year

FEWEST_STUDENTS: Final = 10
STUDENTS_PER_SCHOOL: Final = 600
STUDENTS_PER_GRADUATE: Final = 50

LUNCH: Final = (("Lunch", 2.75), ("Milk", 0.50))
LUNCH_PRICE: Final = 3.25
REYES_DEPOSIT: Final = 9.50  # leaves 6.25: one more lunch, and it is below five dollars


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a child goes, or went, to school."""

    school: School
    calendar_id: int
    level: int
    status: str


def populate(connection: Connection, students: int, seed: int = 1) -> SampleSchool:
    """Fill an empty reference SIS with *students* enrolled students; the caller commits.

    One in fifty more has graduated. The first family is always the same; the answer holds what
    scenarios about it need.
    """
    if students < FEWEST_STUDENTS:
        raise ValueError(f"a district has at least {FEWEST_STUDENTS} students, not {students}")
    rng = Random(seed)  # noqa: S311 (sample data, no secret)
    rows = Rows(connection)
    schools = found_schools(rows, max(1, round(students / STUDENTS_PER_SCHOOL)))
    pupils = _enroll(rows, rng, schools, students)
    rows.load()
    for school in schools:
        run_year(rows, rng, school, pupils[school.school_id])
        hold_camps(rows, school, sorted(chain(*pupils[school.school_id].values())))
        rows.load()
    rows.finish()
    return find(connection)


def _enroll(rows: Rows, rng: Random, schools: Sequence[School], students: int) -> dict[int, Pupils]:
    """Enroll families until every seat is taken; return the students of each school."""
    pupils: dict[int, Pupils] = {
        school.school_id: {level: [] for level in school.levels} for school in schools
    }
    taken = 0
    for family in _families(rng, students):
        home = schools[taken * len(schools) // students]
        seats = [_a_seat(rng, home, schools) for _ in family.children]
        for seat, student_id in zip(seats, _admit(rows, rng, family, seats), strict=True):
            pupils[seat.school.school_id][seat.level].append(student_id)
        taken += len(seats)
    for _ in range(students // STUDENTS_PER_GRADUATE):
        school = rng.choice(schools)
        seat = Seat(school, school.last_calendar_id, school.levels[-1], "graduated")
        _admit(rows, rng, a_family(rng, most_children=1), [seat])
    return pupils


def _families(rng: Random, students: int) -> Iterator[Family]:
    """The Reyes family, then others, with *students* children in all."""
    yield REYES
    left = students - len(REYES.children)
    while left:
        family = a_family(rng, most_children=left)
        left -= len(family.children)
        yield family


def _a_seat(rng: Random, home: School, schools: Sequence[School]) -> Seat:
    """Siblings mostly go to the same school; all who live near the first one do."""
    stays = home is schools[0] or rng.random() < 0.85
    school = home if stays else rng.choice(schools)
    return Seat(school, school.calendar_id, rng.choice(school.levels), "enrolled")


def _admit(rows: Rows, rng: Random, family: Family, seats: Sequence[Seat]) -> list[int]:
    """Add a family whose children take *seats*; return the students' ids."""
    guardians = [
        (rows.add_person(rng, guardian.first_name, guardian.last_name, guardian.language), guardian)
        for guardian in family.guardians
    ]
    shared = _open_account(rows, rng, family) if family.shares_account else None
    students, children = [], []
    for first_name, seat in zip(family.children, seats, strict=True):
        person = rows.add_person(rng, first_name, family.last_name, "en")
        children.append(person)
        account = shared or _open_account(rows, rng, family)
        student = rows.add("student", person, seat.calendar_id, account, seat.level, seat.status)
        for guardian_person, guardian in guardians:
            rows.add(
                *("guardian", student, guardian_person, guardian.relation, guardian.portal),
                *(RIGHT_STARTS, guardian.ends, guardian.restricted),
            )
        students.append(student)
    _settle(rows, family, children, [person for person, one in guardians if one.at_home])
    return students


def _settle(rows: Rows, family: Family, children: Sequence[int], adults: Sequence[int]) -> None:
    """A family lives together; where two live apart, the children live with each of them."""
    homes = [[one] for one in adults] if family.lives_apart else [list(adults)]
    for home in homes:
        household = rows.add("household", family.last_name)
        for person in (*home, *children):
            rows.add("household_member", household, person)


def _open_account(rows: Rows, rng: Random, family: Family) -> int:
    """A family paid in, and has bought one lunch since."""
    paid_in = REYES_DEPOSIT if family is REYES else rng.randrange(100, 6_000) / 100
    account = rows.add("meal_account", round(paid_in - LUNCH_PRICE, 2))
    rows.add("meal_transaction", account, None, "deposit", paid_in, 0)
    sale = rows.add("meal_transaction", account, None, "sale", LUNCH_PRICE, paid_in)
    for item in LUNCH:
        rows.add("meal_item", sale, *item)
    return account
