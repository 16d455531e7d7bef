"""Usernames: as they are compared, so that capitals make nobody another."""

from __future__ import annotations


def folded(username: str) -> str:
    """A username as it is kept and looked up."""
    return username.strip().casefold()
