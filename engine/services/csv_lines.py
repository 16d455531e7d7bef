"""Lines of CSV that people open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final

_STARTS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def line(values: Sequence[str]) -> str:
    """One line. A spreadsheet must take none of it for a formula."""
    file = io.StringIO()
    csv.writer(file).writerow(
        f"'{value}" if value.startswith(_STARTS_A_FORMULA) else value for value in values
    )
    return file.getvalue()
