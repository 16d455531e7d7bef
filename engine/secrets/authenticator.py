"""Authenticator apps: time-based one-time passwords (RFC 6238), and codes for who lost the app."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import pyotp

STEP: Final = 30  # seconds
_TOLERATED: Final = 1  # steps before and after: clocks differ, and people type slowly
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # none that looks like another
_RECOVERY_CODES: Final = 10
_LENGTH: Final = 12  # characters, about 59 bits


def new_secret() -> str:
    """A secret for an app, in base 32."""
    return pyotp.random_base32()


def address(secret: str, username: str, issuer: str) -> str:
    """The otpauth:// address that an app reads from a QR code."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=username, issuer_name=issuer)


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step that *code* belongs to; None where it is none of these moments."""
    typed = "".join(code.split())
    totp, current = pyotp.TOTP(secret, interval=STEP), int(now.timestamp()) // STEP
    for step in range(current - _TOLERATED, current + _TOLERATED + 1):
        if secrets.compare_digest(totp.generate_otp(step).encode(), typed.encode()):
            return step
    return None


def new_recovery_codes() -> Sequence[str]:
    """Codes to print and keep, like `abcd-efgh-jkmn`."""
    return [new_code() for _ in range(_RECOVERY_CODES)]


def code_hash(code: str) -> bytes:
    """What such a code is kept as, however it is typed. They are random: no salt is needed."""
    plain = "".join(one for one in code.casefold() if one in _ALPHABET)
    return hashlib.sha256(plain.encode()).digest()


def new_code() -> str:
    """A code that is good once, like `abcd-efgh-jkmn`."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(letters[at : at + 4] for at in range(0, _LENGTH, 4))
