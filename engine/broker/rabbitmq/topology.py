"""Which queues there are, with which arguments, and how a message finds its queue.

Limits and dead-lettering are arguments, not policies: a policy needs the rights of the broker's
operator, while whoever may declare a queue may give it arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.broker.promises import DELIVERY_LIMIT, SINGLE_ACTIVE
from engine.ports import Queue

DEFAULT_EXCHANGE: Final = ""
REASON_HEADER: Final = "reason"
BROKERS_REASON_HEADER: Final = "x-first-death-reason"

_QUORUM: Final = {"x-queue-type": "quorum"}
# From 4.0 a quorum queue drops what was looked at twenty times unless it has a limit of its own.
_NO_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class QueueDeclaration:
    """A durable queue as it must be."""

    name: str
    arguments: Mapping[str, Any]


def declarations() -> Iterator[QueueDeclaration]:
    """Every queue; a dead-letter queue before the queue whose messages go there."""
    for queue in Queue:
        yield QueueDeclaration(queue.dead, _QUORUM | {"x-delivery-limit": _NO_LIMIT})
        yield QueueDeclaration(queue.value, _arguments(queue))


def route(queue: str) -> tuple[str, str]:
    """The exchange and the routing key that lead to *queue*."""
    return DEFAULT_EXCHANGE, queue


def _arguments(queue: Queue) -> Mapping[str, Any]:
    exchange, routing_key = route(queue.dead)
    arguments: dict[str, Any] = _QUORUM | {
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": exchange,
        "x-dead-letter-routing-key": routing_key,
        # Without these two a message is lost when it dies while its dead-letter queue is down.
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    return arguments | {"x-single-active-consumer": True} if queue in SINGLE_ACTIVE else arguments
