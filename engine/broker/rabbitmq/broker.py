"""RabbitMQ as the Broker of the ports."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import count
from typing import Final

from engine.broker.promises import still_divided_by
from engine.broker.rabbitmq.address import Timeouts, read_address
from engine.broker.rabbitmq.connection import Channel, Connection, Done, Fetched
from engine.broker.rabbitmq.consumer import ConsumerSession, RabbitConsumer
from engine.broker.rabbitmq.errors import (
    ACCESS_REFUSED,
    NOT_FOUND,
    RESOURCE_LOCKED,
    Refused,
    divided_by_its_operator,
    may_not_make,
    still_consumed,
)
from engine.broker.rabbitmq.publisher import RabbitPublisher
from engine.broker.rabbitmq.topology import (
    BROKERS_REASON_HEADER,
    EXCHANGE_TYPE,
    REASON_HEADER,
    QueueDeclaration,
    consumers_name,
    declarations,
    exchange,
    partition_name,
    partition_names,
    routing_key,
)
from engine.config import BrokerSettings
from engine.errors import Misconfigured
from engine.ports import Delivery, Depth, Parked, Publication, Queue
from engine.wire.partitions import redivided
from engine.wire.plain import plain

_REQUEUED_AT_ONCE: Final = 500
_GLANCE: Final = 0.01  # seconds


class RabbitBroker:
    """*queues* of *district* in one vhost of a RabbitMQ from 3.10, as quorum queues.

    Nothing is connected before it is needed.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        district: str,
        queues: Collection[Queue] = tuple(Queue),
        timeouts: Timeouts | None = None,
    ) -> None:
        self._address = read_address(settings)
        self._partitions = settings.partitions
        self._district = district
        self._queues = queues
        self._timeouts = timeouts or Timeouts()

    def install(self) -> Sequence[str]:
        """Make the queues that are missing, wait until each can serve, and name what was made.

        Who runs the broker may have made them all: then the right to make them is not needed.
        """
        if not self._has_exchange(self._partitions):
            self._end_other_division()
        wanted = list(declarations(self._queues, self._partitions))
        missing = [queue.name for queue in wanted if not self._exists(queue.name)]
        try:
            self._make(wanted)
        except Refused as refusal:
            if refusal.code != ACCESS_REFUSED:
                raise
            if missing or not self._has_exchange(self._partitions):
                raise may_not_make(refusal) from None
        for queue in wanted:
            self.prove_that_it_serves(queue.name)
        return missing

    def publisher(self) -> RabbitPublisher:
        """Open a publisher."""
        return RabbitPublisher(self._address, self._timeouts, self._district, self._partitions)

    def consumer(self, queue: Queue, prefetch: int) -> RabbitConsumer:
        """Open a consumer that holds at most *prefetch* messages of each partition unacked."""
        return RabbitConsumer(
            self._address, self._timeouts, queue, self._partitions, prefetch, self.publisher()
        )

    def depths(self) -> Mapping[Queue, Depth]:
        """Count what waits; refused where the queues are divided into another number."""
        with self._connect("depths") as connection:
            connection.ask(partial(_find_exchange, exchange(self._partitions)))
            return {
                queue: Depth(
                    ready=sum(map(connection.count, partition_names(queue, self._partitions))),
                    dead=connection.count(queue.dead),
                    consumers=connection.count_both(consumers_name(queue))[1],
                )
                for queue in self._queues
            }

    def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
        """Look at up to *limit* parked messages; they are back when this returns."""
        with self._connect("parked") as connection:
            found = list(_fetched(connection, queue.dead, limit))
            if found:
                connection.give_back(found[-1].tag)
                self._wait_until_back(connection, queue.dead, len(found))
        return [Parked(message.body, _reason(message)) for message in found]

    def requeue_parked(self, queue: Queue, limit: int) -> int:
        """Move up to *limit* parked messages back to their partitions; return how many moved."""
        with self._connect("requeue") as connection:
            wanted = min(limit, connection.count(queue.dead))
        if not wanted:
            return 0
        with closing(self._consume_parked(queue)) as parked:
            return sum(self._requeued(parked, queue, wanted))

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

    def _connect(self, purpose: str) -> Connection:
        return Connection(self._address, self._timeouts, purpose)

    def _wait_until_back(self, connection: Connection, queue: str, count: int) -> None:
        """Wait until *count* messages are in *queue* again, unless somebody else has taken them.

        RabbitMQ puts them back a moment later than it was told to, and until then nobody sees them.
        """
        limit = time.monotonic() + self._timeouts.reply
        while connection.count(queue) < count and time.monotonic() < limit:
            time.sleep(_GLANCE)

    def _consume_parked(self, queue: Queue) -> ConsumerSession:
        session = ConsumerSession(self._address, self._timeouts, queue.dead, _REQUEUED_AT_ONCE)
        session.consume([queue.dead])
        return session

    def _requeued(self, parked: ConsumerSession, queue: Queue, wanted: int) -> Iterator[int]:
        """Move *wanted* messages in steps, each acked only when it is safe; say how many moved."""
        with closing(self.publisher()) as publisher:
            while wanted > 0:
                messages = parked.take(wanted, time.monotonic() + self._timeouts.reply)
                moved = self._published_again(publisher, queue, messages)
                parked.ack(moved)
                yield len(moved)
                wanted = wanted - len(messages) if messages else 0

    def _published_again(
        self, publisher: RabbitPublisher, queue: Queue, parked: Sequence[Delivery]
    ) -> Sequence[int]:
        """Publish what is parked to the partitions of what is in it; the tags of what is safe."""
        parts = [
            (delivery.tag, Publication(body, partition))
            for delivery in parked
            for partition, body in redivided(delivery.body, self._partitions)
        ]
        kept = publisher.publish(queue, [message for _, message in parts])
        unsafe = {tag for (tag, _), is_safe in zip(parts, kept, strict=True) if not is_safe}
        return [delivery.tag for delivery in parked if delivery.tag not in unsafe]

    def _make(self, queues: Sequence[QueueDeclaration]) -> None:
        """The exchange comes last: where it is there, so are all queues."""
        with self._connect("install") as connection:
            for queue in queues:
                connection.ask(partial(_declare_queue, queue))
            self._bind(connection, queues, self._partitions)

    def _bind(
        self, connection: Connection, queues: Sequence[QueueDeclaration], partitions: int
    ) -> None:
        name = exchange(partitions)
        connection.ask(partial(_declare_exchange, name))
        for queue in queues:
            if queue.is_bound:
                key = routing_key(self._district, queue.name)
                connection.ask(partial(_bind_queue, name, queue.name, key))

    # --- another number of partitions ----------------------------------------------------------

    def _end_other_division(self) -> None:
        """Make way for our number of partitions where the queues have another.

        Raises Misconfigured while a message waits or somebody consumes. First the exchange goes,
        so that nobody publishes by the other number any more. It comes back when something was
        published just before.
        """
        found = {queue: self._partitions_found(queue) for queue in self._queues}
        other = max(found.values())
        if other in (0, self._partitions):
            return
        self._require_right_to_divide(other)
        self._require_unused(found)
        self._delete_exchange(other)
        try:
            self._require_unused(found)
        except Misconfigured:
            with self._connect("install") as connection:
                self._bind(connection, list(declarations(self._queues, other)), other)
            raise
        self._delete_surplus(found)

    def _require_right_to_divide(self, other: int) -> None:
        """RabbitMQ (3.10.8) looks at the rights first, and nothing is left to delete here."""
        try:
            self._delete_exchange(self._partitions)
        except Refused as refusal:
            if refusal.code != ACCESS_REFUSED:
                raise
            raise divided_by_its_operator(self._address, other, self._partitions) from None

    def _require_unused(self, found: Mapping[Queue, int]) -> None:
        """Raise Misconfigured while a message waits in a partition, or somebody consumes."""
        with self._connect("install") as connection:
            for queue, partitions in found.items():
                if partitions and connection.count_both(consumers_name(queue))[1]:
                    raise still_consumed(self._address, queue)
                if any(map(connection.count, partition_names(queue, partitions))):
                    raise still_divided_by(partitions, self._partitions, self._address.section)

    def _delete_exchange(self, partitions: int) -> None:
        with self._connect("install") as connection:
            connection.ask(partial(_delete_exchange, exchange(partitions)))

    def _delete_surplus(self, found: Mapping[Queue, int]) -> None:
        """The last partition first: what is left is always a row from 0."""
        with self._connect("install") as connection:
            for queue, partitions in found.items():
                for name in reversed(partition_names(queue, partitions)[self._partitions :]):
                    connection.ask(partial(_delete_queue, name))

    def _partitions_found(self, queue: Queue) -> int:
        """Into how many partitions *queue* is divided at the broker; 0 when it is not there.

        The broker ends the connection when it is asked for one that it has not.
        """
        found = 0
        try:
            with self._connect("install") as connection:
                for number in count():
                    connection.count(partition_name(queue, number))
                    found = number + 1
        except Refused as refusal:
            if refusal.code != NOT_FOUND:
                raise
        return found

    def _exists(self, queue: str) -> bool:
        return self._finds(lambda connection: connection.count(queue))

    def _has_exchange(self, partitions: int) -> bool:
        return self._finds(
            lambda connection: connection.ask(partial(_find_exchange, exchange(partitions)))
        )

    def _finds(self, look: Callable[[Connection], object]) -> bool:
        try:
            with self._connect("install") as connection:
                look(connection)
        except Refused as refusal:
            if refusal.code == NOT_FOUND:
                return False
            raise
        return True


def _declare_exchange(name: str, channel: Channel, done: Done) -> None:
    channel.exchange_declare(name, EXCHANGE_TYPE, durable=True, callback=done)


def _find_exchange(name: str, channel: Channel, done: Done) -> None:
    channel.exchange_declare(name, EXCHANGE_TYPE, passive=True, callback=done)


def _delete_exchange(name: str, channel: Channel, done: Done) -> None:
    channel.exchange_delete(name, callback=done)


def _declare_queue(queue: QueueDeclaration, channel: Channel, done: Done) -> None:
    channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments), callback=done)


def _delete_queue(name: str, channel: Channel, done: Done) -> None:
    channel.queue_delete(name, callback=done)


def _bind_queue(exchange_name: str, queue: str, key: str, channel: Channel, done: Done) -> None:
    channel.queue_bind(queue, exchange_name, key, callback=done)


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
