"""Days in all the ways that a SIS holds them, by the clock of the district."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.sources.days import day

CHICAGO = ZoneInfo("America/Chicago")
THE_DAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    "value",
    [
        THE_DAY,
        datetime(2026, 11, 22, 15, 30),  # noqa: DTZ001
        datetime(2026, 11, 23, 5, 59, tzinfo=UTC),
        datetime(2026, 11, 22, 6, 0, tzinfo=UTC),
        datetime(2026, 11, 23, 12, 0, tzinfo=timezone(timedelta(hours=14))),
        "2026-11-22",
        " 2026-11-22 ",
        "20261122",
        "2026-11-22 00:00:00",
        "2026-11-22T23:59:59.999",
        "2026-11-23 05:59:59+00",
        "2026-11-23T05:59:59Z",
        b"2026-11-22",
        20261122,
        Decimal(20261122),
    ],
)
def test_a_day_is_a_day_however_it_is_written(value: Any) -> None:
    assert day(value, CHICAGO) == THE_DAY


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("infinity", date.max),
        ("Infinity", date.max),
        ("-infinity", date.min),
        ("20261-01-31", date.max),
        ("20261-01-31 10:00:00+00", date.max),
        ("0044-03-15 BC", date.min),
        ("0044-03-15 00:00:00+00 BC", date.min),
        (datetime.max.replace(tzinfo=UTC), date.max),
        (datetime(1, 1, 1, tzinfo=UTC), date.min),
    ],
)
def test_what_is_beyond_every_calendar_is_its_end(value: Any, expected: date | None) -> None:
    assert day(value, CHICAGO) == expected


@pytest.mark.parametrize("hour", range(0, 24, 3))
@pytest.mark.parametrize("of_change", [date(2026, 3, 8), date(2026, 11, 1)])
def test_a_day_on_which_the_clocks_change_is_one_day(of_change: date, hour: int) -> None:
    moment = datetime(of_change.year, of_change.month, of_change.day, hour, tzinfo=CHICAGO)

    assert day(moment.astimezone(UTC), CHICAGO) == of_change


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "0000-00-00", "0000-00-00 00:00:00", "2026-02-30", "2026-13-01", "11/22/2026",
        "22.11.2026", "soon", "NaT", "2026", "2026-11", "2026-W47", "1", "99999999", "inf",
        "2026-11-22 24:00:01", "20261-13-31", True, False, 1.5, 1, -20261122, float("nan"),
        Decimal("20261122.5"), b"\xff\xfe", [THE_DAY], {"year": 2026},
        "\u0662\u0660\u0662\u0666-11-22",
    ],
)  # fmt: skip
def test_what_is_no_day_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r".*"):
        day(value, CHICAGO)
