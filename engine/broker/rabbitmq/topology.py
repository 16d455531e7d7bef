"""Which queues there are, with which arguments, and how a message finds its queue.

Everything of ours goes through one topic exchange with the key `<district>.<queue>`: who may write
which keys can be said for each user, and one who writes another district's key is refused.
Limits and dead-lettering are arguments, not policies: a policy needs the rights of the broker's
operator, while whoever may declare a queue may give it arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.broker.promises import DELIVERY_LIMIT, SINGLE_ACTIVE
from engine.ports import Queue

EXCHANGE: Final = "schoolbell"
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
    """A durable queue as it must be."""

    name: str
    arguments: Mapping[str, Any]


def declarations(queues: Collection[Queue]) -> Iterator[QueueDeclaration]:
    """Each of *queues* and its dead-letter queue, which comes before it."""
    for queue in queues:
        yield QueueDeclaration(queue.dead, _QUORUM | {"x-delivery-limit": _NO_LIMIT})
        yield QueueDeclaration(queue.value, _arguments(queue))


def routing_key(district: str, queue: str) -> str:
    """The key that leads a message of *district* to *queue*, or to its dead-letter queue."""
    return f"{district}.{queue}"


def _arguments(queue: Queue) -> Mapping[str, Any]:
    arguments: dict[str, Any] = _QUORUM | {
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": _DEFAULT_EXCHANGE,
        "x-dead-letter-routing-key": queue.dead,
        # Without these two a message is lost when it dies while its dead-letter queue is down.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    return arguments | {"x-single-active-consumer": True} if queue in SINGLE_ACTIVE else arguments
