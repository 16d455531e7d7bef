"""Publishing changes, pushes and outcomes: divided, packed, and repeated until the broker has all.

Nobody else needs to know that a queue has partitions. What must stay in order is a sequence of
messages of one partition. From the first message of it that the broker does not confirm all are
published again: one may come twice by that, and the last time they come in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from engine.errors import Unavailable
from engine.ports import Publication, Publisher, Queue
from engine.wire.messages import (
    MAX_PACKED,
    Changes,
    Message,
    Outcome,
    Outcomes,
    Push,
    Pushes,
    encode,
    packed,
)
from engine.wire.partitions import divided, hash_of_change, hash_of_push
from rules.change import Change

MOST_BYTES: Final = 512 * 1024
"""A message is cut before this size: a hub's broker refuses one of more than 1 MiB."""

_TRIES: Final = 10


class _Waiting(NamedTuple):
    """A message that the broker does not have yet, and the sequence that it belongs to."""

    sequence: int
    message: Publication


def publish_changes(
    publisher: Publisher,
    changes: Sequence[Change],
    for_all: Callable[[Change], bool] = lambda _change: False,
) -> None:
    """Publish *changes*, those of a record in order; one that is *for_all* to every partition.

    A record's changes are in one message, and what is for all is in each message at its place in
    the order: whatever the broker does not confirm, nobody meets a change before one that it must
    follow. Only where they are too large for one, they are a sequence of messages. Raises
    Unavailable when some are never confirmed. To repeat the whole is safe, for consumers know a
    message that they had; so with the other two.
    """
    groups = _by_record(changes, for_all, publisher.partitions(Queue.CHANGES))
    _publish(
        publisher,
        Queue.CHANGES,
        [
            _Waiting(number, Publication(body, partition))
            for number, (partition, group) in enumerate(groups)
            for body in _bodies(group, Changes)
        ],
    )


def publish_pushes(
    publisher: Publisher, pushes: Sequence[Push], queue: Queue = Queue.PUSHES
) -> None:
    """Publish *pushes* into the *queue* of their lane, those for a device in order."""
    parts = divided(pushes, hash_of_push, publisher.partitions(queue))
    _publish(publisher, queue, list(_packed(parts, Pushes)))


def publish_outcomes(publisher: Publisher, outcomes: Sequence[Outcome]) -> None:
    """Publish *outcomes*, those of a device in order."""
    parts = divided(outcomes, hash_of_push, publisher.partitions(Queue.OUTCOMES))
    _publish(publisher, Queue.OUTCOMES, list(_packed(parts, Outcomes)))


def _by_record(
    changes: Sequence[Change], for_all: Callable[[Change], bool], partitions: int
) -> Iterator[tuple[int, Sequence[Change]]]:
    """The changes of each message, of about MAX_PACKED, with its partition."""
    hashes = [None if for_all(change) else hash_of_change(change) for change in changes]
    sizes = Counter(found % partitions for found in hashes if found is not None)
    groups: list[list[list[Change]]] = [
        [[] for _ in range(max(1, -(-sizes[partition] // MAX_PACKED)))]
        for partition in range(partitions)
    ]
    for change, found in zip(changes, hashes, strict=True):
        if found is None:
            for group in (group for of_partition in groups for group in of_partition):
                group.append(change)
        else:
            of_partition = groups[found % partitions]
            of_partition[found // partitions % len(of_partition)].append(change)
    for partition, of_partition in enumerate(groups):
        yield from ((partition, group) for group in of_partition if group)


def _packed(
    parts: Sequence[Sequence[Any]], message: Callable[[Sequence[Any]], Message]
) -> Iterator[_Waiting]:
    """Each partition as one sequence of messages of at most MAX_PACKED."""
    for partition, items in enumerate(parts):
        for group in packed(items):
            for body in _bodies(group, message):
                yield _Waiting(partition, Publication(body, partition))


def _bodies(items: Sequence[Any], message: Callable[[Sequence[Any]], Message]) -> Iterator[bytes]:
    """One message, or as many as it takes where texts are long."""
    body = encode(message(items))
    if len(body) <= MOST_BYTES or len(items) == 1:
        yield body
        return
    middle = len(items) // 2
    yield from _bodies(items[:middle], message)
    yield from _bodies(items[middle:], message)


def _publish(publisher: Publisher, queue: Queue, waiting: Sequence[_Waiting]) -> None:
    for _ in range(_TRIES):
        if not waiting:
            return
        confirmed = publisher.publish(queue, [one.message for one in waiting])
        waiting = list(_to_repeat(waiting, confirmed))
    if waiting:
        raise Unavailable(
            f"The broker did not confirm {len(waiting)} messages for the queue {queue}.",
            "Look at its memory and disk alarms and at the queue's length limit; nothing is lost.",
        )


def _to_repeat(sent: Sequence[_Waiting], confirmed: Sequence[bool]) -> Iterator[_Waiting]:
    """Of each sequence all from the first message that was not confirmed."""
    broken: set[int] = set()
    for one, is_safe in zip(sent, confirmed, strict=True):
        if not is_safe:
            broken.add(one.sequence)
        if one.sequence in broken:
            yield one
