"""Publishing with confirms: all messages of a call are sent before the first is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

from pika import BasicProperties, DeliveryMode
from pika.spec import Basic

from engine.broker.rabbitmq.address import Address, Timeouts
from engine.broker.rabbitmq.connection import Channel, Connection
from engine.broker.rabbitmq.errors import missing_queue
from engine.broker.rabbitmq.reconnecting import Reconnecting
from engine.broker.rabbitmq.topology import exchange, partition_name, routing_key
from engine.errors import SchoolbellError, Unavailable
from engine.ports import Publication, Queue

KeyedBody = tuple[str, bytes]  # the routing key, and what is published with it


class Confirms:
    """Which bodies of one batch the broker has; the tags of a channel rise by one for each."""

    def __init__(self, first_tag: int, count: int) -> None:
        self.first_tag = first_tag
        self._after = first_tag + count
        self._settled_below = first_tag
        self._kept: list[bool | None] = [None] * count
        self._missing = count
        self._returned: list[int] = []

    @property
    def complete(self) -> bool:
        """Whether the broker has answered for every body."""
        return self._missing == 0

    @property
    def first_returned(self) -> int | None:
        """Which message, from 0, came back first because no queue is there to take it."""
        return self._returned[0] - self.first_tag if self._returned else None

    def kept(self) -> Sequence[bool]:
        """For each body whether the broker has it safely; no answer yet means no."""
        return [kept is True for kept in self._kept]

    def returned(self, tag: int) -> None:
        """The broker found no queue for it. Its ack comes all the same, afterwards."""
        if self.first_tag <= tag < self._after:
            self._returned.append(tag)

    def answered(self, tag: int, *, multiple: bool, kept: bool) -> None:
        """The broker has (*kept*) or has not taken *tag*; *multiple*: all up to it as well.

        Tags of an earlier batch, which was given up, are not ours any more.
        """
        start = self._settled_below if multiple else max(tag, self.first_tag)
        for ours in range(start, min(tag + 1, self._after)):
            if self._kept[ours - self.first_tag] is None:
                self._kept[ours - self.first_tag] = kept and ours not in self._returned
                self._missing -= 1
        if multiple:
            self._settled_below = max(self._settled_below, tag + 1)


class PublisherSession:
    """One connection in confirm mode, and the batch that is on its way."""

    def __init__(self, connection: Connection, exchange: str) -> None:
        self._connection = connection
        self._exchange = exchange
        self._next_tag = 1
        self._confirms = Confirms(1, 0)
        self._done: Future[Any] = Future()
        connection.ask(self._prepare)

    @property
    def lost(self) -> SchoolbellError | None:
        return self._connection.lost

    def close(self) -> None:
        self._connection.close()

    def publish(self, messages: Sequence[KeyedBody], headers: Mapping[str, str] | None) -> Confirms:
        """Send all and wait until each is answered, the connection is lost or time is over."""
        timeouts = self._connection.timeouts
        confirms = Confirms(self._next_tag, len(messages))
        if not self._connection.wait_until_flowing(timeouts.confirm):
            return confirms
        self._next_tag += len(messages)
        done = self._connection.expect()
        self._connection.run(lambda channel: self._send(channel, confirms, done, messages, headers))
        try:
            self._connection.wait_for(done, timeouts.confirm)
        except Unavailable:
            self._give_up()
        return confirms

    def _give_up(self) -> None:
        """Leave no half-sent batch behind for a broker that has lost its queue's leader.

        One that is blocked keeps its connection: on a new one the same would be sent once more.
        """
        if not self._connection.is_blocked:
            self._connection.abandon()

    # What follows runs in the connection's own thread.

    def _prepare(self, channel: Channel, done: Callable[[Any], None]) -> None:
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_answer, callback=done)

    def _send(
        self,
        channel: Channel,
        confirms: Confirms,
        done: Future[Any],
        messages: Sequence[KeyedBody],
        headers: Mapping[str, str] | None,
    ) -> None:
        self._confirms, self._done = confirms, done
        properties = BasicProperties(
            content_type="application/json",
            delivery_mode=DeliveryMode.Persistent,
            headers=dict(headers) if headers else None,
        )
        for tag, (key, body) in enumerate(messages, confirms.first_tag):
            # The only way to know which one came back: a return has no tag.
            properties.message_id = str(tag)
            channel.basic_publish(self._exchange, key, body, properties, mandatory=True)

    def _on_return(self, _channel: Channel, _method: Any, properties: Any, _body: bytes) -> None:
        self._confirms.returned(int(properties.message_id))

    def _on_answer(self, frame: Any) -> None:
        answer = frame.method
        self._confirms.answered(
            answer.delivery_tag,
            multiple=answer.multiple,
            kept=answer.NAME == Basic.Ack.NAME,
        )
        if self._confirms.complete and not self._done.done():
            self._done.set_result(None)


class RabbitPublisher:
    """A Publisher on a connection of its own: a blocked one must not stop what is consumed."""

    def __init__(
        self, address: Address, timeouts: Timeouts, district: str, partitions: int
    ) -> None:
        self._address = address
        self._district = district
        self._partitions = partitions
        self._sessions: Final = Reconnecting(
            lambda: PublisherSession(
                Connection(address, timeouts, "publisher"), exchange(partitions)
            ),
            address,
            timeouts,
        )

    def partitions(self, queue: Queue) -> int:
        """The same for each queue of this broker."""
        del queue
        return self._partitions

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        """Publish in order; say for each message whether the broker has it safely."""
        return self._publish(
            [(self._key(partition_name(queue, one.partition)), one.body) for one in messages]
        )

    def park(self, queue: Queue, body: bytes, headers: Mapping[str, str]) -> bool:
        """Publish to the dead-letter queue; say whether the broker has it safely."""
        (kept,) = self._publish([(self._key(queue.dead), body)], headers)
        return kept

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        self._sessions.close()

    def _publish(
        self, messages: Sequence[KeyedBody], headers: Mapping[str, str] | None = None
    ) -> Sequence[bool]:
        if not messages:
            return []
        confirms = self._sessions.session().publish(messages, headers)
        if confirms.first_returned is not None:
            raise missing_queue(messages[confirms.first_returned][0], self._address)
        return confirms.kept()

    def _key(self, queue: str) -> str:
        return routing_key(self._district, queue)
