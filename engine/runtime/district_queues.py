"""District queues: the districts that one deliver serves, each with queues of its own, and fairly.

A district's own deliver serves one district. A hub serves many, and what comes out of a district's
queue is that district's alone: a push that names another is set aside, and outcomes go back to the
district that the push came from. Each district has two lanes, for ordinary news and for broadcasts,
and what is wrong with one is nothing to the other.

Each lane of a district has a thread of its own. A broker that does not confirm, or that cannot be
reached, would otherwise hold up every district and both gateways, whose answers have a time limit.

A message that the broker delivers a second time is not sent: an earlier consumer may have sent it,
and a newer text after it. Its pushes are deferred as REDELIVERED, and the district's ledger, which
knows what was sent, decides whether they are sent again. The same holds for what this process has
in hand when it was stalled (SIGSTOP, a suspended machine) or has lost the broker: it is dropped
unsent, and comes back redelivered to whoever consumes then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from threading import Event as Flag
from typing import Final, NamedTuple

from engine.errors import SchoolbellError, Unprocessable
from engine.ports import LANES, Broker, Clock, Delivery
from engine.stages.deliver import Deliver, Elapsed, outcome_of_ours, seconds_since_boot
from engine.stages.publishing import publish_outcomes
from engine.telemetry import Event, emit, frames
from engine.wire.messages import MAX_PACKED, Outcome, Push, Pushes, decode
from rules.lanes import Lane
from rules.outcomes import REDELIVERED, Verdict

_IDLE: Final = 1.0  # seconds to wait for a first push
_GLANCE: Final = 0.005  # seconds to wait for answers, or for more pushes, before looking elsewhere
_FLUSH_AFTER: Final = 0.01  # seconds that an outcome waits for company
_FLUSH_AT: Final = 1_000  # outcomes
_AHEAD: Final = 20  # messages that are read and not yet submitted
_BROADCASTS_AHEAD: Final = 2  # of broadcasts
_DRAIN_LIMIT: Final = 20.0  # seconds
_NAP: Final = 0.25  # seconds without any push before looking whether to stop
_GOODBYE: Final = 10.0  # seconds that the broker has for the last outcomes
_FIRST_PAUSE: Final = 0.5  # seconds that a broker out of reach is left alone
_LONGEST_PAUSE: Final = 15.0
STALLED_AFTER: Final = 7.0
"""Seconds between two steps. The worker pauses for 5 s at most, and the broker gives messages to
another consumer after 15 s without a heartbeat."""

_Try = tuple[str, int]  # the id of a push, and which try of it


class Arrived(NamedTuple):
    """The pushes of one message, and when it was received (never later), in seconds of Elapsed.

    *opening* counts how often the queue was opened anew before.
    """

    pushes: Sequence[Push]
    received_at: float
    opening: int


class DistrictQueues:
    """One lane of a district: where its pushes come from, and where their outcomes go.

    *prefetch* is how many messages the broker may deliver ahead of the acks. *news* is set when
    pushes have arrived. `turn` is for the district's own thread, all else for the stage's.
    """

    def __init__(
        self,
        district: str,
        broker: Broker,
        prefetch: int,
        clock: Clock,
        elapsed: Elapsed = seconds_since_boot,
        lane: Lane = Lane.ORDINARY,
    ) -> None:
        self.district = district
        self.lane = lane
        self.trouble: SchoolbellError | None = None
        self.news = Flag()
        self._broker = broker
        self._prefetch = prefetch
        self._clock = clock
        self._elapsed = elapsed
        self._queue = LANES[lane]
        self._ahead = _AHEAD if lane is Lane.ORDINARY else _BROADCASTS_AHEAD
        self._consumer = broker.consumer(self._queue, prefetch)
        self._publisher = broker.publisher()
        self._in_hand: deque[Delivery] = deque()
        self._received_at = 0.0
        self._arrived: deque[Arrived] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._going: list[Outcome] = []
        self._unanswered: dict[int, int] = {}
        self._messages: dict[_Try, list[int]] = {}
        self._held = 0
        self._oldest = 0.0
        self._pause = 0.0
        self._is_lost = False
        self._opening = 0
        self._wanted_opening = 0
        self._kept: frozenset[_Try] = frozenset()
        self._stop = Flag()
        self._thread: threading.Thread | None = None

    # --- for the stage -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to talk with the broker, in a thread of its own."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name=f"{self._queue} of {self.district}", daemon=True
            )
            self._thread.start()

    def arrived(self) -> Arrived | None:
        """What one message that has come in holds, if there is one."""
        while self._arrived:
            one = self._arrived.popleft()
            if one.opening == self._wanted_opening:
                return one
        return None

    @property
    def has_more(self) -> bool:
        """Whether `arrived` has something to look at."""
        return bool(self._arrived)

    @property
    def is_crowded(self) -> bool:
        """Whether so many messages wait for their last outcome that soon no more will come."""
        return len(self._unanswered) * 4 >= self._prefetch * 3

    @property
    def is_lost(self) -> bool:
        """Whether the broker may be giving what is held here to another consumer."""
        return self._is_lost

    def add(self, outcome: Outcome) -> None:
        """Take an outcome, to be published."""
        if not self._outcomes:
            self._oldest = time.monotonic()
        self._outcomes.append(outcome)

    def start_over(self, kept: frozenset[_Try]) -> None:
        """Open the queue anew: every message that is held comes again, to whoever consumes then.

        Only the tries that are *kept* are still to be answered: those that a gateway has.
        """
        self._kept = kept
        self._is_lost = False
        self._wanted_opening += 1

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
        if self._opening != self._wanted_opening:
            self._open_anew()
        if self._is_due():
            self._publish()
        if len(self._arrived) < self._ahead and not self._is_lost:
            self._take(patience)
        elif patience:
            self._stop.wait(patience)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.turn(_GLANCE if self._held else _IDLE)
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

    def _open_anew(self) -> None:
        """Publish what was answered, and forget the messages: they come again, redelivered."""
        opening = self._wanted_opening
        self._publish()
        self._messages = {one: [] for one in self._messages if one in self._kept}
        self._unanswered.clear()
        self._in_hand.clear()
        self._held = 0
        self._consumer.close()
        self._consumer = self._broker.consumer(self._queue, self._prefetch)
        self._opening = opening

    def _is_due(self) -> bool:
        """Whether outcomes have waited for company long enough."""
        waiting = len(self._outcomes) + len(self._going)
        if not waiting:
            return False
        enough = min(_FLUSH_AT, self._held)
        return waiting >= enough or time.monotonic() - self._oldest >= _FLUSH_AFTER

    def _publish(self) -> None:
        """Publish outcomes first and ack afterwards: a crash between repeats, and loses nothing."""
        while self._outcomes:
            self._going.append(self._outcomes.popleft())
        if not self._going:
            return
        publish_outcomes(self._publisher, self._going)
        outcomes, self._going = self._going, []
        done = [tag for outcome in outcomes for tag in self._completed(outcome)]
        if done:
            self._consumer.ack(done)

    def _take(self, patience: float) -> None:
        if not self._in_hand:
            self._received_at = self._elapsed()
            self._in_hand.extend(self._receive(self._ahead - len(self._arrived), patience))
        while self._in_hand and len(self._arrived) < self._ahead:
            delivery = self._in_hand[0]
            pushes = self._read(delivery)
            self._in_hand.popleft()
            if to_send := self._expect(delivery, pushes):
                self._arrived.append(Arrived(to_send, self._received_at, self._opening))
                self.news.set()

    def _receive(self, limit: int, patience: float) -> Sequence[Delivery]:
        try:
            return self._consumer.receive(limit, patience)
        except SchoolbellError:
            self._is_lost = True
            raise

    def _read(self, delivery: Delivery) -> Sequence[Push]:
        """The pushes of a message; none when there is nothing to send, and it is done with."""
        try:
            pushes = self._own(decode(delivery.body, Pushes).items)
        except Unprocessable as error:
            emit(
                Event.MESSAGE_PARKED, queue=self._queue, district=self.district,
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

    def _expect(self, delivery: Delivery, pushes: Sequence[Push]) -> Sequence[Push]:
        """Remember to ack a message when all of its pushes have an outcome; return what to send."""
        if not pushes:
            return []
        self._unanswered[delivery.tag] = len(pushes)
        self._held += len(pushes)
        redelivered = [] if not delivery.redelivered else [
            push for push in pushes if (push.id, push.attempt) not in self._messages
        ]  # fmt: skip
        for push in pushes:
            self._messages.setdefault((push.id, push.attempt), []).append(delivery.tag)
        for push in redelivered:
            now = self._clock()
            self.add(outcome_of_ours(push, Verdict.DEFERRED, REDELIVERED, now))
        return [] if delivery.redelivered else pushes

    def _completed(self, outcome: Outcome) -> Sequence[int]:
        """The tags of the messages that this outcome completes."""
        tags = self._messages.pop((outcome.push_id, outcome.attempt), ())
        self._held -= len(tags)
        return [tag for tag in tags if self._is_last_of(tag)]

    def _is_last_of(self, tag: int) -> bool:
        """Note that one push more of a message is answered; whether it was the last."""
        self._unanswered[tag] -= 1
        if self._unanswered[tag]:
            return False
        del self._unanswered[tag]
        return True

    # --- out of reach ------------------------------------------------------------------------

    def _rest(self, error: SchoolbellError, **more: str) -> None:
        """Leave the broker alone for a while, longer each time; the first failure is told."""
        if self.trouble is None:
            emit(
                Event.DISTRICT_FAILED, level=logging.ERROR, district=self.district,
                queue=self._queue, problem=error.problem, remedy=error.remedy, **more,
            )  # fmt: skip
        self.trouble = error
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        self._stop.wait(self._pause)

    def _is_well(self) -> None:
        if self.trouble is not None:
            self.trouble, self._pause = None, 0.0
            emit(Event.DISTRICT_RECOVERED, district=self.district, queue=self._queue)


class DeliverStage:
    """Takes pushes of every district, hands them to deliver, and gives each its outcomes back.

    In a step all ordinary news is taken for which there is room, and then one message of
    broadcasts, of each district in its turn: so news that comes in meanwhile waits for no more.
    """

    def __init__(
        self,
        queues: Sequence[DistrictQueues],
        deliver: Deliver,
        elapsed: Elapsed = seconds_since_boot,
    ) -> None:
        self._queues = {(one.lane, one.district): one for one in queues}
        self._ordinary = [one for one in queues if one.lane is Lane.ORDINARY]
        self._broadcasts = deque(one for one in queues if one.lane is Lane.BROADCASTS)
        self._deliver = deliver
        self._elapsed = elapsed
        self._stepped_at = elapsed()
        self._news = Flag()
        for one in queues:
            one.news = self._news

    def step(self, stop: Flag) -> None:
        """Submit what has arrived, and collect answers.

        Raises the trouble of its queues when there is none without: then the stage fails.
        """
        self._news.clear()
        self._drop_what_may_be_anothers()
        for one in self._queues.values():
            one.start()
        for one in self._ordinary:
            self._submit(one)
        self._submit_broadcasts()
        has_more = any(self._may_submit(one) for one in self._queues.values())
        if self._collect(0.0 if has_more else _GLANCE) or has_more or self._deliver.is_sending:
            return
        if self._deliver.in_flight:
            self._news.wait(_GLANCE)
            return
        self._require_one_without_trouble()
        if not stop.is_set():
            self._news.wait(_NAP)

    def drain(self) -> None:
        """Submit nothing more, and wait for the answers of what is in flight."""
        limit = time.monotonic() + _DRAIN_LIMIT
        while self._deliver.in_flight and time.monotonic() < limit:
            if not self._collect(_GLANCE) and not self._deliver.is_sending:
                time.sleep(_GLANCE)
        self._collect(0.0)

    def close(self) -> None:
        """Give everything back; a message that is not acked is delivered again."""
        self._deliver.close()
        for one in self._queues.values():
            one.close()

    def _drop_what_may_be_anothers(self) -> None:
        """Drop what is not handed over where the broker may have given it to another consumer."""
        last, self._stepped_at = self._stepped_at, self._elapsed()
        was_stalled = self._stepped_at - last > STALLED_AFTER
        if was_stalled:
            emit(Event.DELIVER_STALLED, level=logging.WARNING, seconds=self._stepped_at - last)
        for (lane, district), one in self._queues.items():
            if was_stalled or one.is_lost:
                one.start_over(self._deliver.forget(district, lane))

    def _submit(self, queues: DistrictQueues) -> None:
        """Submit messages as long as there is room for the district's pushes."""
        for _ in range(_AHEAD):
            if not self._may_submit(queues):
                return
            self._submit_one(queues)

    def _submit_broadcasts(self) -> None:
        """Submit one message, of the first district that has any, which then is last."""
        for _ in range(len(self._broadcasts)):
            queues = self._broadcasts[0]
            self._broadcasts.rotate(-1)
            if self._may_submit(queues):
                self._submit_one(queues)
                return

    def _submit_one(self, queues: DistrictQueues) -> None:
        if one := queues.arrived():
            self._deliver.submit(
                one.pushes, one.received_at, lane=queues.lane, crowded=queues.is_crowded
            )

    def _may_submit(self, queues: DistrictQueues) -> bool:
        return queues.has_more and self._deliver.has_room(queues.district, queues.lane)

    def _collect(self, timeout: float) -> bool:
        """Give each lane of each district its outcomes; whether there were any."""
        answered = self._deliver.collect(timeout)
        for lane, outcome in answered:
            self._queues[lane, outcome.district].add(outcome)
        return bool(answered)

    def _require_one_without_trouble(self) -> None:
        troubles = [one.trouble for one in self._queues.values()]
        if troubles[0] is not None and all(troubles):
            raise troubles[0]


def _unexpected(error: Exception) -> SchoolbellError:
    """A foreign error's words may hold what was on the wire: only its type is told."""
    return SchoolbellError(
        f"The queues of a district met an unexpected {type(error).__name__}.",
        "It is tried again; report the trace in the log to the makers of Schoolbell.",
    )
