"""Background tasks: broadcasts and exports that staff started, and what waits for somebody.

What went wrong stays until somebody has looked at it. Alarms are another thing: they are about the
installation, and go by themselves when it is mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.ports.broadcasts import Broadcast
from engine.services.actor import Actor
from engine.services.broadcasts import following
from engine.services.broadcasts.drafts import known
from engine.services.broadcasts.following import Became as Became  # the answer of errors
from engine.services.broadcasts.following import Progress
from engine.services.broadcasts.refusals import changed_meanwhile, not_now, not_there
from engine.store import alarms, broadcasts, exports, recipients, task_looks
from engine.store.alarms import Alarm as Alarm  # a part of the answer of overview
from engine.store.exports import Export as Made
from engine.store.recipients import Phones
from engine.store.task_looks import FAULTS, Look
from rules.broadcasts import BroadcastId, BroadcastState
from rules.exports import ExportOf, ExportState
from rules.tool_rights import Schools

TRIED_AGAIN: Final = "broadcast.tried-again"
LOOKED_AT: Final = "task.looked-at"

_SHOWN: Final = 100
_ENDED_SHOWN: Final = 20
_ALARMS_SHOWN: Final = 50


class Standing(StrEnum):
    """Where a task is, as staff see it."""

    APPROVAL = "approval"
    STUCK = "stuck"
    FAULTY = "faulty"
    SCHEDULED = "scheduled"
    GOING = "going"
    DONE = "done"
    STOPPED = "stopped"
    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


def title_of(one: Broadcast) -> str:
    """What a broadcast is called, in its first language."""
    return next((text.title for text in one.texts.values()), "")


class Task(NamedTuple):
    """A broadcast that is not a draft any more, how far it is, and who looked at its faults."""

    progress: Progress
    look: Look | None = None

    @property
    def broadcast(self) -> Broadcast:
        """What it is about."""
        return self.progress.broadcast

    @property
    def title(self) -> str:
        """Its title, in the first language."""
        return title_of(self.broadcast)

    @property
    def standing(self) -> Standing:
        """Where it is."""
        one = self.broadcast
        if one.state is BroadcastState.SENDING:
            return Standing.STUCK if one.problem else Standing.GOING
        if one.state in _ENDED and self.progress.faulty and not self.was_looked_at:
            return Standing.FAULTY
        return _STANDINGS[one.state]

    @property
    def was_looked_at(self) -> bool:
        """Whether somebody has looked since it ended."""
        return self.look is not None and self.look.at >= _ended(self.broadcast)

    @property
    def percent(self) -> int:
        """How much of it is done; 0 while nobody knows how much there is."""
        if not self.progress.recipients:
            return 0
        return 100 * (self.progress.recipients - self.progress.waiting) // self.progress.recipients


_ENDED: Final = frozenset({BroadcastState.SENT, BroadcastState.CANCELLED})
_STANDINGS: Final[Mapping[BroadcastState, Standing]] = {
    BroadcastState.WAITING: Standing.APPROVAL,
    BroadcastState.SCHEDULED: Standing.SCHEDULED,
    BroadcastState.SENT: Standing.DONE,
    BroadcastState.CANCELLED: Standing.STOPPED,
}


class Export(NamedTuple):
    """A copy that somebody asked for, of a *broadcast* or of the audit log, and who looked.

    *has_reached* says whether the broadcast reached families of the schools that it is about.
    """

    export: Made
    broadcast: Broadcast | None = None
    look: Look | None = None
    has_reached: bool = False

    @property
    def title(self) -> str:
        """What the broadcast is called; empty where it is of none."""
        return title_of(self.broadcast) if self.broadcast else ""

    @property
    def standing(self) -> Standing:
        """Where it is."""
        if self.export.state is ExportState.FAILED and self.was_looked_at:
            return Standing.STOPPED
        return _OF_EXPORTS[self.export.state]

    @property
    def was_looked_at(self) -> bool:
        """Whether somebody has looked since it failed."""
        return self.look is not None

    @property
    def percent(self) -> int:
        """How much of it is made."""
        return 100 * self.export.done // self.export.total if self.export.total else 100


_OF_EXPORTS: Final[Mapping[ExportState, Standing]] = {
    ExportState.MAKING: Standing.MAKING,
    ExportState.READY: Standing.READY,
    ExportState.FAILED: Standing.FAILED,
    ExportState.CANCELLED: Standing.STOPPED,
}


class Overview(NamedTuple):
    """The tasks: those that need somebody, those that go on, and those that ended lately."""

    needing: Sequence[Task | Export]
    going: Sequence[Task | Export]
    done: Sequence[Task | Export]


def overview(
    database: Database, sees: Callable[[Broadcast], bool], sees_export: Callable[[Export], bool]
) -> Overview:
    """The tasks that somebody *sees*."""
    with database.read() as connection:
        active = _tasks(connection, filter(sees, _active(connection)))
        failed = _tasks(connection, filter(sees, task_looks.failed(connection)))
        shown = {one.broadcast.id for one in failed}
        ended = broadcasts.newest(connection, states=_ENDED, limit=_ENDED_SHOWN)
        made = list(filter(sees_export, _exports(connection)))
        return Overview(
            [
                *_some(active, Standing.STUCK, Standing.APPROVAL), *failed,
                *_some(made, Standing.FAILED),
            ],
            [*_some(active, Standing.GOING, Standing.SCHEDULED), *_some(made, Standing.MAKING)],
            [
                *_some(made, Standing.READY),
                *_tasks(connection, (one for one in ended if one.id not in shown and sees(one))),
                *_some(made, Standing.STOPPED)[:_ENDED_SHOWN],
            ],
        )  # fmt: skip


def alarms_now(database: Database, now: datetime) -> Sequence[Alarm]:
    """What is to be mended in the installation, the newest first."""
    with database.read() as connection:
        return alarms.current(connection, now, _ALARMS_SHOWN)


def task(database: Database, name: BroadcastId) -> Task:
    """One of them, with what phones said; raises NotThere, also for a draft."""
    progress = following.progress(database, name)
    if progress.broadcast.state is BroadcastState.DRAFT:
        raise not_there()
    with database.read() as connection:
        return Task(progress, task_looks.of(connection, [name]).get(name))


def export_of(database: Database, made: Made) -> Export:
    """The task of an export."""
    with database.read() as connection:
        return _export(connection, made)


def any_task(database: Database, name: str) -> Task | Export:
    """A broadcast that is no draft, or an export; raises NotThere."""
    with database.read() as connection:
        made = exports.one(connection, name)
        if made is not None:
            return _export(connection, made)
    return task(database, BroadcastId(name))


def errors(
    database: Database, name: BroadcastId, schools: Schools, after: str = "", limit: int = _SHOWN
) -> Sequence[Became]:
    """For whom the text could not be made, and what is wrong with it; see `following.became`."""
    return following.became(database, name, schools, reasons=FAULTS, after=after, limit=limit)


def try_again(database: Database, by: Actor, name: BroadcastId) -> int:
    """Make the texts anew that could not be made, by what the SIS says now; how many they are.

    Nobody else hears again. Raises NotNow while it is not through.
    """
    with database.write() as connection:
        one = broadcasts.locked(connection, name) or known(connection, name)
        if one.state is not BroadcastState.SENT:
            raise not_now()
        count = task_looks.take_back_faults(connection, name)
        if not count:
            raise SchoolbellError(
                "There is nobody whose text could not be made.", "Nothing has to be tried again."
            )
        done = broadcasts.change(
            connection, name, one.version, by.at, state=BroadcastState.SENDING, expanded=0,
            sent_at=None,
        )  # fmt: skip
        if not done:
            raise changed_meanwhile()
        by.did(connection, TRIED_AGAIN, name, {"state": one.state}, {"people": count})
        return count


def look_at(database: Database, by: Actor, name: BroadcastId) -> None:
    """Say that somebody has seen what went wrong: it needs nobody any more. Raises NotThere."""
    with database.write() as connection:
        one = known(connection, name)
        if one.state not in _ENDED:
            raise not_now()
        task_looks.add(connection, name, Look(by.name, by.at))
        by.did(connection, LOOKED_AT, name, None, {"state": one.state})


def _active(connection: Connection) -> Sequence[Broadcast]:
    states = (BroadcastState.WAITING, BroadcastState.SCHEDULED, BroadcastState.SENDING)
    return broadcasts.newest(connection, states=states, limit=_SHOWN)


def _tasks(connection: Connection, found: Iterable[Broadcast]) -> Sequence[Task]:
    """Without what phones said, which takes long to count of many."""
    some = list(found)
    looks = task_looks.of(connection, [one.id for one in some])
    return [
        Task(Progress(one, recipients.counts(connection, one.id), Phones()), looks.get(one.id))
        for one in some
    ]


def _exports(connection: Connection) -> Iterator[Export]:
    for made in exports.every(connection, *ExportState, limit=_SHOWN):
        yield _export(connection, made)


def _export(connection: Connection, made: Made) -> Export:
    look = task_looks.of(connection, [made.id]).get(made.id)
    if made.of is not ExportOf.RECIPIENTS:
        return Export(made, None, look)
    name = BroadcastId(made.subject)
    reached = recipients.that_reached(connection, [name], made.schools)
    return Export(made, broadcasts.one(connection, name), look, name in reached)


T = TypeVar("T", Task, Export)


def _some(tasks: Iterable[T], *standings: Standing) -> Sequence[T]:
    return [one for standing in standings for one in tasks if one.standing is standing]


def _ended(one: Broadcast) -> datetime:
    return one.sent_at or one.changed_at
