"""The envelope: a text that nobody between us and the phone can read, with all it takes to open.

Version 1 is the base64url of

     1 byte   0x01
     8 bytes  key id: the first of SHA-256 of the phone's key
    12 bytes  nonce, random
     the rest AES-256-GCM ciphertext and tag (16 bytes)

over the JSON object {"title", "body", "kind", "push_id"} in UTF-8, with spaces behind it up to a
multiple of 64 bytes, so that its length tells little. The associated data are the first nine bytes
and the push id in ASCII: an envelope belongs to one push to one phone. `tests/vectors` holds
examples and a decryptor.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.wire.fitting import fit

KEY_SIZE: Final = 32  # bytes
MOST: Final = 1_920  # bytes of JSON: both gateways take 4,096 bytes for the whole push
_VERSION: Final = b"\x01"
_NONCE: Final = 12
_BLOCK: Final = 64


def seal(
    key: bytes, push_id: str, title: str, body: str, kind: str, nonce: bytes | None = None
) -> str:
    """Put a text into an envelope for the phone with *key*; what is too long is cut, body first.

    A *nonce* is given to make an example; else a new one is drawn.
    """
    head = _VERSION + sha256(key).digest()[:8]
    nonce = nonce or os.urandom(_NONCE)
    words = _fitting(title, body, kind, push_id)
    plain = words + b" " * (-len(words) % _BLOCK)
    sealed = AESGCM(key).encrypt(nonce, plain, head + push_id.encode("ascii"))
    return urlsafe_b64encode(head + nonce + sealed).decode("ascii")


def _fitting(title: str, body: str, kind: str, push_id: str) -> bytes:
    room = MOST - len(_text("", "", kind, push_id))
    return _text(*fit(title, body, room), kind, push_id)


def _text(title: str, body: str, kind: str, push_id: str) -> bytes:
    return msgspec.json.encode({"title": title, "body": body, "kind": kind, "push_id": push_id})
