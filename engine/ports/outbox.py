"""The rows that triggers wrote into the database of the SIS, and how far they were relayed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from rules.change import Change

Looked = tuple[Sequence[Change], int | None]
"""Changes that were relayed, and the position up to which was looked; None: to the end."""


class Outbox(Protocol):
    """The rows that triggers wrote. One relay reads an outbox; a second one stands by."""

    def acquire(self) -> bool:
        """Become the one relay of this outbox, or learn that another process is."""
        ...

    def release(self) -> None:
        """Let another process be the relay. Safe to call twice."""
        ...

    def read(self, limit: int) -> Sequence[Change]:
        """The oldest committed changes that are not relayed, at most *limit*, by position.

        For one record, the order of positions is the order of commits, and no change that comes
        later has a lower one, also when the outbox was made anew or restored from a copy. The
        next read returns the same changes, and more, until they are marked.
        """
        ...

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """Remember that the broker has all of these changes, which the last read returned."""
        ...

    def forget(self, keep: timedelta, now: datetime) -> int:
        """Delete rows that were relayed longer than *keep* ago, and return how many.

        They go in portions: the SIS writes between them. Ids are nearly in the order of time, so
        the first row that is to be kept ends the search, however much is kept.
        """
        ...

    def replay(self, since: datetime) -> int:
        """Let the relay publish again what was captured after *since*; return how many rows.

        What evaluate has seen has no effect again; what a lost broker held is made good.
        """
        ...

    def relayed(self, after: int, before: datetime, limit: int) -> Looked:
        """What was relayed above the position *after* and captured before *before*.

        At most about *limit* changes, as they were relayed. Any process may look.
        """
        ...

    def count(self) -> int:
        """How many rows it holds, relayed or not."""
        ...

    def backlog(self, now: datetime) -> tuple[int, timedelta]:
        """How many rows wait (counted up to 100,000), and how long the oldest has."""
        ...


class RelayedMark(Protocol):
    """The highest position that was ever relayed, as the engine's own database knows it.

    A copy of the SIS database that was put back knows less, and its outbox would give the same
    positions again.
    """

    def read(self) -> int:
        """The highest position; 0 before the first."""
        ...

    def raise_to(self, position: int) -> None:
        """Remember *position*, unless a higher one is known."""
        ...
