"""What a browser does with a push message: opens it (RFC 8291, 8188) and finds what to show.

Written from the RFCs with the primitives alone, so that it agrees with a sender only where both
are right.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DECLARATIVE: Final = 8030
_SALT: Final = slice(0, 16)
_SIZE: Final = slice(16, 20)
_KEY_LENGTH: Final = 20
_HEAD: Final = 21
_POINT: Final = 65
_TAG: Final = 16
_SMALLEST_RECORD: Final = 18


class Unreadable(Exception):
    """The browser cannot open a message; its words say why, and nothing of its content."""


class Shown(NamedTuple):
    """What a message shows. *tag* is what it replaces on the screen, *opens* the page behind it.

    *data* is all the rest. Without a title a browser shows nothing of ours.
    """

    title: str
    body: str
    tag: str | None
    opens: str | None
    data: dict[str, Any]


class Browser(NamedTuple):
    """The browser's side of a subscription: its private key and the secret of both sides."""

    key: ec.EllipticCurvePrivateKey
    auth: bytes

    def __repr__(self) -> str:
        return "Browser"

    @property
    def public_key(self) -> bytes:
        """The point that a sender encrypts to."""
        return _point(self.key.public_key())

    def open(self, body: bytes) -> bytes:
        """What stands in a message with the content coding aes128gcm. Raises Unreadable."""
        if len(body) < _HEAD + _POINT or body[_KEY_LENGTH] != _POINT:
            raise Unreadable("its head holds no public key of the sender")
        salt, size = body[_SALT], int.from_bytes(body[_SIZE])
        sender, sealed = body[_HEAD : _HEAD + _POINT], body[_HEAD + _POINT :]
        if size < _SMALLEST_RECORD:
            raise Unreadable("its record size is too small")
        if len(sealed) > size:
            raise Unreadable("it has more than one record")  # RFC 8291, section 4
        return _unpadded(self._decrypted(salt, sender, sealed))

    def _decrypted(self, salt: bytes, sender: bytes, sealed: bytes) -> bytes:
        try:
            theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
            shared = self.key.exchange(ec.ECDH(), theirs)
        except ValueError:
            raise Unreadable("the sender's public key is no point of the curve") from None
        info = b"WebPush: info\0" + self.public_key + sender
        secret = _expand(_extract(self.auth, shared), info, 32)
        extracted = _extract(salt, secret)
        key = _expand(extracted, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _expand(extracted, b"Content-Encoding: nonce\0", 12)
        try:
            return AESGCM(key).decrypt(nonce, sealed, None)
        except (InvalidTag, ValueError):
            raise Unreadable("it was encrypted for another browser, or was changed") from None


def shown(plain: bytes) -> Shown:
    """What is shown of an opened message: the notification of a declarative one, or its text."""
    try:
        content = msgspec.json.decode(plain)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Shown("", plain.decode("utf-8", "replace"), None, None, {})
    found = content.get("notification") if isinstance(content, dict) else None
    if not isinstance(found, dict) or content.get("web_push") != DECLARATIVE:
        return Shown("", plain.decode("utf-8"), None, None, {})
    data = found.get("data")
    return Shown(
        _text(found, "title") or "", _text(found, "body") or "", _text(found, "tag"),
        _text(found, "navigate"), data if isinstance(data, dict) else {},
    )  # fmt: skip


def _text(found: dict[str, Any], name: str) -> str | None:
    value = found.get(name)
    return value if isinstance(value, str) else None


def _unpadded(plain: bytes) -> bytes:
    """The last record ends with a 2 and any number of zeros."""
    content = plain.rstrip(b"\0")
    if not content.endswith(b"\x02"):
        raise Unreadable("its padding has no end")
    return content[:-1]


def _extract(salt: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, secret, sha256)


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    return b"".join(_blocks(key, info, -(-length // 32)))[:length]


def _blocks(key: bytes, info: bytes, count: int) -> Iterator[bytes]:
    block = b""
    for number in range(1, count + 1):
        block = hmac.digest(key, block + info + bytes([number]), sha256)
        yield block


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
