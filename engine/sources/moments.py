"""From when and until when a record may be seen, as the SIS writes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Final, NamedTuple

_A_DAY: Final = 10  # characters of 2026-11-30
_ALWAYS: Final = ("", "infinity", "-infinity")
_A_DAY_AFTER: Final = timedelta(days=1)


class Window(NamedTuple):
    """A record is open from *opens* on and before *closes*; None is no limit.

    One that cannot be read is not *clear*: then nobody sees the record.
    """

    opens: datetime | None
    closes: datetime | None
    clear: bool = True


_NO_LIMITS: Final = Window(None, None)


def window(fact: Mapping[str, Any], zone: tzinfo) -> Window:
    """What the facts say: a day is meant from its beginning to its end, by the clock of *zone*."""
    opens, closes = fact.get("visible_from"), fact.get("visible_until")
    if opens is None and closes is None:
        return _NO_LIMITS
    try:
        return Window(_moment(opens, zone), _moment(closes, zone, after=_A_DAY_AFTER))
    except (ValueError, OverflowError):
        return Window(None, None, clear=False)


def _moment(value: Any, zone: tzinfo, after: timedelta = timedelta(0)) -> datetime | None:
    """The moment, or for a day the one that begins so long *after* its beginning."""
    if isinstance(value, str):
        words = value.strip()
        if words.lower() in _ALWAYS:
            return None
        is_day = len(words) == _A_DAY
        value = date.fromisoformat(words) if is_day else datetime.fromisoformat(words)
    if value is None:
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=zone)
    if isinstance(value, date):
        return datetime.combine(value + after, time(), zone)
    raise ValueError("neither a day nor a moment")
