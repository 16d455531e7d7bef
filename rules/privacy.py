"""Privacy: how much of a notification a phone may show to whoever looks at it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Level(StrEnum):
    """What is on the lock screen, and so in the hands of all that carry it there."""

    GENERIC = "generic"  # that there is something to read
    NAMED = "named"  # about whom, and of which kind
    FULL = "full"  # all of it


class Privacy(NamedTuple):
    """What phones of the district may show at most, and whether only they can read it.

    The *salt* of ids that leave this house is drawn once and never changed.
    """

    level: Level = Level.GENERIC
    end_to_end: bool = False
    salt: str = ""


_STRICTEST_FIRST: Final = tuple(Level)


def shown(district: Level, chosen: Level | None) -> Level:
    """The stricter of the two: a person may have less shown than the district allows, not more."""
    return district if chosen is None else min(district, chosen, key=_STRICTEST_FIRST.index)
