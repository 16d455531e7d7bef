"""Rates: the whole project goes from rest to its quota slowly; one phone is not flooded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gateways.rates import FLOOR, DeviceRate, ProjectRate

FULL, RAMP = 10_000.0, 60.0


def sent_in(rate: ProjectRate, seconds: int, start: float = 0.0, wanted: int = 1_000_000) -> int:
    """How many of endlessly many pushes go in so many seconds, asked for ten times a second."""
    return sum(rate.take(wanted, start + step / 10) for step in range(seconds * 10))


def test_what_comes_after_rest_goes_at_once() -> None:
    rate = ProjectRate(FULL, RAMP, now=0.0)
    assert rate.take(300, now=0.0) == 300


def test_from_rest_to_the_full_rate_it_takes_the_ramp() -> None:
    rate = ProjectRate(FULL, RAMP, now=0.0)
    seconds = [sent_in(rate, 1, start=float(second)) for second in range(61)]
    assert seconds[1] == pytest.approx(FULL * FLOOR, rel=0.5)
    assert seconds[30] == pytest.approx(FULL / 2, rel=0.1)
    assert seconds[60] == pytest.approx(FULL, rel=0.02)
    assert seconds[1:] == sorted(seconds[1:])


def test_the_full_rate_is_not_exceeded() -> None:
    rate = ProjectRate(FULL, RAMP, now=0.0)
    sent_in(rate, 70)
    assert sent_in(rate, 60, start=70.0) <= 60 * FULL + FULL


def test_what_was_not_used_is_not_saved_up_for_longer_than_a_second() -> None:
    rate = ProjectRate(FULL, RAMP, now=0.0)
    sent_in(rate, 70)
    assert rate.take(1_000_000, now=75.0) <= FULL


def test_after_a_rest_it_is_ramped_up_anew() -> None:
    rate = ProjectRate(FULL, RAMP, now=0.0)
    sent_in(rate, 70)
    rate.take(1, now=75.0)
    rate.take(1, now=140.0)
    assert rate.rate == pytest.approx(FULL * FLOOR)


def test_a_pause_stops_everything_and_begins_anew() -> None:
    rate = ProjectRate(FULL, RAMP, now=0.0)
    sent_in(rate, 70)
    rate.pause_for(60.0, now=70.0)
    rate.pause_for(5.0, now=71.0)  # a later answer that asks for less changes nothing
    assert sent_in(rate, 60, start=70.0) == 0
    assert rate.pause(now=100.0) == 30.0
    assert sent_in(rate, 1, start=130.0) <= FULL * FLOOR * 2


def test_a_ramp_holds_back_until_the_rate_has_grown_as_far_as_is_needed() -> None:
    rate = ProjectRate(FULL, RAMP, now=0.0)
    held_back = []
    for tenth in range(200):
        rate.take(int(FULL * 0.02), now=tenth / 10)
        held_back.append(rate.is_holding_back(now=tenth / 10))
    assert held_back[:5] == [False] * 5
    assert held_back[15]
    assert not held_back[-1]


def test_while_nothing_may_be_sent_a_rate_holds_back() -> None:
    rate = ProjectRate(FULL, RAMP, now=0.0)
    rate.pause_for(10.0, now=0.0)
    assert (rate.is_holding_back(now=9.0), rate.is_holding_back(now=10.0)) == (True, False)


def test_the_smallest_quota_still_sends() -> None:
    rate = ProjectRate(1.0, RAMP, now=0.0)
    assert rate.take(5, now=0.0) == 1
    assert sent_in(rate, 120, start=0.0, wanted=5) > 30


@given(st.lists(st.tuples(st.integers(0, 20_000), st.floats(0, 5)), max_size=60))
def test_no_second_holds_more_than_two_seconds_worth(asked: list[tuple[int, float]]) -> None:
    rate, now, given_at = ProjectRate(FULL, RAMP, now=0.0), 0.0, []
    for wanted, passed in asked:
        now += passed
        given_now = rate.take(wanted, now)
        assert given_now <= wanted
        given_at.append((now, given_now))
    for end, _ in given_at:
        assert sum(count for at, count in given_at if end - 1 < at <= end) <= 2 * FULL


# --- one phone -------------------------------------------------------------------------------


def test_a_phone_gets_its_number_in_each_window() -> None:
    rate = DeviceRate(240, 60.0, now=0.0)
    assert [rate.take("a", now=1.0) for _ in range(240)] == [True] * 240
    assert not rate.take("a", now=59.0)
    assert rate.take("a", now=60.0)


def test_what_one_phone_gets_is_not_taken_from_another() -> None:
    rate = DeviceRate(240, 60.0, now=0.0)
    for _ in range(1_000):
        rate.take("busy", now=1.0)
    assert all(rate.take(f"phone {number}", now=1.0) for number in range(10_000))


def test_so_many_phones_that_all_share_their_counters_are_not_held_up() -> None:
    rate = DeviceRate(240, 60.0, now=0.0)
    assert all(rate.take(f"phone {number}", now=1.0) for number in range(600_000))
