"""Outcomes: what a gateway said of a push, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

FIRST_DELAY: Final = timedelta(seconds=10)  # FCM: never sooner than 10 s
LONGEST_DELAY: Final = timedelta(minutes=15)


class Verdict(StrEnum):
    """What the gateway said. Accepted is not yet read: no gateway tells that."""

    ACCEPTED = "accepted"
    UNREGISTERED = "unregistered"
    DEFERRED = "deferred"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Fate:
    """What follows from an outcome: nothing, a device to retire, or a retry at a moment."""

    retire_device: bool = False
    retry_at: datetime | None = None
    expired: bool = False


def fate(
    verdict: Verdict,
    attempt: int,
    now: datetime,
    expires_at: datetime,
    retry_after: timedelta | None,
    jitter: float,
) -> Fate:
    """Decide what follows the *attempt*-th try of a push (the first is 1).

    *jitter* is between 0 and 1 and spreads retries over half their delay. A retry that would
    come after *expires_at* is not made.
    """
    match verdict:
        case Verdict.ACCEPTED | Verdict.REFUSED:
            return Fate()
        case Verdict.UNREGISTERED:
            return Fate(retire_device=True)
        case Verdict.DEFERRED:
            delay, left = _delay(attempt, retry_after), expires_at - now
            if delay < left:  # a gateway may wish for longer than any calendar
                delay *= 1 + jitter / 2
            return Fate(expired=True) if delay >= left else Fate(retry_at=now + delay)


def _delay(attempt: int, retry_after: timedelta | None) -> timedelta:
    doubled: timedelta = min(FIRST_DELAY * 2 ** min(attempt - 1, 20), LONGEST_DELAY)
    return max(doubled, retry_after) if retry_after else doubled
