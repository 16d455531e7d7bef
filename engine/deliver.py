"""Deliver: pushes to outcomes.

In:         pushes.
Out:        outcomes.
Guarantee:  every push ends in exactly one outcome, and what is shown on a phone is shown once:
            a push that is sent again after a crash carries the id that replaces the first. A
            newer text about the same record is sent when the older one is answered, so that an
            old text never takes the place of a new one.

Deliver knows no database, so that a hub can run it for districts that it knows nothing of. It
is not a plain function from a batch to a batch as the other stages are: one silent gateway would
hold its whole batch. Pushes go in and outcomes come out, whenever they do.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from threading import Event as Flag
from typing import Final

from engine.errors import Unprocessable
from engine.messages import MAX_PACKED, Outcome, Outcomes, Push, Pushes, decode, encode, packed
from engine.ports import Clock, Consumer, Delivery, Gateway, Publisher, Queue
from engine.publish import publish_all
from engine.telemetry import Event, emit
from rules.outcomes import Verdict

EXPIRED: Final = "EXPIRED"
NO_GATEWAY: Final = "NO_GATEWAY"
UNBUILDABLE: Final = "UNBUILDABLE"

_IDLE: Final = 1.0  # seconds to wait for a first push
_GLANCE: Final = 0.005  # seconds to wait for answers before looking for more pushes
_FLUSH_AFTER: Final = 0.01  # seconds that an outcome waits for company
_FLUSH_AT: Final = 1_000  # outcomes
_RECEIVE: Final = 20  # messages at once
_DRAIN_LIMIT: Final = 20.0  # seconds


_Place = tuple[str, str]  # a device, and what the push replaces on its screen
_Try = tuple[str, int]  # a push, and which try of it


class Deliver:
    """Hands each push to the gateway of its token's kind."""

    def __init__(self, gateways: Mapping[str, Gateway], clock: Clock) -> None:
        self._gateways = gateways
        self._distinct = tuple({id(one): one for one in gateways.values()}.values())
        self._clock = clock
        self._decided: list[Outcome] = []
        self._lines: dict[_Place, list[Push]] = {}
        self._places: dict[_Try, _Place] = {}
        self._behind = 0

    @property
    def in_flight(self) -> int:
        """How many pushes were submitted and not collected yet."""
        handed_over = sum(gateway.in_flight for gateway in self._distinct)
        return handed_over + self._behind + len(self._decided)

    def submit(self, pushes: Iterable[Push]) -> None:
        """Take pushes; what is not worth or not possible sending is decided at once."""
        now = self._clock()
        for push in pushes:
            gateway = self._gateways.get(push.token.kind)
            if push.expires_at <= now:
                self._decide(push, Verdict.REFUSED, EXPIRED)
            elif gateway is None:
                self._decide(push, Verdict.DEFERRED, NO_GATEWAY, misconfigured=True)
            else:
                self._line_up(gateway, push)

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """The outcomes that have come in, waiting at most *timeout* seconds for a first one."""
        decided, self._decided = self._decided, []
        busy = [gateway for gateway in self._distinct if gateway.in_flight]
        share = 0.0 if decided or not busy else timeout / len(busy)
        answered = [*decided, *chain.from_iterable(gateway.collect(share) for gateway in busy)]
        for outcome in answered:
            self._next_in_line(outcome)
        return answered

    def close(self) -> None:
        """Close every gateway."""
        for gateway in self._distinct:
            gateway.close()

    def _line_up(self, gateway: Gateway, push: Push) -> None:
        """Hand a push over, unless one for the same place on the same screen has no answer yet."""
        place = (push.device_id, push.collapse_id)
        line = self._lines.get(place)
        if line is None:
            self._lines[place] = []
            self._places[push.id, push.attempt] = place
            self._hand_over(gateway, push)
        else:
            line.append(push)
            self._behind += 1

    def _next_in_line(self, outcome: Outcome) -> None:
        """Hand over the push that waited for this answer."""
        place = self._places.pop((outcome.push_id, outcome.attempt), None)
        if place is None:
            return
        line = self._lines.pop(place)
        if line:
            push = line.pop(0)
            self._behind -= 1
            self._lines[place] = line
            self._places[push.id, push.attempt] = place
            self._hand_over(self._gateways[push.token.kind], push)

    def _hand_over(self, gateway: Gateway, push: Push) -> None:
        try:
            gateway.submit(push)
        except (Unprocessable, ValueError):
            self._decide(push, Verdict.REFUSED, UNBUILDABLE)

    def _decide(
        self, push: Push, verdict: Verdict, reason: str, *, misconfigured: bool = False
    ) -> None:
        self._decided.append(
            Outcome(
                push_id=push.id,
                device_id=push.device_id,
                attempt=push.attempt,
                verdict=verdict,
                at=self._clock(),
                reason=reason,
                misconfigured=misconfigured,
            )
        )


class DeliverStage:
    """Consumes pushes, publishes outcomes, and acks a message when all of its have one."""

    def __init__(
        self, consumer: Consumer, publisher: Publisher, deliver: Deliver, *, in_flight: int
    ) -> None:
        self._consumer = consumer
        self._publisher = publisher
        self._deliver = deliver
        self._cap = in_flight
        self._unanswered: Counter[int] = Counter()
        self._messages: dict[tuple[str, int], list[int]] = {}
        self._outcomes: list[Outcome] = []
        self._oldest = 0.0

    def step(self, stop: Flag) -> None:
        """Take pushes while there is room, collect answers, publish outcomes."""
        del stop  # nothing here waits longer than a stop may
        room = self._cap - self._deliver.in_flight
        if room > 0:
            self._receive(_messages(room), 0.0 if self._busy else _IDLE)
        self._collect(_GLANCE)
        if self._is_due():
            self._flush()

    def drain(self) -> None:
        """Wait for the answers of what is in flight, and publish them."""
        limit = time.monotonic() + _DRAIN_LIMIT
        while self._deliver.in_flight and time.monotonic() < limit:
            self._collect(_GLANCE)
        self._collect(0.0)
        self._flush()

    def close(self) -> None:
        """Give everything back; a message that is not acked is delivered again."""
        self._deliver.close()
        self._consumer.close()
        self._publisher.close()

    @property
    def _busy(self) -> bool:
        return bool(self._deliver.in_flight or self._outcomes)

    def _receive(self, limit: int, timeout: float) -> None:
        for delivery in self._consumer.receive(limit, timeout):
            try:
                pushes = decode(delivery.body, Pushes).items
            except Unprocessable as error:
                self._park(delivery, error)
                continue
            if not pushes:
                self._consumer.ack([delivery.tag])
                continue
            self._unanswered[delivery.tag] = len(pushes)
            for push in pushes:
                self._messages.setdefault((push.id, push.attempt), []).append(delivery.tag)
            self._deliver.submit(pushes)

    def _collect(self, timeout: float) -> None:
        found = self._deliver.collect(timeout)
        if found and not self._outcomes:
            self._oldest = time.monotonic()
        self._outcomes += found

    def _is_due(self) -> bool:
        if not self._outcomes:
            return False
        waited = time.monotonic() - self._oldest
        return len(self._outcomes) >= _FLUSH_AT or waited >= _FLUSH_AFTER or not self._busy

    def _flush(self) -> None:
        """Publish outcomes first and ack afterwards: a crash between repeats, and loses nothing."""
        bodies = [encode(Outcomes(group)) for group in packed(self._outcomes)]
        publish_all(self._publisher, Queue.OUTCOMES, bodies)
        outcomes, self._outcomes = self._outcomes, []
        done = [tag for outcome in outcomes if (tag := self._answered(outcome)) is not None]
        if done:
            self._consumer.ack(done)

    def _answered(self, outcome: Outcome) -> int | None:
        """The tag of the message that this outcome completes."""
        tags = self._messages[outcome.push_id, outcome.attempt]
        tag = tags.pop()
        if not tags:
            del self._messages[outcome.push_id, outcome.attempt]
        self._unanswered[tag] -= 1
        if self._unanswered[tag]:
            return None
        del self._unanswered[tag]
        return tag

    def _park(self, delivery: Delivery, error: Unprocessable) -> None:
        emit(Event.MESSAGE_PARKED, queue=Queue.PUSHES, problem=error.problem)
        self._consumer.park(delivery, str(error))


def _messages(room: int) -> int:
    """How many messages to ask for when there is *room* for so many pushes."""
    return min(_RECEIVE, -(-room // MAX_PACKED))
