"""The state of a gateway, as its recent answers tell it."""

import pytest

from rules.gateway_state import PAUSES, GatewayState, state_of
from rules.outcomes import Said, Trouble, Verdict, trouble


@pytest.mark.parametrize(
    ("is_complained_of", "accepted", "put_off", "state"),
    [
        (False, 0, 0, GatewayState.OPEN),
        (False, 9, 9, GatewayState.OPEN),
        (False, 9, 10, GatewayState.PAUSING),
        (False, 0, 1, GatewayState.PAUSING),
        (True, 9, 0, GatewayState.STOPPED),
        (True, 0, 9, GatewayState.STOPPED),
    ],
)
def test_the_state_follows_from_alarms_and_answers(
    is_complained_of: bool, accepted: int, put_off: int, state: GatewayState
) -> None:
    found = state_of(is_complained_of=is_complained_of, accepted=accepted, put_off=put_off)
    assert found is state


@pytest.mark.parametrize(
    ("reason", "pauses"),
    [
        ("QUOTA_EXCEEDED", True),
        ("UNAVAILABLE", True),
        ("HTTP_503", True),
        ("TIMED_OUT", True),
        ("DEVICE_QUOTA_EXCEEDED", False),  # one phone
        ("GATEWAY_BUSY", False),  # ourselves
        ("REDELIVERED", False),
    ],
)
def test_only_what_holds_up_every_push_is_a_pause(reason: str, pauses: bool) -> None:
    assert (trouble(Said(Verdict.DEFERRED, reason, "fcm")) in PAUSES) is pauses


def test_our_own_fault_is_no_pause() -> None:
    assert Trouble.OURS not in PAUSES
