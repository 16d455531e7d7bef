"""Plain: words of somebody else as they may stand in a terminal or a log."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 500  # characters; it is to be read, not to fill the screen


def plain(words: str) -> str:
    """*words* in one line of printable characters: an escape sequence could rewrite the screen."""
    shown = "".join(sign if sign.isprintable() else " " for sign in words[:LONGEST])
    return shown if len(words) <= LONGEST else shown + "…"
