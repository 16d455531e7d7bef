"""Lines of a definition that wait for a person: what a draft could not know."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_MARK: Final = re.compile(r"<FILL IN: ([^<>]*)>")
_NO_PART_OF_A_MARK: Final = re.compile(r"[<>\s\"\\]+")  # also what TOML would escape


class Unfilled(NamedTuple):
    """A line, counted from 1, and what is to be written there."""

    line: int
    what: str


def fill_in(what: str) -> str:
    """The mark that stands where *what* must be written before the definition can be loaded."""
    return f"<FILL IN: {_NO_PART_OF_A_MARK.sub(' ', what).strip()}>"


def unfilled(text: str) -> list[Unfilled]:
    """Every mark that is left, but for those in comments."""
    return [
        Unfilled(number, what)
        for number, line in enumerate(text.splitlines(), start=1)
        if not line.lstrip().startswith("#")
        for what in _MARK.findall(line)
    ]
