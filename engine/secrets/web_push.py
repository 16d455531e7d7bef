"""Web Push: a message that one browser alone can read (RFC 8291).

It is the JSON of a declarative push, which Safari shows by itself; elsewhere a service worker shows
the same. It is encrypted here, in the district: neither a hub nor a push service reads it.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from typing import Final, NamedTuple

import http_ece
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)

from engine.secrets.push_subscriptions import Subscription
from engine.wire.fitting import fit

DECLARATIVE: Final = 8030  # by which a browser knows a message that it may show by itself
LARGEST: Final = 4_096  # bytes of a message as it is sent: what every push service takes
_BLOCK: Final = 64
_HEAD: Final = 16 + 4 + 1 + 65  # salt, record size, length of the key, our key
_TAG: Final = 16
_DELIMITER: Final = 1
_SALT: Final = 16
MOST: Final = (LARGEST - _HEAD - _TAG - _DELIMITER) // _BLOCK * _BLOCK
"""Bytes of JSON, of which the last may be spaces."""


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
