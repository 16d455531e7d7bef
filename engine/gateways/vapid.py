"""What is shown to a push service: a token that we signed for it alone, and our public key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from engine.ports import Clock
from engine.secrets.vapid import public_key

# RFC 8292: at most 24 hours. A clock that is off by hours is known by other signs.
LIFE: Final = timedelta(hours=12)
RENEWED_AFTER: Final = timedelta(hours=6)


class Vapid:
    """The authorization for each push service: its origin is the audience of the token."""

    def __init__(self, key: EllipticCurvePrivateKey, contact: str, clock: Clock) -> None:
        self._key = key
        self._public = public_key(key)
        self._contact = contact
        self._clock = clock
        self._shown: dict[str, tuple[datetime, str]] = {}

    def authorization(self, origin: str) -> str:
        """The header line for *origin*; the same text again while it is fresh."""
        now = self._clock()
        found = self._shown.get(origin)
        if found is None or not found[0] <= now < found[0] + RENEWED_AFTER:
            found = self._shown[origin] = now, self._signed(origin, now)
        return found[1]

    def forget(self, origin: str) -> None:
        """It is not sent to any more."""
        self._shown.pop(origin, None)

    def _signed(self, origin: str, now: datetime) -> str:
        claims = {"aud": origin, "exp": int((now + LIFE).timestamp()), "sub": self._contact}
        token = jwt.encode(claims, self._key, algorithm="ES256")
        return f"authorization: vapid t={token}, k={self._public}"
