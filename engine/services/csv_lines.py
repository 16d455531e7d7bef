"""Lines of CSV that people open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final, NamedTuple

_STARTS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Portion(NamedTuple):
    """Some of the lines of an export, made of so many *rows*; the next begin *after* a row."""

    lines: Sequence[str]
    after: str
    rows: int
    is_last: bool


def line(values: Sequence[str]) -> str:
    """One line. A spreadsheet must take none of it for a formula."""
    file = io.StringIO()
    csv.writer(file).writerow(
        f"'{value}" if value.startswith(_STARTS_A_FORMULA) else value for value in values
    )
    return file.getvalue()
