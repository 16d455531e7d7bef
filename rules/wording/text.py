"""A text, and why there is none."""

from __future__ import annotations

from typing import NamedTuple

from rules.reasons import Reason


class Text(NamedTuple):
    """What a phone and the inbox show."""

    title: str
    body: str


class TextFault(NamedTuple):
    """Why there is no text: the reason, the template's name and what is wrong with it."""

    reason: Reason
    template: str
    problem: str
