"""The embedded broker: durable queues in one table of the engine's own SQLite database.

One process, a thread for each stage. What is queued is in the table; who has which message is
known in memory alone, so a restart hands out again all that was not acked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    inspect,
    select,
    update,
)

from engine.broker.promises import DELIVERY_LIMIT, DELIVERY_LIMIT_REASON, still_divided_by
from engine.database import Database
from engine.errors import ConfigError, SchoolbellError
from engine.ports import Delivery, Depth, Parked, Publication, Queue
from engine.store.tables import queue_messages
from engine.wire.partitions import redivided

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
_in_order: Final = select(
    _messages.id, _messages.partition, _messages.body, _messages.deliveries
).order_by(_messages.id)
_given_back: Final = _in_order.where(_messages.id.in_(bindparam("given_back", expanding=True)))
_not_yet_seen: Final = _in_order.where(
    _messages.queue == bindparam("queue"), _messages.id > bindparam("seen")
).limit(bindparam("room"))
_not_yet_seen_of_some: Final = _not_yet_seen.where(
    _messages.partition.in_(bindparam("partitions", expanding=True))
)
_parked: Final = (
    select(_messages.id, _messages.body, _messages.reason)
    .where(_messages.queue == bindparam("dead"))
    .order_by(_messages.id)
    .limit(bindparam("limit"))
)
_divided_otherwise: Final = (
    select(_messages.partitions)
    .where(
        _messages.queue.in_([queue.value for queue in Queue]),
        _messages.partitions != bindparam("partitions"),
    )
    .limit(1)
)

_Message = Row[Any, Any, Any, Any]


class _Signal:
    """Wakes who waits. Giving it waits for nobody: least of all for a consumer at the database."""

    def __init__(self) -> None:
        self._given = threading.Condition()
        self._times = 0

    def times(self) -> int:
        """How often it was given: ask this before looking whether there is something to do."""
        return self._times

    def give(self) -> None:
        """Something was published, or a partition is free for another consumer."""
        with self._given:
            self._times += 1
            self._given.notify_all()

    def wait_for_more_than(self, times: int, timeout: float) -> None:
        """Wait until it was given once more, or for *timeout* seconds."""
        with self._given:
            self._given.wait_for(lambda: self._times > times, timeout)


class _Partition:
    """One partition as the consumers of this process know it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.consumer: EmbeddedConsumer | None = None
        self.held: set[int] = set()
        self.given_back: list[int] = []
        self.handed_out_up_to = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """Messages to be handed out, and how far *partitions* are handed out by that."""

    messages: Sequence[_Message]
    partitions: Sequence[_Partition]
    up_to: int = 0
    given_back: bool = False

    def hand_out(self) -> None:
        """Nobody else gets these messages."""
        ids = {message.id for message in self.messages}
        for partition in self.partitions:
            partition.handed_out_up_to = max(partition.handed_out_up_to, self.up_to)
            partition.given_back = [one for one in partition.given_back if one not in ids]


class _SharedQueue:
    """One queue as the consumers of this process share it, guarded by *handing_out*."""

    def __init__(self, queue: Queue, partitions: int) -> None:
        self.queue = queue
        self.signal = _Signal()
        self.handing_out = threading.Lock()
        self.partitions = [_Partition(number) for number in range(partitions)]
        self._consumers: list[EmbeddedConsumer] = []

    @property
    def held(self) -> int:
        """How many messages were handed out and not acked."""
        with self.handing_out:
            return sum(len(partition.held) for partition in self.partitions)

    @property
    def is_shared(self) -> bool:
        """Whether there is more than one consumer."""
        return len(self._consumers) > 1

    def share_of(self, consumer: EmbeddedConsumer) -> Sequence[_Partition]:
        """The partitions that *consumer* may take from now.

        One of which another consumer still holds a message is nobody's until that is acked.
        """
        if consumer not in self._consumers:
            self._consumers.append(consumer)
        share = self.partitions[self._consumers.index(consumer) :: len(self._consumers)]
        for partition in share:
            if not partition.held:
                partition.consumer = consumer
        return [partition for partition in share if partition.consumer is consumer]

    def next_messages(
        self, database: Database, share: Sequence[_Partition], limit: int, prefetch: int
    ) -> _Found:
        """The oldest messages of *share* that nobody has, at most *limit*.

        Of no partition are more than *prefetch* held. What was given back is older than all others
        of its partition.
        """
        takeable = [partition for partition in share if len(partition.held) < prefetch]
        if not takeable or limit <= 0:
            return _Found([], [])
        with database.read() as connection:
            for partition in takeable:
                if partition.given_back:
                    wanted = partition.given_back[: min(limit, prefetch - len(partition.held))]
                    found = connection.execute(_given_back, {"given_back": wanted}).all()
                    return _Found(found, [partition], given_back=True)
            return self._unseen(connection, takeable, limit, prefetch)

    def leave(self, consumer: EmbeddedConsumer) -> None:
        """What the consumer held goes to those that get its partitions."""
        for partition in self.partitions:
            if partition.consumer is consumer:
                partition.given_back = sorted([*partition.given_back, *partition.held])
                partition.held = set()
                partition.consumer = None
        if consumer in self._consumers:
            self._consumers.remove(consumer)

    def _unseen(
        self, connection: Connection, takeable: Sequence[_Partition], limit: int, prefetch: int
    ) -> _Found:
        """Of partitions that were handed out to different places, those that are behind first.

        All that is not after the furthest of these places was committed before this is read, so
        those that are behind and have nothing more before it have caught up.
        """
        furthest = max(partition.handed_out_up_to for partition in takeable)
        while True:
            seen = min(partition.handed_out_up_to for partition in takeable)
            behind = [one for one in takeable if one.handed_out_up_to == seen]
            room = min(limit, *(prefetch - len(partition.held) for partition in behind))
            found = self._after(connection, seen, behind, room)
            if len(found) == room:
                return _Found(found, behind, found[-1].id)
            if found:
                return _Found(found, behind, max(found[-1].id, furthest))
            if seen == furthest:
                return _Found([], [])
            _Found([], behind, furthest).hand_out()

    def _after(
        self, connection: Connection, seen: int, of: Sequence[_Partition], room: int
    ) -> Sequence[_Message]:
        wanted: dict[str, Any] = {"queue": self.queue.value, "seen": seen, "room": room}
        if len(of) == len(self.partitions):  # a single consumer: no need to look at them
            return connection.execute(_not_yet_seen, wanted).all()
        wanted["partitions"] = [partition.number for partition in of]
        return connection.execute(_not_yet_seen_of_some, wanted).all()


class EmbeddedPublisher:
    """A Publisher: all messages of a call are committed in one transaction, or none is."""

    def __init__(self, database: Database, queues: Mapping[Queue, _SharedQueue]) -> None:
        self._database = database
        self._queues = queues

    def partitions(self, queue: Queue) -> int:
        """The same for each queue."""
        return len(self._queues[queue].partitions)

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        """Publish in order; what does not raise is committed."""
        if not messages:
            return []
        count = self.partitions(queue)
        with self._database.write() as connection:
            connection.execute(
                _put, [_row(queue, one.partition, count, one.body) for one in messages]
            )
        self._queues[queue].signal.give()
        return [True] * len(messages)

    def close(self) -> None:
        """Nothing is held."""


class EmbeddedConsumer:
    """A Consumer of one queue. The id of a message is its tag, for as long as it is held."""

    def __init__(self, database: Database, queue: _SharedQueue, prefetch: int) -> None:
        self._database = database
        self._queue = queue
        self._prefetch = prefetch

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        """See ports.Consumer."""
        deadline = time.monotonic() + timeout
        while True:
            heard = self._queue.signal.times()
            with self._queue.handing_out:
                taken = self._take(limit)
            left = deadline - time.monotonic()
            if taken or left <= 0:
                return taken
            self._queue.signal.wait_for_more_than(heard, left)

    def ack(self, tags: Sequence[int]) -> None:
        """Remove these messages: they have had their effect."""
        held = {partition: partition.held.intersection(tags) for partition in self._own()}
        ours = [tag for of_partition in held.values() for tag in of_partition]
        if not ours:
            return
        with self._database.write() as connection:
            connection.execute(_remove, [{"message": tag} for tag in ours])
        for partition, of_partition in held.items():
            partition.held -= of_partition
        if self._queue.is_shared:
            self._queue.signal.give()

    def park(self, delivery: Delivery, reason: str) -> None:
        """Move a message to the dead-letter queue, with the reason."""
        for partition in self._own():
            if delivery.tag in partition.held:
                with self._database.write() as connection:
                    _move_to_dead(connection, self._queue.queue, [delivery.tag], reason)
                partition.held.discard(delivery.tag)

    def close(self) -> None:
        """Give back what was not acked. Safe to call twice."""
        with self._queue.handing_out:
            held = [tag for partition in self._own() for tag in partition.held]
            # Who closes in order was not killed by what it held.
            with suppress(SchoolbellError), self._database.write() as connection:
                _count(connection, held, -1)
            self._queue.leave(self)
        self._queue.signal.give()

    def _own(self) -> Sequence[_Partition]:
        return [one for one in self._queue.partitions if one.consumer is self]

    def _take(self, limit: int) -> Sequence[Delivery]:
        share = self._queue.share_of(self)
        while True:
            found = self._queue.next_messages(self._database, share, limit, self._prefetch)
            if not found.messages:
                return []
            if taken := self._hand_out(found):
                return taken

    def _hand_out(self, found: _Found) -> Sequence[Delivery]:
        """Count the delivery before it happens: the message may be what kills this process."""
        fit = [message for message in found.messages if message.deliveries <= DELIVERY_LIMIT]
        worn_out = [one.id for one in found.messages if one.deliveries > DELIVERY_LIMIT]
        with self._database.write() as connection:
            _count(connection, [message.id for message in fit], +1)
            _move_to_dead(connection, self._queue.queue, worn_out, DELIVERY_LIMIT_REASON)
        found.hand_out()
        for message in fit:
            self._queue.partitions[message.partition].held.add(message.id)
        return [
            Delivery(
                message.id,
                message.body,
                redelivered=found.given_back or message.deliveries > 0,
                partition=message.partition,
            )
            for message in fit
        ]


class EmbeddedBroker:
    """The broker of one process; make one of it, for its consumers know of each other by it."""

    def __init__(self, database: Database, partitions: int) -> None:
        if not database.dialect.one_writer:  # two would take the same message
            raise ConfigError(
                "The embedded broker needs SQLite as the engine's database.",
                "Write amqps://user:password@host/vhost as url in [broker].",
            )
        self._database = database
        self._partitions = partitions
        self._is_divided_as_now = False
        self._queues: Final = {queue: _SharedQueue(queue, partitions) for queue in Queue}

    def install(self) -> Sequence[str]:
        """Make the table when no migration has; name the queues that it holds."""
        with self._database.write() as connection:
            if inspect(connection).has_table(queue_messages.name):
                self._require_divided_as_now(connection)
                return []
            queue_messages.create(connection)
        return [name for queue in Queue for name in (queue.dead, queue.value)]

    def publisher(self) -> EmbeddedPublisher:
        """Open a publisher."""
        return EmbeddedPublisher(self._database, self._queues)

    def consumer(self, queue: Queue, prefetch: int) -> EmbeddedConsumer:
        """Open a consumer that holds at most *prefetch* messages of each partition unacked."""
        return EmbeddedConsumer(self._database, self._queues[queue], prefetch)

    def depths(self) -> Mapping[Queue, Depth]:
        """Count what waits and is not handed out."""
        statement = select(_messages.queue, func.count()).group_by(_messages.queue)
        with self._database.read() as connection:
            self._require_divided_as_now(connection)
            counted = {str(queue): int(count) for queue, count in connection.execute(statement)}
        return {
            queue: Depth(
                ready=max(0, counted.get(queue.value, 0) - self._queues[queue].held),
                dead=counted.get(queue.dead, 0),
            )
            for queue in Queue
        }

    def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
        """Look at up to *limit* parked messages without taking them away."""
        with self._database.read() as connection:
            found = connection.execute(_parked, {"dead": queue.dead, "limit": limit})
            return [Parked(row.body, row.reason) for row in found]

    def requeue_parked(self, queue: Queue, limit: int) -> int:
        """Move up to *limit* parked messages back, behind what waits there.

        They get new ids, for consumers do not look back.
        """
        with self._database.write() as connection:
            found = connection.execute(_parked, {"dead": queue.dead, "limit": limit}).all()
            if found:
                again = [
                    _row(queue, partition, self._partitions, body)
                    for row in found
                    for partition, body in redivided(row.body, self._partitions)
                ]
                connection.execute(_put, again)
                connection.execute(_remove, [{"message": row.id} for row in found])
        self._queues[queue].signal.give()
        return len(found)

    def _require_divided_as_now(self, connection: Connection) -> None:
        """Raise Misconfigured while messages wait that were divided by another number.

        No other process publishes here, so what was so once stays so.
        """
        if self._is_divided_as_now:
            return
        found = connection.execute(_divided_otherwise, {"partitions": self._partitions}).scalar()
        if found is not None:
            raise still_divided_by(found, self._partitions)
        self._is_divided_as_now = True


def _row(queue: Queue, partition: int, partitions: int, body: bytes) -> Mapping[str, Any]:
    return {
        "queue": queue.value,
        "partition": partition,
        "partitions": partitions,
        "body": body,
    }


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
