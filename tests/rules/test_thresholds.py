"""Crossing, not being below; and points as percent."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.change import KINDS_OF_CHANGE, Kind
from rules.thresholds import (
    MOST,
    RANGES,
    ThresholdFault,
    fell_below,
    is_over,
    percent,
    threshold,
    thresholds,
    written,
)

NUMBERS = st.decimals(min_value=-1000, max_value=1000, places=2)


@pytest.mark.parametrize(
    ("limit", "before", "after", "fell"),
    [
        pytest.param("5", "6", "4.75", True, id="from above to below"),
        pytest.param("5", "5", "4.99", True, id="from exactly on the limit to below"),
        pytest.param("5", "6", "5", False, id="from above to exactly on the limit"),
        pytest.param("5", "5.00", "5", False, id="on the limit, and still"),
        pytest.param("5", "4", "3", False, id="below, and further"),
        pytest.param("5", "4", "6", False, id="from below to above"),
        pytest.param("5", None, "4.99", True, id="first seen below"),
        pytest.param("5", None, "5", False, id="first seen on the limit"),
        pytest.param("0", "0.25", "-0.01", True, id="into debt"),
    ],
)
def test_a_value_fell_below(limit: str, before: str | None, after: str, fell: bool) -> None:
    earlier = None if before is None else Decimal(before)

    assert fell_below(Decimal(limit), earlier, Decimal(after)) is fell


@pytest.mark.parametrize(
    ("told", "now", "over"),
    [
        pytest.param("55", "65", True, id="back at the lower limit"),
        pytest.param("65", "70", True, id="under none any more"),
        pytest.param("80", "75", True, id="under none, and was not"),
        pytest.param("65", "60", False, id="between the limits as before"),
        pytest.param("65", "50", False, id="lower"),
        pytest.param("50", "55", False, id="higher, and under both"),
        pytest.param(None, "65", False, id="nothing was told"),
    ],
)
def test_a_low_value_is_over(told: str | None, now: str, over: bool) -> None:
    limits = Decimal(70), Decimal(60)

    assert is_over(limits, None if told is None else Decimal(told), Decimal(now)) is over


def test_several_thresholds_are_kept_once_each_and_the_highest_first() -> None:
    assert thresholds(Kind.GRADE, ["60", "70.5", " 60.00 "]) == (Decimal("70.5"), Decimal(60))
    assert thresholds(Kind.ATTENDANCE, []) == ()


def test_one_threshold_of_several_that_can_be_none_is_refused_and_so_are_too_many() -> None:
    for words in (["70", "seven"], ["1001"], [str(one) for one in range(MOST + 1)]):
        assert isinstance(thresholds(Kind.GRADE, words), ThresholdFault)
    assert isinstance(thresholds(Kind.ATTENDANCE, ["70"]), ThresholdFault)


@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=20))
def test_a_value_that_falls_again_is_told_again_only_after_it_came_back(
    limit: Decimal, values: list[Decimal]
) -> None:
    told = [
        fell_below(limit, before, after)
        for before, after in zip([None, *values], values, strict=False)
    ]
    below = [value < limit for value in values]

    # Told exactly at each beginning of a row of values below.
    assert told == [
        now and not earlier for earlier, now in zip([False, *below], below, strict=False)
    ]


@pytest.mark.parametrize(
    ("points", "out_of", "expected"),
    [
        pytest.param("17", "20", "85", id="some of the points"),
        pytest.param("25", "20", "125", id="extra credit"),
        pytest.param("0", "20", "0", id="no points"),
        pytest.param("3", "0", None, id="nothing was to be had"),
        pytest.param("0", "0", None, id="nothing of nothing"),
        pytest.param(None, "20", None, id="not scored"),
        pytest.param("17", None, None, id="points possible not known"),
    ],
)
def test_points_as_percent(points: str | None, out_of: str | None, expected: str | None) -> None:
    def number(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    assert percent(number(points), number(out_of)) == number(expected)


# What may be one


@pytest.mark.parametrize(
    ("kind", "words", "found"),
    [
        (Kind.GRADE, "59.5", "59.5"),
        (Kind.GRADE, " 60 ", "60"),
        (Kind.ASSIGNMENT, "110", "110"),
        (Kind.ASSIGNMENT, Decimal("0"), "0"),
        (Kind.MEAL_BALANCE, "-5.25", "-5.25"),
    ],
)
def test_what_is_typed_is_a_threshold(kind: Kind, words: str | Decimal, found: str) -> None:
    assert threshold(kind, words) == Decimal(found)


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize(
    "words",
    ["NaN", "sNaN", "inf", "-Infinity", "1e9", "5,50", "1_0", "٥", "", "five", "5.555", "--5",
     "0x5", "10000.01", "-10000.01", "9" * 100_000, Decimal("NaN"), Decimal("Infinity"),
     Decimal("1e999999"), Decimal("0.001")],
)  # fmt: skip
def test_what_can_be_no_threshold_is_told_with_what_can(kind: Kind, words: str | Decimal) -> None:
    fault = threshold(kind, words)

    assert isinstance(fault, ThresholdFault)
    assert RANGES[kind].unit in fault.remedy
    assert len(fault.problem) < 100


def test_a_percentage_below_nothing_is_none() -> None:
    fault = threshold(Kind.GRADE, "-1")

    assert isinstance(fault, ThresholdFault)
    assert fault.problem == "-1 percent is no threshold for grade."


@pytest.mark.parametrize("kind", sorted(set(KINDS_OF_CHANGE) - set(RANGES)))
def test_what_has_no_number_has_no_threshold(kind: Kind) -> None:
    fault = threshold(kind, "5")

    assert isinstance(fault, ThresholdFault)
    assert f"the kind {kind} has no number" in fault.problem


@pytest.mark.parametrize(
    ("limit", "before", "after", "fell"),
    [("NaN", None, "1", False), ("5", None, "NaN", False), ("5", "NaN", "4", True),
     ("Infinity", None, "4", True), ("-Infinity", "5", "4", False)],
)  # fmt: skip
def test_what_is_no_number_stops_nobody(
    limit: str, before: str | None, after: str, fell: bool
) -> None:
    earlier = None if before is None else Decimal(before)

    assert fell_below(Decimal(limit), earlier, Decimal(after)) is fell


@pytest.mark.parametrize(
    ("kind", "number", "words"),
    [
        (Kind.ASSIGNMENT, "58", "58 %"),
        (Kind.GRADE, "69.9999", "69.99 %"),  # not 70, below which it is
        (Kind.GRADE, "72.50", "72.5 %"),
        (Kind.MEAL_BALANCE, "5", "$5.00"),
        (Kind.MEAL_BALANCE, "-1234.5", "-$1,234.50"),
    ],
)
def test_a_number_is_written_as_people_write_it(kind: Kind, number: str, words: str) -> None:
    assert written(kind, Decimal(number)) == words
