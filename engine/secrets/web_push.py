"""Web Push: what a browser gave of itself, and a message that it alone can read (RFC 8291).

A subscription is kept as one line, `ENDPOINT P256DH AUTH`, the keys as the browser spells them. A
message is the JSON of a declarative push, which Safari shows by itself; elsewhere a service worker
shows the same. It is encrypted here, in the district: neither a hub nor a push service reads it.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

import http_ece
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)

from engine.wire import endpoints
from engine.wire.fitting import fit

DECLARATIVE: Final = 8030  # by which a browser knows a message that it may show by itself
LARGEST: Final = 4_096  # bytes of a message as it is sent: what every push service takes
_BLOCK: Final = 64
_HEAD: Final = 16 + 4 + 1 + 65  # salt, record size, length of the key, our key
_TAG: Final = 16
_DELIMITER: Final = 1
MOST: Final = (LARGEST - _HEAD - _TAG - _DELIMITER) // _BLOCK * _BLOCK
"""Bytes of JSON, of which the last may be spaces."""
_SALT: Final = 16
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


class Words(NamedTuple):
    """What a browser shows: *tag* is what it replaces, *opens* the page behind it.

    *kind* is empty where the screen may not tell it.
    """

    title: str
    body: str
    language: str
    tag: str
    opens: str
    kind: str
    push_id: str


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


def seal(to: Subscription, words: Words) -> str:
    """The message for the browser of a subscription, as base64url of what is posted.

    A text that is too long is cut, body first.
    """
    plain = _json(words)
    if len(plain) > MOST:
        title, body = fit(words.title, words.body, room(words))
        plain = _json(words._replace(title=title, body=body))
    plain += b" " * (-len(plain) % _BLOCK)  # so that its length tells little
    return urlsafe_b64encode(encrypted(to, plain)).decode("ascii")


def room(longest: Words) -> int:
    """How many bytes of JSON the text of a message with ids like these may take."""
    return MOST - len(_json(longest._replace(title="", body="")))


def encrypted(
    to: Subscription,
    plain: bytes,
    *,
    salt: bytes | None = None,
    key: EllipticCurvePrivateKey | None = None,
) -> bytes:
    """*plain* as the body of a push message with the content coding aes128gcm.

    A *salt* and a *key* are given to make an example; else new ones are drawn.
    """
    body: bytes = http_ece.encrypt(
        plain,
        salt=salt or os.urandom(_SALT),
        private_key=key or generate_private_key(SECP256R1()),
        dh=to.p256dh,
        auth_secret=to.auth,
        version="aes128gcm",
    )
    return body


def _json(words: Words) -> bytes:
    data = {"push_id": words.push_id, "kind": words.kind}
    notification = {
        "title": words.title, "body": words.body, "lang": words.language, "dir": "auto",
        "tag": words.tag, "navigate": words.opens,
        "data": {name: value for name, value in data.items() if value},
    }  # fmt: skip
    return msgspec.json.encode({"web_push": DECLARATIVE, "notification": notification})


def _point(p256dh: bytes) -> None:
    """Raise ValueError for what is no point of the curve: it would tell our side of the secret."""
    if len(p256dh) != _POINT:
        raise ValueError(f"p256dh is {_POINT} bytes in base64url")
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
