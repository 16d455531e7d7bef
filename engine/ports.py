"""What the stages need of the world, as small Protocols.

Both adapters of a port are held to one behaviour suite in `tests/contracts/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from engine.messages import Outcome, Push
from rules.change import Change

Clock = Callable[[], datetime]


class Queue(StrEnum):
    """The durable queues; each has a dead-letter queue beside it, named `<queue>.dead`."""

    CHANGES = "changes"
    PUSHES = "pushes"
    OUTCOMES = "outcomes"

    @property
    def dead(self) -> str:
        """The name of this queue's dead-letter queue."""
        return f"{self.value}.dead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message handed to a consumer, to be acked or parked by its *tag*.

    *redelivered* is true when an earlier consumer may have had it and died.
    """

    tag: int
    body: bytes = field(repr=False)
    redelivered: bool = False


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages wait in a queue, and in its dead-letter queue."""

    ready: int
    dead: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A captured change and its place in the outbox."""

    id: int
    change: Change


class Outbox(Protocol):
    """The rows that triggers wrote. One relay reads an outbox; a second one stands by."""

    def acquire(self) -> bool:
        """Become the one relay of this outbox, or learn that another process is."""
        ...

    def read(self, limit: int) -> Sequence[OutboxRow]:
        """The oldest committed rows that are not relayed, at most *limit*, by id.

        For one record, id order is commit order. The next read returns the same rows, and more,
        until they are marked.
        """
        ...

    def mark_relayed(self, rows: Sequence[OutboxRow]) -> None:
        """Remember that the broker has all of these rows, which the last read returned."""
        ...


class Publisher(Protocol):
    """Publishes to one broker. Not shared between threads."""

    def publish(self, queue: Queue, bodies: Sequence[bytes]) -> Sequence[bool]:
        """Publish in order and return, for each body, whether the broker has it safely.

        False means nacked, returned or not confirmed in time: the caller still owns it and
        publishes it again. Raises Unavailable when the broker cannot be reached (reconnecting is
        the adapter's own work at the next call) and Misconfigured when it refuses us.
        """
        ...

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        ...


class Consumer(Protocol):
    """Consumes one queue, in order. Not shared between threads."""

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        """Wait up to *timeout* seconds for a first message; return at most *limit*, in order.

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


@dataclass(frozen=True, slots=True)
class Parked:
    """A message in a dead-letter queue."""

    body: bytes = field(repr=False)
    reason: str = ""


class Broker(Protocol):
    """A message broker: RabbitMQ, or the durable queue in the engine's own database."""

    def install(self) -> Sequence[str]:
        """Make the queues that are missing, wait until each can serve, and name what was made.

        Only this makes queues: a publisher that declares a quorum queue on the way can lose
        confirmed messages (facts: capture-and-broker 5.4).
        """
        ...

    def publisher(self) -> Publisher:
        """Open a publisher."""
        ...

    def consumer(self, queue: Queue, prefetch: int) -> Consumer:
        """Open a consumer that holds at most *prefetch* messages unacked."""
        ...

    def depths(self) -> Mapping[Queue, Depth]:
        """Count what waits. Raises Misconfigured, naming the install command, without queues."""
        ...

    def requeue_parked(self, queue: Queue, limit: int) -> int:
        """Move up to *limit* parked messages back to their queue; return how many moved."""
        ...

    def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
        """Look at up to *limit* parked messages without taking them away."""
        ...


class Gateway(Protocol):
    """One push gateway: FCM or APNs. Not shared between threads.

    Sending is not blocking: thousands of pushes are in flight, and a slow one holds up nobody.
    """

    def submit(self, push: Push) -> None:
        """Take a push. Its outcome comes from a later `collect`; exactly one for each submit."""
        ...

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """Move bytes for at most *timeout* seconds; return the outcomes that have come in.

        Returns at once when there are outcomes. Never raises for what a gateway or the network
        does: that is an outcome.
        """
        ...

    @property
    def in_flight(self) -> int:
        """How many submitted pushes have no outcome yet."""
        ...

    def close(self) -> None:
        """Close the connections; what is in flight is not waited for."""
        ...
