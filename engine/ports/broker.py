"""A message broker: queues in partitions, who publishes to them and who consumes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from rules.lanes import Lane


class Queue(StrEnum):
    """The durable queues, each divided into partitions, with one dead-letter queue beside them.

    A partition is in order and has one consumer at a time: what must stay in order, the changes of
    a record or the pushes of a device, goes to one partition. Two processes share a queue by its
    partitions.
    """

    CHANGES = "changes"
    PUSHES = "pushes"
    BROADCASTS = "broadcasts"
    OUTCOMES = "outcomes"

    @property
    def dead(self) -> str:
        """The name of this queue's dead-letter queue."""
        return f"{self.value}.dead"


LANES: Final[Mapping[Lane, Queue]] = {
    Lane.ORDINARY: Queue.PUSHES,
    Lane.BROADCASTS: Queue.BROADCASTS,
}
"""The queue of each lane: what waits in one holds up nothing in the other."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One message to be published, and the partition of its queue that it goes to, from 0."""

    body: bytes = field(repr=False)
    partition: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message handed to a consumer, to be acked or parked by its *tag*.

    *redelivered* is true when an earlier consumer may have had it and died.
    """

    tag: int
    body: bytes = field(repr=False)
    redelivered: bool = False
    partition: int = 0


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages wait in all partitions of a queue, and in its dead-letter queue.

    *consumers* is how many share its partitions; None where the broker cannot tell.
    """

    ready: int
    dead: int
    consumers: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Parked:
    """A message in a dead-letter queue."""

    body: bytes = field(repr=False)
    reason: str = ""


class Publisher(Protocol):
    """Publishes to one broker. Not shared between threads."""

    def partitions(self, queue: Queue) -> int:
        """Into how many partitions the broker divides *queue*."""
        ...

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        """Publish in order and return, for each message, whether the broker has it safely.

        False means nacked or not confirmed in time: the caller still owns it and publishes it
        again. Raises Unavailable when the broker cannot be reached (reconnecting is the adapter's
        own work at the next call) and Misconfigured when it refuses us or has no such partition.
        """
        ...

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        ...


class Consumer(Protocol):
    """Consumes those partitions of a queue that are its share. Not shared between threads.

    Who has more partitions than its share hands some over to the others, each when none of its
    messages is in hand any more. That happens in `receive` and `ack`, so a consumer that is not
    asked for long keeps what it has.
    """

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        """Wait up to *timeout* seconds for a first message; return at most *limit*.

        Those of one partition are in order. A message that comes again after another consumer had
        it comes before all later ones of its partition.

        Unavailable and Misconfigured are raised as in Publisher.publish. After a lost connection
        old tags are forgotten: acking them is ignored and their messages come again.
        """
        ...

    def ack(self, tags: Sequence[int]) -> None:
        """Tell the broker that these messages have had their effect."""
        ...

    def park(self, delivery: Delivery, reason: str) -> None:
        """Move a message to the dead-letter queue, with the reason; never lose it on the way."""
        ...

    def close(self) -> None:
        """Give the connection back; what was not acked will be delivered again."""
        ...


class Broker(Protocol):
    """A message broker: RabbitMQ, or the durable queue in the engine's own database."""

    def install(self) -> Sequence[str]:
        """Make the queues that are missing, wait until each can serve, and name what was made.

        Only this makes queues: a publisher that declares a quorum queue on the way can lose
        confirmed messages (facts: capture-and-broker 5.4). Only this changes the number of
        partitions: it raises Misconfigured while anything waits that was divided by another
        number, for the messages of one record would then be in two partitions.
        """
        ...

    def publisher(self) -> Publisher:
        """Open a publisher."""
        ...

    def consumer(self, queue: Queue, prefetch: int) -> Consumer:
        """Open a consumer that holds at most *prefetch* messages of each partition unacked."""
        ...

    def depths(self) -> Mapping[Queue, Depth]:
        """Count what waits. Raises Misconfigured, naming the install command, without queues."""
        ...

    def requeue_parked(self, queue: Queue, limit: int) -> int:
        """Move up to *limit* parked messages back to their partitions; return how many moved."""
        ...

    def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
        """Look at up to *limit* parked messages without taking them away."""
        ...
