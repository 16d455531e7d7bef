"""How many requests a minute are allowed."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final

from engine.trial.phones.exchange import Clock

MINUTE: Final = timedelta(minutes=1)


class Quota:
    """So many requests *a_minute*, None for any number.

    A minute begins with the first request after the last one ended, so it is "not aligned to the
    clock", as Google says of its own.
    """

    def __init__(self, a_minute: int | None, now: Clock) -> None:
        self._a_minute = a_minute
        self._now = now
        self._left = 0
        self._ends_at: datetime | None = None

    def wait(self) -> int | None:
        """Count one request; when it is one too many, how many seconds are left to wait."""
        if self._a_minute is None:
            return None
        now = self._now()
        if self._ends_at is None or now >= self._ends_at:
            self._ends_at = now + MINUTE
            self._left = self._a_minute
        if self._left == 0:
            return math.ceil((self._ends_at - now).total_seconds())
        self._left -= 1
        return None
