"""Two evaluates that decide on one record at the same moment, through different watches."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from engine.dialects import dialect_of
from engine.ports import Deciding, Ledger
from engine.sources.definition import Query
from engine.sources.loading import load
from engine.sources.rows import is_of_one_row
from engine.stages.evaluate import Evaluate
from engine.wire.messages import Push
from rules.change import Change
from rules.decide import Decision
from rules.plan import Plan, plan
from tests.builders import a_change
from tests.district import HIDDEN_SCORE, MOTHER, UNIT_TEST, District, scored

_LONGEST: Final = 60  # seconds, after which a test has failed


@dataclass
class Noticed:
    """A ledger that says when somebody wants to decide."""

    ledger: Ledger
    wanted: threading.Event

    def __getattr__(self, name: str) -> object:
        return getattr(self.ledger, name)

    @contextmanager
    def deciding(self, *, alone: bool = False) -> Iterator[Deciding]:
        self.wanted.set()
        with self.ledger.deciding(alone=alone) as deciding:
            yield deciding


def waits(district: District) -> bool:
    """Whether somebody waits for a lock; SQLite does not tell, but has one writer at a time."""
    with district.database.read() as connection:
        if dialect_of(connection).one_writer:
            return True
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return bool(connection.execute(text(waiting)).scalar_one())


def evaluate_between(
    district: District, first: Sequence[Change], second: Sequence[Change]
) -> tuple[Sequence[Push], Sequence[Push]]:
    """*second* is decided by another evaluate, if it can be, while *first* are being decided."""
    wanted = threading.Event()
    noticed = Noticed(district.ledger, wanted)
    other = Evaluate(
        district.source,
        district.directory,
        noticed,
        district.composer,
        district.clock,  # type: ignore[arg-type]
    )
    begun: list[Future[Sequence[Push]]] = []
    with ThreadPoolExecutor(1) as pool:

        def let_the_other_pass(decision: Decision, *rest: object) -> Plan:
            if not begun:
                begun.append(pool.submit(other, second))
                assert wanted.wait(_LONGEST)
                until(lambda: begun[0].done() or waits(district))
            return plan(decision, *rest)  # type: ignore[arg-type]

        told = district.evaluate(*first, plan=let_the_other_pass)
        return told, begun[0].result(_LONGEST)


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(_LONGEST * 100):
        if is_so():
            return
        threading.Event().wait(0.01)
    raise TimeoutError


def to_mother(district: District, pushes: Sequence[Push]) -> list[str]:
    return [push.body for push in pushes if push.device_id == district.devices()[MOTHER]]


@pytest.mark.parametrize("release_is_first", [True, False])
def test_a_release_and_a_score_of_one_moment_ring_once(
    district: District, release_is_first: bool
) -> None:
    district.sis("DELETE FROM score WHERE score_id = 93")  # of a sibling with the same phone
    release = replaced(district.release(), 1)
    entered = scored(None, 60, HIDDEN_SCORE, position=2)
    first, second = (release, entered) if release_is_first else (entered, release)

    told = evaluate_between(district, [first], [second])

    assert sorted(len(to_mother(district, one)) for one in told) == [0, 1]


def of_the_day(district: District) -> None:
    """What an absence is about is the whole day, whatever row says it."""
    definition = load("reference")
    query = definition.facts["attendance"].query
    query = query.replace(
        "CAST(attendance.attendance_id AS text)", "attendance.student_id || ' ' || attendance.day"
    ).replace("CAST(attendance.period AS text) AS period", "'all' AS period")
    district.speak(
        replace(definition, facts={**definition.facts, "attendance": Query(query=query)})
    )


def replaced(change: Change, position: int) -> Change:
    """The same at a position of its own."""
    return a_change(change.watch, change.key, change.before, change.after, position=position)


@pytest.mark.parametrize("first_is_first", [True, False])
def test_two_rows_of_a_log_that_tell_of_one_absence_ring_once(
    district: District, first_is_first: bool
) -> None:
    """Each mark is a row of its own, so the two are in partitions of their own."""
    of_the_day(district)
    district.sis("INSERT INTO attendance VALUES (112, 41, 71, '2026-11-23', 4, 2)")
    marks = [
        a_change("attendance", key, None, {"attendance_code_id": 2}, position=position)
        for position, key in enumerate(("111", "112"), 1)
    ]

    if not first_is_first:
        marks.reverse()

    first, second = evaluate_between(district, marks[:1], marks[1:])

    assert len([*to_mother(district, first), *to_mother(district, second)]) == 1


@pytest.mark.parametrize("seed", range(6))
def test_two_evaluates_in_any_order_tell_what_holds_and_nothing_twice(
    district: District, seed: int
) -> None:
    """Each has the changes of a partition of its own."""
    chance = random.Random(seed)
    changes: list[Change] = []
    district.sis("DELETE FROM score WHERE score_id = 93")  # of a sibling with the same phone
    district.release()
    points = 60
    for position in range(1, 31):
        if chance.random() < 0.4:
            change = a_change("assignment-release", UNIT_TEST, {"released": False},
                              {"released": True}, position=position)  # fmt: skip
        else:
            before, points = points, chance.randrange(50, 53)
            change = scored(before, points, HIDDEN_SCORE, position=position)
        changes.append(change)
    district.sis("UPDATE score SET points = :value WHERE score_id = 92", value=points)
    parts = [[one for one in changes if (one.watch == "score") is own] for own in (True, False)]

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(batches, [district] * 2, parts, [chance.random() for _ in parts]))

    pushes = sorted((push for found in told for push in found), key=lambda push: push.position)
    texts = [body.partition(" (")[0].rstrip(".") for body in to_mother(district, pushes)]
    assert all(one != after for one, after in pairwise(texts))
    assert texts[-1] == f"Ada obtuvo {points}/100"


def batches(district: District, changes: Sequence[Change], seed: float) -> list[Push]:
    """What an evaluate of its own makes of them."""
    some = random.Random(seed)
    evaluate = Evaluate(
        district.source, district.directory, district.ledger, district.composer, district.clock
    )
    found: list[Push] = []
    while changes:
        size = some.randrange(1, 5)
        found += evaluate(changes[:size])
        changes = changes[size:]
    return found


# Which records only their own rows tell of


@pytest.mark.parametrize(
    ("key", "record", "alone"),
    [
        ("91", "91", True),
        ("91", "score 91", True),
        ("91", "score 910", False),
        ("9", "S7-9", False),
        ("9", "41 2026-11-23 9", False),
        ("Q-9", "Q-9", True),
        ("Q-9", "mark Q-9", False),
        ("", "1", False),
    ],
)
def test_a_record_that_is_named_for_its_row_is_of_one_row(
    key: str, record: str, alone: bool
) -> None:
    definition = load("reference")
    watch = definition.watch[0]

    assert is_of_one_row(definition, watch, scored(1, 2, key), record) is alone


@pytest.mark.parametrize(
    ("key", "record", "alone"),
    [
        ('["41","82"]', "41/82", True),
        ('["41","82"]', '["41", "82"]', True),
        ('["41","82"]', "kid 41, task 82", True),
        ('["41","82"]', "41", False),
        ('["41","82"]', "82/41", False),
        ('["1","11"]', "111", True),
        ("41", "41", True),
    ],
)
def test_a_record_that_is_named_for_several_columns_is_of_one_row(
    key: str, record: str, alone: bool
) -> None:
    definition = load("reference")
    watch = replace(definition.watch[0], key=("student_id", "assignment_id"))
    definition = replace(definition, watch=(watch, *definition.watch[1:]))

    assert is_of_one_row(definition, watch, scored(1, 2, key), record) is alone


def test_a_second_watch_of_a_kind_is_never_of_one_row() -> None:
    definition = load("reference")
    extra = replace(definition.watch[0], name="score-extra", table="score_extra")
    definition = replace(definition, watch=(*definition.watch, extra))
    change = a_change("score-extra", "91", {"points": 1}, {"points": 2})

    assert not is_of_one_row(definition, extra, change, "91")


def test_a_watch_that_releases_is_never_of_one_row() -> None:
    definition = load("reference")
    release = definition.watch_named("assignment-release")

    assert not is_of_one_row(
        definition,
        release,
        a_change("assignment-release", "82"),
        "82",  # type: ignore[arg-type]
    )


def test_a_query_without_records_of_its_own_needs_no_watch() -> None:
    """A kind of which nothing but releases tells."""
    definition = load("reference")
    releases = tuple(one for one in definition.watch if one.releases)
    definition = replace(definition, watch=releases, facts={"assignment": Query(query="SELECT 1")})

    assert not is_of_one_row(definition, releases[0], a_change("assignment-release", "1"), "1")
