"""Schedule: what is due by the clock.

In:         the ledger's retries, and queues that are empty although pushes have no outcome.
Out:        those pushes, published again.
Guarantee:  a push that the broker lost, or a gateway deferred, is sent again under the same id.
"""

from __future__ import annotations

from engine.ports import Broker, Ledger, Publisher, Queue
from engine.stages.publishing import publish_pushes


def publish_due(ledger: Ledger, publisher: Publisher) -> int:
    """Publish the pushes whose next try is due, and return how many."""
    with ledger.due() as pushes:
        publish_pushes(publisher, pushes)
        return len(pushes)


def plan_lost(ledger: Ledger, broker: Broker) -> int:
    """Plan a retry for pushes that a broker lost, and return how many.

    While anything waits in the queues a push without an outcome is late, not lost.
    """
    depths = broker.depths()
    if any(depths[queue].ready for queue in (Queue.PUSHES, Queue.OUTCOMES)):
        return 0
    return ledger.plan_lost()
