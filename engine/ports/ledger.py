"""Our own database, as evaluate, record and release need it: one transaction for each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from engine.errors import Unprocessable
from engine.ports.broadcasts import Became
from engine.ports.decisions import Audiences, Decided, Earlier, Opening
from rules.audience import DeviceId
from rules.breaker import Trust
from rules.change import Change, ChangeId, PersonId, Place, SchoolId, StudentId, Subject
from rules.gates import Circumstances
from rules.identity import PushId
from rules.lanes import Lane
from rules.notification import Notification, NotificationId
from rules.privacy import Privacy
from rules.told import LastTold

if TYPE_CHECKING:
    from engine.secrets.addresses import Device
    from engine.wire.messages import Outcome
    from rules.decide import CandidateKey


PARKED_ALARM: Final = "parked change"
"""The alarm about a watch whose changes are parked: evaluate raises it, unparking clears it."""


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
    lane: Lane = Lane.ORDINARY


class Appended(NamedTuple):
    """What appending outcomes came to: the new ones, and those of tries answered otherwise before.

    The latter are a sign that a push was sent twice.
    """

    new: Sequence[Outcome]
    repeated: Sequence[Outcome]


NotificationKey = tuple[NotificationId, PersonId]
"""The id of a notification and whose it is: several persons share the id of what was told."""


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

    def earlier(
        self, places: Collection[Place], since: datetime, until: datetime
    ) -> Mapping[Place, Sequence[Earlier]]:
        """All decisions about each place, the highest position first, as far as remembered."""
        ...

    def places_of(
        self, rows: Collection[str], since: datetime, until: datetime
    ) -> Mapping[str, Collection[Place]]:
        """Where people were told of rows of the SIS, by the rows' names; as far as remembered."""
        ...

    def schools(self, students: Collection[StudentId]) -> Mapping[StudentId, Sequence[SchoolId]]:
        """The schools at which each student is enrolled; all that are listed where at none."""
        ...

    def doubted(self, students: Collection[StudentId], now: datetime) -> Collection[StudentId]:
        """Those about whom nobody knows who may be told: their rights could not be read."""
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

    def postpone(self, pushes: Collection[PushId], until: datetime, lane: Lane) -> None:
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
    """One transaction of release, for one lane."""

    def due(self, now: datetime, limit: int) -> Sequence[Due]:
        """What of the lane is due and not on its way, the longest due first."""
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

    def overtaken(self, notifications: Collection[Notification]) -> Mapping[NotificationKey, str]:
        """Those that may not be told any more, with the reason in the ledger's words.

        A newer one of the same place was told to the same person, or the SIS hides the record
        from families since.
        """
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

    def doubted(self, students: Collection[StudentId], now: datetime) -> Collection[StudentId]:
        """As in Deciding."""
        ...

    def wait(self, dues: Collection[Due], until: datetime) -> None:
        """Let these be due later, as they are."""
        ...

    def published(self, dues: Collection[Due], now: datetime) -> None:
        """Remember that these are on their way."""
        ...

    def keyring_fits(self, keys: Sequence[str]) -> bool:
        """As in Deciding."""
        ...

    def save(self, notifications: Sequence[Notification]) -> None:
        """Store states, moments, devices and words of notifications with rows of their own."""
        ...

    def heard_on(
        self, broadcasts: Collection[str], devices: Collection[DeviceId]
    ) -> Mapping[tuple[str, DeviceId], PersonId]:
        """Because of whom each of these devices was told of each broadcast."""
        ...

    def hears_on(self, found: Mapping[tuple[str, DeviceId], PersonId]) -> None:
        """Note because of whom devices are told that were not told of a broadcast before."""
        ...

    def became(self, found: Sequence[Became]) -> None:
        """Note what became of broadcasts for their recipients."""
        ...

    def forget(self, dues: Collection[Due]) -> None:
        """Plan these no more."""
        ...

    def refuse(self, tries: Collection[tuple[PushId, int, str]], now: datetime) -> None:
        """As in Recording."""
        ...

    def postpone(self, pushes: Collection[PushId], until: datetime, lane: Lane) -> None:
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

    def deciding(self, *, alone: bool = False) -> AbstractContextManager[Deciding]:
        """A transaction of evaluate: kept at the end, undone on an error.

        While it lasts, nothing is released: see `releasing`. While one that is *alone* lasts,
        nothing else is decided, so what was told of any record is known to it.
        """
        ...

    def decided_alone(self) -> datetime | None:
        """When somebody last decided alone, another moment each time; None for never."""
        ...

    def recording(self) -> AbstractContextManager[Recording]:
        """A transaction of record."""
        ...

    def opened(self, now: datetime, limit: int) -> Sequence[Opening]:
        """Changes whose records are open by *now* and that are not on their way."""
        ...

    def openings_on_the_way(self, since: datetime) -> int:
        """How many were published since then and are not settled."""
        ...

    def opening_published(self, openings: Collection[Opening], now: datetime) -> None:
        """Remember that these are on their way."""
        ...

    def settle_openings(self, lost_before: datetime, limit: int) -> None:
        """Forget what was looked at; let what a broker lost go again."""
        ...

    def releasing(self, lane: Lane) -> AbstractContextManager[Releasing]:
        """A transaction of release. While one of ordinary news lasts, nothing is decided.

        So a text that is published within it is never overtaken by a newer one on its way to the
        broker. Broadcasts have places of their own on a screen, on which nothing is decided: while
        one of those lasts, no other of them does.
        """
        ...
