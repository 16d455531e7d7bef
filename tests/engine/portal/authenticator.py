"""An authenticator that keeps passkeys in memory, and does as a test asks: also what is wrong."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.engine.portal.browser import HOST

_PRESENT: Final = 0x01
_VERIFIED: Final = 0x04
_ATTESTED: Final = 0x40


@dataclass
class Authenticator:
    """One passkey. *count* is what it counted to; with *counts* false it always says 0."""

    host: str = HOST
    origin: str = f"https://{HOST}"
    verifies: bool = True
    counts: bool = True
    count: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def make(self, options: dict[str, Any]) -> str:
        """What a browser hands in when a passkey was made."""
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: _bytes(numbers.x), -3: _bytes(numbers.y)}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(public)
        made = {"fmt": "none", "attStmt": {}, "authData": self._said(_ATTESTED) + attested}
        return self._handed_in(
            {
                "clientDataJSON": self._client("webauthn.create", options["challenge"]),
                "attestationObject": _words(cbor2.dumps(made)),
            }
        )

    def show(self, options: dict[str, Any]) -> str:
        """What a browser hands in when the passkey was shown."""
        said = self._said()
        client = self._client("webauthn.get", options["challenge"])
        signed = said + sha256(plain(client)).digest()
        return self._handed_in(
            {
                "clientDataJSON": client,
                "authenticatorData": _words(said),
                "signature": _words(self.key.sign(signed, ec.ECDSA(SHA256()))),
            }
        )

    def _said(self, flags: int = 0) -> bytes:
        self.count += self.counts
        flags |= _PRESENT | (_VERIFIED if self.verifies else 0)
        return sha256(self.host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, what: str, challenge: str) -> str:
        said = {"type": what, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return _words(json.dumps(said).encode())

    def _handed_in(self, response: dict[str, str]) -> str:
        name = _words(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def plain(words: str) -> bytes:
    return urlsafe_b64decode(words + "=" * (-len(words) % 4))


def _words(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(number: int) -> bytes:
    return number.to_bytes(32, "big")
