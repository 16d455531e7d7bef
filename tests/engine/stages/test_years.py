"""The year and its calendars as schools have them; on both kinds of database."""

from datetime import UTC, datetime
from typing import Final

import msgspec
import pytest

from engine.errors import BrokenQuery
from engine.sources.definition import Definition, Query
from engine.sources.loading import load
from engine.store import district as store
from engine.store.ledger import SqlLedger
from rules.gates import ActiveCalendars
from rules.reasons import Reason
from tests.district import FATHER, LAST_YEARS_SCORE, District, scored

# The last day of school is 2027-06-04. In New York it ends at 04:00 UTC of the next.
LAST_EVENING: Final = datetime(2027, 6, 5, 3, 59, tzinfo=UTC)
MIDNIGHT: Final = datetime(2027, 6, 5, 4, 0, tzinfo=UTC)

BY_DAYS: Final = """
SELECT calendar.calendar_id AS id, calendar.school_id, year.name AS year, year.starts, year.ends
FROM calendar JOIN school_year year ON year.school_year_id = calendar.school_year_id
"""
BY_FLAG_AND_DAYS: Final = BY_DAYS.replace("year.starts", "year.active, year.starts")


def years(query: str) -> Definition:
    """The reference SIS, with another query for its calendars."""
    definition = load("reference")
    directory = msgspec.structs.replace(definition.directory, calendars=Query(query=query))
    return msgspec.structs.replace(definition, directory=directory)


def calendars(district: District, query: str) -> ActiveCalendars:
    """The active calendars of a district whose SIS lists them so."""
    district.speak(years(query))
    district.directory.sync()
    today = district.clock().date()
    active: ActiveCalendars = district.read(store.circumstances, today).active_calendars
    return active


def reason(district: District, record: str | None = None) -> Reason:
    """Why the father is told, or not, of a score."""
    change = scored(9, 10, record) if record else scored(16, 17)
    district.evaluate(change)
    return district.reasons(change)[FATHER]


def rows(*found: tuple[int, int | None, bool]) -> str:
    """A query that lists calendars: id, school, active."""
    return " UNION ALL ".join(
        f"SELECT {calendar} AS id, {school or 'NULL'} AS school_id, 'a' AS year,"
        f" {str(active).upper()} AS active"
        for calendar, school, active in found
    )


def test_a_year_is_active_on_its_days_without_anybody_writing_a_row(district: District) -> None:
    calendars(district, BY_DAYS)

    assert reason(district) is Reason.TOLD
    assert reason(district, LAST_YEARS_SCORE) is Reason.YEAR_NOT_ACTIVE


@pytest.mark.parametrize(
    ("now", "expected"), [(LAST_EVENING, Reason.TOLD), (MIDNIGHT, Reason.YEAR_NOT_ACTIVE)]
)
def test_a_year_ends_by_the_clock_of_the_district(
    district: District, now: datetime, expected: Reason
) -> None:
    calendars(district, BY_DAYS)
    district.ledger = SqlLedger(district.database, "America/New_York")
    district.clock.now = now

    change = scored(16, 17, at=now)
    district.evaluate(change)

    assert district.reasons(change)[FATHER] is expected


def test_with_a_flag_and_days_both_must_say_so(district: District) -> None:
    assert set(calendars(district, BY_FLAG_AND_DAYS)) == {"12", "13"}
    district.sis("UPDATE school_year SET active = FALSE")
    assert set(calendars(district, BY_FLAG_AND_DAYS)) == set()


def test_years_may_overlap_and_several_be_active(district: District) -> None:
    district.sis("UPDATE school_year SET ends = '2026-12-31' WHERE school_year_id = 1")
    calendars(district, BY_DAYS)

    assert reason(district) is Reason.TOLD
    assert reason(district, LAST_YEARS_SCORE) is Reason.TOLD


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        pytest.param([(12, 1, True), (12, 2, False)], Reason.TOLD, id="of the record's school"),
        pytest.param([(12, 1, False), (12, 2, True)], Reason.YEAR_NOT_ACTIVE, id="of another"),
        pytest.param([(12, None, True)], Reason.TOLD, id="of no school"),
        pytest.param([(12, 2, True)], Reason.TOLD, id="listed at another school alone"),
        pytest.param([(12, 2, False)], Reason.YEAR_NOT_ACTIVE, id="not active anywhere"),
        pytest.param([(12, None, False), (12, 1, True)], Reason.TOLD, id="its school says yes"),
        pytest.param(
            [(12, None, True), (12, 1, False)], Reason.YEAR_NOT_ACTIVE, id="its school says no"
        ),
        pytest.param(
            [(12, None, False), (12, 2, True)], Reason.YEAR_NOT_ACTIVE, id="all others say no"
        ),
        pytest.param([(13, 1, True)], Reason.YEAR_NOT_ACTIVE, id="another calendar"),
    ],
)
def test_a_calendar_may_be_of_several_schools_or_of_none(
    district: District, listed: list[tuple[int, int | None, bool]], expected: Reason
) -> None:
    calendars(district, rows(*listed))

    assert reason(district) is expected


@pytest.mark.parametrize(
    "days",
    [
        "'soon' AS starts, '2027-06-04' AS ends",
        "'0000-00-00' AS starts, '0000-00-00' AS ends",
        "NULL AS starts, NULL AS ends",
        "'2026-11-24' AS starts, NULL AS ends",
        "NULL AS starts, '2026-11-22' AS ends",
    ],
)
def test_days_that_nobody_can_read_make_no_year_active(district: District, days: str) -> None:
    assert calendars(district, f"SELECT 12 AS id, 1 AS school_id, 'a' AS year, {days}") == {}


@pytest.mark.parametrize(
    "days",
    [
        "'2026-11-23' AS starts, NULL AS ends",
        "NULL AS starts, '2026-11-23' AS ends",
        "'20260824' AS starts, '2027-06-04 23:59:59' AS ends",
        "'2026-08-24' AS starts, 'infinity' AS ends",
    ],
)
def test_the_first_and_the_last_day_are_of_the_year(district: District, days: str) -> None:
    query = f"SELECT 12 AS id, 1 AS school_id, 'a' AS year, {days}"

    assert calendars(district, query) == {"12": {"1": True}}


def test_a_query_that_never_says_when_a_year_is_active_is_refused(district: District) -> None:
    district.speak(years("SELECT 12 AS id, 1 AS school_id, 'a' AS year"))

    with pytest.raises(BrokenQuery, match="when a year is active"):
        district.source.check()
