"""Flags as SIS keep them: booleans, numbers, bits or words.

A word that nobody knows gives nothing: it is no for what allows, and yes for what forbids.
"""

from __future__ import annotations

from typing import Any, Final

_YES: Final = frozenset({"true", "t", "yes", "y", "1"})
_NO: Final = frozenset({"false", "f", "no", "n", "0", ""})


def allows(flag: Any) -> bool:
    """Whether a flag that gives something, like a right or a release, is surely set."""
    return flag.strip().lower() in _YES if isinstance(flag, str) else _is_set(flag)


def forbids(flag: Any) -> bool:
    """Whether a flag that takes something away, like a court order, may be set; none is not."""
    return flag.strip().lower() not in _NO if isinstance(flag, str) else _is_set(flag)


def _is_set(flag: Any) -> bool:
    """MariaDB gives a bit as bytes."""
    return any(flag) if isinstance(flag, bytes) else bool(flag)
