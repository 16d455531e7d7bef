"""Relay: outbox to broker.

In:         rows committed to the outbox.
Out:        changes, confirmed by the broker, in order for each record.
Guarantee:  at least once. A crash between confirm and mark repeats a change; evaluate knows it
            by its id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zlib import crc32

from engine.messages import MAX_PACKED, Changes, encode
from engine.ports import Outbox, OutboxRow, Publisher, Queue


def relay(outbox: Outbox, publisher: Publisher, *, limit: int) -> int:
    """Publish the oldest waiting rows and return how many the broker confirmed."""
    rows = outbox.read(limit)
    if not rows:
        return 0
    waiting = list(_groups(rows))
    # Rows are marked all together: a row that waits would be overtaken by its record's next.
    while waiting:
        bodies = [encode(Changes([row.change for row in group])) for group in waiting]
        confirmed = publisher.publish(Queue.CHANGES, bodies)
        waiting = [group for group, is_safe in zip(waiting, confirmed, strict=True) if not is_safe]
    outbox.mark_relayed(rows)
    return len(rows)


def _groups(rows: Sequence[OutboxRow]) -> Iterator[list[OutboxRow]]:
    """Pack rows so that one record's rows are in one message: nacks cannot change their order."""
    count = -(-len(rows) // MAX_PACKED)
    groups: list[list[OutboxRow]] = [[] for _ in range(count)]
    for row in rows:
        groups[crc32(f"{row.change.watch}/{row.change.key}".encode()) % count].append(row)
    return (group for group in groups if group)
