"""Thresholds: crossing, not being below."""

from __future__ import annotations

from decimal import Decimal


def fell_below(limit: Decimal, before: Decimal | None, after: Decimal) -> bool:
    """True when *after* is under *limit* and *before* was not, or was never seen.

    Exactly on the limit is not under it, so a value that stood exactly on it and then falls is
    told. A value that stays under is not told again.
    """
    return after < limit and (before is None or before >= limit)


def percent(points: Decimal | None, out_of: Decimal | None) -> Decimal | None:
    """Points as percent of *out_of*; None without points or where nothing was to be had."""
    if points is None or not out_of:
        return None
    return points * 100 / out_of
