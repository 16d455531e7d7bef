"""APNs provider tokens: the JWT that proves who we are, and when it is renewed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from engine.config import ApnsSettings
from engine.ports import Clock

# Apple takes a token for 60 minutes, and a new one not sooner than 20 minutes after the last
# (facts: push 3.2). All processes that hold a key take the begin of the same half hour, also after
# a restart, so that together they renew once in a half hour.
TOKEN_WINDOW: Final = timedelta(minutes=30)
# Who began late in a half hour may be the first that showed its token.
LEAST_USE: Final = timedelta(minutes=20, seconds=30)
LONGEST_LIFE: Final = timedelta(minutes=55)
RENEWED_TOO_OFTEN: Final = "TooManyProviderTokenUpdates"


class ProviderToken:
    """The token to show now."""

    def __init__(self, key: EllipticCurvePrivateKey, settings: ApnsSettings, clock: Clock) -> None:
        self._key = key
        self._settings = settings
        self._clock = clock
        self._value = ""
        self._issued_at = self._keep_until = clock()
        self._others: list[datetime] = []

    def value(self) -> str:
        """The token of this half hour, or of an earlier one that was not shown long enough."""
        now = self._clock()
        if not self._issued_at <= now < self._keep_until:
            begin = _begin_of_window(now)
            self._others = [begin, begin - TOKEN_WINDOW]
            self._show(begin, now)
        return self._value

    def taken(self, value: str) -> None:
        """Apple takes *value*: no other one is better."""
        if value == self._value:
            self._others.clear()

    def refused(self, value: str) -> None:
        """Apple says that *value* came too soon after another: show the one before it.

        A process that was started again does not know since when the other was shown. Where Apple
        does not take that one either, the first is right in the end.
        """
        if value == self._value and self._others:
            self._show(self._others.pop(), self._clock())

    def _show(self, issued_at: datetime, now: datetime) -> None:
        self._issued_at = issued_at
        wanted = max(issued_at + TOKEN_WINDOW, now + LEAST_USE)
        self._keep_until = min(wanted, issued_at + LONGEST_LIFE)
        self._value = jwt.encode(
            {"iss": self._settings.team_id, "iat": int(issued_at.timestamp())},
            self._key,
            algorithm="ES256",
            headers={"kid": self._settings.key_id},
        )


def _begin_of_window(now: datetime) -> datetime:
    seconds = int(TOKEN_WINDOW.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, now.tzinfo)
