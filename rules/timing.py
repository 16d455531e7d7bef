"""Timing: how long a push is worth sending."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from rules.change import Kind

# News of an absence or a moved session helps the same day; a grade still does tomorrow.
WORTH_SENDING_FOR: Final[Mapping[Kind, timedelta]] = {
    Kind.ASSIGNMENT: timedelta(hours=24),
    Kind.GRADE: timedelta(hours=24),
    Kind.ATTENDANCE: timedelta(hours=6),
    Kind.MEAL_BALANCE: timedelta(hours=24),
    Kind.RESPONSIVE_SCHEDULE: timedelta(hours=12),
    Kind.BROADCAST: timedelta(hours=24),
}


class Urgency(StrEnum):
    """How a push service weighs a phone's battery against a message (RFC 8030, section 5.3)."""

    LOW = "low"  # a phone that is plugged in or on Wi-Fi
    NORMAL = "normal"  # any phone that is not short of power
    HIGH = "high"  # also one that is


URGENCY: Final[Mapping[Kind, Urgency]] = {
    Kind.ASSIGNMENT: Urgency.NORMAL,
    Kind.GRADE: Urgency.NORMAL,
    Kind.ATTENDANCE: Urgency.HIGH,
    Kind.MEAL_BALANCE: Urgency.NORMAL,
    Kind.RESPONSIVE_SCHEDULE: Urgency.HIGH,
    Kind.BROADCAST: Urgency.NORMAL,
}

HIDDEN_URGENCY: Final = max(URGENCY.values(), key=tuple(Urgency).index)
"""Of what may not show its kind on the way: an absence may be among it."""

OFFERED_FOR: Final = min(WORTH_SENDING_FOR.values())
"""How long a gateway is offered a push whose kind may not be known on the way."""


def is_late(kind: Kind, committed_at: datetime, now: datetime) -> bool:
    """Whether what was committed then is not worth a push any more."""
    return committed_at + WORTH_SENDING_FOR[kind] <= now


def offered_until(begun_at: datetime, now: datetime) -> datetime:
    """The deadline on the way of a push whose kind may not be known there.

    Its own would tell the kind. So every such push is offered for the shortest of all lifetimes,
    and one that is still worth sending afterwards for another. That is never longer than its own,
    because each lifetime is a multiple of the shortest.
    """
    return begun_at + ((now - begun_at) // OFFERED_FOR + 1) * OFFERED_FOR
