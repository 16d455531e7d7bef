"""Schedule: what is looked after by the clock.

In:         queues that are empty although pushes have no outcome, or changes no decision.
Out:        further tries, planned; release publishes them. Lost changes, published again.
Guarantee:  a push that a broker lost is sent again under the same id, and a change that it lost is
            evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from engine.ports import LANES, Broker, Clock, Looked, Queue
from rules.change import Change
from rules.lanes import Lane

_AT_ONCE: Final = 1_000
_PAGES_AT_A_TIME: Final = 100
_ALL_EVERY: Final = timedelta(hours=1)


class Sweeping(Protocol):
    """The part of the ledger that knows what has no outcome."""

    def plan_lost(self, before: datetime, now: datetime, lane: Lane) -> int:
        """Plan for now what of a lane was published *before* and has no outcome; how many."""
        ...


def plan_lost(ledger: Sweeping, broker: Broker, lost_after: timedelta, now: datetime) -> int:
    """Plan a further try for pushes that a broker lost, and return how many.

    While anything waits in the queue of its lane, or of the outcomes, a push without an outcome is
    late, not lost.
    """
    depths = broker.depths()
    if depths[Queue.OUTCOMES].ready:
        return 0
    empty = [lane for lane, queue in LANES.items() if not depths[queue].ready]
    return sum(ledger.plan_lost(now - lost_after, now, lane) for lane in empty)


class Relayed(Protocol):
    """The part of the outbox that tells what was relayed."""

    def relayed(self, after: int, before: datetime, limit: int) -> Looked:
        """See ports.Outbox.relayed."""
        ...


class Evaluated(Protocol):
    """The part of the ledger that knows what was evaluated."""

    def missing(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Those of *changes* that were neither decided nor parked."""
        ...


@dataclass(slots=True)
class LostChanges:
    """Looks for changes that were relayed a while ago and never evaluated: a broker lost them.

    While anything waits in the queue of changes, they are late, not lost. All are looked for once
    an hour, and in between what is new: a transaction that was open for long has written below what
    was looked at meanwhile. Evaluate knows by its id what it had.
    """

    outbox: Relayed
    ledger: Evaluated
    broker: Broker
    publish: Callable[[Sequence[Change]], None]
    lost_after: timedelta
    clock: Clock
    _looked_up_to: int = 0
    _all_looked_for_at: datetime | None = None

    def __call__(self) -> int:
        """Publish those that were lost again, and return how many."""
        if self.broker.depths()[Queue.CHANGES].ready:
            return 0
        now, count = self.clock(), 0
        before = now - self.lost_after
        if self._all_looked_for_at is None or now - self._all_looked_for_at >= _ALL_EVERY:
            self._looked_up_to, self._all_looked_for_at = 0, now
        for _ in range(_PAGES_AT_A_TIME):
            changes, end = self.outbox.relayed(self._looked_up_to, before, _AT_ONCE)
            lost = self.ledger.missing(changes)
            if lost:
                self.publish(lost)
                count += len(lost)
            if end is None:
                self._looked_up_to = max(
                    (change.position for change in changes), default=self._looked_up_to
                )
                break
            self._looked_up_to = end
        return count
