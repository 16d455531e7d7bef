"""Fitting: a text that is too long for a payload is cut, and never in the middle of a character.

What a person sees as one character may be many code points: a family of emoji, a letter with its
accents. The body goes first, then the title.
"""

from __future__ import annotations

from typing import Final

import msgspec
import regex

ELLIPSIS: Final = "…"
_CHARACTER: Final = regex.compile(r"\X")
_encode = msgspec.json.encode


def fit(title: str, body: str, room: int) -> tuple[str, str]:
    """*title* and *body* so that together they take at most *room* bytes as JSON strings.

    The quotes around them are not counted. Raises ValueError when there is no room for any text.
    """
    if room < size(ELLIPSIS):
        raise ValueError("a payload is too large even without its text")
    body = shorten(body, room - size(title))
    return shorten(title, room - size(body)), body


def shorten(text: str, room: int) -> str:
    """*text* itself when it fits, else as many characters as fit with an ellipsis, else nothing."""
    if size(text) <= room:
        return text
    left = room - size(ELLIPSIS)
    if left < 0:
        return ""
    kept = 0
    for character in _CHARACTER.finditer(text[:room]):
        left -= size(character.group())
        if left < 0:
            break
        kept = character.end()
    return text[:kept].rstrip() + ELLIPSIS


def characters(text: str) -> int:
    """How many characters people see in *text*."""
    return len(_CHARACTER.findall(text))


def size(text: str) -> int:
    """How many bytes *text* takes in JSON, without its quotes."""
    return len(_encode(text)) - 2
