"""Deliver: pushes to outcomes.

In:         pushes.
Out:        outcomes.
Guarantee:  every push that is kept ends in exactly one outcome, and what is shown on a phone is
            shown once: a push that is sent again after a crash carries the id that replaces the
            first. Of what is held for one place on a screen an older text is never sent after a
            newer one, and a newer text is sent when the older one is answered. Ordinary news never
            waits for broadcasts, but for those few that a gateway has.

Deliver knows no database, so that a hub can run it for districts that it knows nothing of. What
one district calls a device or a push means nothing in another. Deliver is not a plain function
from a batch to a batch as the other stages are: one silent gateway would hold its whole batch.
Pushes go in and outcomes come out, whenever they do.

Each gateway has a queue of its own, in which districts take turns, and nothing is counted for both
gateways together, nor for both lanes: broadcasts fill the room that ordinary news leaves. A push is
handed over when the gateway admits it. A queue that is full is a reason to leave further messages
at the broker, unless its gateway is slow: then what comes for it is deferred at once, so that the
pushes for the other gateway pass, which come in the same messages.

Nothing is handed over more than HELD_FOR seconds after it was received. By then the broker may have
taken this process for dead and given the push to another, which may have sent a newer text since.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

import msgspec

from engine.errors import Unprocessable
from engine.ports import Clock, Gateway
from engine.stages.fair_queue import BROADCAST_AFTER, TwoLanes
from engine.wire.messages import Outcome, Push
from rules.lanes import Lane
from rules.outcomes import EXPIRED, GATEWAY_BUSY, SUPERSEDED, UNBUILDABLE, Verdict

NO_GATEWAY: Final = "NO_GATEWAY"
WAITING: Final = 4_000
"""So many pushes may wait for one gateway."""
BROADCASTS_WAITING: Final = 1_000
"""So many of broadcasts may wait beside them: enough to keep a gateway busy for a moment."""
BROADCASTS_AT_A_GATEWAY: Final = 200
"""While a gateway has so many pushes in flight, broadcasts wait: one of ordinary news finds room
there at once, and its answer behind few others."""
HELD_BACK: Final = 5
"""So many times as many may wait for a gateway that is held back, as FCM's ramp does in a storm."""
SILENT: Final = 1.0
"""Seconds without an answer before a gateway counts as slow, and"""
SLOW: Final = 5.0
"""seconds that a push waits for it."""
HELD_FOR: Final = 10.0
"""Seconds; the heartbeat of a dead consumer is missed after 15."""

_Place = tuple[Lane, str, str, str]  # a district's device, and what is replaced on its screen
_Try = tuple[str, str, int]  # a district's push, and which try of it
Elapsed = Callable[[], float]


seconds_since_boot: Final[Elapsed] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""A clock that never steps back, and that goes on while the machine sleeps."""


class Answer(NamedTuple):
    """What became of a push, and the lane that it came by."""

    lane: Lane
    outcome: Outcome


class _Waiting(msgspec.Struct, frozen=True):
    """A push, its place, and when it was received, in seconds of Elapsed."""

    push: Push
    place: _Place
    received_at: float


class _GatewayQueue:
    """What waits for one gateway: in each lane at most *most* pushes, which the districts share."""

    def __init__(self, gateway: Gateway, most: Mapping[Lane, int], now: float) -> None:
        self.gateway = gateway
        self.waiting: TwoLanes[_Waiting] = TwoLanes()
        self.heard_at = now
        self._most = most

    @property
    def wanted(self) -> int:
        """How many the gateway is asked to admit."""
        news = len(self.waiting[Lane.ORDINARY])
        room = max(BROADCASTS_AT_A_GATEWAY - self.gateway.in_flight, news // BROADCAST_AFTER)
        return news + min(len(self.waiting[Lane.BROADCASTS]), room)

    def is_full(self, lane: Lane, district: str) -> bool:
        """Whether a district has its share of what may wait: all that wait have the same."""
        waiting = self.waiting[lane]
        mine = waiting.line(district)
        share = max(1, self._most[lane] // (waiting.lines + (not mine)))
        return mine >= share and (mine >= share * HELD_BACK or not self.gateway.is_held_back)

    def is_slow(self, lane: Lane, district: str, now: float) -> bool:
        """Whether pushes of a district wait for the gateway, and not for our own processor."""
        first = self.waiting[lane].first(district)
        return first is not None and (
            self.gateway.is_held_back
            or now - self.heard_at > SILENT
            or now - first.received_at > SLOW
        )


class Deliver:
    """Hands each push to the gateway of its token's kind."""

    def __init__(
        self,
        gateways: Mapping[str, Gateway],
        clock: Clock,
        *,
        waiting: int = WAITING,
        elapsed: Elapsed = seconds_since_boot,
    ) -> None:
        most = {Lane.ORDINARY: waiting, Lane.BROADCASTS: min(waiting, BROADCASTS_WAITING)}
        queues = {id(one): _GatewayQueue(one, most, elapsed()) for one in gateways.values()}
        self._by_kind = {kind: queues[id(gateway)] for kind, gateway in gateways.items()}
        self._queues = tuple(queues.values())
        self._clock = clock
        self._elapsed = elapsed
        self._decided: list[Answer] = []
        # The first of each line waits in its gateway's queue or was handed over; the others follow.
        self._lines: dict[_Place, list[_Waiting]] = {}
        self._handed_over: dict[_Try, tuple[_Place, ...]] = {}
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """How many pushes were submitted and not collected yet."""
        return self._in_flight

    @property
    def is_sending(self) -> bool:
        """Whether a gateway has something to answer; otherwise `collect` does not wait."""
        return any(queue.gateway.in_flight for queue in self._queues)

    def has_room(self, district: str, lane: Lane = Lane.ORDINARY) -> bool:
        """Whether more of a district's pushes of a lane may be submitted."""
        now = self._elapsed()
        return all(
            not queue.is_full(lane, district) or self._defers(queue, lane, district, now)
            for queue in self._queues
        )

    def submit(
        self,
        pushes: Iterable[Push],
        received_at: float | None = None,
        *,
        lane: Lane = Lane.ORDINARY,
        crowded: bool = False,
    ) -> None:
        """Take pushes of one lane; what is not worth or not possible sending is decided at once.

        *crowded*: whoever submits holds so many messages that no slow gateway is waited for.
        """
        now, elapsed = self._clock(), self._elapsed()
        received_at = elapsed if received_at is None else received_at
        for push in pushes:
            self._in_flight += 1
            queue = self._by_kind.get(push.token.kind)
            if push.expires_at <= now:
                self._decide(lane, push, Verdict.REFUSED, EXPIRED)
            elif queue is None:
                self._decide(lane, push, Verdict.DEFERRED, NO_GATEWAY, misconfigured=True)
            elif (crowded or queue.is_full(lane, push.district)) and self._defers(
                queue, lane, push.district, elapsed
            ):
                self._decide(lane, push, Verdict.DEFERRED, GATEWAY_BUSY)
            else:
                self._line_up(queue, lane, push, received_at)
        self._hand_over()

    def collect(self, timeout: float) -> Sequence[Answer]:
        """The outcomes that have come in, waiting at most *timeout* seconds for a first one."""
        said: list[Outcome] = []
        busy = sum(1 for queue in self._queues if queue.gateway.in_flight)
        share = 0.0 if self._decided or not busy else timeout / busy
        for queue in self._queues:
            of_gateway = queue.gateway.collect(share) if queue.gateway.in_flight else ()
            if of_gateway or not queue.gateway.in_flight:
                queue.heard_at = self._elapsed()
            said += of_gateway
        answered = [Answer(self._answered(outcome), outcome) for outcome in said]
        self._hand_over()
        answered += self._decided
        self._decided = []
        self._in_flight -= len(answered)
        return answered

    def forget(self, district: str, lane: Lane = Lane.ORDINARY) -> frozenset[tuple[str, int]]:
        """Drop what a district has waiting in a lane; return the tries still to be answered."""
        for queue in self._queues:
            queue.waiting[lane].clear(district)
        for place, line in tuple(self._lines.items()):
            if place[:2] == (lane, district):
                self._in_flight -= len(self._cut(line))
                if not line:
                    del self._lines[place]
        return frozenset(
            (push, attempt)
            for (whose, push, attempt), places in self._handed_over.items()
            if whose == district and any(place[0] is lane for place in places)
        )

    def close(self) -> None:
        """Close every gateway."""
        for queue in self._queues:
            queue.gateway.close()

    def _defers(self, queue: _GatewayQueue, lane: Lane, district: str, now: float) -> bool:
        """Whether what a queue has no place for is deferred, so that the other gateway's passes."""
        return len(self._queues) > 1 and queue.is_slow(lane, district, now)

    # --- what replaces what ------------------------------------------------------------------

    def _line_up(self, queue: _GatewayQueue, lane: Lane, push: Push, received_at: float) -> None:
        """Let a push wait for its gateway, or for what is held for the same place on a screen."""
        place = (lane, push.district, push.device_id, push.collapse_id)
        waiting = _Waiting(push, place, received_at)
        line = self._lines.get(place)
        if line is None:
            self._lines[place] = [waiting]
            queue.waiting[lane].append(push.district, waiting)
        elif push.position < line[-1].push.position:
            self._decide(lane, push, Verdict.REFUSED, SUPERSEDED)
        else:
            if push.position > line[-1].push.position:
                for older in self._cut(line):
                    self._decide(lane, older.push, Verdict.REFUSED, SUPERSEDED)
            line.append(waiting)
            if len(line) == 1:
                queue.waiting[lane].append(push.district, waiting)

    def _cut(self, line: list[_Waiting]) -> Sequence[_Waiting]:
        """Take out of a line what was not handed over."""
        first = line[0]
        kept = 1 if first.place in self._handed_over.get(_try_of(first.push), ()) else 0
        taken_out = line[kept:]
        del line[kept:]
        return taken_out

    def _answered(self, outcome: Outcome) -> Lane:
        """Let the push wait for its gateway that waited for this answer; the lane of this one."""
        key = (outcome.district, outcome.push_id, outcome.attempt)
        places = self._handed_over.pop(key, None)
        if places is None:
            return Lane.ORDINARY
        place, *others = places
        if others:
            self._handed_over[key] = tuple(others)
        self._next_in_line(place)
        return place[0]

    def _next_in_line(self, place: _Place) -> None:
        line = self._lines[place]
        del line[0]
        if line:
            push = line[0].push
            self._by_kind[push.token.kind].waiting[place[0]].append(push.district, line[0])
        else:
            del self._lines[place]

    # --- handing over ------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Give each gateway what it admits."""
        for queue in self._queues:
            if queue.waiting:
                self._give_up_overdue(queue)
            if queue.waiting:
                now = self._clock()
                for _ in range(queue.gateway.admits(queue.wanted)):
                    self._send(queue, queue.waiting.take(), now)

    def _give_up_overdue(self, queue: _GatewayQueue) -> None:
        """Defer what has waited for too long."""
        limit = self._elapsed() - HELD_FOR
        for waiting in queue.waiting.take_while(lambda one: one.received_at < limit):
            if self._is_next(waiting):
                self._end(waiting, Verdict.DEFERRED, GATEWAY_BUSY)

    def _send(self, queue: _GatewayQueue, waiting: _Waiting, now: datetime) -> None:
        """Hand a push over, unless the process was stopped since the one before."""
        push = waiting.push
        if not self._is_next(waiting):
            return
        if push.expires_at <= now:
            self._end(waiting, Verdict.REFUSED, EXPIRED)
        elif self._elapsed() - waiting.received_at > HELD_FOR:
            self._end(waiting, Verdict.DEFERRED, GATEWAY_BUSY)
        else:
            try:
                queue.gateway.submit(push)
            except (Unprocessable, ValueError):
                self._end(waiting, Verdict.REFUSED, UNBUILDABLE)
            else:
                key = _try_of(push)
                self._handed_over[key] = (*self._handed_over.get(key, ()), waiting.place)

    def _is_next(self, waiting: _Waiting) -> bool:
        """Whether a push is still the first for its place: it may have been superseded."""
        line = self._lines.get(waiting.place)
        return line is not None and line[0] is waiting

    def _end(self, waiting: _Waiting, verdict: Verdict, reason: str) -> None:
        """Decide a push that was not handed over."""
        self._decide(waiting.place[0], waiting.push, verdict, reason)
        self._next_in_line(waiting.place)

    def _decide(
        self, lane: Lane, push: Push, verdict: Verdict, reason: str, *, misconfigured: bool = False
    ) -> None:
        ours = outcome_of_ours(push, verdict, reason, self._clock(), misconfigured=misconfigured)
        self._decided.append(Answer(lane, ours))


def outcome_of_ours(
    push: Push, verdict: Verdict, reason: str, now: datetime, *, misconfigured: bool = False
) -> Outcome:
    """The outcome of a push that no gateway was asked about."""
    return Outcome(
        push_id=push.id,
        device_id=push.device_id,
        attempt=push.attempt,
        district=push.district,
        verdict=verdict,
        at=now,
        reason=reason,
        misconfigured=misconfigured,
    )


def _try_of(push: Push) -> _Try:
    return push.district, push.id, push.attempt
