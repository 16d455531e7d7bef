"""What follows from what a gateway said."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.outcomes import FIRST_DELAY, LONGEST_DELAY, Fate, Verdict, fate
from tests.builders import NOW

FAR: datetime = NOW + timedelta(days=400)

ATTEMPTS = st.integers(min_value=1, max_value=10_000)
JITTERS = st.floats(min_value=0, max_value=1)
WISHES = st.none() | st.timedeltas(min_value=timedelta(), max_value=timedelta(days=30))


def wait(attempt: int, wish: timedelta | None = None, jitter: float = 0) -> timedelta:
    """How long a deferred push waits for its next try."""
    retry_at = fate(Verdict.DEFERRED, attempt, NOW, FAR, wish, jitter).retry_at
    assert retry_at is not None
    return retry_at - NOW


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.REFUSED])
def test_nothing_follows_from_a_final_answer(verdict: Verdict) -> None:
    assert fate(verdict, 1, NOW, FAR, timedelta(minutes=1), 0.5) == Fate()


def test_a_device_that_is_not_registered_is_retired_and_not_tried_again() -> None:
    assert fate(Verdict.UNREGISTERED, 1, NOW, FAR, None, 0.5) == Fate(retire_device=True)


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 10), (2, 20), (3, 40), (4, 80), (7, 640), (8, 900), (9, 900)]
)
def test_the_wait_doubles_up_to_a_quarter_of_an_hour(attempt: int, seconds: int) -> None:
    assert wait(attempt) == timedelta(seconds=seconds)


@given(ATTEMPTS, WISHES, JITTERS)
def test_a_push_is_never_tried_again_before_ten_seconds(
    attempt: int, wish: timedelta | None, jitter: float
) -> None:
    assert wait(attempt, wish, jitter) >= FIRST_DELAY


@given(ATTEMPTS, JITTERS)
def test_without_a_wish_of_the_gateway_the_wait_is_bounded(attempt: int, jitter: float) -> None:
    assert wait(attempt, None, jitter) <= LONGEST_DELAY * 1.5


@given(ATTEMPTS, st.timedeltas(timedelta(), timedelta(days=30)), JITTERS)
def test_the_wish_of_the_gateway_is_respected(attempt: int, wish: timedelta, jitter: float) -> None:
    assert wait(attempt, wish, jitter) >= wish


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 10), (4, 80)])
def test_a_wish_for_less_does_not_shorten_the_wait(attempt: int, seconds: int) -> None:
    assert wait(attempt, timedelta(seconds=3)) == timedelta(seconds=seconds)


@given(ATTEMPTS, WISHES)
def test_jitter_spreads_retries_over_half_their_delay(attempt: int, wish: timedelta | None) -> None:
    assert wait(attempt, wish, jitter=1) == wait(attempt, wish, jitter=0) * 1.5


def test_a_retry_that_would_come_when_the_push_expires_is_not_made() -> None:
    expires_at = NOW + FIRST_DELAY

    assert fate(Verdict.DEFERRED, 1, NOW, expires_at, None, 0) == Fate(expired=True)


def test_a_retry_that_comes_just_before_the_push_expires_is_made() -> None:
    expires_at = NOW + FIRST_DELAY + timedelta(microseconds=1)

    assert fate(Verdict.DEFERRED, 1, NOW, expires_at, None, 0) == Fate(retry_at=NOW + FIRST_DELAY)


def test_a_wish_beyond_all_calendars_means_that_the_push_expires() -> None:
    assert fate(Verdict.DEFERRED, 1, NOW, FAR, timedelta.max, 1) == Fate(expired=True)
