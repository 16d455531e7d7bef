"""Consuming: the broker pushes messages ahead, and they wait here in order.

Each partition is consumed by a channel of its own, on one connection. RabbitMQ makes one consumer
of a partition the active one, the next in line when that is gone, and tells nobody: who has got a
message knows that it is the active one. It stays so until its channel closes.

A consumer that is active on more than its share hands partitions over. It keeps the acks back, so
that RabbitMQ delivers no more than *prefetch*, works off what has come, and consumes again at the
end of the line. Whoever is next gets what comes after it, and nothing a second time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from engine.broker.rabbitmq.address import Address, Timeouts
from engine.broker.rabbitmq.connection import Channel, Connection, Done
from engine.broker.rabbitmq.publisher import RabbitPublisher
from engine.broker.rabbitmq.reconnecting import Reconnecting
from engine.broker.rabbitmq.topology import (
    EXCHANGE_TYPE,
    REASON_HEADER,
    consumers_name,
    exchange,
    partition_names,
)
from engine.errors import SchoolbellError, Unavailable
from engine.ports import Delivery, Queue


class _Partition:
    """What one channel brings of one RabbitMQ queue, and the part of it that was handed out.

    *waiting* holds deliveries with the broker's tags, which *handed_out* keeps by ours until they
    are acked. While the partition *is_leaving*, the broker's tags of what is acked are *kept_back*.
    """

    def __init__(self, number: int, queue: str, channel: Channel) -> None:
        self.number = number
        self.queue = queue
        self.channel = channel
        self.waiting: deque[tuple[Delivery, int]] = deque()
        self.handed_out: dict[int, int] = {}
        self.kept_back: list[int] = []
        self.last_handed_out = 0
        self.is_active = False
        self.leaving_since: float | None = None

    @property
    def is_leaving(self) -> bool:
        """Whether it is to be handed over."""
        return self.leaving_since is not None

    @property
    def is_worked_off(self) -> bool:
        """Whether all that has come is acked by who has it."""
        return not (self.waiting or self.handed_out)

    def take(self, limit: int) -> Sequence[Delivery]:
        """Hand out what has waited longest."""
        taken = [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]
        for delivery, tag in taken:
            self.handed_out[delivery.tag] = self.last_handed_out = tag
        return [delivery for delivery, _ in taken]

    def ack(self, ours: Sequence[int]) -> Sequence[int]:
        """Note which of *ours* are acked; the broker's tags that may be acked to it now."""
        self.kept_back += [self.handed_out.pop(tag) for tag in ours if tag in self.handed_out]
        return [] if self.is_leaving else self.release()

    def release(self) -> Sequence[int]:
        """The broker's tags of all that is acked and was kept back."""
        released, self.kept_back = self.kept_back, []
        return released

    @property
    def oldest_left(self) -> int:
        """The broker's tag of the oldest message that is not acked."""
        return next(iter(self.handed_out.values()), self.last_handed_out + 1)


class ConsumerSession:
    """One connection that consumes some RabbitMQ queues, as the partitions of one queue.

    Tags go on from *last_tag*, where the session before ended: one of a lost connection is
    nobody's.
    """

    def __init__(
        self,
        address: Address,
        timeouts: Timeouts,
        purpose: str,
        prefetch: int,
        last_tag: int = 0,
    ) -> None:
        self.last_tag = last_tag
        self._prefetch = prefetch
        self._arrived = threading.Condition()
        self._cancelled: SchoolbellError | None = None
        self._partitions: list[_Partition] = []
        self._first = 0
        self._connection = Connection(address, timeouts, f"consumer of {purpose}", self._wake)

    def consume(self, queues: Sequence[str]) -> None:
        """Let the messages of *queues* come."""
        for number, queue in enumerate(queues):
            self._partitions.append(self._consume(number, queue))

    @property
    def lost(self) -> SchoolbellError | None:
        return self._connection.lost or self._cancelled

    def close(self) -> None:
        """End what is consumed with the connection.

        Each queue is asked first for something that it has to write behind our acks: when it
        answers, none of them waits at the channel any more (see Connection.ack).
        """
        with suppress(SchoolbellError):
            for partition in self._partitions:
                self._ack(partition, partition.release())
                self._connection.ask(partial(_stand_in_line, partition.queue), partition.channel)
        for partition in self._partitions:
            self._connection.run(_forget_consumer, partition.channel)
        self._connection.close()

    def take(self, limit: int, deadline: float) -> Sequence[Delivery]:
        """Wait for a first message until the *deadline*; nothing when the connection is lost."""
        with self._arrived:
            self._arrived.wait_for(
                lambda: self._has_more or self.lost, max(0.0, deadline - time.monotonic())
            )
            if self.lost:
                return []
            # Another partition is first each time, so that the limit is no partition's own.
            self._first = (self._first + 1) % len(self._partitions)
            taken: list[Delivery] = []
            for partition in self._partitions[self._first :] + self._partitions[: self._first]:
                taken += partition.take(limit - len(taken))
        return taken

    def holds(self, tag: int) -> bool:
        """Whether this message was handed out here, is not acked, and still can be."""
        return self.lost is None and any(tag in one.handed_out for one in self._partitions)

    def ack(self, tags: Sequence[int]) -> None:
        """Ack what was handed out; what was not, or was acked before, is ignored."""
        for partition in self._partitions:
            self._ack(partition, partition.ack(tags))

    @property
    def _has_more(self) -> bool:
        return any(one.waiting for one in self._partitions)

    def _ack(self, partition: _Partition, tags: Sequence[int]) -> None:
        if tags:
            self._connection.ack(tags, partition.oldest_left, partition.channel)

    def _consume(self, number: int, queue: str) -> _Partition:
        """Consume a queue by a new channel, at the end of the line."""
        partition = _Partition(number, queue, self._connection.open_channel())
        self._connection.ask(partial(self._start, partition), partition.channel)
        return partition

    # What follows runs in the connection's own thread.

    def _start(self, partition: _Partition, channel: Channel, done: Callable[[Any], None]) -> None:
        channel.add_on_cancel_callback(partial(self._on_cancel, partition.queue))
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(partition.queue, partial(self._on_message, partition), callback=done)

    def _on_message(
        self, partition: _Partition, _channel: Channel, method: Any, _properties: Any, body: bytes
    ) -> None:
        with self._arrived:
            self.last_tag += 1
            delivery = Delivery(self.last_tag, body, method.redelivered, partition.number)
            partition.waiting.append((delivery, method.delivery_tag))
            partition.is_active = True
            self._arrived.notify()

    def _on_cancel(self, queue: str, _frame: Any) -> None:
        self._cancelled = Unavailable(
            f"The broker has ended what we consume of {queue}.",
            "Look whether the queue was deleted or has lost its leader.",
        )
        self._wake()

    def _wake(self) -> None:
        with self._arrived:
            self._arrived.notify()


class SharingSession(ConsumerSession):
    """Consumes all partitions of *queue*, and hands over what is more than its share."""

    def __init__(
        self,
        address: Address,
        timeouts: Timeouts,
        queue: Queue,
        partitions: int,
        prefetch: int,
        last_tag: int,
    ) -> None:
        self._queue = queue
        self._look_after = timeouts.sharing
        self._next_look = 0.0
        self._consumers = 1
        super().__init__(address, timeouts, queue, prefetch, last_tag)
        self._connection.ask(partial(_find_exchange, exchange(partitions)))
        self.consume(partition_names(queue, partitions))
        self._connection.ask(self._be_counted)

    def hand_over(self) -> None:
        """Hand over what is more than our share, as far as it is worked off."""
        self._look_who_consumes()
        active = [one for one in self._partitions if one.is_active]
        share = -(-len(self._partitions) // self._consumers)
        for partition in active[:share]:
            partition.leaving_since = None
            self._ack(partition, partition.release())
        for partition in active[share:]:
            if partition.leaving_since is None:
                partition.leaving_since = time.monotonic()
            elif partition.is_worked_off:
                self._leave(partition, partition.leaving_since)

    def _look_who_consumes(self) -> None:
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self._look_after
            self._connection.run(self._count_consumers)

    def _leave(self, partition: _Partition, since: float) -> None:
        """Give a partition up whose messages are all worked off, and stand at the end of its line.

        RabbitMQ lets the next consumer start at the cancel, ahead of what may be on its way to us.
        Nothing is where it may deliver no more, for all acks are kept back. A partition that stays
        quiet is left by closing the channel without a cancel: what is on its way after all is then
        taken back first.
        """
        if len(partition.kept_back) == self._prefetch:
            self._connection.ask(_cancel, partition.channel)
        elif time.monotonic() - since < self._look_after:
            return
        self._ack(partition, partition.release())
        self._connection.run(_close_uncancelled, partition.channel)
        self._partitions[partition.number] = self._consume(partition.number, partition.queue)

    # What follows runs in the connection's own thread.

    def _be_counted(self, channel: Channel, done: Done) -> None:
        channel.basic_consume(consumers_name(self._queue), lambda *_: None, callback=done)

    def _count_consumers(self, channel: Channel) -> None:
        channel.queue_declare(
            consumers_name(self._queue), passive=True, callback=self._on_consumers_counted
        )

    def _on_consumers_counted(self, reply: Any) -> None:
        self._consumers = max(1, reply.method.consumer_count)


def _find_exchange(name: str, channel: Channel, done: Done) -> None:
    channel.exchange_declare(name, EXCHANGE_TYPE, passive=True, callback=done)


def _stand_in_line(queue: str, channel: Channel, done: Done) -> None:
    channel.basic_consume(queue, lambda *_: None, callback=done)


def _cancel(channel: Channel, done: Done) -> None:
    (consumer,) = channel.consumer_tags
    channel.basic_cancel(consumer, callback=done)


def _forget_consumer(channel: Channel) -> None:
    """Let pika forget its consumer, which it would cancel before it closes the channel.

    RabbitMQ lets the next consumer start at the cancel, ahead of all that we still hold: the order
    would be lost. Of a closed channel without a cancel it takes back what we hold first.
    """
    channel._consumers.clear()


def _close_uncancelled(channel: Channel) -> None:
    _forget_consumer(channel)
    channel.close()


class RabbitConsumer:
    """A Consumer on a connection of its own; *parking* opens a second one when it is needed."""

    def __init__(
        self,
        address: Address,
        timeouts: Timeouts,
        queue: Queue,
        partitions: int,
        prefetch: int,
        parking: RabbitPublisher,
    ) -> None:
        self._address = address
        self._timeouts = timeouts
        self._queue = queue
        self._partitions = partitions
        self._prefetch = prefetch
        self._parking = parking
        self._session: SharingSession | None = None
        self._sessions: Final = Reconnecting(self._connect, address, timeouts)

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        """See ports.Consumer."""
        deadline = time.monotonic() + timeout
        while True:
            session = self._sessions.session()
            session.hand_over()
            taken = session.take(limit, deadline)
            if taken or time.monotonic() >= deadline:
                return taken

    def ack(self, tags: Sequence[int]) -> None:
        """Tell the broker that these messages have had their effect."""
        if self._session is not None:
            self._session.ack(tags)

    def park(self, delivery: Delivery, reason: str) -> None:
        """Move a message to the dead-letter queue: first it is safe there, then it leaves here."""
        if self._session is None or not self._session.holds(delivery.tag):
            return
        if not self._parking.park(self._queue, delivery.body, {REASON_HEADER: reason}):
            raise Unavailable(
                f"The broker did not confirm a message for {self._queue.dead}.",
                "It stays where it is; Schoolbell tries again. If that queue is full, look at it "
                "with `schoolbell parked list`, put back what can be read with `schoolbell parked "
                "retry`, and let who runs the broker purge the rest.",
            )
        self._session.ack([delivery.tag])

    def close(self) -> None:
        """Give the connection back; what was not acked will be delivered again."""
        self._sessions.close()
        self._parking.close()

    def _connect(self) -> SharingSession:
        last_tag = self._session.last_tag if self._session is not None else 0
        self._session = SharingSession(
            self._address, self._timeouts, self._queue, self._partitions, self._prefetch, last_tag
        )
        return self._session
