"""What somebody typed: read as what it means, or refused with what to write.

A command, a page and the app's API all call services, and these ask here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from engine.errors import SchoolbellError
from rules.audience import DeviceId
from rules.change import Kind
from rules.thresholds import ThresholdFault, thresholds

MOST_SHOWN: Final = 1_000
_LARGEST_ID: Final = 2**63 - 1


def device(words: str) -> DeviceId:
    """The number of a device; raises SchoolbellError."""
    number = device_or_none(words)
    if number is None:
        raise SchoolbellError(
            "There is no such device: they have numbers from 1 on.",
            "`schoolbell sign-in` names the device of a person.",
        )
    return number


def device_or_none(words: str) -> DeviceId | None:
    """The number of a device; None for what can be none."""
    is_one = re.fullmatch("[1-9][0-9]{0,18}", words) and int(words) <= _LARGEST_ID
    return DeviceId(words) if is_one else None


def push_key(key: bytes | None) -> bytes | None:
    """The key with which an app opens what is sealed for it; raises SchoolbellError."""
    from engine.secrets.envelope import KEY_SIZE

    if key is not None and len(key) != KEY_SIZE:
        raise SchoolbellError(
            f"A key of an app has {KEY_SIZE} bytes, and this has {len(key)}.",
            "Pass on the key that the app made, whole.",
        )
    return key


def limits(kind: Kind, words: Iterable[str | Decimal]) -> tuple[Decimal, ...]:
    """Thresholds, if there are to be any, the highest first; raises SchoolbellError."""
    found = thresholds(kind, words)
    if isinstance(found, ThresholdFault):
        raise SchoolbellError(found.problem, found.remedy)
    return found


def shown(number: int) -> int:
    """How many entries somebody wants to see; raises SchoolbellError."""
    if not 1 <= number <= MOST_SHOWN:
        raise SchoolbellError(
            f"{number} entries cannot be shown.", f"Ask for 1 to {MOST_SHOWN:,} of them."
        )
    return number
