"""Spokes: the districts that one deliver serves, each with queues of its own, and fairly.

A district's own deliver has one spoke. A hub has one for each district, and what comes through a
spoke is that district's alone: a push that names another is set aside, and outcomes go back the
way the push came. One district's storm may hold no more than a share of what is in flight.

Each spoke talks with its broker in a thread of its own. A broker that does not confirm, or that
cannot be reached, would otherwise hold up every district and both gateways, whose answers have a
time limit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from threading import Event as Flag
from typing import Final

from engine.errors import SchoolbellError, Unprocessable
from engine.ports import Consumer, Delivery, Publisher, Queue
from engine.stages.deliver import Deliver
from engine.stages.publishing import publish_all
from engine.telemetry import Event, emit, frames
from engine.wire.messages import MAX_PACKED, Outcome, Outcomes, Push, Pushes, decode, encode, packed

_IDLE: Final = 1.0  # seconds to wait for a first push
_GLANCE: Final = 0.005  # seconds to wait for answers, or for more pushes, before looking elsewhere
_FLUSH_AFTER: Final = 0.01  # seconds that an outcome waits for company
_FLUSH_AT: Final = 1_000  # outcomes
_RECEIVE: Final = 20  # messages at once
_DRAIN_LIMIT: Final = 20.0  # seconds
_NAP: Final = 0.25  # seconds without any push before looking whether to stop
_GOODBYE: Final = 10.0  # seconds that the broker has for the last outcomes
_FIRST_PAUSE: Final = 0.5  # seconds that a broker out of reach is left alone
_LONGEST_PAUSE: Final = 15.0


class Spoke:
    """One district: where its pushes come from, and where their outcomes go.

    *share* is how many pushes it may hold, and *held* how many were taken whose outcome the
    broker does not have yet; *news* is set when pushes have arrived. `turn` is for the spoke's
    own thread, all else for the stage's.
    """

    def __init__(self, district: str, consumer: Consumer, publisher: Publisher) -> None:
        self.district = district
        self.held = 0
        self.share = 0
        self.trouble: SchoolbellError | None = None
        self.news = Flag()
        self._consumer = consumer
        self._publisher = publisher
        self._in_hand: deque[Delivery] = deque()
        self._arrived: deque[Sequence[Push]] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._going: list[Outcome] = []
        self._unanswered: dict[int, int] = {}
        self._messages: dict[tuple[str, int], list[int]] = {}
        self._oldest = 0.0
        self._pause = 0.0
        self._stop = Flag()
        self._thread: threading.Thread | None = None

    # --- for the stage -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to talk with the broker, in a thread of its own."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name=f"spoke {self.district}", daemon=True
            )
            self._thread.start()

    def arrived(self) -> Sequence[Push]:
        """The pushes of one message that has come in, if there is one."""
        return self._arrived.popleft() if self._arrived else ()

    @property
    def has_more(self) -> bool:
        """Whether `arrived` would give pushes now."""
        return bool(self._arrived)

    def add(self, outcome: Outcome) -> None:
        """Take an outcome, to be published."""
        if not self._outcomes:
            self._oldest = time.monotonic()
        self._outcomes.append(outcome)

    def close(self) -> None:
        """Publish what is answered, once more, and give everything back.

        A message that is not acked is delivered again.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_GOODBYE)
        try:
            self._consumer.close()
        finally:
            self._publisher.close()

    # --- for its own thread --------------------------------------------------------------------

    def turn(self, patience: float = 0.0) -> None:
        """Publish what is due and take what there is room for, waiting at most *patience* seconds.

        Raises what the broker's adapters raise; nothing is lost by that.
        """
        if self._is_due():
            self._publish()
        if self.held < self.share:
            self._take(patience)
        elif patience:
            self._stop.wait(patience)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.turn(_GLANCE if self.held else _IDLE)
            except SchoolbellError as error:
                self._rest(error)
            except Exception as error:  # one district's fault must not be the others'
                self._rest(_unexpected(error), trace=frames(error))
            else:
                self._is_well()
        try:
            self._publish()
        except SchoolbellError as error:
            self._rest(error)

    def _is_due(self) -> bool:
        """Whether outcomes have waited for company long enough."""
        waiting = len(self._outcomes) + len(self._going)
        if not waiting:
            return False
        enough = min(_FLUSH_AT, self.held)
        return waiting >= enough or time.monotonic() - self._oldest >= _FLUSH_AFTER

    def _publish(self) -> None:
        """Publish outcomes first and ack afterwards: a crash between repeats, and loses nothing."""
        while self._outcomes:
            self._going.append(self._outcomes.popleft())
        if not self._going:
            return
        bodies = [encode(Outcomes(group)) for group in packed(self._going)]
        publish_all(self._publisher, Queue.OUTCOMES, bodies)
        outcomes, self._going = self._going, []
        done = [tag for outcome in outcomes if (tag := self._answered(outcome)) is not None]
        if done:
            self._consumer.ack(done)

    def _take(self, patience: float) -> None:
        if not self._in_hand:
            room = _messages(self.share - self.held)
            self._in_hand.extend(self._consumer.receive(room, patience))
        while self._in_hand and self.held < self.share:
            delivery = self._in_hand[0]
            pushes = self._read(delivery)
            self._in_hand.popleft()
            if pushes:
                self._expect(delivery.tag, pushes)
                self._arrived.append(pushes)
                self.news.set()

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

    def _own(self, pushes: Sequence[Push]) -> Sequence[Push]:
        """The *pushes* themselves; raises Unprocessable when one is said to be another's."""
        if len(pushes) > MAX_PACKED:
            raise Unprocessable(
                f"A message holds {len(pushes)} pushes, and more than {MAX_PACKED} are not read.",
                f"Pack at most {MAX_PACKED} into one message, as Schoolbell does.",
            )
        if any(push.district != self.district for push in pushes):
            raise Unprocessable(
                f"A message in the queue of {self.district} holds pushes of another district.",
                "Set [district] id to the same name that the hub has for this district.",
            )
        return pushes

    def _expect(self, tag: int, pushes: Sequence[Push]) -> None:
        """Remember to ack a message when all of its pushes have an outcome."""
        self._unanswered[tag] = len(pushes)
        self.held += len(pushes)
        for push in pushes:
            self._messages.setdefault((push.id, push.attempt), []).append(tag)

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

    # --- out of reach ------------------------------------------------------------------------

    def _rest(self, error: SchoolbellError, **more: str) -> None:
        """Leave the broker alone for a while, longer each time; the first failure is told."""
        if self.trouble is None:
            emit(
                Event.DISTRICT_FAILED, level=logging.ERROR, district=self.district,
                problem=error.problem, remedy=error.remedy, **more,
            )  # fmt: skip
        self.trouble = error
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        self._stop.wait(self._pause)

    def _is_well(self) -> None:
        if self.trouble is not None:
            self.trouble, self._pause = None, 0.0
            emit(Event.DISTRICT_RECOVERED, district=self.district)


class DeliverStage:
    """Takes pushes of every spoke, hands them to deliver, and gives each its outcomes back."""

    def __init__(self, spokes: Sequence[Spoke], deliver: Deliver, *, in_flight: int) -> None:
        self._spokes = {spoke.district: spoke for spoke in spokes}
        self._deliver = deliver
        self._cap = in_flight
        self._news = Flag()
        for spoke in spokes:
            spoke.news = self._news

    def step(self, stop: Flag) -> None:
        """Hand over a message of each spoke, and collect answers.

        Raises the trouble of its spokes when there is none without: then the stage fails.
        """
        self._news.clear()
        for spoke in self._spokes.values():
            spoke.share = self._share_of(spoke)
            spoke.start()
            self._deliver.submit(spoke.arrived())
        has_more = any(spoke.has_more for spoke in self._spokes.values())
        self._collect(0.0 if has_more else _GLANCE)
        if not (has_more or self._deliver.in_flight):
            self._require_one_without_trouble()
            if not stop.is_set():
                self._news.wait(_NAP)

    def drain(self) -> None:
        """Take nothing more, and wait for the answers of what is in flight."""
        for spoke in self._spokes.values():
            spoke.share = 0
        limit = time.monotonic() + _DRAIN_LIMIT
        while self._deliver.in_flight and time.monotonic() < limit:
            self._collect(_GLANCE)
        self._collect(0.0)

    def close(self) -> None:
        """Give everything back; a message that is not acked is delivered again."""
        self._deliver.close()
        for spoke in self._spokes.values():
            spoke.close()

    def _share_of(self, spoke: Spoke) -> int:
        """How many pushes a district may have in flight: as many as each other that is busy.

        One share more is kept free, so that a district that was quiet finds room at once.
        """
        others = [other for other in self._spokes.values() if other is not spoke]
        if not others:
            return self._cap
        return max(1, self._cap // (sum(1 for other in others if other.held) + 2))

    def _collect(self, timeout: float) -> None:
        for outcome in self._deliver.collect(timeout):
            self._spokes[outcome.district].add(outcome)

    def _require_one_without_trouble(self) -> None:
        troubles = [spoke.trouble for spoke in self._spokes.values()]
        if troubles[0] is not None and all(troubles):
            raise troubles[0]


def _messages(room: int) -> int:
    """How many messages to ask for when there is *room* for so many pushes."""
    return min(_RECEIVE, -(-room // MAX_PACKED))


def _unexpected(error: Exception) -> SchoolbellError:
    """A foreign error's words may hold what was on the wire: only its type is told."""
    return SchoolbellError(
        f"The queues of a district met an unexpected {type(error).__name__}.",
        "It is tried again; report the trace in the log to the makers of Schoolbell.",
    )
