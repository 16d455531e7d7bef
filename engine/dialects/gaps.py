"""Gaps: ids that some transaction took and had not committed when a relay read past them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

# The value is a transaction id that is higher than those of the transactions that took the ids.
Gaps = Mapping[range, int]


def skipped(after: int, ids: Sequence[int]) -> Iterator[range]:
    """What lies between *after* and each of *ids* in turn."""
    for id_ in ids:
        if id_ > after + 1:
            yield range(after + 1, id_)
        after = id_


def without(gaps: Gaps, ids: Sequence[int]) -> dict[range, int]:
    """The *gaps* without *ids*, which are sorted."""
    left: dict[range, int] = {}
    for gap, barrier in gaps.items():
        filled = ids[bisect_left(ids, gap.start) : bisect_left(ids, gap.stop)]
        parts = skipped(gap.start - 1, [*filled, gap.stop]) if filled else (gap,)
        left |= dict.fromkeys(parts, barrier)
    return left


def still_open(gaps: Gaps, shown: Sequence[int], xmin: int, looked_through: int) -> Gaps:
    """Every xid below *xmin* has ended: what the same snapshot does not show never comes.

    What it shows stays until it is marked, and so does what lies above the end of a full read.
    """
    left: dict[range, int] = {}
    for gap, barrier in gaps.items():
        if barrier > xmin or gap.stop > looked_through + 1:
            left[gap] = barrier
            continue
        filled = shown[bisect_left(shown, gap.start) : bisect_left(shown, gap.stop)]
        left |= {range(id_, id_ + 1): barrier for id_ in filled}
    return left


def multirange(gaps: Gaps) -> str:
    """The gaps as a literal of PostgreSQL."""
    return "{" + ",".join(f"[{gap.start},{gap.stop})" for gap in gaps) + "}"
