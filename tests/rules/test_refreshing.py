"""Refreshing: two tabs and lost answers end no login, and a stolen token does."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.refreshing import GRACE, Newest, Turn, turn
from tests.builders import NOW

MADE = NOW - timedelta(minutes=10)


@pytest.mark.parametrize(
    ("behind", "used_at", "expected"),
    [
        (0, None, Turn.RENEW),
        (0, MADE, Turn.RENEW),
        (1, None, Turn.REPEAT),
        (1, NOW - GRACE, Turn.REPEAT),
        (1, NOW - GRACE - timedelta(seconds=1), Turn.REVOKE),
        (2, None, Turn.REVOKE),
        (2, NOW, Turn.REVOKE),
    ],
)
def test_what_becomes_of_a_token(behind: int, used_at: datetime | None, expected: Turn) -> None:
    assert turn(behind, Newest(MADE, used_at), NOW) is expected


@pytest.mark.parametrize("age", [timedelta(), GRACE / 2, -timedelta(seconds=5), -timedelta(days=1)])
def test_one_that_was_just_made_is_kept_also_by_a_clock_that_is_behind(age: timedelta) -> None:
    assert turn(0, Newest(NOW - age, None), NOW) is Turn.KEEP


def test_a_browser_renews_no_oftener_than_it_says() -> None:
    newest = Newest(NOW - timedelta(minutes=5), NOW)
    assert turn(0, newest, NOW, timedelta(minutes=10)) is Turn.KEEP
    assert turn(0, newest, NOW, timedelta(minutes=5)) is Turn.RENEW


@given(st.lists(st.floats(0, 29), max_size=30), st.integers(0, 600))
def test_who_shows_a_token_within_the_grace_of_its_successor_is_never_thrown_out(
    pauses: list[float], age: int
) -> None:
    """However many others refresh meanwhile, a request under way is one generation behind at
    most."""
    now, made, generation = NOW, NOW - timedelta(seconds=age), 0
    began, shown = None, 0
    for pause in pauses:
        if turn(generation - shown, Newest(made, made), now) is Turn.RENEW:
            generation, made = generation + 1, now
        began = began or now
        if now - began > GRACE:
            began, shown = now, generation  # that request has its answer, and another begins
        now += timedelta(seconds=pause)
        assert turn(generation - shown, Newest(made, made), min(now, began + GRACE)) in (
            Turn.KEEP, Turn.REPEAT, Turn.RENEW,
        )  # fmt: skip
