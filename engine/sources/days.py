"""Days as SIS keep them: dates, moments, numbers like 20261122, or words."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

# Beyond what `date` can hold, as PostgreSQL writes it: 20261-01-31, 0044-03-15 BC.
_FAR: Final = re.compile(
    r"(\d{4,})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[ T][^A-Z]*)?( BC)?",
    re.ASCII,
)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}[ T].+", re.ASCII)
_NEVER_ENDS: Final = frozenset({"infinity", "+infinity"})
_NEVER_BEGAN: Final = "-infinity"


def day(value: Any, zone: ZoneInfo) -> date | None:
    """The day that a column holds, None for NULL.

    A moment counts as its day in *zone*, or as the day that it names where it has no zone. What
    lies before or beyond every calendar, as infinity does, is the first or the last day of all.
    Raises ValueError for whatever is no day; its words may hold the value.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return _of_moment(value, zone)
    if isinstance(value, date):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf-8")
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        return _of_words(value.strip(), zone)
    raise ValueError("no day")


def _of_words(words: str, zone: ZoneInfo) -> date:
    if words.lower() in _NEVER_ENDS:
        return date.max
    if words.lower() == _NEVER_BEGAN:
        return date.min
    if _DAY.fullmatch(words):
        return date.fromisoformat(words)
    if (far := _FAR.fullmatch(words)) and (far[2] or len(far[1]) > len("9999")):
        return date.min if far[2] else date.max
    if not _MOMENT.fullmatch(words):
        raise ValueError("no day")
    return _of_moment(datetime.fromisoformat(words), zone)


def _of_moment(moment: datetime, zone: ZoneInfo) -> date:
    try:
        return (moment.astimezone(zone) if moment.tzinfo else moment).date()
    except OverflowError:
        return moment.date()
