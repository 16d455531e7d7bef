"""Why something cannot be done with a broadcast now."""

from __future__ import annotations

from engine.errors import SchoolbellError
from rules.broadcasts import BroadcastId, BroadcastState


class NotThere(SchoolbellError):
    """There is no such broadcast, or not any more."""


class ChangedMeanwhile(SchoolbellError):
    """Somebody else changed it since it was read."""


class NotNow(SchoolbellError):
    """It cannot be done in the state that the broadcast is in."""


def not_there(name: BroadcastId) -> NotThere:
    """A broadcast that nobody knows."""
    return NotThere(
        "There is no broadcast %(name)s.",
        "It may have been removed: look at the list of broadcasts.",
        name=name,
    )


def changed_meanwhile() -> ChangedMeanwhile:
    """A broadcast that is not any more what was read of it."""
    return ChangedMeanwhile(
        "Somebody has changed this message since you opened it.",
        "Open it again, look at what it says now, and repeat what you wanted to do.",
    )


def not_now(what: str, state: BroadcastState) -> NotNow:
    """What cannot be done with a broadcast in this state."""
    return NotNow(
        f"A message that is {_SAID[state]} cannot be {what}.",
        "Open it again: somebody may have sent or cancelled it meanwhile.",
    )


_SAID = {
    BroadcastState.DRAFT: "a draft",
    BroadcastState.WAITING: "waiting for approval",
    BroadcastState.SCHEDULED: "scheduled",
    BroadcastState.SENDING: "being sent",
    BroadcastState.SENT: "sent",
    BroadcastState.CANCELLED: "cancelled",
}
