"""What is older than its keeping time goes, and nothing else."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from engine.store import alarms, housekeeping, tables
from engine.store.tables import (
    changes,
    decisions,
    notifications,
    outcomes,
    pushes,
)
from tests.builders import NOW, an_outcome
from tests.district import District, scored

KEEP_TEXTS, KEEP_DECISIONS = timedelta(days=30), timedelta(days=400)
TABLES = (changes, decisions, notifications, pushes, outcomes)


def forget(district: District, after: timedelta) -> int:
    """Housekeeping, some time later."""
    count: int = district.app(
        housekeeping.forget, NOW + after, keep_content=KEEP_TEXTS, keep_decisions=KEEP_DECISIONS
    )
    return count


def kept(district: District) -> set[str]:
    """The tables that still hold something."""
    return {table.name.removeprefix("schoolbell_") for table in TABLES if district.count(table)}


@pytest.fixture
def told(district: District) -> District:
    """A district in which a change was told and answered, just now."""
    pushes = district.evaluate(scored(9, 17))
    district.ledger.record([an_outcome(push) for push in pushes])
    return district


@pytest.mark.parametrize("after", [timedelta(), timedelta(days=29)])
def test_what_is_young_is_kept(told: District, after: timedelta) -> None:
    assert forget(told, after) == 0
    assert kept(told) == {"changes", "decisions", "notifications", "pushes", "outcomes"}


def test_what_is_exactly_as_old_as_its_keeping_time_is_kept(told: District) -> None:
    forget(told, KEEP_TEXTS)

    assert "notifications" in kept(told)


def test_texts_go_first_and_who_was_told_of_what_and_why_stays(told: District) -> None:
    assert forget(told, KEEP_TEXTS + timedelta(seconds=1)) == 3
    assert kept(told) == {"changes", "decisions", "pushes", "outcomes"}


def test_in_the_end_everything_goes(told: District) -> None:
    forget(told, KEEP_DECISIONS + timedelta(seconds=1))

    assert kept(told) == set()


def test_the_old_goes_and_the_young_beside_it_stays(told: District) -> None:
    later = told.clock.forward(timedelta(days=20))
    told.evaluate(young := scored(17, 18, at=later))

    forget(told, KEEP_TEXTS + timedelta(seconds=1))

    assert {change for (change,) in told.rows(select(notifications.c.change_id))} == {young.id}


def test_an_old_change_that_was_evaluated_lately_is_kept(district: District) -> None:
    """It came late, by `schoolbell replay` or after a long stop."""
    district.clock.forward(timedelta(days=20))
    district.evaluate(scored(9, 17, at=NOW))

    assert forget(district, KEEP_TEXTS + timedelta(days=1)) == 0


def test_an_alarm_that_was_not_reported_for_a_day_is_forgotten(district: District) -> None:
    district.app(alarms.report, "gateway", "fcm", "Broken.", "Mend it.", NOW)

    forget(district, timedelta(days=1))
    kept_for_a_day = district.count(tables.alarms)
    forget(district, timedelta(days=1, seconds=1))

    assert (kept_for_a_day, district.count(tables.alarms)) == (1, 0)


def test_counters_of_answers_go_after_a_day(told: District) -> None:
    told.ledger.record([an_outcome("01a208d0-5240-8000-8000-000000000001.1", gateway="fcm")])

    forget(told, timedelta(hours=23))
    counted = told.count(tables.tallies)
    forget(told, timedelta(hours=25))

    assert counted > 0
    assert told.count(tables.tallies) == 0


def test_a_slice_goes_at_a_time(told: District, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_AT_ONCE", 2)

    counts = [forget(told, KEEP_TEXTS + timedelta(seconds=1)) for _ in range(3)]

    assert counts == [2, 1, 0]
