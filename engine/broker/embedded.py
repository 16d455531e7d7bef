"""The embedded broker: durable queues in one table of the engine's own SQLite database.

One process, a thread for each stage. What is queued is in the table; who has which message is
known in memory alone, so a restart hands out again all that was not acked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    inspect,
    literal,
    select,
    update,
)

from engine.broker.promises import DELIVERY_LIMIT, DELIVERY_LIMIT_REASON, SINGLE_ACTIVE
from engine.database import Database
from engine.errors import ConfigError, SchoolbellError
from engine.ports import Delivery, Depth, Parked, Queue
from engine.store.tables import queue_messages

_messages: Final = queue_messages.c
_this_one: Final = _messages.id == bindparam("message")
_put: Final = insert(queue_messages)
_remove: Final = delete(queue_messages).where(_this_one)
_count_delivery: Final = (
    update(queue_messages)
    .where(_this_one)
    .values(deliveries=_messages.deliveries + bindparam("more"))
)
_park: Final = (
    update(queue_messages).where(_this_one).values(queue=bindparam("dead"), reason=bindparam("why"))
)
_in_order: Final = select(_messages.id, _messages.body, _messages.deliveries).order_by(_messages.id)
_given_back: Final = _in_order.where(_messages.id.in_(bindparam("given_back", expanding=True)))
_not_yet_seen: Final = _in_order.where(
    _messages.queue == bindparam("queue"), _messages.id > bindparam("seen")
).limit(bindparam("room"))

_Message = Row[Any, Any, Any]


class _Bell:
    """Wakes who waits. Ringing waits for nobody: least of all for a consumer at the database."""

    def __init__(self) -> None:
        self._rung = threading.Condition()
        self._times = 0

    def times(self) -> int:
        """How often it has rung: ask this before looking whether there is something to do."""
        return self._times

    def ring(self) -> None:
        """Something was published, or a consumer has left."""
        with self._rung:
            self._times += 1
            self._rung.notify_all()

    def wait_for_more_than(self, times: int, timeout: float) -> None:
        """Wait until it has rung once more, or for *timeout* seconds."""
        with self._rung:
            self._rung.wait_for(lambda: self._times > times, timeout)


class _Shelf:
    """One queue as the consumers of this process share it, guarded by *handing_out*."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.bell = _Bell()
        self.handing_out = threading.Lock()
        self.consumers: list[EmbeddedConsumer] = []
        self.given_back: list[int] = []
        self.handed_out_up_to = 0

    def next_messages(self, database: Database, room: int) -> Sequence[_Message]:
        """The oldest messages that nobody has. What was given back is older than all others."""
        with database.read() as connection:
            if self.given_back:
                return connection.execute(_given_back, {"given_back": self.given_back[:room]}).all()
            return connection.execute(
                _not_yet_seen,
                {"queue": self.queue.value, "seen": self.handed_out_up_to, "room": room},
            ).all()

    def handed_out(self, messages: Sequence[_Message]) -> bool:
        """Nobody else gets these. Tell whether they had been given back."""
        is_repeated = bool(self.given_back)
        del self.given_back[: len(messages)]
        self.handed_out_up_to = max(self.handed_out_up_to, messages[-1].id)
        return is_repeated

    def leave(self, consumer: EmbeddedConsumer, held: Collection[int]) -> None:
        """What the consumer held goes to the next one."""
        self.given_back = sorted([*self.given_back, *held])
        if consumer in self.consumers:
            self.consumers.remove(consumer)


class EmbeddedPublisher:
    """A Publisher: all bodies of a call are committed in one transaction, or none is."""

    def __init__(self, database: Database, shelves: Mapping[Queue, _Shelf]) -> None:
        self._database = database
        self._shelves = shelves

    def publish(self, queue: Queue, bodies: Sequence[bytes]) -> Sequence[bool]:
        """Publish in order; what does not raise is committed."""
        if not bodies:
            return []
        with self._database.write() as connection:
            connection.execute(_put, [{"queue": queue.value, "body": body} for body in bodies])
        self._shelves[queue].bell.ring()
        return [True] * len(bodies)

    def close(self) -> None:
        """Nothing is held."""


class EmbeddedConsumer:
    """A Consumer of one queue. The id of a message is its tag, for as long as it is held."""

    def __init__(self, database: Database, shelf: _Shelf, prefetch: int) -> None:
        self._database = database
        self._shelf = shelf
        self._prefetch = prefetch
        self._held: set[int] = set()

    @property
    def held(self) -> int:
        """How many messages were handed out and not acked."""
        return len(self._held)

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        """Wait up to *timeout* seconds for a first message; return at most *limit*, in order."""
        deadline = time.monotonic() + timeout
        while True:
            heard = self._shelf.bell.times()
            with self._shelf.handing_out:
                taken = self._take(min(limit, self._prefetch - len(self._held)))
            left = deadline - time.monotonic()
            if taken or left <= 0:
                return taken
            self._shelf.bell.wait_for_more_than(heard, left)

    def ack(self, tags: Sequence[int]) -> None:
        """Remove these messages: they have had their effect."""
        ours = self._held.intersection(tags)
        if not ours:
            return
        with self._database.write() as connection:
            connection.execute(_remove, [{"message": tag} for tag in ours])
        self._held -= ours

    def park(self, delivery: Delivery, reason: str) -> None:
        """Move a message to the dead-letter queue, with the reason."""
        if delivery.tag not in self._held:
            return
        with self._database.write() as connection:
            _move_to_dead(connection, self._shelf.queue, [delivery.tag], reason)
        self._held.discard(delivery.tag)

    def close(self) -> None:
        """Give back what was not acked. Safe to call twice."""
        with self._shelf.handing_out:
            # Who can still say goodbye was not killed by what it held.
            with suppress(SchoolbellError), self._database.write() as connection:
                _count(connection, self._held, -1)
            self._shelf.leave(self, self._held)
            self._held = set()
        self._shelf.bell.ring()

    def _take(self, room: int) -> Sequence[Delivery]:
        if room <= 0 or not self._is_active():
            return []
        while messages := self._shelf.next_messages(self._database, room):
            taken = self._hand_out(messages)
            if taken:
                return taken
        return []

    def _is_active(self) -> bool:
        consumers = self._shelf.consumers
        if self not in consumers:
            consumers.append(self)
        return self._shelf.queue not in SINGLE_ACTIVE or consumers[0] is self

    def _hand_out(self, messages: Sequence[_Message]) -> Sequence[Delivery]:
        """Count the delivery before it happens: the message may be what kills this process."""
        fit = [message for message in messages if message.deliveries <= DELIVERY_LIMIT]
        worn_out = [message.id for message in messages if message.deliveries > DELIVERY_LIMIT]
        with self._database.write() as connection:
            _count(connection, [message.id for message in fit], +1)
            _move_to_dead(connection, self._shelf.queue, worn_out, DELIVERY_LIMIT_REASON)
        is_repeated = self._shelf.handed_out(messages)
        self._held.update(message.id for message in fit)
        return [
            Delivery(message.id, message.body, redelivered=is_repeated or message.deliveries > 0)
            for message in fit
        ]


class EmbeddedBroker:
    """The broker of one process; make one of it, for its consumers know of each other by it."""

    def __init__(self, database: Database) -> None:
        if not database.is_sqlite:
            raise ConfigError(
                "The embedded broker needs SQLite as the engine's database.",
                "Write amqps://user:password@host/vhost as url in [broker].",
            )
        self._database = database
        self._shelves: Final = {queue: _Shelf(queue) for queue in Queue}

    def install(self) -> Sequence[str]:
        """Make the table when no migration has; name the queues that it holds."""
        with self._database.write() as connection:
            if inspect(connection).has_table(queue_messages.name):
                return []
            queue_messages.create(connection)
        return [name for queue in Queue for name in (queue.dead, queue.value)]

    def publisher(self) -> EmbeddedPublisher:
        """Open a publisher."""
        return EmbeddedPublisher(self._database, self._shelves)

    def consumer(self, queue: Queue, prefetch: int) -> EmbeddedConsumer:
        """Open a consumer that holds at most *prefetch* messages unacked."""
        return EmbeddedConsumer(self._database, self._shelves[queue], prefetch)

    def depths(self) -> Mapping[Queue, Depth]:
        """Count what waits and is not handed out."""
        statement = select(_messages.queue, func.count()).group_by(_messages.queue)
        with self._database.read() as connection:
            counted = {str(queue): int(count) for queue, count in connection.execute(statement)}
        return {
            queue: Depth(
                ready=max(0, counted.get(queue.value, 0) - self._held(queue)),
                dead=counted.get(queue.dead, 0),
            )
            for queue in Queue
        }

    def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
        """Look at up to *limit* parked messages without taking them away."""
        statement = (
            select(_messages.body, _messages.reason)
            .where(_messages.queue == queue.dead)
            .order_by(_messages.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Parked(body, reason) for body, reason in connection.execute(statement)]

    def requeue_parked(self, queue: Queue, limit: int) -> int:
        """Move up to *limit* parked messages back, behind what waits there."""
        oldest = (
            select(_messages.id)
            .where(_messages.queue == queue.dead)
            .order_by(_messages.id)
            .limit(limit)
        )
        # A new id, for consumers do not look back; inserted first, so the oldest stay the same.
        copied = select(literal(queue.value), _messages.body).where(_messages.id.in_(oldest))
        with self._database.write() as connection:
            connection.execute(_put.from_select(["queue", "body"], copied.order_by(_messages.id)))
            moved = connection.execute(
                delete(queue_messages).where(_messages.id.in_(oldest))
            ).rowcount
        self._shelves[queue].bell.ring()
        return moved

    def _held(self, queue: Queue) -> int:
        shelf = self._shelves[queue]
        with shelf.handing_out:
            return sum(consumer.held for consumer in shelf.consumers)


def _count(connection: Connection, messages: Collection[int], more: int) -> None:
    if messages:
        connection.execute(
            _count_delivery, [{"message": message, "more": more} for message in messages]
        )


def _move_to_dead(
    connection: Connection, queue: Queue, messages: Collection[int], reason: str
) -> None:
    if messages:
        connection.execute(
            _park,
            [{"message": message, "dead": queue.dead, "why": reason} for message in messages],
        )
