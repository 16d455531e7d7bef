"""One AMQP connection with its channels, served by a thread of its own.

pika is not safe between threads, and its blocking adapter, which waits for every confirm, is ten
times slower. So one thread runs pika's event loop, and all others ask it by `run` and `ask`.
A connection has one life: once it or one of its channels is lost it stays lost and says why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import pika
from pika.adapters.select_connection import IOLoop
from pika.exceptions import ChannelClosedByClient, ConnectionClosedByClient
from pika.spec import Basic

from engine.broker.rabbitmq.address import Address, Timeouts
from engine.broker.rabbitmq.errors import explained
from engine.errors import SchoolbellError, Unavailable

Channel = Any  # pika ships no types
Done = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A message taken out of its turn, by `basic.get`."""

    tag: int
    headers: Mapping[str, Any]
    body: bytes = field(repr=False)


class Connection:
    """An open connection with a first channel; opening one blocks.

    Raises Unavailable or Misconfigured. Where a method takes a *channel*, without it the first is
    meant.
    """

    def __init__(
        self,
        address: Address,
        timeouts: Timeouts,
        purpose: str,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.lost: SchoolbellError | None = None
        self.timeouts = timeouts
        self._address = address
        self._on_lost = on_lost
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._awaited: set[Future[Any]] = set()
        self._loop = IOLoop()
        self._channel: Channel = None
        opened = self.expect()
        self._pika = pika.SelectConnection(
            address.parameters(timeouts, purpose),
            on_open_callback=partial(self._open_channel, opened),
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
            custom_ioloop=self._loop,
        )
        self._thread = threading.Thread(
            target=self._serve, name=f"schoolbell {purpose} connection", daemon=True
        )
        self._thread.start()
        # pika makes two attempts; its own timeouts are told more exactly than ours.
        self._channel = self._wait_or_abandon(opened, 3 * timeouts.connect)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def run(self, action: Callable[[Channel], None], channel: Channel = None) -> None:
        """Let the thread do something with a channel; when that is lost it is not done."""
        self._loop.add_callback_threadsafe(partial(self._attempt, action, channel))

    def ask(self, request: Callable[[Channel, Done], None], channel: Channel = None) -> Any:
        """Let the thread request something, and wait for the reply that *request* hands on."""
        reply = self.expect()
        self.run(lambda of: request(of, partial(_settle, reply)), channel)
        return self._wait_or_abandon(reply, self.timeouts.reply)

    def open_channel(self) -> Channel:
        """One channel more, to be passed to `run`, `ask` and `ack`."""
        return self.ask(self._add_channel)

    def expect(self) -> Future[Any]:
        """Something that will come, or fail when the connection is lost."""
        future: Future[Any] = Future()
        with self._lock:
            if self.lost is not None:
                raise self.lost
            self._awaited.add(future)
        future.add_done_callback(self._awaited.discard)
        return future

    def wait_for(self, future: Future[Any], timeout: float) -> Any:
        """Wait for what was expected; raise Unavailable when it does not come in time."""
        try:
            return future.result(timeout)
        except TimeoutError:
            raise self._silence(timeout) from None

    def wait_until_flowing(self, timeout: float) -> bool:
        """Wait while the broker, short of memory or disk, takes nothing; False if it still does."""
        return self._flowing.wait(timeout)

    @property
    def is_blocked(self) -> bool:
        """Whether the broker takes nothing now: a memory or disk alarm."""
        return not self._flowing.is_set()

    def get(self, queue: str) -> Fetched | None:
        """Take one message, to be acked by its tag; None when the queue is empty."""

        def request(channel: Channel, done: Done) -> None:
            channel.add_callback(lambda _frame: done(None), [Basic.GetEmpty], one_shot=True)
            channel.basic_get(queue, lambda _channel, *message: done(_fetched(*message)))

        message: Fetched | None = self.ask(request)
        return message

    def count(self, queue: str) -> int:
        """How many messages wait in a queue that must exist."""
        return self.count_both(queue)[0]

    def count_both(self, queue: str) -> tuple[int, int]:
        """How many messages wait in a queue that must exist, and how many consumers it has."""
        reply = self.ask(lambda channel, done: channel.queue_declare(queue, True, callback=done))
        return reply.method.message_count, reply.method.consumer_count

    def give_back(self, last_tag: int) -> None:
        """Let the broker have what was got, up to this tag, as if nobody had taken it."""
        self.run(lambda channel: channel.basic_nack(last_tag, multiple=True, requeue=True))

    def ack(self, tags: Sequence[int], oldest_left: int, channel: Channel = None) -> None:
        """Ack, with one frame for all that is older than what is left unacked.

        Not only for speed: a quorum queue that has more than 32 acks of a channel to write keeps
        the next ones waiting, and they are forgotten when the channel closes.
        """
        in_a_row = [tag for tag in tags if tag < oldest_left]
        alone = [tag for tag in tags if tag > oldest_left]

        def send(of: Channel) -> None:
            if in_a_row:
                of.basic_ack(max(in_a_row), multiple=True)
            for tag in alone:
                of.basic_ack(tag)

        if tags:
            self.run(send, channel)

    def close(self) -> None:
        """Send what was asked for, say goodbye, and wait for both. Safe to call twice."""
        if not self.is_blocked:
            self._loop.add_callback_threadsafe(self._say_goodbye)
            self._thread.join(self.timeouts.reply)
        self.abandon()
        self._thread.join(self.timeouts.reply)

    def abandon(self) -> None:
        """Drop the connection at once: the other side has stopped answering."""
        self._loop.add_callback_threadsafe(self._drop)

    def _wait_or_abandon(self, future: Future[Any], timeout: float) -> Any:
        """Who stopped answering once is not asked again on this connection."""
        try:
            return self.wait_for(future, timeout)
        except SchoolbellError:
            self.abandon()
            raise

    def _silence(self, seconds: float) -> Unavailable:
        return Unavailable(
            f"The broker at {self._address} did not answer within {seconds:g} seconds.",
            "Look at the broker's health; a queue without a leader does not answer.",
        )

    # What follows runs in the connection's own thread.

    def _serve(self) -> None:
        try:
            self._loop.start()
        except Exception as error:
            # What trips pika must look like a loss, or callers would wait for ever.
            self._end(error)
            self._drop()
            self._loop.start()
        finally:
            self._loop.close()

    def _attempt(self, action: Callable[[Channel], None], channel: Channel) -> None:
        if self.lost is None:
            action(channel or self._channel)

    def _open_channel(self, opened: Future[Any], connection: Any) -> None:
        connection.add_on_connection_blocked_callback(lambda *_: self._flowing.clear())
        connection.add_on_connection_unblocked_callback(lambda *_: self._flowing.set())
        channel = connection.channel(on_open_callback=opened.set_result)
        channel.add_on_close_callback(self._on_channel_closed)

    def _add_channel(self, _first: Channel, done: Done) -> None:
        channel = self._pika.channel(on_open_callback=done)
        channel.add_on_close_callback(self._on_channel_closed)

    def _on_channel_closed(self, _channel: Channel, reason: Exception) -> None:
        if isinstance(reason, ChannelClosedByClient):
            return
        self._end(reason)
        self._say_goodbye()

    def _on_closed(self, _connection: Any, reason: Exception) -> None:
        self._end(reason)
        self._loop.stop()

    def _say_goodbye(self) -> None:
        if not (self._pika.is_closing or self._pika.is_closed):
            self._pika.close()

    def _drop(self) -> None:
        if not self._pika.is_closed:
            # pika has no public way to close without the other side's help.
            self._pika._terminate_stream(ConnectionClosedByClient(0, "abandoned"))

    def _end(self, reason: Exception) -> None:
        with self._lock:
            if self.lost is not None:
                return
            self.lost = explained(reason, self._address)
            awaited = list(self._awaited)
        for future in awaited:
            if not future.done():
                future.set_exception(self.lost)
        self._flowing.set()
        self._on_lost()


def _settle(future: Future[Any], value: Any) -> None:
    """The first answer counts: pika calls for an empty `basic.get` that was answered long ago."""
    if not future.done():
        future.set_result(value)


def _fetched(method: Any, properties: Any, body: bytes) -> Fetched:
    return Fetched(method.delivery_tag, properties.headers or {}, body)
