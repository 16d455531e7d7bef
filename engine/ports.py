"""What the stages need of the world, as small Protocols.

Both adapters of a port are held to one behaviour suite in `tests/contracts/`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from engine.errors import Unprocessable
from rules.audience import Audience, Candidate, DeviceId
from rules.breaker import Trust
from rules.change import (
    Change,
    ChangeId,
    Facts,
    Op,
    PersonId,
    Place,
    SchoolId,
    StudentId,
    Subject,
)
from rules.gates import Circumstances, Whereabouts
from rules.identity import PushId, entry_id, opening_id
from rules.notification import Notification, NotificationId, Origin, State
from rules.privacy import Privacy
from rules.reasons import Reason
from rules.told import LastTold

if TYPE_CHECKING:
    from engine.secrets.addresses import Device
    from engine.wire.messages import Outcome, Push
    from rules.decide import CandidateKey

Clock = Callable[[], datetime]

PARKED_ALARM: Final = "parked change"
"""The alarm about a watch whose changes are parked: evaluate raises it, unparking clears it."""


SOURCE_ALARM: Final = "source"
"""The alarm about a query of the source definition that the SIS refuses."""


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


Looked = tuple[Sequence[Change], int | None]
"""Changes that were relayed, and the position up to which was looked; None: to the end."""


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

    def relayed(self, after: int, before: datetime, limit: int) -> Looked:
        """What was relayed above the position *after* and captured before *before*.

        At most about *limit* changes, as they were relayed. Any process may look.
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


class Due(NamedTuple):
    """A try that is due: of the push to one *device*, or of a whole held notification without.

    *again* is true where the push was answered and an older text may lie over it.
    """

    origin: str
    device: DeviceId | None
    attempt: int
    again: bool = False


class Try(NamedTuple):
    """A further try of a push, and when."""

    push: PushId
    attempt: int
    at: datetime
    again: bool = False


class Appended(NamedTuple):
    """What appending outcomes came to: the new ones, and those of tries answered otherwise before.

    The latter are a sign that a push was sent twice.
    """

    new: Sequence[Outcome]
    repeated: Sequence[Outcome]


class Opening(NamedTuple):
    """A change of a record that families may see from a later moment on."""

    change: Change
    opens: datetime

    @property
    def looked_at_again(self) -> Change:
        """The change as it is decided at that moment: nobody has seen what it replaced."""
        return replace(
            self.change, id=opening_id(self.change.id, self.opens), op=Op.INSERT, before=None,
            at=self.opens,
        )  # fmt: skip


NotificationKey = tuple[NotificationId, PersonId]
"""The id of a notification and whose it is: several persons share the id of what was told."""


class Source(Protocol):
    """A SIS, as its definition describes it."""

    def sort(self, changes: Sequence[Change]) -> Sorted:
        """Tell changes of records from changes of the directory and from what nobody watches."""
        ...

    def find(self, changes: Sequence[Change]) -> Sequence[Subject]:
        """Everyone whom *changes* concern, still without names; those of one change together.

        A handful of queries, however many changes there are. Raises BrokenQuery where the SIS
        refuses one of them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sorted:
    """Changes by what they are for.

    *gone* are those of records that deleted a row, and that is news, with the row's name.
    """

    of_records: Sequence[Change]
    of_directory: Sequence[Change]
    unknown: Sequence[Change]
    gone: Mapping[ChangeId, str] = field(default_factory=dict)


class Directory(Protocol):
    """Our copy of the schools, calendars, people, students and rights of the SIS.

    Both methods ask the SIS, so they are called while no transaction of ours is open.
    """

    def follow(self, changes: Sequence[Change]) -> None:
        """Read again the rows that *changes* of the directory concern.

        What is decided afterwards, by whatever process, is decided on a directory in which these
        changes were applied. The same change may be followed any number of times. Raises
        BrokenQuery where the SIS refuses a query; then none of them was followed.
        """
        ...

    def names(self, students: Collection[StudentId]) -> Mapping[StudentId, str]:
        """First names; whom we do not know is read first, with everybody's rights to them.

        While the SIS refuses the queries for that, who is not known has no name here.
        """
        ...


class Audiences(NamedTuple):
    """Who might be told, and the phones that they name."""

    candidates: Mapping[CandidateKey, Sequence[Candidate]]
    devices: Mapping[DeviceId, Device]


class DecidedFor(NamedTuple):
    """What became of a change for one person; *devices* are those that it is told on.

    *last* is the change of which a person who is silent here was last told, at the same place.
    *at* is where the reason was found, where that is a school, or a school's calendar. *below* is
    the threshold of theirs below which the value fell, where they are told because of one.
    """

    person: PersonId
    audience: Audience
    reason: Reason
    language: str = ""
    devices: tuple[DeviceId, ...] = ()
    last: ChangeId | None = None
    at: Whereabouts | None = None
    below: Decimal | None = None

    @property
    def finds_it(self) -> bool:
        """Whether it stands in the person's inbox."""
        return bool(self.devices) or self.reason is Reason.TOO_LATE


class Decided(NamedTuple):
    """What became of one change for one student: the row that holds it.

    A change that concerns nobody has one without a *place*. *facts* are there where somebody knows
    of it now, for as long as words are kept. *row* names the row of the SIS whose going would be
    news to them.
    """

    change: ChangeId
    place: Place | None
    position: int
    watch: str
    committed_at: datetime
    decided_at: datetime
    people: tuple[DecidedFor, ...]
    facts: Facts | None = None
    row: str = ""

    def notification(self, person: DecidedFor) -> Notification:
        """What a person of *people* was told at once.

        Raises ValueError where the change concerned nobody.
        """
        place = self.place
        if place is None:
            raise ValueError("a change that concerns nobody tells nobody")
        return Notification(
            entry_id(self.change, place.student), Origin.CHANGES, State.TOLD, person.person,
            place.student, person.audience, person.language, place.record, self.position,
            self.facts or Facts(place.kind, "", None, None, {}), (self.change,), person.devices,
            self.decided_at, None, self.committed_at, person.below,
        )  # fmt: skip


class Deciding(Protocol):
    """One transaction of evaluate: all of it is kept, or nothing."""

    def audiences(self, wanted: Collection[CandidateKey], now: datetime) -> Audiences:
        """Everyone who has any relation to the students, with what they chose for the kind."""
        ...

    def circumstances(self, now: datetime) -> Circumstances:
        """What holds for the whole district now."""
        ...

    def last_told(
        self, places: Collection[Place], since: datetime, until: datetime
    ) -> Mapping[Place, LastTold]:
        """The newest decision about each place, and what people know since, as far as it is kept.

        It is looked for among changes between those moments.
        """
        ...

    def places_of(
        self, rows: Collection[str], since: datetime, until: datetime
    ) -> Mapping[str, Collection[Place]]:
        """Where people were told of rows of the SIS, by the rows' names; as far as remembered."""
        ...

    def schools(self, students: Collection[StudentId]) -> Mapping[StudentId, Sequence[SchoolId]]:
        """The schools at which each student is enrolled; all that are listed where at none."""
        ...

    def privacy(self) -> Privacy:
        """What phones of the district may show, and how its ids are hidden."""
        ...

    def store(
        self, decided: Sequence[Decided], held: Sequence[Notification], now: datetime
    ) -> None:
        """Store what was decided, and what is told later."""
        ...

    def fold(self, notification: NotificationId, subject: Subject) -> None:
        """Make a held notification tell of *subject* too, in the words of the latest."""
        ...

    def park(self, parked: Sequence[tuple[Change, Unprocessable]], now: datetime) -> None:
        """Keep changes that could not be decided, with what is wrong and what to do."""
        ...

    def look_again(self, openings: Sequence[Opening]) -> None:
        """Plan to look at changes again when their records open."""
        ...

    def note(self, changes: Sequence[Change], now: datetime) -> None:
        """Remember that changes of the directory were followed; several may do so at once."""
        ...

    def unpark(self, changes: Sequence[Change], kept: Sequence[Change]) -> None:
        """Let go of those *changes* that were parked; clear the alarms of those that are *kept*."""
        ...

    def told(self, changes: Collection[ChangeId]) -> Sequence[Decided]:
        """What was decided on *changes* before."""
        ...

    def tried(self, pushes: Collection[PushId]) -> Collection[PushId]:
        """Those that have any outcome."""
        ...

    def newer(self, notifications: Collection[Notification]) -> Collection[NotificationKey]:
        """Those of which a newer one of the same place was told to the same person."""
        ...

    def phones(self, devices: Collection[DeviceId]) -> Mapping[DeviceId, Device]:
        """Devices that are not retired, by their ids."""
        ...

    def keyring_fits(self, keys: Sequence[str]) -> bool:
        """Whether any device is sealed with one of the keys of these ids."""
        ...

    def report(self, kind: str, subject: str, problem: str, remedy: str, now: datetime) -> None:
        """Raise an alarm for an operator, or count one up that is there."""
        ...

    def postpone(self, pushes: Collection[PushId], until: datetime) -> None:
        """Plan a first try of pushes for later."""
        ...

    def refuse(self, tries: Collection[tuple[PushId, int, str]], now: datetime) -> None:
        """End pushes by an outcome of ours: the push, which try of it, and the reason."""
        ...


class Recording(Protocol):
    """One transaction of record: all of it is kept, or nothing."""

    def append(self, outcomes: Sequence[Outcome]) -> Appended:
        """Store those outcomes whose try has none yet."""
        ...

    def told(self, pushes: Collection[PushId]) -> Mapping[PushId, Notification]:
        """What each push is of; one that nobody knows has none."""
        ...

    def first_answers(self, pushes: Collection[PushId]) -> Mapping[PushId, datetime]:
        """When the first answer to each push came."""
        ...

    def count(
        self, outcomes: Sequence[Outcome], dead: Sequence[Outcome], now: datetime
    ) -> Mapping[str, Trust]:
        """Count answers for each gateway; what to think of each that called a device dead."""
        ...

    def retire(self, outcomes: Sequence[Outcome], now: datetime) -> Sequence[str]:
        """Retire the devices of *outcomes*, unless one registered since; the ids of those."""
        ...

    def watch_gateways(
        self,
        outcomes: Sequence[Outcome],
        misconfigured: Sequence[Outcome],
        trusted: Mapping[str, Trust],
        now: datetime,
    ) -> Sequence[str]:
        """Raise and clear the alarms of gateways; those that are distrusted from now on."""
        ...

    def plan(self, tries: Collection[Try]) -> None:
        """Plan further tries, unless one of the push is planned."""
        ...

    def forget(self, answered: Mapping[PushId, int]) -> None:
        """Plan no try of these pushes up to the one that was *answered*."""
        ...

    def refuse(self, tries: Collection[tuple[PushId, int, str]], now: datetime) -> None:
        """End pushes by an outcome of ours: the push, which try of it, and the reason."""
        ...

    def last_attempts(self, pushes: Collection[PushId]) -> Mapping[PushId, int]:
        """The number of the last try of each push that has an outcome."""
        ...

    def newer(
        self, notifications: Collection[Notification]
    ) -> Mapping[NotificationKey, Notification]:
        """For each the newest one of its place that the same person was told, if it is newer."""
        ...

    def report(self, kind: str, subject: str, problem: str, remedy: str, now: datetime) -> None:
        """Raise an alarm for an operator, or count one up that is there."""
        ...


class Releasing(Protocol):
    """One transaction of release."""

    def due(self, now: datetime, limit: int) -> Sequence[Due]:
        """What is due and not on its way, the longest due first."""
        ...

    def told(self, pushes: Collection[PushId]) -> Mapping[PushId, Notification]:
        """As in Recording."""
        ...

    def held(self, notifications: Collection[str]) -> Mapping[str, Notification]:
        """Notifications of their own rows, by their ids."""
        ...

    def answered(self, pushes: Collection[PushId]) -> Collection[PushId]:
        """Those that have a final outcome."""
        ...

    def newer(self, notifications: Collection[Notification]) -> Collection[NotificationKey]:
        """Those of which a newer one of the same place was told to the same person."""
        ...

    def audiences(self, wanted: Collection[CandidateKey], now: datetime) -> Audiences:
        """As in Deciding."""
        ...

    def schools(self, students: Collection[StudentId]) -> Mapping[StudentId, Sequence[SchoolId]]:
        """As in Deciding."""
        ...

    def circumstances(self, now: datetime) -> Circumstances:
        """As in Deciding."""
        ...

    def privacy(self) -> Privacy:
        """As in Deciding."""
        ...

    def published(self, dues: Collection[Due], now: datetime) -> None:
        """Remember that these are on their way."""
        ...

    def keyring_fits(self, keys: Sequence[str]) -> bool:
        """As in Deciding."""
        ...

    def save(self, notification: Notification) -> None:
        """Store the state, the moment and the devices of a notification with a row of its own."""
        ...

    def forget(self, dues: Collection[Due]) -> None:
        """Plan these no more."""
        ...

    def refuse(self, tries: Collection[tuple[PushId, int, str]], now: datetime) -> None:
        """As in Recording."""
        ...

    def postpone(self, pushes: Collection[PushId], until: datetime) -> None:
        """Plan pushes for later."""
        ...

    def report(self, kind: str, subject: str, problem: str, remedy: str, now: datetime) -> None:
        """As in Recording."""
        ...


class Ledger(Protocol):
    """Our own database, as the stages need it."""

    def seen(self, changes: Sequence[Change]) -> Collection[ChangeId]:
        """Which of *changes* were decided before."""
        ...

    def deciding(self) -> AbstractContextManager[Deciding]:
        """A transaction of evaluate: kept at the end, undone on an error.

        While it lasts, nothing is released: see `releasing`.
        """
        ...

    def recording(self) -> AbstractContextManager[Recording]:
        """A transaction of record."""
        ...

    def opened(self, now: datetime, limit: int) -> Sequence[Opening]:
        """Changes whose records are open by *now* and that are not on their way."""
        ...

    def opening_published(self, openings: Collection[Opening], now: datetime) -> None:
        """Remember that these are on their way."""
        ...

    def settle_openings(self, lost_before: datetime, limit: int) -> None:
        """Forget what was looked at; let what a broker lost go again."""
        ...

    def releasing(self) -> AbstractContextManager[Releasing]:
        """A transaction of release. While it lasts, nothing is decided.

        So a text that is published within it is never overtaken by a newer one on its way to the
        broker.
        """
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
