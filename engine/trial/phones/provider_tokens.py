"""APNs provider tokens: ES256 JWTs, each good for an hour, renewed not oftener than Apple allows.

From Apple's "Establishing a token-based connection to APNs": issuer, key id, `iat` at most an hour
old, a new token not sooner than every 20 minutes for one key.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from engine.trial.phones.exchange import Clock
from engine.trial.phones.oauth import NO_TIME_CHECKS

LIFETIME_SECONDS: Final = 3_600
CLOCK_SKEW_SECONDS: Final = 300
RENEWAL_INTERVAL: Final = timedelta(minutes=20)
READ_TOKENS_KEPT: Final = 256


class ProviderTokens:
    """Knows the tokens of one key of one team.

    Tokens with the same `iat` count as one: servers that share a key may each sign it (ES256
    signatures differ), and Apple counts updates, which senders with an `iat` of their own cause.
    """

    def __init__(
        self,
        key: EllipticCurvePublicKey,
        key_id: str,
        team_id: str,
        now: Clock,
        renewal_interval: timedelta = RENEWAL_INTERVAL,
    ) -> None:
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._now = now
        self._renewal_seconds = renewal_interval.total_seconds()
        self._read: dict[str, float | None] = {}
        self._admitted: set[float] = set()
        self._renewed_at = 0.0

    def refusal(self, authorization: str) -> str | None:
        """Apple's reason not to take this `authorization` header, None when it is good."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "MissingProviderToken"
        issued_at = self._issued_at(token)
        if issued_at is None:
            return "InvalidProviderToken"
        now = self._now().timestamp()
        if not -CLOCK_SKEW_SECONDS <= now - issued_at <= LIFETIME_SECONDS:
            return "ExpiredProviderToken"
        return None if self._admits(issued_at, now) else "TooManyProviderTokenUpdates"

    def _admits(self, issued_at: float, now: float) -> bool:
        if issued_at in self._admitted:
            return True
        if self._admitted and now - self._renewed_at < self._renewal_seconds:
            return False
        self._admitted = {iat for iat in self._admitted if now - iat <= LIFETIME_SECONDS}
        self._admitted.add(issued_at)
        self._renewed_at = now
        return True

    def _issued_at(self, token: str) -> float | None:
        """When a token signed by our key was issued, None for any other token.

        Remembered, because a sender shows the same token with every push and verifying a
        signature costs as much as all the rest of a request.
        """
        if token not in self._read:
            if len(self._read) >= READ_TOKENS_KEPT:
                self._read.clear()
            self._read[token] = self._verified(token)
        return self._read[token]

    def _verified(self, token: str) -> float | None:
        try:
            verified = jwt.decode_complete(
                token, self._key, algorithms=["ES256"], options=NO_TIME_CHECKS
            )
        except jwt.InvalidTokenError:
            return None
        header, claims = verified["header"], verified["payload"]
        ours = header.get("kid") == self._key_id and claims.get("iss") == self._team_id
        issued_at = claims.get("iat")
        return float(issued_at) if ours and isinstance(issued_at, int | float) else None
