"""The stages at work: each takes a batch, hands it to its function, and gives it back done.

A stage's `step` does one batch and waits a moment when there is none. Whatever it raises, the
worker closes the stage and makes a new one: what was not acked or marked comes again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Event as Flag
from typing import Any, Final, Generic, Protocol

from apscheduler.schedulers.background import BackgroundScheduler

from engine.errors import Unprocessable
from engine.messages import Changes, M, Outcomes, Pushes, decode, encode, packed
from engine.ports import Broker, Consumer, Delivery, Outbox, Publisher, Queue
from engine.publish import publish_all
from engine.relay import relay
from engine.telemetry import Event, emit

_IDLE: Final = 1.0  # seconds that a consumer waits for a first message


class Stage(Protocol):
    """Something that a worker runs."""

    def step(self, stop: Flag) -> None:
        """Do one batch, or wait a moment for one; return soon once *stop* is set."""
        ...

    def drain(self) -> None:
        """Finish what is under way, before a graceful stop."""
        ...

    def close(self) -> None:
        """Give everything back; what is not finished comes again."""
        ...


class RelayStage:
    """Relays the outbox, or stands by while another process does."""

    def __init__(
        self, outbox: Outbox, publisher: Publisher, batch: int, poll_interval: timedelta
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._batch = batch
        self._poll_interval = poll_interval.total_seconds()

    def step(self, stop: Flag) -> None:
        """See Stage.step."""
        if not self._outbox.acquire():
            stop.wait(_IDLE)
            return
        count = relay(self._outbox, self._publisher, limit=self._batch)
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


class ConsumingStage(Generic[M]):
    """Consumes one queue: decodes, parks what is not readable, handles the rest, acks."""

    def __init__(
        self,
        consumer: Consumer,
        message: type[M],
        handle: Callable[[Sequence[Any]], None],
        batch: int,
        close: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._message: Any = message
        self._handle = handle
        self._batch = batch
        self._close = close

    def step(self, stop: Flag) -> None:
        """See Stage.step."""
        del stop  # a receive waits no longer than a stop may
        deliveries = self._consumer.receive(self._batch, _IDLE)
        # A message that killed its consumer would kill its neighbours' with it: one at a time.
        if any(delivery.redelivered for delivery in deliveries):
            for delivery in deliveries:
                self._work_off([delivery])
        elif deliveries:
            self._work_off(deliveries)

    def drain(self) -> None:
        """A batch is acked before the next: there is nothing under way."""

    def close(self) -> None:
        """See Stage.close."""
        try:
            self._consumer.close()
        finally:
            self._close()

    def _work_off(self, deliveries: Sequence[Delivery]) -> None:
        items: list[Any] = []
        tags = []
        for delivery in deliveries:
            try:
                items += decode(delivery.body, self._message).items
            except Unprocessable as error:
                emit(Event.MESSAGE_PARKED, problem=error.problem)
                self._consumer.park(delivery, str(error))
            else:
                tags.append(delivery.tag)
        if items:
            self._handle(items)
        if tags:
            self._consumer.ack(tags)


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
            if not self._scheduler.running:
                if not self._may_run():
                    stop.wait(_IDLE)
                    return
                self._scheduler.start()
            try:
                fault = self._done.get(timeout=_IDLE / 2)
            except Empty:
                continue
            if fault is not None:
                raise fault
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

    def _guarded(self, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as error:  # raised again by step, in the stage's own thread
            self._done.put(error)
        else:
            self._done.put(None)


def publish_pushes(publisher: Publisher, pushes: Sequence[Any]) -> None:
    """Publish pushes, packed."""
    if pushes:
        bodies = [encode(Pushes(group)) for group in packed(pushes)]
        publish_all(publisher, Queue.PUSHES, bodies)


def consuming(
    broker: Broker,
    queue: Queue,
    handle: Callable[[Sequence[Any]], None],
    batch: int,
    close: Callable[[], None],
) -> ConsumingStage[Any]:
    """A stage that consumes *queue*, with room for one batch in hand and one on its way."""
    message = {Queue.CHANGES: Changes, Queue.PUSHES: Pushes, Queue.OUTCOMES: Outcomes}[queue]
    consumer = broker.consumer(queue, prefetch=2 * batch)
    return ConsumingStage(consumer, message, handle, batch, close)
