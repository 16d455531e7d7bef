"""The state of a gateway, as far as its recent answers tell it to who did not send the pushes."""

from __future__ import annotations

from enum import StrEnum

from rules.outcomes import Trouble


class GatewayState(StrEnum):
    """What becomes of a push that is handed to it now."""

    OPEN = "open"
    PAUSING = "pausing"
    STOPPED = "stopped"


PAUSES = frozenset(
    {
        Trouble.QUOTA, Trouble.FCM, Trouble.APNS, Trouble.PUSH_SERVICE, Trouble.WAY,
        Trouble.RENEWAL,
    }
)  # fmt: skip
"""Why pushes wait although nothing is wrong with them, with our settings or with one phone."""


def state_of(*, is_complained_of: bool, accepted: int, put_off: int) -> GatewayState:
    """Judge by whether an alarm says that it cannot be used, and by the answers of a minute or two.

    *put_off* counts the pushes that wait for one of PAUSES.
    """
    if is_complained_of:
        return GatewayState.STOPPED
    return GatewayState.PAUSING if put_off > accepted else GatewayState.OPEN
