"""A text, how long it may be, and why there is none."""

from __future__ import annotations

from typing import Final, NamedTuple

from rules.reasons import Reason

LONGEST_VARIABLE: Final = 1_000
"""Characters of a variable; a phone shows about 200."""
LONGEST_TEXT: Final = 16_000
"""Characters of what is made of both halves; the wire takes 16,384 of each."""


class Text(NamedTuple):
    """What a phone and the inbox show."""

    title: str
    body: str


class TextFault(NamedTuple):
    """Why there is no text: the reason, the template's name and what is wrong with it."""

    reason: Reason
    template: str
    problem: str
