"""Spokes: the districts that one deliver serves, each with queues of its own, and fairly.

A district's own deliver has one spoke. A hub has one for each district, and what comes through a
spoke is that district's alone: a push that names another is set aside, and outcomes go back the
way the push came. One district's storm may hold no more than a share of what is in flight, and a
district whose queues are out of reach is left alone for a while; the others notice neither.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from threading import Event as Flag
from typing import Final

from engine.deliver import Deliver
from engine.errors import SchoolbellError, Unprocessable
from engine.messages import MAX_PACKED, Outcome, Outcomes, Push, Pushes, decode, encode, packed
from engine.ports import Consumer, Delivery, Publisher, Queue
from engine.publish import publish_all
from engine.telemetry import Event, emit

_IDLE: Final = 1.0  # seconds to wait for a first push of a single district
_BETWEEN_LOOKS: Final = 0.02  # seconds between two looks at many districts, when all are quiet
_GLANCE: Final = 0.005  # seconds to wait for answers before looking for more pushes
_FLUSH_AFTER: Final = 0.01  # seconds that an outcome waits for company
_FLUSH_AT: Final = 1_000  # outcomes
_RECEIVE: Final = 20  # messages at once
_MOST_READ: Final = 10 * MAX_PACKED  # pushes in one message; nobody of ours packs as many
_DRAIN_LIMIT: Final = 20.0  # seconds
_FIRST_PAUSE: Final = 0.5  # seconds that a district out of reach is left alone
_LONGEST_PAUSE: Final = 15.0


class Spoke:
    """One district: where its pushes come from, and where their outcomes go.

    *held* is how many pushes were taken whose outcome the broker does not have yet.
    """

    def __init__(self, district: str, consumer: Consumer, publisher: Publisher) -> None:
        self.district = district
        self._consumer = consumer
        self._publisher = publisher
        self.held = 0
        self._in_hand: deque[Delivery] = deque()
        self._unanswered: dict[int, int] = {}
        self._messages: dict[tuple[str, int], list[int]] = {}
        self._outcomes: list[Outcome] = []
        self._oldest = 0.0
        self._pause = 0.0
        self._not_before = 0.0

    @property
    def is_due(self) -> bool:
        """Whether outcomes have waited for company long enough."""
        if not self._outcomes:
            return False
        enough = min(_FLUSH_AT, self.held)
        return len(self._outcomes) >= enough or time.monotonic() - self._oldest >= _FLUSH_AFTER

    def take(self, room: int, timeout: float) -> Iterator[Sequence[Push]]:
        """The pushes of one message after the other, for about *room* pushes in all.

        Waits up to *timeout* seconds for a first message.
        """
        if not self._in_hand:
            self._in_hand.extend(self._consumer.receive(_messages(room), timeout))
        while self._in_hand:
            delivery = self._in_hand[0]
            pushes = self._read(delivery)
            self._in_hand.popleft()
            if pushes:
                self._expect(delivery.tag, pushes)
                yield pushes

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome until it is published."""
        if not self._outcomes:
            self._oldest = time.monotonic()
        self._outcomes.append(outcome)

    def flush(self) -> None:
        """Publish outcomes first and ack afterwards: a crash between repeats, and loses nothing."""
        bodies = [encode(Outcomes(group)) for group in packed(self._outcomes)]
        publish_all(self._publisher, Queue.OUTCOMES, bodies)
        outcomes, self._outcomes = self._outcomes, []
        done = [tag for outcome in outcomes if (tag := self._answered(outcome)) is not None]
        if done:
            self._consumer.ack(done)

    def close(self) -> None:
        """Give everything back; a message that is not acked is delivered again."""
        try:
            self._consumer.close()
        finally:
            self._publisher.close()

    # --- out of reach ------------------------------------------------------------------------

    def is_resting(self) -> bool:
        """Whether it failed a moment ago and is left alone."""
        return time.monotonic() < self._not_before

    def rest(self, error: SchoolbellError) -> None:
        """Leave it alone for a while, longer each time. The first of a row of failures is told."""
        if not self._pause:
            emit(
                Event.DISTRICT_FAILED, level=logging.ERROR, district=self.district,
                problem=error.problem, remedy=error.remedy,
            )  # fmt: skip
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        self._not_before = time.monotonic() + self._pause

    def is_well(self) -> None:
        """It answered."""
        if self._pause:
            self._pause = 0.0
            emit(Event.DISTRICT_RECOVERED, district=self.district)

    # --- messages ----------------------------------------------------------------------------

    def _read(self, delivery: Delivery) -> Sequence[Push]:
        """The pushes of a message; none when there is nothing to send, and it is done with."""
        try:
            pushes = self._own(decode(delivery.body, Pushes).items)
        except Unprocessable as error:
            emit(
                Event.MESSAGE_PARKED, queue=Queue.PUSHES, district=self.district,
                problem=error.problem,
            )  # fmt: skip
            self._consumer.park(delivery, str(error))
            return []
        if not pushes:
            self._consumer.ack([delivery.tag])
        return pushes

    def _expect(self, tag: int, pushes: Sequence[Push]) -> None:
        """Remember to ack a message when all of its pushes have an outcome."""
        self._unanswered[tag] = len(pushes)
        self.held += len(pushes)
        for push in pushes:
            self._messages.setdefault((push.id, push.attempt), []).append(tag)

    def _own(self, pushes: Sequence[Push]) -> Sequence[Push]:
        """The *pushes* themselves; raises Unprocessable when one is said to be another's."""
        if len(pushes) > _MOST_READ:
            raise Unprocessable(
                f"A message holds {len(pushes)} pushes, and more than {_MOST_READ} are not read.",
                f"Pack at most {MAX_PACKED} into one message, as Schoolbell does.",
            )
        if any(push.district != self.district for push in pushes):
            raise Unprocessable(
                f"A message in the queue of {self.district} holds pushes of another district.",
                "Set [district] id to the same name that the hub has for this district.",
            )
        return pushes

    def _answered(self, outcome: Outcome) -> int | None:
        """The tag of the message that this outcome completes."""
        key = (outcome.push_id, outcome.attempt)
        tags = self._messages[key]
        tag = tags.pop()
        if not tags:
            del self._messages[key]
        self.held -= 1
        self._unanswered[tag] -= 1
        if self._unanswered[tag]:
            return None
        del self._unanswered[tag]
        return tag


class DeliverStage:
    """Takes pushes of every spoke in turn, hands them to deliver, and publishes the outcomes."""

    def __init__(self, spokes: Sequence[Spoke], deliver: Deliver, *, in_flight: int) -> None:
        self._spokes = {spoke.district: spoke for spoke in spokes}
        self._in_turn = deque(spokes)
        self._is_shared = len(spokes) > 1
        self._deliver = deliver
        self._cap = in_flight

    def step(self, stop: Flag) -> None:
        """Collect answers; publish outcomes and take pushes, district by district."""
        self._collect(_GLANCE)
        for spoke in self._rotated():
            self._care(spoke, self._serve)
        if self._is_shared and not self._held:
            stop.wait(_BETWEEN_LOOKS)

    def drain(self) -> None:
        """Wait for the answers of what is in flight, and publish them."""
        limit = time.monotonic() + _DRAIN_LIMIT
        while self._deliver.in_flight and time.monotonic() < limit:
            self._collect(_GLANCE)
        self._collect(0.0)
        for spoke in self._in_turn:
            self._care(spoke, Spoke.flush)

    def close(self) -> None:
        """Give everything back; a message that is not acked is delivered again."""
        self._deliver.close()
        for spoke in self._spokes.values():
            spoke.close()

    @property
    def _held(self) -> int:
        return sum(spoke.held for spoke in self._in_turn)

    def _share_of(self, spoke: Spoke) -> int:
        """How many pushes a district may have in flight: as many as each other that is busy.

        One share more is kept free, so that a district that was quiet finds room at once.
        """
        if not self._is_shared:
            return self._cap
        busy = sum(1 for other in self._in_turn if other.held and other is not spoke)
        return self._cap // (busy + 2)

    def _rotated(self) -> Sequence[Spoke]:
        """All spokes, another one first each time."""
        self._in_turn.rotate(-1)
        return tuple(self._in_turn)

    def _serve(self, spoke: Spoke) -> None:
        if spoke.is_due:
            spoke.flush()
        room = min(self._share_of(spoke) - spoke.held, self._cap - self._held)
        if room > 0:
            waits = not (self._is_shared or spoke.held)
            for pushes in spoke.take(room, _IDLE if waits else 0.0):
                self._deliver.submit(pushes)

    def _collect(self, timeout: float) -> None:
        for outcome in self._deliver.collect(timeout):
            self._spokes[outcome.district].add(outcome)

    def _care(self, spoke: Spoke, act: Callable[[Spoke], None]) -> None:
        """Do something with one district, so that its trouble is not the others'.

        A district that is alone has the worker to look after its stage.
        """
        if not self._is_shared:
            act(spoke)
        elif not spoke.is_resting():
            try:
                act(spoke)
            except SchoolbellError as error:
                spoke.rest(error)
            else:
                spoke.is_well()


def _messages(room: int) -> int:
    """How many messages to ask for when there is *room* for so many pushes."""
    return min(_RECEIVE, -(-room // MAX_PACKED))
