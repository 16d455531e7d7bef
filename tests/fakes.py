"""Fakes: the ports of the stages without the world behind them, written out and typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event as Flag

from engine.errors import SchoolbellError
from engine.ports import Consumer, Delivery, Depth, Parked, Publication, Publisher, Queue
from engine.wire.messages import Outcome, Push, Pushes, decode
from rules.change import Change
from rules.outcomes import Verdict
from tests.builders import NOW, an_outcome


@dataclass
class StoppedClock:
    """A clock that stands until a test moves it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> datetime:
        """Let time pass, and say what time it is then."""
        self.now += by
        return self.now


@dataclass
class Seconds:
    """Seconds that pass when a test says so."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, by: float) -> None:
        """Let time pass."""
        self.now += by


def nothing(body: bytes) -> bool:
    """Refuses nothing."""
    del body
    return False


@dataclass
class FakePublisher:
    """Keeps what is published. *refuse* says which bodies the broker does not confirm, each time.

    *fails* is raised instead of publishing, once.
    """

    refuse: Callable[[bytes], bool] = nothing
    fails: Exception | None = None
    published: list[tuple[Queue, bytes]] = field(default_factory=list)
    calls: int = 0
    closed: bool = False
    divided_into: int = 1

    def partitions(self, queue: Queue) -> int:
        del queue
        return self.divided_into

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        self.calls += 1
        bodies = [message.body for message in messages]
        if self.fails:
            error, self.fails = self.fails, None
            raise error
        confirmed = [not self.refuse(body) for body in bodies]
        self.published += [
            (queue, body) for body, is_safe in zip(bodies, confirmed, strict=True) if is_safe
        ]
        return confirmed

    def close(self) -> None:
        self.closed = True

    def pushes(self, queue: Queue = Queue.PUSHES) -> list[Push]:
        """The pushes of all messages, in order."""
        return [push for body in self.bodies(queue) for push in decode(body, Pushes).items]

    def bodies(self, queue: Queue) -> list[bytes]:
        """What is in one queue."""
        return [body for name, body in self.published if name is queue]


@dataclass
class FakeConsumer:
    """Hands out the given deliveries, and keeps what becomes of each."""

    deliveries: list[Delivery] = field(default_factory=list)
    acked: list[int] = field(default_factory=list)
    parked: list[tuple[int, str]] = field(default_factory=list)
    closed: bool = False

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        del timeout  # what is not there does not come
        handed_out, self.deliveries = self.deliveries[:limit], self.deliveries[limit:]
        return handed_out

    def ack(self, tags: Sequence[int]) -> None:
        self.acked += tags

    def park(self, delivery: Delivery, reason: str) -> None:
        self.parked.append((delivery.tag, reason))

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeBroker:
    """Queues of the given depths, one publisher and one consumer."""

    ready: Mapping[Queue, int] = field(default_factory=dict)
    made: FakePublisher = field(default_factory=FakePublisher)
    waiting: FakeConsumer = field(default_factory=FakeConsumer)
    asked: list[tuple[Queue, int]] = field(default_factory=list)

    def install(self) -> Sequence[str]:
        return []

    def publisher(self) -> Publisher:
        return self.made

    def consumer(self, queue: Queue, prefetch: int) -> Consumer:
        self.asked.append((queue, prefetch))
        return self.waiting

    def depths(self) -> Mapping[Queue, Depth]:
        return {queue: Depth(self.ready.get(queue, 0), 0) for queue in Queue}

    def requeue_parked(self, queue: Queue, limit: int) -> int:
        del queue, limit
        return 0

    def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
        del queue, limit
        return []


@dataclass
class FakeGateway:
    """Takes pushes, refuses to build those in *unbuildable*, and answers when it is told to.

    It admits no more than *room* at a time.
    """

    unbuildable: frozenset[str] = frozenset()
    room: int = 1_000_000
    is_held_back: bool = False
    submitted: list[Push] = field(default_factory=list)
    waiting: list[Push] = field(default_factory=list)
    answered: list[Outcome] = field(default_factory=list)
    closed: bool = False

    def submit(self, push: Push) -> None:
        if push.id in self.unbuildable:
            raise ValueError("half a character")
        self.submitted.append(push)
        self.waiting.append(push)

    def admits(self, wanted: int) -> int:
        return max(0, min(wanted, self.room - self.in_flight))

    def answer(self, *pushes: Push, verdict: Verdict = Verdict.ACCEPTED) -> None:
        """Answer these pushes, or all that wait."""
        for push in pushes or tuple(self.waiting):
            self.waiting.remove(push)
            self.answered.append(an_outcome(push, verdict))

    def collect(self, timeout: float) -> Sequence[Outcome]:
        del timeout  # what is not there does not come
        answered, self.answered = self.answered, []
        return answered

    @property
    def in_flight(self) -> int:
        return len(self.waiting) + len(self.answered)

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeOutbox:
    """Rows that wait, and a lock that may be another's."""

    rows: list[Change] = field(default_factory=list)
    ours: bool = True
    released: int = 0

    def acquire(self) -> bool:
        return self.ours

    def release(self) -> None:
        self.released += 1

    def read(self, limit: int) -> Sequence[Change]:
        return self.rows[:limit]

    def mark_relayed(self, rows: Sequence[Change]) -> None:
        self.rows = [row for row in self.rows if row not in rows]


@dataclass
class FakeStage:
    """A stage that does what *script* says, one entry a step, and stops after the last.

    An entry is an error to raise, or None for a step that goes well.
    """

    script: list[Exception | None]
    moments: list[str] = field(default_factory=list)
    closing: Exception | None = None

    def step(self, stop: Flag) -> None:
        self.moments.append("step")
        error = self.script.pop(0)
        if not self.script:
            stop.set()
        if error:
            raise error

    def drain(self) -> None:
        self.moments.append("drain")

    def close(self) -> None:
        self.moments.append("close")
        if self.closing:
            raise self.closing


@dataclass
class Reports:
    """What a worker reports of its stages."""

    heard: list[tuple[str, SchoolbellError | None]] = field(default_factory=list)

    def __call__(self, stage: str, error: SchoolbellError | None) -> None:
        self.heard.append((stage, error))

    @property
    def problems(self) -> list[str | None]:
        """The problem of each report, None for a recovery."""
        return [error.problem if error else None for _, error in self.heard]
