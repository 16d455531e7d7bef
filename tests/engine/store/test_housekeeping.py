"""What is older than its keeping time goes, and nothing else."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from engine.store import alarms, housekeeping, partitions, tables, tallies
from engine.store.tables import (
    decisions,
    facts,
    outcomes,
)
from tests.builders import NOW, an_outcome
from tests.district import District, scored

KEEP_TEXTS, KEEP_DECISIONS = timedelta(days=30), timedelta(days=400)
TABLES = (decisions, facts, outcomes)


def forget(district: District, after: timedelta) -> int:
    """Housekeeping, some time later."""
    return housekeeping.forget(
        district.database, NOW + after, keep_content=KEEP_TEXTS, keep_decisions=KEEP_DECISIONS
    )


def kept(district: District) -> set[str]:
    """The tables that still hold something."""
    return {table.name.removeprefix("schoolbell_") for table in TABLES if district.count(table)}


@pytest.fixture
def told(district: District) -> District:
    """A district in which a change was told and answered, just now."""
    pushes = district.evaluate(scored(9, 17))
    district.record([an_outcome(push) for push in pushes])
    return district


@pytest.mark.parametrize("after", [timedelta(), timedelta(days=29)])
def test_what_is_young_is_kept(told: District, after: timedelta) -> None:
    assert forget(told, after) == 0
    assert kept(told) == {"decisions", "facts", "outcomes"}


def test_what_is_exactly_as_old_as_its_keeping_time_is_kept(told: District) -> None:
    forget(told, KEEP_TEXTS)

    assert "facts" in kept(told)


def test_texts_go_first_and_who_was_told_of_what_and_why_stays(told: District) -> None:
    assert forget(told, KEEP_TEXTS + timedelta(seconds=1)) == 1
    assert kept(told) == {"decisions", "outcomes"}


def test_in_the_end_everything_goes(told: District) -> None:
    forget(told, KEEP_DECISIONS + timedelta(seconds=1))

    assert kept(told) == set()


def test_the_old_goes_and_the_young_beside_it_stays(told: District) -> None:
    later = told.clock.forward(timedelta(days=20))
    told.evaluate(young := scored(17, 18, at=later))

    forget(told, KEEP_TEXTS + timedelta(seconds=1))

    assert {change for (change,) in told.rows(select(facts.c.change_id))} == {young.id}


def test_an_alarm_that_was_not_reported_for_a_day_is_forgotten(district: District) -> None:
    district.app(alarms.report, "gateway", "fcm", "Broken.", "Mend it.", NOW)

    forget(district, timedelta(days=1))
    kept_for_a_day = district.count(tables.alarms)
    forget(district, timedelta(days=1, seconds=1))

    assert (kept_for_a_day, district.count(tables.alarms)) == (1, 0)


def test_counters_of_answers_go_after_a_day_and_their_sum_stays(told: District) -> None:
    told.record([an_outcome("01a208d0-5240-8000-8000-000000000001.1", gateway="fcm")])

    forget(told, timedelta(hours=23))
    counted = told.read(tallies.by_minute, NOW - timedelta(hours=1))
    summed = told.read(tallies.ever)
    forget(told, timedelta(hours=25))

    assert counted[NOW.replace(second=0)]["accepted"] == 4
    assert told.read(tallies.by_minute, NOW - timedelta(hours=1)) == {}
    assert told.read(tallies.ever) == summed


def test_slices_go_until_nothing_is_left(told: District, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "_AT_ONCE", 1)
    told.evaluate(scored(17, 18), scored(18, 19))

    assert forget(told, KEEP_TEXTS + timedelta(seconds=1)) == 3
    assert "facts" not in kept(told)


# On PostgreSQL what is old is a table of its own


@pytest.fixture
def divided(postgres_district: District) -> Iterator[District]:
    """A district whose partitions go afterwards: others use the same database."""
    yield postgres_district
    with postgres_district.database.write() as connection:
        for name in tables_of(postgres_district):
            connection.execute(text(f"DROP TABLE {name}"))


def made(district: District) -> int:
    count: int = district.app(partitions.make, NOW)
    return count


def tables_of(district: District) -> set[str]:
    return {
        name
        for (name,) in district.rows(
            text("SELECT tablename FROM pg_tables WHERE tablename LIKE 'schoolbell_%_from_%'")
        )
    }


def test_partitions_are_made_ahead_once(divided: District) -> None:
    assert made(divided) == 3 * 14
    assert made(divided) == 0


def test_what_is_decided_and_answered_goes_into_the_partition_of_its_week(
    divided: District,
) -> None:
    made(divided)
    pushes = divided.evaluate(scored(9, 17))
    divided.record([an_outcome(push) for push in pushes])

    in_week, in_rest = (
        divided.rows(text(f"SELECT count(*) FROM schoolbell_{name}"))[0][0]
        for name in ("outcomes_from_20261123", "outcomes_rest")
    )
    assert (in_week, in_rest) == (3, 0)


def test_a_partition_that_is_old_is_dropped_with_all_that_it_holds(
    divided: District,
) -> None:
    made(divided)
    divided.evaluate(scored(9, 17))
    days = {name for name in tables_of(divided) if "facts" in name}

    forget(divided, KEEP_TEXTS + timedelta(days=1))

    assert divided.count(facts) == 0
    assert "schoolbell_facts_from_20261123" in days - tables_of(divided)
    assert divided.count(decisions) == 1


def test_where_the_rest_holds_rows_of_a_week_no_partition_is_made_of_it(
    divided: District,
) -> None:
    divided.evaluate(scored(9, 17))

    assert made(divided) == 3 * 14 - 2
    assert len(divided.decided()) == 1
