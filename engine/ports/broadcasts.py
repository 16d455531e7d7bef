"""Broadcasts as the stages need them: what is to be said, to whom, and how far that is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rules.audience import Audience, Candidate, DeviceId
from rules.broadcasts import BroadcastId, BroadcastState
from rules.change import PersonId, StudentId
from rules.gates import Circumstances
from rules.reasons import Reason
from rules.tool_rights import Schools, StaffId, Tool
from rules.wording.broadcasts import UnitKind
from rules.wording.templates import Template

if TYPE_CHECKING:
    from rules.notification import Notification, NotificationId

Texts = Mapping[str, Template]
"""A title and a body for each language; the first stands in for others."""


class Broadcast(NamedTuple):
    """A message of staff.

    *selection* is JSON: what `msgspec.to_builtins` makes of a Selection. *texts* are those that are
    written now: what was sent stands with each revision. *schools* are there once it was sent,
    scheduled or asked for: those that whoever did so may send to. *version* is of the row.
    *revision* is 0 until it is sent and grows with each correction; what is *expanded* has
    notifications. *problem* and *remedy* say why it does not go on.
    """

    id: BroadcastId
    page: Tool
    unit: UnitKind
    selection: Any
    texts: Texts
    is_emergency: bool
    state: BroadcastState
    version: int
    revision: int
    expanded: int
    author_id: StaffId | None
    author: str
    approver: str | None
    schools: Schools | None
    made_at: datetime
    changed_at: datetime
    send_at: datetime | None
    begun_at: datetime | None
    sent_at: datetime | None
    problem: str | None = None
    remedy: str | None = None


class Behind(NamedTuple):
    """A student behind a broadcast, because of a family, of themselves or of an enrollment.

    *people* are those who hear because of it; None is everybody who may. *variables* are what the
    text says of it.
    """

    student: StudentId
    people: frozenset[PersonId] | None
    variables: Mapping[str, str]


class Recipient(NamedTuple):
    """What becomes of a broadcast for one person, and because of which *students*.

    *problem* is what is wrong with a text that could not be made.
    """

    person: PersonId
    audience: Audience
    reason: Reason
    students: Sequence[StudentId]
    problem: str | None = None


class Became(NamedTuple):
    """What became of a broadcast for one of its recipients."""

    broadcast: BroadcastId
    person: PersonId
    reason: Reason
    problem: str | None = None


class Finder(Protocol):
    """Asks the SIS, while no transaction of ours is open."""

    def __call__(self, one: Broadcast, texts: Texts) -> Iterator[Behind]:
        """Everybody behind a broadcast, with what its *texts* say of them.

        Raises SchoolbellError where the SIS does not answer.
        """
        ...


class Expanding(Protocol):
    """A transaction about one broadcast; while it lasts, nothing of any is told."""

    def current(self) -> Broadcast | None:
        """The broadcast as it is now, without what was chosen; it stays so until the end."""
        ...

    def begin(self, now: datetime) -> None:
        """Send it from now on: what was scheduled, and whose moment has come."""
        ...

    def known(self, people: Collection[PersonId]) -> Collection[PersonId]:
        """Those who are recipients already."""
        ...

    def add(
        self, recipients: Sequence[Recipient], held: Sequence[Notification], schools: Schools
    ) -> None:
        """Store recipients of what is sent for *schools*, and what is told to whose turn will come.

        Kept with them is at which of these schools the students are because of whom they hear.
        """
        ...

    def unfinished(self, limit: int, *, before: int | None = None) -> Sequence[Notification]:
        """Some that are held, or with *before* some held or told of an older revision."""
        ...

    def shown(
        self, told: Collection[Notification]
    ) -> Mapping[NotificationId, tuple[DeviceId, ...]]:
        """The devices that show each, or may show it still."""
        ...

    def replace(self, old: Sequence[Notification], held: Sequence[Notification]) -> None:
        """Put other notifications in the place of *old* ones."""
        ...

    def withdraw(self, held: Sequence[Notification], reason: Reason) -> None:
        """Tell these never, for this reason."""
        ...

    def expanded(self, revision: int) -> None:
        """Note that everything of a *revision* is a notification by now."""
        ...

    def sent(self, now: datetime) -> None:
        """Note that everybody's turn has come."""
        ...

    def missed(self, problem: str, remedy: str) -> None:
        """Make a draft again of what was scheduled, and say why."""
        ...

    def stands_still(self, problem: str, remedy: str) -> None:
        """Note why it does not go on."""
        ...


class Expansions(Protocol):
    """Our own database, as expand needs it."""

    def to_expand(self, now: datetime) -> Sequence[Broadcast]:
        """Those of which something is to be done, without what was chosen for them."""
        ...

    def whole(self, one: Broadcast) -> Broadcast:
        """The same with what was chosen for it."""
        ...

    def texts_of(self, one: Broadcast, revision: int) -> Texts:
        """What a revision says."""
        ...

    def related(
        self, students: Collection[StudentId], now: datetime
    ) -> Mapping[StudentId, Sequence[Candidate]]:
        """Everyone who has any relation to the students, with what they chose about broadcasts."""
        ...

    def circumstances(self, now: datetime) -> Circumstances:
        """What holds for the whole district now."""
        ...

    def expanding(self, name: BroadcastId) -> AbstractContextManager[Expanding]:
        """A transaction about one broadcast: all of it is kept, or nothing."""
        ...
