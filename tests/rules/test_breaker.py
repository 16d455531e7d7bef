"""The breaker: when many phones die at once, none is believed to be dead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.breaker import FEW, MOST, Tally, Trust, may_retire, trust
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
        (79, 20, Trust.BROKEN),
        (80, 20, Trust.PROVEN),
        (10_000, 2_500, Trust.PROVEN),
        (10_000, 2_501, Trust.BROKEN),
        (10_000, 0, Trust.PROVEN),
    ],
)
def test_trust_goes_by_number_and_share(accepted: int, dead: int, found: Trust) -> None:
    assert trust(Tally(accepted, dead)) is found


@given(COUNTS, COUNTS)
def test_it_is_broken_exactly_when_many_and_a_large_share_are_dead(
    accepted: int, dead: int
) -> None:
    is_broken = trust(Tally(accepted, dead)) is Trust.BROKEN
    assert is_broken == (dead >= FEW and dead / (accepted + dead) > MOST)


@given(COUNTS, COUNTS, COUNTS)
def test_more_that_is_accepted_never_makes_it_worse(accepted: int, dead: int, more: int) -> None:
    order = list(Trust)[1:2] + list(Trust)[:1]  # unproven, then proven
    before, after = trust(Tally(accepted, dead)), trust(Tally(accepted + more, dead))
    if before is not Trust.BROKEN:
        assert order.index(after) >= order.index(before)


RETIRED = {
    (Retire.NO, Trust.PROVEN): False,
    (Retire.NO, Trust.UNPROVEN): False,
    (Retire.NO, Trust.BROKEN): False,
    (Retire.AT_ONCE, Trust.PROVEN): True,
    (Retire.AT_ONCE, Trust.UNPROVEN): True,
    (Retire.AT_ONCE, Trust.BROKEN): False,
    (Retire.WHEN_OTHERS_LIVE, Trust.PROVEN): True,
    (Retire.WHEN_OTHERS_LIVE, Trust.UNPROVEN): False,
    (Retire.WHEN_OTHERS_LIVE, Trust.BROKEN): False,
}


@pytest.mark.parametrize(("wish", "found"), [(wish, found) for wish in Retire for found in Trust])
def test_who_is_retired(wish: Retire, found: Trust) -> None:
    assert may_retire(wish, found) is RETIRED[wish, found]
