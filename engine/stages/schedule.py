"""Schedule: what is looked after by the clock.

In:         queues that are empty although pushes have no outcome.
Out:        further tries, planned; release publishes them.
Guarantee:  a push that a broker lost is sent again under the same id.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from engine.ports import Broker, Queue


class Sweeping(Protocol):
    """The part of the ledger that knows what has no outcome."""

    def plan_lost(self, before: datetime, now: datetime) -> int:
        """Plan for now what was published *before* and has no outcome; how many pushes."""
        ...


def plan_lost(ledger: Sweeping, broker: Broker, lost_after: timedelta, now: datetime) -> int:
    """Plan a further try for pushes that a broker lost, and return how many.

    While anything waits in the queues a push without an outcome is late, not lost.
    """
    depths = broker.depths()
    if any(depths[queue].ready for queue in (Queue.PUSHES, Queue.OUTCOMES)):
        return 0
    return ledger.plan_lost(now - lost_after, now)
