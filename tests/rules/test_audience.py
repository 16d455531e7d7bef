"""Rights with dates, and the devices that take pushes."""

from datetime import date
from itertools import product

import pytest

from rules.audience import Right
from tests.builders import TODAY, TOMORROW, YESTERDAY, a_candidate, a_sign_in


@pytest.mark.parametrize(
    ("right", "day", "holds"),
    [
        pytest.param(Right(), TODAY, True, id="open on both sides"),
        pytest.param(Right(starts=TODAY), TODAY, True, id="on its first day"),
        pytest.param(Right(starts=TODAY), YESTERDAY, False, id="before its first day"),
        pytest.param(Right(ends=TODAY), TODAY, True, id="on its last day"),
        pytest.param(Right(ends=TODAY), TOMORROW, False, id="after its last day"),
        pytest.param(Right(starts=TODAY, ends=TODAY), TODAY, True, id="of a single day"),
        pytest.param(Right(starts=TOMORROW, ends=YESTERDAY), TODAY, False, id="that never holds"),
    ],
)
def test_a_right_holds(right: Right, day: date, holds: bool) -> None:
    assert right.holds_on(day) is holds


@pytest.mark.parametrize(("stays", "ended", "device_live"), list(product([True, False], repeat=3)))
def test_a_device_takes_pushes_only_while_a_session_stays_on_it(
    stays: bool, ended: bool, device_live: bool
) -> None:
    sign_in = a_sign_in("1", stays=stays, ended=ended, device_live=device_live)

    takes = a_candidate(sign_ins=(sign_in,)).live_devices == ("1",)

    assert takes is (stays and not ended and device_live)


def test_a_device_with_two_sessions_of_one_person_counts_once() -> None:
    candidate = a_candidate(sign_ins=(a_sign_in("2"), a_sign_in("1"), a_sign_in("2")))

    assert candidate.live_devices == ("2", "1")
