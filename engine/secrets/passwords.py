"""Passwords of staff: Argon2id, with the parameters of RFC 9106's second choice, and a length rule.

NIST SP 800-63B-4 asks for 15 characters where a password is all there is, and for no other rule of
composition.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

SHORTEST: Final = 15  # characters
LONGEST: Final = 200
_FEWEST_DIFFERENT: Final = 5

# Each takes 64 MiB while it lasts: who types passwords must not fill the memory.
_AT_ONCE: Final = threading.BoundedSemaphore(4)
_hasher: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


class Weakness(NamedTuple):
    """What to do about a password, as a sentence with values for `%(name)s` in it."""

    words: str
    values: Mapping[str, object] = {}


def weakness(password: str, username: str) -> Weakness | None:
    """What is wrong with a new password; None where it is good."""
    if len(password) < SHORTEST:
        return Weakness(
            "Use at least %(fewest)s characters: a short sentence is easy to remember.",
            {"fewest": SHORTEST},
        )
    if len(password) > LONGEST:
        return Weakness("Use at most %(most)s characters.", {"most": LONGEST})
    if len(set(password.casefold())) < _FEWEST_DIFFERENT:
        return Weakness(
            "Use at least %(fewest)s different characters.", {"fewest": _FEWEST_DIFFERENT}
        )
    if username and len(password.casefold().replace(username.casefold(), "")) < SHORTEST // 2:
        return Weakness("Use something else than your username.")
    return None


def hashed(password: str) -> str:
    """The hash to keep: it holds its parameters and a salt of its own."""
    with _AT_ONCE:
        return _hasher.hash(password)


def matches(password: str, kept: str | None) -> bool:
    """Whether *password* is the one whose hash was *kept*.

    Without one it takes as long as with one, so that time tells nobody which accounts there are.
    """
    try:
        with _AT_ONCE:
            return _hasher.verify(kept or _NOBODYS, password) and kept is not None
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than are used now."""
    return _hasher.check_needs_rehash(kept)


_NOBODYS: Final = _hasher.hash("this is nobody's password")
