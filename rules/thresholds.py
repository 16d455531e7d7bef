"""Thresholds: what may be one, and crossing, which is not the same as being below."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Final, NamedTuple

from rules.change import Kind


class Range(NamedTuple):
    """Between which values a threshold of a kind makes sense, in which unit."""

    least: Decimal
    most: Decimal
    unit: str


_PERCENT: Final = Range(Decimal(0), Decimal(1_000), "percent")
RANGES: Final[Mapping[Kind, Range]] = {
    Kind.ASSIGNMENT: _PERCENT,  # extra credit goes beyond 100
    Kind.GRADE: _PERCENT,
    Kind.MEAL_BALANCE: Range(Decimal(-10_000), Decimal(10_000), "dollars"),
}
"""The kinds whose values are numbers."""

MOST: Final = 10
"""Thresholds of one person for one kind."""
_CENT: Final = Decimal("0.01")
_NUMBER: Final = r"[+-]?[0-9]{1,9}(\.[0-9]{1,2})?"


class ThresholdFault(NamedTuple):
    """What is wrong with a threshold, and what to write instead."""

    problem: str
    remedy: str


def threshold(kind: Kind, words: str | Decimal) -> Decimal | ThresholdFault:
    """The threshold that somebody typed for *kind*, with at most two decimals."""
    within = RANGES.get(kind)
    if within is None:
        return ThresholdFault(
            f"News of the kind {kind} has no number, so nothing falls below one.",
            f"Leave the threshold away, or set one for {', '.join(RANGES)}.",
        )
    least, most, unit = within
    remedy = f"Write {unit} from {least:,} to {most:,}, like 5 or 59.50."
    typed = str(words).strip()
    if not re.fullmatch(_NUMBER, typed):
        return ThresholdFault("This is no threshold.", remedy)
    number = Decimal(typed)
    if not least <= number <= most:
        return ThresholdFault(f"{number:,f} {unit} is no threshold for {kind}.", remedy)
    return number


def thresholds(kind: Kind, typed: Iterable[str | Decimal]) -> tuple[Decimal, ...] | ThresholdFault:
    """Those that somebody typed for *kind*, each once, the highest first."""
    found: set[Decimal] = set()
    for words in typed:
        one = threshold(kind, words)
        if isinstance(one, ThresholdFault):
            return one
        found.add(one)
    if len(found) > MOST:
        return ThresholdFault(
            f"{len(found)} thresholds are too many for one kind.", f"Choose {MOST} at most."
        )
    return tuple(sorted(found, reverse=True))


def written(kind: Kind, number: Decimal) -> str:
    """A threshold, or what is compared with it, as people write it: 58.3 %, $4.25.

    What is under a threshold stays under it: it is rounded down.
    """
    number = number.quantize(_CENT, ROUND_FLOOR)
    if kind is Kind.MEAL_BALANCE:
        return f"{'-' if number < 0 else ''}${abs(number):,.2f}"
    return f"{number:,.2f}".rstrip("0").rstrip(".") + " %"


def fell_below(limit: Decimal, before: Decimal | None, after: Decimal) -> bool:
    """True when *after* is under *limit* and *before* was not, or was never seen.

    Exactly on the limit is not under it, so a value that stood exactly on it and then falls is
    told. A value that stays under is not told again. Nothing is under what is no number.
    """
    if limit.is_nan() or after.is_nan():
        return False
    return after < limit and (before is None or before.is_nan() or before >= limit)


def is_over(limits: Sequence[Decimal], told: Decimal | None, now: Decimal) -> bool:
    """Whether a low value that was *told* is so no more: under no limit, or back at one.

    Raises InvalidOperation where a limit is no number.
    """
    if now >= max(limits):
        return True
    return told is not None and any(told < limit <= now for limit in limits)


def percent(points: Decimal | None, out_of: Decimal | None) -> Decimal | None:
    """Points as percent of *out_of*; None without points or where nothing was to be had."""
    if points is None or not out_of:
        return None
    return points * 100 / out_of
