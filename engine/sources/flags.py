"""Flags as SIS keep them: booleans, numbers, bits or words.

What is not understood gives nothing: it is no for what allows, and yes for what forbids. NULL and
blanks are no in both.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

_WORDS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", ""), False),
}


def understood(flag: Any) -> bool | None:
    """What a flag says; None where nobody can tell."""
    if flag is None or flag is True or flag is False:  # nearly always
        return bool(flag)
    if isinstance(flag, str):
        return _WORDS.get(flag.strip().lower())
    if isinstance(flag, bytes | bytearray | memoryview):
        return _of_bytes(bytes(flag))
    if isinstance(flag, int | float | Decimal):
        return bool(flag) if flag in (0, 1) else None
    return None


def allows(flag: Any) -> bool:
    """Whether a flag that gives something, like a right or a release, is surely set."""
    return understood(flag) is True


def forbids(flag: Any) -> bool:
    """Whether a flag that takes something away, like a court order, may be set."""
    return understood(flag) is not False


def _of_bytes(flag: bytes) -> bool | None:
    """MariaDB gives a bit as bytes, and a binary column gives words so."""
    number = int.from_bytes(flag)
    if number in (0, 1):
        return bool(number)
    return _WORDS.get(flag.decode("ascii", "replace").strip("\0 \t\r\n").lower())
