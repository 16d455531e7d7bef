"""The net change of a record: what is left of all that was written to it at once.

The rows of one record tell a walk from value to value, and their order cannot be relied on: a
trigger of the SIS whose name sorts before ours writes the row again, and that second write is
captured before the first. But the value at which the walk began is left once more often than it
is reached, and the one at which it ended is reached once more often than it is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

V = TypeVar("V", bound=Hashable)

NOTHING: Final = "nothing"
"""The walk ended where it began."""


class Walk(NamedTuple, Generic[V]):
    """The value at which a record was before all of it, and the one at which it is after it."""

    first: V
    last: V


def walked(balance: Mapping[V, int]) -> Walk[V] | str | None:
    """The walk of which *balance* says how much more often each value was left than reached.

    NOTHING when it came back to where it began; None when it was no walk of one record.
    """
    uneven = {value: count for value, count in balance.items() if count}
    if not uneven:
        return NOTHING
    ends = {count: value for value, count in uneven.items()}
    if len(uneven) == 2 and ends.keys() == {1, -1}:
        return Walk(ends[1], ends[-1])
    return None


def balance_of(steps: Iterable[tuple[V, V]]) -> Mapping[V, int]:
    """How much more often each value was left than reached, of steps from one to the next."""
    counts: Counter[V] = Counter()
    for before, after in steps:
        counts[before] += 1
        counts[after] -= 1
    return counts
