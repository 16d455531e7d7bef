"""Nobody gains a right by a row that cannot be read, and each good row counts.

Directories are drawn from seeds. Every value comes with what it means, written down beside it; the
oracle adds those up for each pair, and asks nothing of the code that reads rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any, Final

import pytest
from msgspec.structs import replace

from engine.sources import directory as sis
from engine.sources.definition import Query
from engine.sources.directory import Scope
from engine.sources.loading import load
from engine.store import candidates, directory
from rules.change import Kind, StudentId
from rules.gates import EVERY_SCHOOL, Circumstances, right_effective, standing_case
from rules.reasons import Reason
from tests.builders import NOW
from tests.district import ADA, BEN, FATHER, GRANDMOTHER, MOTHER, STEPFATHER, UNCLE, District

DIRECTORIES: Final = 100  # on each kind of database
IN_ONE_TEST: Final = 25
TODAY: Final = NOW.date()
STUDENTS: Final = (ADA, BEN)
PEOPLE: Final = (MOTHER, FATHER, GRANDMOTHER, UNCLE, STEPFATHER)
PAIRS: Final = tuple(product(STUDENTS, PEOPLE))


@dataclass(frozen=True)
class Given:
    """A value as the SIS holds it. *means* is None where nobody can tell."""

    value: Any
    means: bool | None


# Whether it is yes.
FLAGS: Final[Mapping[str, Sequence[Given]]] = {
    "text": [
        *(Given(word, True) for word in ("Y", "yes", "T", "true", "1", "Y   ", " TRUE", "on")),
        *(Given(word, False) for word in ("N", "no", "F", "false", "0", "N   ", "", None, "off")),
        *(Given(word, None) for word in ("X", "maybe", "ja", "2", "\u2713", "NULL", "y/n")),
    ],
    "char(3)": [
        *(Given(word, True) for word in ("Y", "yes", "T")),
        *(Given(word, False) for word in ("N", "no", "F", None)),
        *(Given(word, None) for word in ("X", "abc", "?")),
    ],
    "numeric": [Given(1, True), Given(0, False), Given(None, False), Given(2, None)],
}
# Whether the right has begun, and whether it has not ended.
STARTS: Final[Mapping[str, Sequence[Given]]] = {
    "text": [
        *(Given(day, True) for day in ("2024-08-01", "2026-11-23", None, "-infinity", "20240801")),
        *(Given(day, False) for day in ("2026-11-24", "2030-01-01", "infinity")),
        Given("2024-08-01 00:00:00", True),
        *(Given(day, None) for day in ("", "0000-00-00", "08/01/2024", "soon", "2024-02-30")),
    ],
    "date": [
        *(Given(day, True) for day in ("2024-08-01", "2026-11-23", None)),
        *(Given(day, False) for day in ("2026-11-24", "2030-01-01")),
    ],
}
ENDS: Final[Mapping[str, Sequence[Given]]] = {
    "text": [
        *(Given(day, True) for day in ("2026-11-23", "2030-01-01", None, "infinity", "20300101")),
        *(Given(day, False) for day in ("2026-11-22", "2020-01-01", "-infinity")),
        Given("2026-11-23 00:00:00", True),
        *(Given(day, None) for day in ("", "0000-00-00", "11/23/2030", "never", "2030-02-30")),
    ],
    "date": [
        *(Given(day, True) for day in ("2026-11-23", "2030-01-01", None)),
        *(Given(day, False) for day in ("2026-11-22", "2020-01-01")),
    ],
}
# What only PostgreSQL has in a column of the type `date`.
FAR_STARTS: Final = [
    *(Given(day, True) for day in ("-infinity", "0044-03-15 BC")),
    *(Given(day, False) for day in ("infinity", "20000-01-01")),
]
FAR_ENDS: Final = [
    *(Given(day, True) for day in ("infinity", "20000-01-01")),
    *(Given(day, False) for day in ("-infinity", "0044-03-15 BC")),
]
NOBODY: Final = (None, "", "3\ufffd5", "9" * 1_001, "999")
RELATIONS: Final = ("mother", "", None, "M\u00fctter" * 200, "\ufffd")


@dataclass(frozen=True)
class Row:
    """A row of the school's table of guardians."""

    student: str | None
    person: str | None
    relation: str | None
    portal: Given
    starts: Given
    ends: Given
    restricted: Given
    grade: Given

    @property
    def allows(self) -> bool:
        """All of it is surely so."""
        return (
            self.portal.means is True
            and self.restricted.means is False
            and self.grade.means is True
            and self.starts.means is True
            and self.ends.means is True
        )


class Directory:
    """A table of guardians that is drawn from a seed."""

    def __init__(self, number: int, random: Random, on_postgres: bool) -> None:
        self.name = f"odd_guardian_{number}"  # a prepared query must not change its types
        self._random = random
        self._flags = random.choice(sorted(FLAGS))
        self._days = random.choice(sorted(STARTS))
        self._far = on_postgres and self._days == "date"
        self.rows = [self._row() for _ in range(random.randint(1, 14))]

    @property
    def table(self) -> str:
        return (
            f"CREATE TABLE {self.name} (student_id text, person_id text, relation text,"
            f" portal {self._flags}, starts {self._days}, ends {self._days},"
            f" restricted {self._flags}, grade {self._flags})"
        )

    def change(self, student: str) -> None:
        """The school writes rows of one student anew."""
        self.rows = [row for row in self.rows if row.student != student]
        self.rows += [self._row(student) for _ in range(self._random.randint(0, 4))]

    def allowed(self) -> set[tuple[str, str]]:
        """The pairs of whom each row says so."""
        of_pair: dict[tuple[str | None, str | None], list[Row]] = {}
        for row in self.rows:
            of_pair.setdefault((row.student, row.person), []).append(row)
        return {
            pair for pair in PAIRS if pair in of_pair and all(row.allows for row in of_pair[pair])
        }

    def forbidden(self) -> set[tuple[str | None, str | None]]:
        """The pairs of whom a row says that they are restricted, or may say so."""
        return {
            (row.student, row.person)
            for row in self.rows
            if row.restricted.means is not False and (row.student, row.person) in PAIRS
        }

    def _row(self, student: str | None = None) -> Row:
        pick = self._random.choice
        starts = [*STARTS[self._days], *(FAR_STARTS if self._far else ())]
        ends = [*ENDS[self._days], *(FAR_ENDS if self._far else ())]
        is_nobodys = self._random.random() < 0.15
        return Row(
            student or (pick(NOBODY) if is_nobodys and pick((True, False)) else pick(STUDENTS)),
            pick(NOBODY) if is_nobodys else pick(PEOPLE), pick(RELATIONS),
            self._flag(yes=0.8), self._usually(starts), self._usually(ends), self._flag(yes=0.2),
            self._flag(yes=0.95),
        )  # fmt: skip

    def _flag(self, yes: float) -> Given:
        wanted: tuple[bool | None, ...] = (None,)
        if self._random.random() < 0.85:
            wanted = (self._random.random() < yes,)
        return self._random.choice([one for one in FLAGS[self._flags] if one.means in wanted])

    def _usually(self, days: Sequence[Given]) -> Given:
        if self._random.random() < 0.7:
            days = [one for one in days if one.means]
        return self._random.choice(days)


@contextmanager
def connected(district: District, drawn: Directory) -> Iterator[None]:
    """The district reads rights from the drawn table."""
    definition = load("reference")
    query = f"SELECT * FROM {drawn.name}"
    parts = replace(definition.directory, rights=Query(query=query))
    district.speak(replace(definition, directory=parts))
    district.sis(drawn.table)
    write(district, drawn)
    yield
    district.sis(f"DROP TABLE {drawn.name}")


def write(district: District, drawn: Directory) -> None:
    names: dict[str, Any] = {}
    rows = []
    for number, row in enumerate(drawn.rows):
        for name in ("student", "person", "relation"):
            names[f"{name}_{number}"] = getattr(row, name)
        rows.append(
            f"(:student_{number}, :person_{number}, :relation_{number}, {_flag(row.portal)},"
            f" {_literal(row.starts)}, {_literal(row.ends)}, {_flag(row.restricted)},"
            f" {_flag(row.grade)})"
        )
    if rows:
        district.sis(f"INSERT INTO {drawn.name} VALUES {', '.join(rows)}", **names)


def _literal(given: Given) -> str:
    """A literal takes its column's type."""
    return "NULL" if given.value is None else f"'{given.value}'"


def _flag(given: Given) -> str:
    return str(given.value) if isinstance(given.value, int) else _literal(given)


def told(district: District) -> set[tuple[str, str]]:
    """The pairs whose right stands today."""
    reasons = standings(district)
    return {pair for pair, reason in reasons.items() if reason is None}


def standings(district: District) -> dict[tuple[str, str], Reason | None]:
    wanted = {(StudentId(student), Kind.GRADE) for student in STUDENTS}
    found = district.read(candidates.fetch, wanted, NOW).candidates
    circumstances = Circumstances(TODAY)
    return {
        (one.student, one.person): right_effective(
            standing_case(Kind.GRADE, EVERY_SCHOOL, one, circumstances)
        )
        for of_student in found.values()
        for one in of_student
        if one.person in PEOPLE
    }


def read_again(district: District, by: str, *keys: str) -> None:
    source = district.source
    version = district.read(directory.version)
    scope = Scope("rights", by, frozenset(keys))
    reading = sis.read(source.database, source.definition, [scope], version, source.zone)
    assert district.app(directory.apply, reading, NOW) == []


@pytest.mark.parametrize("seed", range(0, DIRECTORIES, IN_ONE_TEST))
def test_nobody_gains_a_right_by_a_bad_row_and_each_good_row_counts(
    district: District, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_postgres = district.database.dialect.keeps_zones
    met = 0
    for number in range(seed, seed + IN_ONE_TEST):
        random = Random(number)
        drawn = Directory(number, random, on_postgres)
        monkeypatch.setattr(sis, "_SLICE", random.choice((1, 2, 3, 5_000)))
        with connected(district, drawn):
            district.directory.sync(may_shrink=True)
            check(district, drawn, f"directory {number}, a full read")
            met += len(drawn.allowed())
            for student in STUDENTS:
                drawn.change(student)
                district.sis(f"DELETE FROM {drawn.name}")
                write(district, drawn)
                read_again(district, "student_id", student)
                check(district, drawn, f"directory {number}, student {student} again")
            read_again(district, "person_id", *PEOPLE)
            check(district, drawn, f"directory {number}, by person")
            district.directory.sync(may_shrink=True)
            check(district, drawn, f"directory {number}, a second full read")
    assert met > IN_ONE_TEST / 2  # the draw is not of bad rows alone


def check(district: District, drawn: Directory, when: str) -> None:
    assert told(district) == drawn.allowed(), when
    reasons = standings(district)
    for pair in drawn.forbidden():
        assert reasons.get(pair) in (Reason.RESTRICTED, Reason.NO_PORTAL_RIGHT), (when, pair)
