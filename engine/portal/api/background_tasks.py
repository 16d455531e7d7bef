"""Background tasks: messages that were sent and exports, for programs that look after them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from engine.portal.api.broadcasts import Id
from engine.portal.api.document import REFUSALS
from engine.portal.guards import Needs, ThePortal, actor
from engine.portal.portal import Portal
from engine.portal.senders import MaySee as MaySeeBroadcast
from engine.portal.senders import TheBroadcast, require_to_see, seen_at
from engine.portal.task_guards import (
    MayChange,
    MayList,
    MaySee,
    downloaded,
    found,
    may,
    may_export,
    schools_of_tasks,
)
from engine.services import exports, tasks
from engine.services.broadcasts import sending
from engine.services.exports import Wanted
from engine.services.staff.signing_in import Visit
from engine.services.tasks import Export, Standing, Task
from rules.exports import ExportOf
from rules.reasons import Reason
from rules.tool_rights import Right, Tool

api = APIRouter(prefix="/api/v1", tags=["background tasks"], responses=REFUSALS)

_LARGEST = 500
MayReadAudit = Annotated[Visit, Depends(Needs(Tool.AUDIT))]


class Kind(StrEnum):
    """What a task is: a message that was sent, or all of something as CSV."""

    BROADCAST = "broadcast"
    AUDIT = "audit"
    RECIPIENTS = "recipients"


class Look(BaseModel):
    """Who has seen what went wrong."""

    who: str
    at: datetime


class ShownTask(BaseModel):
    """A task, as it is now.

    *broadcast* is the message that it is about, *title* what that is called. *done* of *total* are
    people or rows; of a message nobody knows *total* at its beginning. *faulty* are people whose
    text could not be made. Where *download* is true there is a file, which is erased at *ends_at*.
    """

    id: str
    kind: Kind
    standing: Standing
    title: str
    broadcast: str | None
    author: str
    made_at: datetime
    total: int
    done: int
    faulty: int
    problem: str | None
    remedy: str | None
    looked_at: Look | None
    download: bool
    ends_at: datetime | None


class Tasks(BaseModel):
    """The tasks: those that need somebody, those that go on, and those that ended lately."""

    needing: list[ShownTask]
    going: list[ShownTask]
    done: list[ShownTask]


class Fault(BaseModel):
    """Somebody whose text could not be made, and why."""

    person: str
    name: str
    students: dict[str, str]
    reason: Reason
    meaning: str
    problem: str | None


@api.get("/background-tasks")
def read_tasks(portal: ThePortal, visit: MayList) -> Tasks:
    """Those that you may see."""
    seen = tasks.overview(
        portal.district.database,
        lambda one: may(visit, one, Right.READ),
        lambda one: may_export(visit, one, Right.READ),
    )
    return Tasks(
        needing=[_shown(portal, one) for one in seen.needing],
        going=[_shown(portal, one) for one in seen.going],
        done=[_shown(portal, one) for one in seen.done],
    )


@api.get("/background-tasks/{task}")
def read_task(portal: ThePortal, visit: MaySee, task: UUID) -> ShownTask:
    """One of them."""
    return _shown(portal, found(portal, visit, task, Right.READ))


@api.get("/background-tasks/{task}/errors")
def read_errors(
    portal: ThePortal, visit: MaySee, task: UUID, after: Id = "",
    limit: Annotated[int, Query(ge=1, le=_LARGEST)] = 100,
) -> list[Fault]:  # fmt: skip
    """For whom the text of a message could not be made; *after* is the last person before."""
    one = found(portal, visit, task, Right.READ)
    if isinstance(one, Export):
        return []
    errors = tasks.errors(
        portal.district.database, one.broadcast.id, schools_of_tasks(visit), after, limit
    )
    return [
        Fault(
            person=each.person, name=each.name, reason=each.reason,
            meaning=each.reason.for_staff, problem=each.problem,
            students={str(student): name for student, name in each.students.items()},
        )
        for each in errors
    ]  # fmt: skip


@api.get(
    "/background-tasks/{task}/download",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def download(portal: ThePortal, visit: MaySee, task: UUID) -> Response:
    """What an export holds. The audit log says that you have it."""
    return downloaded(portal, visit, task)


@api.post("/background-tasks/{task}/try-again")
def try_again(portal: ThePortal, visit: MayChange, task: UUID) -> ShownTask:
    """Make the texts anew that could not be made, or go on with an export that failed."""
    one, by = found(portal, visit, task, Right.WRITE), actor(portal, visit)
    if isinstance(one, Export):
        exports.try_again(portal.district.database, by, one.export.id)
    else:
        tasks.try_again(portal.district.database, by, one.broadcast.id)
    return _now(portal, task)


@api.post("/background-tasks/{task}/cancel")
def cancel(portal: ThePortal, visit: MayChange, task: UUID) -> ShownTask:
    """Stop the rest of a message; stop an export, and erase what was made of it."""
    one, by = found(portal, visit, task, Right.WRITE), actor(portal, visit)
    if isinstance(one, Export):
        exports.cancel(portal.district.database, by, one.export.id)
    else:
        sending.cancel(portal.district.database, by, one.broadcast.id)
    return _now(portal, task)


@api.post("/background-tasks/{task}/look")
def look(portal: ThePortal, visit: MayChange, task: UUID) -> ShownTask:
    """Say that you have seen what went wrong."""
    one, by = found(portal, visit, task, Right.WRITE), actor(portal, visit)
    if isinstance(one, Export):
        exports.look_at(portal.district.database, by, one.export.id)
    else:
        tasks.look_at(portal.district.database, by, one.broadcast.id)
    return _now(portal, task)


@api.post("/broadcasts/{broadcast}/export", status_code=201, tags=["broadcasts"])
def export_recipients(portal: ThePortal, visit: MaySeeBroadcast, one: TheBroadcast) -> ShownTask:
    """Begin to export what became of it for each person; a task, however much it is."""
    require_to_see(portal, visit, one)
    return _begun(portal, visit, exports.of_recipients(one.id, seen_at(visit, one)))


@api.post("/audit/export", status_code=201, tags=["audit"])
def export_audit(portal: ThePortal, visit: MayReadAudit) -> ShownTask:
    """Begin to export all of the audit log; a task, however much it is."""
    return _begun(portal, visit, exports.of_audit())


def _begun(portal: Portal, visit: Visit, wanted: Wanted) -> ShownTask:
    database = portal.district.database
    made = exports.begin(database, actor(portal, visit), wanted)
    return _shown(portal, tasks.export_of(database, made))


def _now(portal: Portal, name: UUID) -> ShownTask:
    return _shown(portal, tasks.any_task(portal.district.database, str(name)))


def _shown(portal: Portal, one: Task | Export) -> ShownTask:
    looked = Look(who=one.look.who, at=one.look.at) if one.look else None
    if isinstance(one, Export):
        made, keep = one.export, portal.district.config.schedule.keep_exports
        return ShownTask(
            id=made.id, kind=_KINDS[made.of], standing=one.standing, title=one.title,
            broadcast=made.subject or None, author=made.who, made_at=made.made_at,
            total=made.total, done=made.done, faulty=0, problem=made.problem, remedy=made.remedy,
            looked_at=looked, download=one.standing is Standing.READY,
            ends_at=exports.lasts_until(made, keep) if made.is_over else None,
        )  # fmt: skip
    of, progress = one.broadcast, one.progress
    return ShownTask(
        id=of.id, kind=Kind.BROADCAST, standing=one.standing, title=one.title, broadcast=of.id,
        author=of.author, made_at=of.made_at, total=progress.recipients,
        done=progress.recipients - progress.waiting, faulty=progress.faulty, problem=of.problem,
        remedy=of.remedy, looked_at=looked, download=False, ends_at=None,
    )  # fmt: skip


_KINDS = {ExportOf.AUDIT: Kind.AUDIT, ExportOf.RECIPIENTS: Kind.RECIPIENTS}
