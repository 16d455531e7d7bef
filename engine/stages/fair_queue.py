"""A fair queue: what waits for a gateway, one district after the other, in two lanes.

In a single line a district's storm would go first, however long it is. Here each district has a
line of its own and the lines take turns, so that what a quiet district sends goes after one item
of each other. Ordinary news goes before broadcasts in the same way: it waits for one of them at
most, however many there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final, Generic, TypeVar

from rules.lanes import Lane

BROADCAST_AFTER: Final = 9
"""While both wait, one broadcast goes after so many of ordinary news."""

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items in lines, each line in its order; *whose* names the line."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[T]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._lines.values())

    @property
    def lines(self) -> int:
        """How many have something waiting."""
        return len(self._lines)

    def line(self, whose: str) -> int:
        """How many items one line has."""
        line = self._lines.get(whose)
        return len(line) if line else 0

    def first(self, whose: str) -> T | None:
        """The first item of one line."""
        line = self._lines.get(whose)
        return line[0] if line else None

    def append(self, whose: str, item: T) -> None:
        """Put an item at the end of its line."""
        line = self._lines.get(whose)
        if line is None:
            line = self._lines[whose] = deque()
        line.append(item)
        self._count += 1

    def take(self) -> T:
        """The first of the line whose turn it is, which then is last; raises when nothing waits."""
        whose = next(iter(self._lines))
        line = self._lines[whose]
        item = line.popleft()
        self._count -= 1
        if not line:
            del self._lines[whose]
        elif len(self._lines) > 1:
            self._lines[whose] = self._lines.pop(whose)
        return item

    def take_while(self, is_over: Callable[[T], bool]) -> Iterator[T]:
        """From the head of each line what *is_over*."""
        for whose, line in tuple(self._lines.items()):
            while line and is_over(line[0]):
                self._count -= 1
                yield line.popleft()
            if not line:
                del self._lines[whose]

    def clear(self, whose: str) -> None:
        """Forget one line."""
        self._count -= len(self._lines.pop(whose, ()))


class TwoLanes(Generic[T]):
    """A fair queue for each lane; which item is next is decided when it is taken."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, FairQueue[T]] = {lane: FairQueue() for lane in Lane}
        self._ordinary = self._lanes[Lane.ORDINARY]
        self._broadcasts = self._lanes[Lane.BROADCASTS]
        self._passed = 0

    def __len__(self) -> int:
        return len(self._ordinary) + len(self._broadcasts)

    def __getitem__(self, lane: Lane) -> FairQueue[T]:
        return self._lanes[lane]

    def take(self) -> T:
        """The next item; raises when nothing waits.

        *_passed* counts how many went before a broadcast that waits.
        """
        if not self._broadcasts:
            return self._ordinary.take()
        if self._ordinary and self._passed < BROADCAST_AFTER:
            self._passed += 1
            return self._ordinary.take()
        self._passed = 0
        return self._broadcasts.take()

    def take_while(self, is_over: Callable[[T], bool]) -> Iterator[T]:
        """From the head of each line of both lanes what *is_over*."""
        for queue in self._lanes.values():
            yield from queue.take_while(is_over)
