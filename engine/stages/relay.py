"""Relay: outbox to broker.

In:         rows committed to the outbox.
Out:        changes, confirmed by the broker, in order for each record; a change of the directory
            to every partition, at its place in the order.
Guarantee:  at least once. A crash between confirm and mark repeats a change; evaluate knows it
            by its id.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.ports import Outbox, Publisher
from engine.stages.publishing import publish_changes
from rules.change import Change


def relay(
    outbox: Outbox, publisher: Publisher, for_all: Callable[[Change], bool], *, limit: int
) -> int:
    """Publish the oldest waiting changes and return how many the broker confirmed.

    One that is *for_all* is published to every partition. They are marked all together: one left
    behind would be overtaken by its record's next one.
    """
    changes = outbox.read(limit)
    if changes:
        publish_changes(publisher, changes, for_all)
        outbox.mark_relayed(changes)
    return len(changes)
