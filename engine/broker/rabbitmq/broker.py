"""RabbitMQ as the Broker of the ports."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import compress
from typing import Final

from engine.broker.rabbitmq.address import Patience, read_address
from engine.broker.rabbitmq.connection import Channel, Connection, Done, Fetched
from engine.broker.rabbitmq.consumer import RabbitConsumer, Subscription
from engine.broker.rabbitmq.errors import (
    ACCESS_REFUSED,
    NOT_FOUND,
    RESOURCE_LOCKED,
    Refused,
    may_not_make,
)
from engine.broker.rabbitmq.publisher import RabbitPublisher
from engine.broker.rabbitmq.topology import (
    BROKERS_REASON_HEADER,
    EXCHANGE,
    EXCHANGE_TYPE,
    REASON_HEADER,
    QueueDeclaration,
    declarations,
    routing_key,
)
from engine.config import BrokerSettings
from engine.ports import Depth, Parked, Queue
from engine.wire.plain import plain

_REQUEUED_AT_ONCE: Final = 500


class RabbitBroker:
    """*queues* of *district* in one vhost of a RabbitMQ from 3.10, as quorum queues.

    Nothing is connected before it is needed.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        district: str,
        queues: Collection[Queue] = tuple(Queue),
        patience: Patience | None = None,
    ) -> None:
        self._address = read_address(settings)
        self._district = district
        self._queues = queues
        self._patience = patience or Patience()

    def install(self) -> Sequence[str]:
        """Make the queues that are missing, wait until each can serve, and name what was made.

        Who runs the broker may have made them all: then the right to make them is not needed.
        """
        wanted = list(declarations(self._queues))
        missing = [queue.name for queue in wanted if not self._exists(queue.name)]
        try:
            self._make(wanted)
        except Refused as refusal:
            if refusal.code != ACCESS_REFUSED:
                raise
            if missing or not self._has_exchange():
                raise may_not_make(refusal) from None
        for queue in wanted:
            self.prove_that_it_serves(queue.name)
        return missing

    def publisher(self) -> RabbitPublisher:
        """Open a publisher."""
        return RabbitPublisher(self._address, self._patience, self._district)

    def consumer(self, queue: Queue, prefetch: int) -> RabbitConsumer:
        """Open a consumer that holds at most *prefetch* messages unacked."""
        return RabbitConsumer(self._address, self._patience, queue, prefetch, self.publisher())

    def depths(self) -> Mapping[Queue, Depth]:
        """Count what waits."""
        with self._connect("depths") as connection:
            return {queue: _depth(connection, queue) for queue in self._queues}

    def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
        """Look at up to *limit* parked messages; closing the connection puts them back."""
        with self._connect("parked") as connection:
            return [
                Parked(message.body, _reason(message))
                for message in _fetched(connection, queue.dead, limit)
            ]

    def requeue_parked(self, queue: Queue, limit: int) -> int:
        """Move up to *limit* parked messages back to their queue; return how many moved."""
        with self._connect("requeue") as connection:
            wanted = min(limit, connection.count(queue.dead))
        with closing(self._subscribe(queue.dead)) as parked:
            return sum(self._requeued(parked, queue, wanted))

    def _connect(self, purpose: str) -> Connection:
        return Connection(self._address, self._patience, purpose)

    def _subscribe(self, queue: str) -> Subscription:
        return Subscription(self._address, self._patience, queue, _REQUEUED_AT_ONCE)

    def _requeued(self, parked: Subscription, queue: Queue, wanted: int) -> Iterator[int]:
        """Move *wanted* messages in steps, each acked only when it is safe; say how many moved."""
        with closing(self.publisher()) as publisher:
            while wanted > 0:
                messages = parked.take(wanted, time.monotonic() + self._patience.reply)
                kept = publisher.publish(queue, [message.body for message in messages])
                parked.ack([message.tag for message in compress(messages, kept)])
                yield sum(kept)
                wanted = wanted - len(messages) if messages else 0

    def _make(self, queues: Sequence[QueueDeclaration]) -> None:
        with self._connect("install") as connection:
            connection.ask(_declare_exchange)
            for queue in queues:
                connection.ask(partial(_declare_queue, queue))
                connection.ask(partial(_bind, queue.name, routing_key(self._district, queue.name)))

    def _exists(self, queue: str) -> bool:
        return self._finds(lambda connection: connection.count(queue))

    def _has_exchange(self) -> bool:
        return self._finds(lambda connection: connection.ask(_find_exchange))

    def _finds(self, look: Callable[[Connection], object]) -> bool:
        try:
            with self._connect("install") as connection:
                look(connection)
        except Refused as refusal:
            if refusal.code == NOT_FOUND:
                return False
            raise
        return True

    def prove_that_it_serves(self, queue: str) -> None:
        """Ask something that only a queue with a leader can answer, and take no message for it.

        RabbitMQ counts 0 messages in a queue without a leader, and lets nobody `get` from a
        queue with a single active consumer; but the leader has to say so. Who may only publish
        into a queue is told that it may not `get`, and its first message asks the leader.
        """
        try:
            with self._connect("install") as connection:
                if connection.count(queue) == 0:
                    connection.get(queue)
        except Refused as refusal:
            if refusal.code not in (RESOURCE_LOCKED, ACCESS_REFUSED):
                raise


def _declare_exchange(channel: Channel, done: Done) -> None:
    channel.exchange_declare(EXCHANGE, EXCHANGE_TYPE, durable=True, callback=done)


def _find_exchange(channel: Channel, done: Done) -> None:
    channel.exchange_declare(EXCHANGE, EXCHANGE_TYPE, passive=True, callback=done)


def _declare_queue(queue: QueueDeclaration, channel: Channel, done: Done) -> None:
    channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments), callback=done)


def _bind(queue: str, key: str, channel: Channel, done: Done) -> None:
    channel.queue_bind(queue, EXCHANGE, key, callback=done)


def _depth(connection: Connection, queue: Queue) -> Depth:
    ready, consumers = connection.count_both(queue.value)
    return Depth(ready, connection.count(queue.dead), consumers)


def _fetched(connection: Connection, queue: str, limit: int) -> Iterator[Fetched]:
    """Take up to *limit* messages, unacked."""
    for _ in range(limit):
        message = connection.get(queue)
        if message is None:
            return
        yield message


def _reason(message: Fetched) -> str:
    """Ours when we parked it, the broker's when it did; who else may publish can write anything."""
    reason = message.headers.get(REASON_HEADER) or message.headers.get(BROKERS_REASON_HEADER)
    return plain(str(reason or ""))
