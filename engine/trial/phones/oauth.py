"""Google's OAuth2 token endpoint: a signed assertion in, an access token for one hour out.

The assertion is what google-auth sends for a service account (RFC 7523). The error texts are
Google's, as seen in google-api-php-client #1501 and google-cloud-python #10004.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter
from enum import Enum, auto
from typing import Final
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.types import Options

from engine.trial.phones.exchange import Answer, Clock, Reply, Request, json_answer
from engine.trial.phones.faults import Faults
from engine.trial.phones.google import NOT_FOUND

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLE_AUDIENCE: Final = "https://oauth2.googleapis.com/token"
SCOPES: Final = frozenset(
    {
        "https://www.googleapis.com/auth/firebase.messaging",
        "https://www.googleapis.com/auth/cloud-platform",
    }
)
LIFETIME_SECONDS: Final = 3_600
CLOCK_SKEW_SECONDS: Final = 300

SHORT_LIVED: Final = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)

NO_TIME_CHECKS: Final[Options] = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
}
"""Times are compared with our own clock, which a test may set; PyJWT asks the machine's."""


class Standing(Enum):
    """What an access token is worth now."""

    GOOD = auto()
    EXPIRED = auto()
    NOT_OURS = auto()


class AccessTokens:
    """Issues access tokens and knows them again.

    A token carries its own expiry under a MAC, so nothing is stored, and a token outlives a
    restart of the phones as it would outlive one of Google's servers.
    """

    def __init__(self, secret: bytes, now: Clock) -> None:
        self._secret = secret
        self._now = now

    def issue(self) -> str:
        """A new token, good for an hour."""
        expires_at = int(self._now().timestamp()) + LIFETIME_SECONDS
        content = f"{expires_at:x}.{secrets.token_hex(6)}"
        return f"ya29.{content}.{self._mac(content)}"

    def standing(self, token: str) -> Standing:
        """Whether *token* was issued here and still lives."""
        prefix, _, rest = token.partition(".")
        content, _, mac = rest.rpartition(".")
        # Compared as bytes: a header may hold characters that compare_digest refuses as text.
        if prefix != "ya29" or not hmac.compare_digest(mac.encode(), self._mac(content).encode()):
            return Standing.NOT_OURS
        expires_at = int(content.partition(".")[0], 16)
        return Standing.GOOD if self._now().timestamp() < expires_at else Standing.EXPIRED

    def _mac(self, content: str) -> str:
        return hmac.new(self._secret, content.encode(), hashlib.sha256).hexdigest()[:32]


class TokenEndpoint:
    """`POST /token`. *minted* counts the tokens given, *refused* the refusals by code.

    *audiences* are the URLs that an assertion may be for. google-auth always names Google's own,
    other libraries the `token_uri` of the key file.
    """

    def __init__(
        self, tokens: AccessTokens, account: str, key: RSAPublicKey, faults: Faults, now: Clock
    ) -> None:
        self.minted = 0
        self.refused: Counter[str] = Counter()
        self.audiences = {GOOGLE_AUDIENCE}
        self._tokens = tokens
        self._account = account
        self._key = key
        self._faults = faults
        self._now = now

    def answer(self, request: Request) -> Reply:
        """An access token, or why not."""
        if request.method != "POST":
            return NOT_FOUND
        form = parse_qs(request.body.decode("utf-8", "replace"))
        grant_type = form.get("grant_type", [""])[0]
        if grant_type != GRANT_TYPE:
            return self._refuse("unsupported_grant_type", f"Invalid grant_type: {grant_type}")
        refusal = self._refusal(form.get("assertion", [""])[0])
        return refusal or self._faults.disturb("oauth", "", self.refused, self._mint)

    def _mint(self) -> Answer:
        self.minted += 1
        return json_answer(
            200,
            {
                "access_token": self._tokens.issue(),
                "expires_in": LIFETIME_SECONDS,
                "token_type": "Bearer",
            },
        )

    def _refusal(self, assertion: str) -> Answer | None:
        try:
            claims = jwt.decode(assertion, self._key, algorithms=["RS256"], options=NO_TIME_CHECKS)
        except jwt.InvalidTokenError:
            return self._refuse("invalid_grant", "Invalid JWT Signature.")
        if claims.get("iss") != self._account:
            return self._refuse("invalid_grant", "Invalid grant: account not found")
        if claims.get("aud") not in self.audiences:
            return self._refuse("invalid_grant", "Invalid JWT: Failed audience check.")
        if SCOPES.isdisjoint(str(claims.get("scope", "")).split()):
            description = "Invalid OAuth scope or ID token audience provided."
            return self._refuse("invalid_scope", description)
        if not self._is_timely(claims.get("iat"), claims.get("exp")):
            return self._refuse("invalid_grant", SHORT_LIVED)
        return None

    def _is_timely(self, issued: object, expires: object) -> bool:
        if not isinstance(issued, int) or not isinstance(expires, int):
            return False
        now = self._now().timestamp()
        begun = issued <= now + CLOCK_SKEW_SECONDS
        return begun and now < expires and 0 < expires - issued <= LIFETIME_SECONDS

    def _refuse(self, code: str, description: str) -> Answer:
        self.refused[code] += 1
        return json_answer(400, {"error": code, "error_description": description})
