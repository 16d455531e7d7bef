"""Usernames: as they are compared, so that capitals make nobody another."""

from __future__ import annotations

from typing import Final

_UNREADABLE: Final = "\ufffd"


def folded(username: str) -> str:
    """A username as it is kept and looked up; what no database takes in it is nobody's."""
    plain = username.strip().casefold().replace("\0", _UNREADABLE)
    return plain.encode("utf-8", "replace").decode()
