"""The breaker: when hardly a phone is alive any more, none is believed to be dead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.breaker import FEW, HARDLY_ANY, MOST, Tally, Trust, may_retire, trust
from rules.outcomes import Retire

COUNTS = st.integers(min_value=0, max_value=100_000)


@pytest.mark.parametrize(
    ("accepted", "dead", "found"),
    [
        (0, 0, Trust.UNPROVEN),
        (0, 1, Trust.UNPROVEN),
        (0, 19, Trust.UNPROVEN),
        (0, 20, Trust.BROKEN),
        (1, 19, Trust.PROVEN),
        (1, 20, Trust.BROKEN),
        (2, 20, Trust.DOUBTED),
        (19, 20, Trust.DOUBTED),
        (20, 20, Trust.PROVEN),
        (75, 25, Trust.PROVEN),
        (499, 9_501, Trust.BROKEN),
        (500, 9_500, Trust.DOUBTED),
        (10_000, 0, Trust.PROVEN),
    ],
)
def test_trust_goes_by_number_and_share(accepted: int, dead: int, found: Trust) -> None:
    assert trust(Tally(accepted, dead)) is found


@given(COUNTS, COUNTS)
def test_it_is_broken_exactly_when_many_are_dead_and_hardly_any_alive(
    accepted: int, dead: int
) -> None:
    is_broken = trust(Tally(accepted, dead)) is Trust.BROKEN
    assert is_broken == (dead >= FEW and accepted < HARDLY_ANY * (accepted + dead))


@given(COUNTS, COUNTS)
def test_what_is_doubtful_is_believed_of_the_smaller_part_alone(accepted: int, dead: int) -> None:
    if dead >= FEW and dead > MOST * (accepted + dead):
        assert not may_retire(Retire.WHEN_OTHERS_LIVE, trust(Tally(accepted, dead)))


@given(COUNTS, COUNTS, COUNTS)
def test_more_that_is_accepted_never_makes_it_worse(accepted: int, dead: int, more: int) -> None:
    order = [Trust.BROKEN, Trust.DOUBTED, Trust.UNPROVEN, Trust.PROVEN]
    before, after = trust(Tally(accepted, dead)), trust(Tally(accepted + more, dead))
    assert order.index(after) >= order.index(before)


RETIRED = {
    (Retire.NO, Trust.PROVEN): False,
    (Retire.NO, Trust.UNPROVEN): False,
    (Retire.NO, Trust.DOUBTED): False,
    (Retire.NO, Trust.BROKEN): False,
    (Retire.AT_ONCE, Trust.PROVEN): True,
    (Retire.AT_ONCE, Trust.UNPROVEN): True,
    (Retire.AT_ONCE, Trust.DOUBTED): True,
    (Retire.AT_ONCE, Trust.BROKEN): False,
    (Retire.WHEN_OTHERS_LIVE, Trust.PROVEN): True,
    (Retire.WHEN_OTHERS_LIVE, Trust.UNPROVEN): False,
    (Retire.WHEN_OTHERS_LIVE, Trust.DOUBTED): False,
    (Retire.WHEN_OTHERS_LIVE, Trust.BROKEN): False,
}


@pytest.mark.parametrize(("wish", "found"), [(wish, found) for wish in Retire for found in Trust])
def test_who_is_retired(wish: Retire, found: Trust) -> None:
    assert may_retire(wish, found) is RETIRED[wish, found]
