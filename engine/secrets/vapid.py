"""VAPID: the key by which a push service knows who sends (RFC 8292).

A browser subscribes for one public key, and takes pushes that are signed with its private half
alone. So it is made once, and never replaced while browsers are subscribed for it.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from engine.errors import ConfigError
from engine.files import read
from engine.secrets.private_files import write_private

_REMEDY: Final = "`schoolbell keys web-push` makes it."
_PUBLIC: Final = re.compile("[A-Za-z0-9_-]{87}")


def private_key(file: Path) -> EllipticCurvePrivateKey:
    """The key in *file*; raises ConfigError naming the file."""
    content = read(file, "key of Web Push", _REMEDY)
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"The key of Web Push {file} cannot be used: {type(error).__name__}.",
            "Put its copy back, or name the file that `schoolbell keys web-push` made.",
        ) from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigError(
            f"The key of Web Push {file} is not of the curve P-256.",
            "Name the file that `schoolbell keys web-push` made.",
        )
    return key


def make(file: Path) -> bool:
    """Make a key in *file*, unless one is there; return whether it was made."""
    if os.path.lexists(file):
        private_key(file)
        return False
    key = generate_private_key(SECP256R1())
    write_private(file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return True


def public_key(key: EllipticCurvePrivateKey) -> str:
    """The public half, as a browser wants it: base64url of the point, 87 characters."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).rstrip(b"=").decode("ascii")


def require_public_key(spelled: str) -> str:
    """A public key as somebody wrote it down; raises ConfigError for what is none."""
    if not is_public_key(spelled):
        raise ConfigError(
            "[web_push] public_key is no public key of Web Push.",
            "Write it as the hub's operator gave it to you: 87 letters, digits, - and _.",
        )
    return spelled


def is_public_key(spelled: str) -> bool:
    """Whether *spelled* is a public key as `public_key` spells it."""
    if not _PUBLIC.fullmatch(spelled):
        return False
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), urlsafe_b64decode(spelled + "="))
    except ValueError:
        return False
    return True
