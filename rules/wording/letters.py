"""Letters: what can be seen, and what belongs to a name that is written from right to left."""

from __future__ import annotations

import unicodedata
from typing import Final

# Marks that begin, end or turn a run of letters; see Unicode's annex 9.
_BEGINS, _ENDS = "\u2068", "\u2069"
_OPENERS: Final = frozenset("\u2066\u2067\u2068")
_OVERRIDES: Final = frozenset("\u202a\u202b\u202d\u202e\u202c")
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL"})
# Letters by their class, and nothing to see.
_EMPTY_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_OF_TEXT: Final = frozenset("\n\t")


def is_blank(text: str) -> bool:
    """Whether there is nothing to see in a text: no letter, digit, sign or picture."""
    return not any(map(_is_seen, text))


def unreadable(line: str) -> str:
    """The first character of a line that is none of any text, as U+0000; empty where all are."""
    for letter in line:
        if unicodedata.category(letter) in ("Cc", "Cs") and letter not in _OF_TEXT:
            return f"U+{ord(letter):04X}"
    return ""


def isolated(value: str) -> str:
    """A value that turns nothing around it: one with letters from right to left stands by itself.

    Without that the full stop after a Hebrew name stands before it, and a name may turn all that
    follows around.
    """
    if value.isascii() or not any(map(_turns, value)):
        return value
    return f"{_BEGINS}{_balanced(value)}{_ENDS}"


def _balanced(value: str) -> str:
    kept, opened = [], 0
    for letter in value:
        if letter in _OVERRIDES:
            continue
        if letter in _OPENERS:
            opened += 1
        elif letter == _ENDS:
            if not opened:
                continue
            opened -= 1
        kept.append(letter)
    return "".join(kept) + _ENDS * opened


def _turns(letter: str) -> bool:
    return (
        letter in _OPENERS
        or letter in _OVERRIDES
        or letter == _ENDS
        or unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT
    )


def _is_seen(letter: str) -> bool:
    return letter not in _EMPTY_LETTERS and unicodedata.category(letter)[0] not in "ZCM"
