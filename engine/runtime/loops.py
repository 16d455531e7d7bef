"""The stages at work: each takes a batch, hands it to its function, and gives it back done.

A stage's `step` does one batch and waits a moment when there is none. When it raises a
SchoolbellError the worker waits and calls it again; after anything else it closes the stage and
makes a new one: what was not acked or marked comes again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Event as Flag
from typing import Any, Final

from apscheduler.schedulers.background import BackgroundScheduler

from engine.errors import SchoolbellError, Unprocessable
from engine.ports import Broker, Consumer, Delivery, Outbox, Publisher, Queue
from engine.stages.relay import relay
from engine.telemetry import Event, emit, frames
from engine.wire.messages import Changes, Outcome, Pushes, decode
from engine.wire.tolerant_decoding import read_outcomes
from rules.change import Change

_IDLE: Final = 1.0  # seconds that a consumer waits for a first message


class RelayStage:
    """Relays the outbox, or stands by while another process does. See relay for *for_all*."""

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        for_all: Callable[[Change], bool],
        batch: int,
        poll_interval: timedelta,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._for_all = for_all
        self._batch = batch
        self._poll_interval = poll_interval.total_seconds()

    def step(self, stop: Flag) -> None:
        """See Stage.step."""
        if not self._outbox.acquire():
            stop.wait(_IDLE)
            return
        count = relay(self._outbox, self._publisher, self._for_all, limit=self._batch)
        if count:
            emit(Event.CHANGES_RELAYED, level=logging.DEBUG, count=count)
        if count < self._batch:
            stop.wait(self._poll_interval)

    def drain(self) -> None:
        """A relayed batch is marked before the next: there is nothing under way."""

    def close(self) -> None:
        """See Stage.close. A lock that stayed would keep our own successor out."""
        try:
            self._publisher.close()
        finally:
            self._outbox.release()


class ConsumingStage:
    """Consumes one queue: reads, parks what is not readable, handles the rest, acks.

    *read* gives the items of a message, and raises Unprocessable when it is none. A batch that is
    not full waits up to *linger* seconds for more: each costs a transaction.
    """

    def __init__(
        self,
        consumer: Consumer,
        read: Callable[[bytes], Sequence[Any]],
        handle: Callable[[Sequence[Any]], None],
        batch: int,
        close: Callable[[], None],
        linger: float = 0.0,
    ) -> None:
        self._consumer = consumer
        self._read_items = read
        self._handle = handle
        self._batch = batch
        self._close = close
        self._linger = linger
        self._in_hand: deque[Delivery] = deque()

    def step(self, stop: Flag) -> None:
        """See Stage.step. What could not be handled stays in hand for the next step."""
        del stop  # a receive waits no longer than a stop may
        if not self._in_hand:
            self._in_hand = deque(self._receive())
        # A message that killed its consumer would kill its neighbours' with it: one at a time.
        together = not any(delivery.redelivered for delivery in self._in_hand)
        while self._in_hand:
            count = len(self._in_hand) if together else 1
            together = self._work_off(list(islice(self._in_hand, count))) and together

    def _receive(self) -> list[Delivery]:
        """A batch: full, or with all that came while it waited."""
        found = list(self._consumer.receive(self._batch, _IDLE))
        limit = time.monotonic() + self._linger
        while 0 < len(found) < self._batch and (left := limit - time.monotonic()) > 0:
            found += self._consumer.receive(self._batch - len(found), left)
        return found

    def drain(self) -> None:
        """What is in hand is given back: it comes again."""

    def close(self) -> None:
        """See Stage.close."""
        try:
            self._consumer.close()
        finally:
            self._close()

    def _work_off(self, deliveries: Sequence[Delivery]) -> bool:
        """Handle messages and let go of them; False when they must be taken one by one."""
        readable = [
            (delivery, items)
            for delivery in deliveries
            if (items := self._read(delivery)) is not None
        ]
        try:
            if handled := [item for _, items in readable for item in items]:
                self._handle(handled)
        except SchoolbellError:
            raise
        except Exception as error:  # whatever one message can do to us must not stop the others
            if len(readable) > 1:
                return False
            self._park(readable[0][0], _unprocessable(error), trace=frames(error))
            return True
        if readable:
            tags = [delivery.tag for delivery, _ in readable]
            self._consumer.ack(tags)
            self._let_go(tags)
        return True

    def _read(self, delivery: Delivery) -> Sequence[Any] | None:
        """The items of a message; None when it was parked, because it is none."""
        try:
            return self._read_items(delivery.body)
        except Unprocessable as error:
            self._park(delivery, error)
            return None

    def _park(self, delivery: Delivery, error: Unprocessable, **trace: str) -> None:
        """Set a message aside; *trace* says where a fault of ours came from."""
        emit(Event.MESSAGE_PARKED, level=logging.WARNING, problem=error.problem, **trace)
        self._consumer.park(delivery, str(error))
        self._let_go([delivery.tag])

    def _let_go(self, tags: Sequence[int]) -> None:
        self._in_hand = deque(one for one in self._in_hand if one.tag not in tags)


def _unprocessable(error: Exception) -> Unprocessable:
    """A foreign error's words may hold a row: only its type is told."""
    return Unprocessable(
        f"A message could not be handled: {type(error).__name__}.",
        "Report this to the makers of Schoolbell, then run `schoolbell parked retry`.",
    )


class ScheduleStage:
    """Runs what is due by the clock; a job that fails fails the stage."""

    def __init__(
        self,
        jobs: Sequence[tuple[Callable[[], object], timedelta]],
        may_run: Callable[[], bool],
        close: Callable[[], None],
    ) -> None:
        self._may_run = may_run
        self._close = close
        self._done: SimpleQueue[Exception | None] = SimpleQueue()
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"max_instances": 1, "coalesce": True}
        )
        for job, every in jobs:
            self._scheduler.add_job(self._guarded, "interval", [job], seconds=every.total_seconds())

    def step(self, stop: Flag) -> None:
        """Wait until a job is done, and raise what it met: to stand still is no success."""
        while not stop.is_set():
            if not self._may_run():
                self._stand_by()
                stop.wait(_IDLE)
                return
            self._go_on()
            done = self._results()
            for fault in done:
                if fault is not None:
                    raise fault
            if done:
                return

    def drain(self) -> None:
        """Jobs are short: closing waits for the one that runs."""

    def close(self) -> None:
        """See Stage.close."""
        try:
            if self._scheduler.running:
                self._scheduler.shutdown(wait=True)
        finally:
            self._close()

    def _go_on(self) -> None:
        if self._scheduler.running:
            self._scheduler.resume()
        else:
            self._scheduler.start()

    def _stand_by(self) -> None:
        if self._scheduler.running:
            self._scheduler.pause()

    def _results(self) -> list[Exception | None]:
        """What jobs came to since the last look: a long row of failures is one failure."""
        done: list[Exception | None] = []
        with suppress(Empty):
            done.append(self._done.get(timeout=_IDLE / 2))
            while True:
                done.append(self._done.get_nowait())
        return done

    def _guarded(self, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as error:  # raised again by step, in the stage's own thread
            self._done.put(error)
        else:
            self._done.put(None)


def consuming(
    broker: Broker,
    queue: Queue,
    handle: Callable[[Sequence[Any]], None],
    batch: int,
    close: Callable[[], None],
    linger: float = 0.0,
) -> ConsumingStage:
    """A stage that consumes *queue*, with room for one batch in hand and one on its way."""
    consumer = broker.consumer(queue, prefetch=2 * batch)
    return ConsumingStage(consumer, _READERS[queue], handle, batch, close, linger)


def _outcomes(body: bytes) -> Sequence[Outcome]:
    """Those of a message that can be read; the pushes of the others are sent again."""
    read = read_outcomes(body)
    if read.unreadable:
        emit(
            Event.OUTCOMES_DROPPED, level=logging.WARNING, reason="unreadable",
            count=read.unreadable,
        )  # fmt: skip
    return read.items


_READERS: Final[Mapping[Queue, Callable[[bytes], Sequence[Any]]]] = {
    Queue.CHANGES: lambda body: decode(body, Changes).items,
    Queue.PUSHES: lambda body: decode(body, Pushes).items,
    Queue.OUTCOMES: _outcomes,
}
