"""On which line of a TOML file something stands, told by the standard parser itself.

What a file says up to a line is what that part of it says by itself, if it can be read at all: a
statement is there from the first such part in which it is found, and it begins where the part
before ended.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

Place = Sequence[str | int]

_ABSENT: Final = object()


class Lines:
    """The lines of a file that can be read as TOML."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._parsed: dict[int, Any] = {}

    def of(self, place: Place) -> int:
        """The line, counted from 1, on which what stands at *place* begins; 1 if nothing does.

        A place is a path of keys and of numbers in lists, as in ("watch", 2, "columns").
        """
        low, high, found = 0, len(self._lines), 0
        while low <= high:
            middle = self._readable(range((low + high) // 2, len(self._lines) + 1))
            if _at(self._parsed[middle], place) is _ABSENT:
                low = middle + 1
            else:
                found, high = middle, (low + high) // 2 - 1
        before = self._readable(range(found - 1, -1, -1)) if found else 0
        return before + 1

    def at(self, place: Place) -> Any:
        """What stands at a place; None where nothing does."""
        found = _at(self._parse(len(self._lines)), place)
        return None if found is _ABSENT else found

    def _readable(self, ends: range) -> int:
        """The first of *ends* up to which the file can be read."""
        return next(end for end in ends if self._parse(end) is not None)

    def _parse(self, end: int) -> Any:
        if end not in self._parsed:
            try:
                self._parsed[end] = tomllib.loads("\n".join(self._lines[:end]))
            except ValueError:
                self._parsed[end] = None
        return self._parsed[end]


@lru_cache(maxsize=8)
def lines_of(text: str) -> Lines:
    """The lines of *text*, which remember what was asked of them."""
    return Lines(text)


def _at(value: Any, place: Place) -> Any:
    for step in place:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return value
