"""Which queues there are, with which arguments, and how a message finds its queue.

Each partition of a queue is a RabbitMQ queue with a single active consumer: `changes.0` and so on.
Beside them stand the dead-letter queue, and a queue that is always empty: who shares the
partitions consumes it, and so is counted. (Of a queue with a single active consumer RabbitMQ
3.10.8 counts the active one alone.)

Everything of ours goes through one topic exchange with the key `<district>.<queue>`: who may write
which keys can be said for each user, and one who writes another district's key is refused. The
exchange is named for the number of partitions, so that who divides by another number meets no
exchange, whether it publishes or consumes.

Limits and dead-lettering are arguments, not policies: a policy needs the rights of the broker's
operator, while whoever may declare a queue may give it arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.broker.promises import DELIVERY_LIMIT
from engine.ports import Queue

EXCHANGE_TYPE: Final = "topic"
REASON_HEADER: Final = "reason"
BROKERS_REASON_HEADER: Final = "x-first-death-reason"

_QUORUM: Final = {"x-queue-type": "quorum"}
# The broker dead-letters by itself, with nobody's rights; this exchange is always there.
_DEFAULT_EXCHANGE: Final = ""
# From 4.0 a quorum queue drops what was looked at twenty times unless it has a limit of its own.
_NO_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class QueueDeclaration:
    """A durable queue as it must be. *is_bound*: messages reach it through our exchange."""

    name: str
    arguments: Mapping[str, Any]
    is_bound: bool = True


def exchange(partitions: int) -> str:
    """The exchange of those who divide each queue into so many *partitions*."""
    return f"schoolbell.{partitions}"


def partition_name(queue: Queue, partition: int) -> str:
    """The RabbitMQ queue that is one partition of *queue*."""
    return f"{queue.value}.{partition}"


def partition_names(queue: Queue, partitions: int) -> Sequence[str]:
    """The RabbitMQ queues that are the partitions of *queue*."""
    return [partition_name(queue, number) for number in range(partitions)]


def consumers_name(queue: Queue) -> str:
    """The queue by which those who share the partitions of *queue* are counted."""
    return f"{queue.value}.consumers"


def declarations(queues: Collection[Queue], partitions: int) -> Iterator[QueueDeclaration]:
    """All that belongs to *queues*; a dead-letter queue comes before those that lead to it."""
    for queue in queues:
        yield QueueDeclaration(queue.dead, _QUORUM | {"x-delivery-limit": _NO_LIMIT})
        yield QueueDeclaration(consumers_name(queue), _QUORUM, is_bound=False)
        for name in partition_names(queue, partitions):
            yield QueueDeclaration(name, _arguments(queue))


def routing_key(district: str, queue: str) -> str:
    """The key that leads a message of *district* to a partition or a dead-letter queue."""
    return f"{district}.{queue}"


def _arguments(queue: Queue) -> Mapping[str, Any]:
    return _QUORUM | {
        "x-single-active-consumer": True,
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": _DEFAULT_EXCHANGE,
        "x-dead-letter-routing-key": queue.dead,
        # Without these two a message is lost when it dies while its dead-letter queue is down.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
