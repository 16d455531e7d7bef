"""Which partition of its queue an item belongs to.

A partition is in order and has one consumer at a time, so what must stay in order has one key:
the changes of a record, the pushes of a device, and their outcomes. The partition is a hash of the
key that is the same in every process and every release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar
from zlib import crc32

import msgspec

from engine.wire.messages import Changes, Message, Outcome, Outcomes, Push, Pushes, encode
from rules.change import Change

T = TypeVar("T")


def hash_of_change(change: Change) -> int:
    """The hash of the record that has changed."""
    return crc32(f"{change.watch}/{change.key}".encode())


def hash_of_push(push: Push | Outcome) -> int:
    """The hash of the device of a push, or of its outcome."""
    return crc32(push.device_id.encode())


def divided(
    items: Iterable[T], hash_of: Callable[[T], int], partitions: int
) -> Sequence[Sequence[T]]:
    """*items* by partition, each partition in the order in which they came."""
    found: list[list[T]] = [[] for _ in range(partitions)]
    for item in items:
        found[hash_of(item) % partitions].append(item)
    return found


def redivided(body: bytes, partitions: int) -> Sequence[tuple[int, bytes]]:
    """A message that was taken out of its partition, as messages for the partitions of its items.

    What cannot be read has no key and goes to partition 0, as it is.
    """
    try:
        message = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [(0, body)]
    kind = type(message)
    parts = [
        (number, items)
        for number, items in enumerate(divided(message.items, _HASHES[kind], partitions))
        if items
    ]
    if len(parts) <= 1:
        return [(parts[0][0] if parts else 0, body)]
    return [(number, encode(kind(items, message.version))) for number, items in parts]


_decoder: Final = msgspec.json.Decoder(Message)
_HASHES: Final[Mapping[type[Message], Callable[[Any], int]]] = {
    Changes: hash_of_change,
    Pushes: hash_of_push,
    Outcomes: hash_of_push,
}
