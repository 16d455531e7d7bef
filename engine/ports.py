"""What the stages need of the world, as small Protocols.

Both adapters of a port are held to one behaviour suite in `tests/contracts/`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from engine.errors import Unprocessable
from engine.wire.messages import Outcome, Push
from rules.audience import Candidate
from rules.change import Change, StudentId, Subject
from rules.decide import CandidateKey, Decision
from rules.gates import Circumstances

Clock = Callable[[], datetime]


class Queue(StrEnum):
    """The durable queues, each divided into partitions, with one dead-letter queue beside them.

    A partition is in order and has one consumer at a time: what must stay in order, the changes of
    a record or the pushes of a device, goes to one partition. Two processes share a queue by its
    partitions.
    """

    CHANGES = "changes"
    PUSHES = "pushes"
    OUTCOMES = "outcomes"

    @property
    def dead(self) -> str:
        """The name of this queue's dead-letter queue."""
        return f"{self.value}.dead"


@dataclass(frozen=True, slots=True)
class Publication:
    """One message to be published, and the partition of its queue that it goes to, from 0."""

    body: bytes = field(repr=False)
    partition: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message handed to a consumer, to be acked or parked by its *tag*.

    *redelivered* is true when an earlier consumer may have had it and died.
    """

    tag: int
    body: bytes = field(repr=False)
    redelivered: bool = False
    partition: int = 0


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages wait in all partitions of a queue, and in its dead-letter queue.

    *consumers* is how many share its partitions; None where the broker cannot tell.
    """

    ready: int
    dead: int
    consumers: int | None = field(default=None, compare=False)


class Outbox(Protocol):
    """The rows that triggers wrote. One relay reads an outbox; a second one stands by."""

    def acquire(self) -> bool:
        """Become the one relay of this outbox, or learn that another process is."""
        ...

    def release(self) -> None:
        """Let another process be the relay. Safe to call twice."""
        ...

    def read(self, limit: int) -> Sequence[Change]:
        """The oldest committed changes that are not relayed, at most *limit*, by position.

        For one record, the order of positions is the order of commits, and no change that comes
        later has a lower one, also when the outbox was made anew or restored from a copy. The
        next read returns the same changes, and more, until they are marked.
        """
        ...

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """Remember that the broker has all of these changes, which the last read returned."""
        ...

    def forget(self, keep: timedelta, now: datetime) -> int:
        """Delete rows that were relayed longer than *keep* ago, and return how many.

        They go in portions: the SIS writes between them. Ids are nearly in the order of time, so
        the first row that is to be kept ends the search, however much is kept.
        """
        ...

    def replay(self, since: datetime) -> int:
        """Let the relay publish again what was captured after *since*; return how many rows.

        What evaluate has seen has no effect again; what a lost broker held is made good.
        """
        ...

    def count(self) -> int:
        """How many rows it holds, relayed or not."""
        ...

    def backlog(self, now: datetime) -> tuple[int, timedelta]:
        """How many rows wait (counted up to 100,000), and how long the oldest has."""
        ...


class RelayedMark(Protocol):
    """The highest position that was ever relayed, as the engine's own database knows it.

    A copy of the SIS database that was put back knows less, and its outbox would give the same
    positions again.
    """

    def read(self) -> int:
        """The highest position; 0 before the first."""
        ...

    def raise_to(self, position: int) -> None:
        """Remember *position*, unless a higher one is known."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One student whom a change concerns; the directory knows the name that is still missing."""

    change: Change
    student: StudentId
    subject: Callable[[str], Subject] = field(repr=False)


class Source(Protocol):
    """A SIS, as its definition describes it."""

    def sort(self, changes: Sequence[Change]) -> Sorted:
        """Tell changes of records from changes of the directory and from what nobody watches."""
        ...

    def find(self, changes: Sequence[Change]) -> Sequence[Finding]:
        """Everyone whom *changes* concern, by a handful of queries however many there are."""
        ...


@dataclass(frozen=True, slots=True)
class Sorted:
    """Changes by what they are for."""

    of_records: Sequence[Change]
    of_directory: Sequence[Change]
    unknown: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What evaluating a batch came to, to be stored together or not at all."""

    changes: Sequence[Change]
    decisions: Sequence[Decision]
    parked: Sequence[tuple[Change, Unprocessable]]


class Directory(Protocol):
    """Our copy of the schools, calendars, people, students and rights of the SIS.

    Both methods ask the SIS, so they are called while no transaction of ours is open.
    """

    def follow(self, changes: Sequence[Change]) -> None:
        """Read again the rows that *changes* of the directory concern.

        What is decided afterwards, by whatever process, is decided on a directory in which these
        changes were applied. The same change may be followed any number of times.
        """
        ...

    def learn(self, students: Collection[StudentId]) -> None:
        """Read those *students* whom we do not know yet, with everybody's rights to them."""
        ...


class Evaluation(Protocol):
    """The engine's own records during one transaction of evaluate."""

    def unseen(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Those of *changes* that were never evaluated."""
        ...

    def names(self, students: Collection[StudentId]) -> Mapping[StudentId, str]:
        """The first names of those students whom the directory knows."""
        ...

    def audiences(
        self, wanted: Collection[CandidateKey]
    ) -> Mapping[CandidateKey, Sequence[Candidate]]:
        """Everyone who has any relation to the students, with what they chose for the kind."""
        ...

    def circumstances(self) -> Circumstances:
        """What holds for the whole district now."""
        ...

    def store(self, verdicts: Verdicts) -> Sequence[Push]:
        """Store everything that was decided, and return the pushes that it makes."""
        ...

    def unanswered(self, changes: Sequence[Change]) -> Sequence[Push]:
        """The pushes of changes evaluated before whose publishing may have failed."""
        ...


class Records(Protocol):
    """The engine's own database, as evaluate needs it."""

    def evaluation(self) -> AbstractContextManager[Evaluation]:
        """A transaction: kept at the end, undone on an error."""
        ...


class Ledger(Protocol):
    """Pushes and their outcomes, as record and schedule need them."""

    def record(self, outcomes: Sequence[Outcome]) -> int:
        """Store outcomes and all that follows from them; return how many were new."""
        ...

    def due(self) -> AbstractContextManager[Sequence[Push]]:
        """The pushes whose next try is due; they stay due when the block fails."""
        ...

    def plan_lost(self) -> int:
        """Plan what was published long ago and has no outcome; return how many pushes."""
        ...


class Publisher(Protocol):
    """Publishes to one broker. Not shared between threads."""

    def partitions(self, queue: Queue) -> int:
        """Into how many partitions the broker divides *queue*."""
        ...

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        """Publish in order and return, for each message, whether the broker has it safely.

        False means nacked or not confirmed in time: the caller still owns it and publishes it
        again. Raises Unavailable when the broker cannot be reached (reconnecting is the adapter's
        own work at the next call) and Misconfigured when it refuses us or has no such partition.
        """
        ...

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        ...


class Consumer(Protocol):
    """Consumes those partitions of a queue that are its share. Not shared between threads.

    Who has more partitions than its share hands some over to the others, each when none of its
    messages is in hand any more. That happens in `receive` and `ack`, so a consumer that is not
    asked for long keeps what it has.
    """

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        """Wait up to *timeout* seconds for a first message; return at most *limit*.

        Those of one partition are in order. A message that comes again after another consumer had
        it comes before all later ones of its partition.

        Unavailable and Misconfigured are raised as in Publisher.publish. After a lost connection
        old tags are forgotten: acking them is ignored and their messages come again.
        """
        ...

    def ack(self, tags: Sequence[int]) -> None:
        """Tell the broker that these messages have had their effect."""
        ...

    def park(self, delivery: Delivery, reason: str) -> None:
        """Move a message to the dead-letter queue, with the reason; never lose it on the way."""
        ...

    def close(self) -> None:
        """Give the connection back; what was not acked will be delivered again."""
        ...


@dataclass(frozen=True, slots=True)
class Parked:
    """A message in a dead-letter queue."""

    body: bytes = field(repr=False)
    reason: str = ""


class Broker(Protocol):
    """A message broker: RabbitMQ, or the durable queue in the engine's own database."""

    def install(self) -> Sequence[str]:
        """Make the queues that are missing, wait until each can serve, and name what was made.

        Only this makes queues: a publisher that declares a quorum queue on the way can lose
        confirmed messages (facts: capture-and-broker 5.4). Only this changes the number of
        partitions: it raises Misconfigured while anything waits that was divided by another
        number, for the messages of one record would then be in two partitions.
        """
        ...

    def publisher(self) -> Publisher:
        """Open a publisher."""
        ...

    def consumer(self, queue: Queue, prefetch: int) -> Consumer:
        """Open a consumer that holds at most *prefetch* messages of each partition unacked."""
        ...

    def depths(self) -> Mapping[Queue, Depth]:
        """Count what waits. Raises Misconfigured, naming the install command, without queues."""
        ...

    def requeue_parked(self, queue: Queue, limit: int) -> int:
        """Move up to *limit* parked messages back to their partitions; return how many moved."""
        ...

    def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
        """Look at up to *limit* parked messages without taking them away."""
        ...


class Gateway(Protocol):
    """One push gateway: FCM or APNs. Not shared between threads.

    Sending is not blocking: hundreds of pushes are in flight, and a slow one holds up nobody.
    Nothing waits here for its turn: who submits first asks how much is admitted.
    """

    def admits(self, wanted: int) -> int:
        """How many of *wanted* pushes may be submitted now; they count as sent in any rate.

        All of them, where they would be answered at once instead of being sent.
        """
        ...

    def submit(self, push: Push) -> None:
        """Take a push. Its outcome comes from a later `collect`; exactly one for each submit.

        Raises ValueError for what cannot be sent, which then has no outcome.
        """
        ...

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """Move bytes for at most *timeout* seconds; return the outcomes that have come in.

        Returns at once when there are outcomes. Never raises for what a gateway or the network
        does: that is an outcome.
        """
        ...

    @property
    def is_held_back(self) -> bool:
        """Whether a rate or a missing access token lets less through than could be sent."""
        ...

    @property
    def in_flight(self) -> int:
        """How many submitted pushes have no outcome yet."""
        ...

    def close(self) -> None:
        """Close the connections; what is in flight is not waited for."""
        ...
