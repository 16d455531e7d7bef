"""Consuming: the broker pushes up to *prefetch* messages ahead, and they wait here in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from engine.broker.promises import SINGLE_ACTIVE
from engine.broker.rabbitmq.address import Address, Patience
from engine.broker.rabbitmq.connection import Channel, Connection
from engine.broker.rabbitmq.publisher import RabbitPublisher
from engine.broker.rabbitmq.reconnecting import Line
from engine.broker.rabbitmq.topology import REASON_HEADER
from engine.errors import SchoolbellError, Unavailable
from engine.ports import Delivery, Queue


class Subscription:
    """One subscription: what has arrived, and what was handed out and is not acked.

    Tags go on from *base*, where the one before ended: a tag of a lost connection is nobody's.
    """

    def __init__(
        self, address: Address, patience: Patience, queue: str, prefetch: int, base: int = 0
    ) -> None:
        self.last_tag = base
        self._base = base
        self._queue = queue
        self._prefetch = prefetch
        self._arrived = threading.Condition()
        self._waiting: deque[Delivery] = deque()
        self._held: dict[int, None] = {}
        self._cancelled: SchoolbellError | None = None
        self._connection = Connection(address, patience, f"consumer of {queue}", self._wake)
        self._connection.ask(self._subscribe)

    @property
    def lost(self) -> SchoolbellError | None:
        return self._connection.lost or self._cancelled

    def close(self) -> None:
        """End the subscription with the connection."""
        if self._queue in SINGLE_ACTIVE:
            self._connection.run(_leave_uncancelled)
        self._connection.close()

    def take(self, limit: int, deadline: float) -> Sequence[Delivery]:
        """Wait for a first message until the *deadline*; nothing when the connection is lost."""
        with self._arrived:
            self._arrived.wait_for(
                lambda: self._waiting or self.lost, max(0.0, deadline - time.monotonic())
            )
            if self.lost:
                return []
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        for delivery in taken:
            self._held[delivery.tag] = None
            self.last_tag = delivery.tag
        return taken

    def holds(self, tag: int) -> bool:
        """Whether this message was handed out here, is not acked, and still can be."""
        return tag in self._held and self.lost is None

    def ack(self, tags: Sequence[int]) -> None:
        """Ack what is held; what is not, or was acked before, is ignored."""
        ours = [tag for tag in tags if self._held.pop(tag, 0) is None]
        oldest_left = next(iter(self._held), self.last_tag + 1)
        self._connection.ack([tag - self._base for tag in ours], oldest_left - self._base)

    # What follows runs in the connection's own thread.

    def _subscribe(self, channel: Channel, done: Callable[[Any], None]) -> None:
        channel.add_on_cancel_callback(self._on_cancel)
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(self._queue, self._on_message, callback=done)

    def _on_message(self, _channel: Channel, method: Any, _properties: Any, body: bytes) -> None:
        with self._arrived:
            self._waiting.append(
                Delivery(self._base + method.delivery_tag, body, method.redelivered)
            )
            self._arrived.notify()

    def _on_cancel(self, _frame: Any) -> None:
        self._cancelled = Unavailable(
            f"The broker has ended what we consume of {self._queue}.",
            "Look whether the queue was deleted or has lost its leader.",
        )
        self._wake()

    def _wake(self) -> None:
        with self._arrived:
            self._arrived.notify()


def _leave_uncancelled(channel: Channel) -> None:
    """Let pika forget its consumer, which it would cancel before it closes the channel.

    Where a second consumer stands by, RabbitMQ lets it start at the cancel, ahead of all that we
    still hold: the order of a record's changes would be lost. Of a closed channel without a
    cancel it takes back what we hold first.
    """
    channel._consumers.clear()


class RabbitConsumer:
    """A Consumer on a connection of its own; *parking* opens a second one when it is needed."""

    def __init__(
        self,
        address: Address,
        patience: Patience,
        queue: Queue,
        prefetch: int,
        parking: RabbitPublisher,
    ) -> None:
        self._address = address
        self._patience = patience
        self._queue = queue
        self._prefetch = prefetch
        self._parking = parking
        self._session: Subscription | None = None
        self._line: Final = Line(self._subscribe, address, patience)

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        """Wait up to *timeout* seconds for a first message; return at most *limit*, in order."""
        deadline = time.monotonic() + timeout
        while True:
            taken = self._line.session().take(limit, deadline)
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
        (kept,) = self._parking.publish_to(
            self._queue.dead, [delivery.body], {REASON_HEADER: reason}
        )
        if not kept:
            raise Unavailable(
                f"The broker did not confirm a message for {self._queue.dead}.",
                "It stays where it is; Schoolbell tries again. If that queue is full, look at it "
                "with `schoolbell parked list`, put back what can be read with `schoolbell parked "
                "retry`, and let who runs the broker purge the rest.",
            )
        self._session.ack([delivery.tag])

    def close(self) -> None:
        """Give the connection back; what was not acked will be delivered again."""
        self._line.close()
        self._parking.close()

    def _subscribe(self) -> Subscription:
        base = self._session.last_tag if self._session is not None else 0
        self._session = Subscription(
            self._address, self._patience, self._queue.value, self._prefetch, base
        )
        return self._session
