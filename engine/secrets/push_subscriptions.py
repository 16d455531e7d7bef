"""Push subscriptions: what a browser gave of itself, as the W3C's Push API calls it.

One is kept as a line, `ENDPOINT P256DH AUTH`, the keys as the browser spells them.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

import msgspec

from engine.wire import endpoints

_AUTH: Final = 16
_POINT: Final = 65
_BASE64URL: Final = re.compile("(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2,3})?")


class Subscription(NamedTuple):
    """A browser's subscription: where to post to, its public key, and a secret of both sides."""

    endpoint: str
    p256dh: bytes
    auth: bytes

    def __repr__(self) -> str:
        return "Subscription"

    @property
    def line(self) -> str:
        """How it is kept."""
        return f"{self.endpoint} {_spelled(self.p256dh)} {_spelled(self.auth)}"


class _Keys(msgspec.Struct, frozen=True):
    p256dh: str
    auth: str


class _Given(msgspec.Struct, frozen=True):
    """What `PushSubscription.toJSON()` gives in a browser."""

    endpoint: str
    keys: _Keys


_given: Final = msgspec.json.Decoder(_Given)


def from_browser(text: str | bytes) -> str:
    """The line of a subscription as a browser gives it, in JSON. Raises ValueError."""
    try:
        given = _given.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError(
            "a subscription is JSON with endpoint, keys.p256dh and keys.auth"
        ) from None
    return read(f"{given.endpoint} {given.keys.p256dh} {given.keys.auth}").line


def read(line: str) -> Subscription:
    """A subscription as it is kept. Raises ValueError for what can be none; nothing is quoted."""
    parts = line.split(" ")
    if len(parts) != 3:
        raise ValueError("a subscription is an endpoint and two keys")
    endpoint, p256dh, auth = parts[0], _bytes(parts[1]), _bytes(parts[2])
    if endpoints.read(endpoint) is None:
        raise ValueError("an endpoint is an https:// address without a password or fragment")
    _point(p256dh)
    if len(auth) != _AUTH:
        raise ValueError(f"auth is {_AUTH} bytes in base64url")
    return Subscription(endpoint, p256dh, auth)


def endpoint_of(line: str) -> str:
    """Only the address of a subscription as it is kept."""
    return line.partition(" ")[0]


def _point(p256dh: bytes) -> None:
    """Raise ValueError for what is no point of the curve: it would tell our side of the secret."""
    if len(p256dh) != _POINT:
        raise ValueError(f"p256dh is {_POINT} bytes in base64url")
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), p256dh)
    except ValueError:
        raise ValueError("p256dh is no point of the curve P-256") from None


def _bytes(spelled: str) -> bytes:
    """Browsers spell it base64url without padding; some libraries add it."""
    bare = spelled.rstrip("=")
    if not _BASE64URL.fullmatch(bare):
        raise ValueError("a key of a subscription is not in base64url")
    return urlsafe_b64decode(bare + "==")


def _spelled(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
