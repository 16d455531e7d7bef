"""Rates: how fast FCM may be sent to, the whole project and each phone.

Nothing here reads a clock: every call says what second it is.
"""

from __future__ import annotations

from array import array
from typing import Final

FLOOR: Final = 0.05
"""The share of the full rate from which a ramp begins: what comes after rest is sent at once."""
SHORT_FOR: Final = 1.0
"""Seconds of less than was wanted: a rate that has grown as far as is needed is short now and
then, and never for long."""
_COUNTERS: Final = 1 << 16


class ProjectRate:
    """A bucket that holds one second's worth, and whose rate grows while it is in demand.

    Google asks to go from rest to the full rate over a minute or more, not to empty the quota at
    the beginning of a minute, and after a 429 to wait (facts: push 2.4). *full* is in pushes a
    second, *ramp* in seconds. What is not needed for a while is to be ramped up anew.
    """

    def __init__(self, full: float, ramp: float, now: float) -> None:
        self._full = full
        self._ramp = ramp
        self._warmth = 0.0  # seconds of the ramp that are behind us
        self._level = max(1.0, self.rate)
        self._at = now
        self._short_since: float | None = None
        self._paused_until = 0.0

    @property
    def rate(self) -> float:
        """Pushes a second, now."""
        return self._full * (FLOOR + (1 - FLOOR) * min(1.0, self._warmth / self._ramp))

    def take(self, wanted: int, now: float) -> int:
        """Of *wanted* pushes, how many may go now."""
        if self.pause(now) > 0:
            return 0
        passed, self._at = max(0.0, now - self._at), now
        self._warmth += -passed if self._short_since is None else passed
        self._warmth = min(max(self._warmth, 0.0), self._ramp)
        most = max(1.0, self.rate)
        self._level = min(self._level + passed * self.rate, most)
        given = min(wanted, int(self._level))
        self._level -= given
        if given == wanted:
            self._short_since = None
        elif self._short_since is None:
            self._short_since = now
        return given

    def is_holding_back(self, now: float) -> bool:
        """Whether nothing may be sent, or less was given each time than was wanted for a while."""
        is_short = self._short_since is not None and now - self._short_since > SHORT_FOR
        return is_short or self.pause(now) > 0

    def pause_for(self, seconds: float, now: float) -> None:
        """Send nothing for so many *seconds*, and begin the ramp anew afterwards."""
        self._paused_until = max(self._paused_until, now + seconds)
        self._warmth, self._level, self._short_since = 0.0, 0.0, None
        self._at = self._paused_until

    def pause(self, now: float) -> float:
        """How many seconds nothing may be sent any more."""
        return max(0.0, self._paused_until - now)


class DeviceRate:
    """At most *most* pushes to one phone in each window of *seconds*, in little memory.

    Phones share counters, and are counted one by one only where a counter is half full: a phone
    that has a busy neighbour there is still let through *most* / 2 times.
    """

    def __init__(self, most: int, seconds: float, now: float) -> None:
        self._half = most // 2
        self._rest = most - most // 2
        self._seconds = seconds
        self._ends = now + seconds
        self._shared = array("H", bytes(2 * _COUNTERS))
        self._own: dict[str, int] = {}

    def take(self, token: str, now: float) -> bool:
        """Count one more push to *token*; whether there is room for it in this window."""
        if now >= self._ends:
            self._begin(now)
        counter = hash(token) % _COUNTERS
        if self._shared[counter] < self._half:
            self._shared[counter] += 1
            return True
        count = self._own.get(token, 0)
        if count >= self._rest:
            return False
        self._own[token] = count + 1
        return True

    def _begin(self, now: float) -> None:
        self._ends = now + self._seconds
        self._shared = array("H", bytes(2 * _COUNTERS))
        self._own = {}
