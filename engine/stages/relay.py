"""Relay: outbox to broker.

In:         rows committed to the outbox.
Out:        changes, confirmed by the broker, in order for each record.
Guarantee:  at least once. A crash between confirm and mark repeats a change; evaluate knows it
            by its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from engine.ports import Outbox, OutboxRow, Publisher, Queue
from engine.stages.publishing import publish_all
from engine.wire.messages import MAX_PACKED, Changes, encode


def relay(outbox: Outbox, publisher: Publisher, *, limit: int) -> int:
    """Publish the oldest waiting rows and return how many the broker confirmed.

    Rows are marked all together: a row left behind would be overtaken by its record's next one.
    """
    rows = outbox.read(limit)
    if rows:
        bodies = [encode(Changes([row.change for row in group])) for group in _groups(rows)]
        publish_all(publisher, Queue.CHANGES, bodies)
        outbox.mark_relayed(rows)
    return len(rows)


def _groups(rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
    """Pack rows so that one record's rows are in one message: nacks cannot change their order."""
    count = -(-len(rows) // MAX_PACKED)
    groups: list[list[OutboxRow]] = [[] for _ in range(count)]
    for row in rows:
        groups[crc32(f"{row.change.watch}/{row.change.key}".encode()) % count].append(row)
    return [group for group in groups if group]
