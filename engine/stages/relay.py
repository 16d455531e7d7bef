"""Relay: outbox to broker.

In:         rows committed to the outbox.
Out:        changes, confirmed by the broker, in order for each record.
Guarantee:  at least once. A crash between confirm and mark repeats a change; evaluate knows it
            by its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from engine.ports import Outbox, Publisher, Queue
from engine.stages.publishing import publish_all
from engine.wire.messages import MAX_PACKED, Changes, encode
from rules.change import Change


def relay(outbox: Outbox, publisher: Publisher, *, limit: int) -> int:
    """Publish the oldest waiting changes and return how many the broker confirmed.

    They are marked all together: one left behind would be overtaken by its record's next one.
    """
    changes = outbox.read(limit)
    if changes:
        bodies = [encode(Changes(group)) for group in _groups(changes)]
        publish_all(publisher, Queue.CHANGES, bodies)
        outbox.mark_relayed(changes)
    return len(changes)


def _groups(changes: Sequence[Change]) -> list[list[Change]]:
    """Pack so that one record's changes are in one message: nacks cannot change their order."""
    count = -(-len(changes) // MAX_PACKED)
    groups: list[list[Change]] = [[] for _ in range(count)]
    for change in changes:
        groups[crc32(f"{change.watch}/{change.key}".encode()) % count].append(change)
    return [group for group in groups if group]
