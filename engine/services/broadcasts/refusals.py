"""Why something cannot be done with a broadcast now."""

from __future__ import annotations

from engine.errors import SchoolbellError


class NotThere(SchoolbellError):
    """There is no such broadcast, or not any more."""


class ChangedMeanwhile(SchoolbellError):
    """Somebody else changed it since it was read."""


class NotNow(SchoolbellError):
    """It cannot be done in the state that the broadcast is in."""


def not_there() -> NotThere:
    """A broadcast that nobody knows."""
    return NotThere(
        "There is no such message.", "It may have been removed: look at the list of messages."
    )


def changed_meanwhile() -> ChangedMeanwhile:
    """A broadcast that is not any more what was read of it."""
    return ChangedMeanwhile(
        "Somebody has changed this message since you opened it.",
        "Open it again, look at what it says now, and repeat what you wanted to do.",
    )


def not_now() -> NotNow:
    """What cannot be done with a broadcast in the state that it is in."""
    return NotNow(
        "This cannot be done with the message as it is now.",
        "Open it again: somebody may have sent, approved or cancelled it meanwhile.",
    )
