"""Background tasks: what staff started, what waits for somebody, and what went wrong."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from engine.portal.guards import Forbidden, Needs, ThePortal, actor
from engine.portal.portal import Portal
from engine.portal.rendering import page
from engine.portal.senders import covers, schools_for
from engine.services import tasks
from engine.services.broadcasts import following, sending
from engine.services.broadcasts.drafts import Broadcast
from engine.services.staff.signing_in import Visit
from engine.services.tasks import Task
from rules.broadcasts import BroadcastId
from rules.tool_rights import Grant, Right, Schools, Tool

pages = APIRouter(prefix="/background-tasks", include_in_schema=False)

_TOOL = Tool.BACKGROUND_TASKS
May = Annotated[Visit, Depends(Needs(_TOOL, anywhere=True))]
MayChange = Annotated[Visit, Depends(Needs(_TOOL, Right.WRITE, anywhere=True))]
After = Annotated[str, Query(max_length=200)]
_ERRORS_SHOWN = 100


@pages.get("")
def show_all(request: Request, portal: ThePortal, visit: May) -> Response:
    """All of them; with JavaScript they renew themselves."""
    return page(request, "background_tasks.html", visit=visit, **_seen(portal, visit))


@pages.get("/now")
def renew(request: Request, portal: ThePortal, visit: May) -> Response:
    """What changes on the page."""
    return page(request, "background_tasks_now.html", visit=visit, **_seen(portal, visit))


@pages.get("/{task}")
def show(
    request: Request, portal: ThePortal, visit: May, task: UUID, after: After = ""
) -> Response:
    """One of them: how far it is, and what went wrong for whom."""
    found = _theirs(portal, visit, task, Right.READ)
    errors = tasks.errors(
        portal.district.database, found.broadcast.id, _schools(visit), after, _ERRORS_SHOWN + 1
    )
    return page(
        request, "background_task.html", visit=visit, task=found, errors=errors[:_ERRORS_SHOWN],
        more=errors[_ERRORS_SHOWN - 1].person if len(errors) > _ERRORS_SHOWN else None,
        changes=_may(visit, found.broadcast, Right.WRITE),
    )  # fmt: skip


@pages.get("/{task}/recipients.csv")
def export(portal: ThePortal, visit: May, task: UUID) -> Response:
    """What became of it for everybody, for a spreadsheet."""
    name = _theirs(portal, visit, task, Right.READ).broadcast.id
    return StreamingResponse(
        following.exported(portal.district.database, name, _schools(visit)),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="schoolbell-recipients.csv"'},
    )


@pages.post("/{task}/try-again")
def try_again(portal: ThePortal, visit: MayChange, task: UUID) -> Response:
    """Make the texts anew that could not be made."""
    name = _theirs(portal, visit, task, Right.WRITE).broadcast.id
    tasks.try_again(portal.district.database, actor(portal, visit), name)
    return _back("tried-again")


@pages.post("/{task}/cancel")
def cancel(portal: ThePortal, visit: MayChange, task: UUID) -> Response:
    """Stop the rest."""
    name = _theirs(portal, visit, task, Right.WRITE).broadcast.id
    sending.cancel(portal.district.database, actor(portal, visit), name)
    return _back("stopped")


@pages.post("/{task}/look")
def look(portal: ThePortal, visit: MayChange, task: UUID) -> Response:
    """Say that what went wrong was seen."""
    name = _theirs(portal, visit, task, Right.WRITE).broadcast.id
    tasks.look_at(portal.district.database, actor(portal, visit), name)
    return _back("looked-at")


def _seen(portal: Portal, visit: Visit) -> dict[str, Any]:
    database = portal.district.database
    sees_all = visit.may(Grant(_TOOL, Right.READ))
    return {
        "seen": tasks.overview(database, lambda one: _may(visit, one, Right.READ)),
        "alarms": tasks.alarms_now(database, portal.now) if sees_all else [],
    }


def _schools(visit: Visit) -> Schools:
    return schools_for(visit, _TOOL, Right.READ)


def _may(visit: Visit, one: Broadcast, right: Right) -> bool:
    """Whether a right holds for a task: for one's own, and where it holds at all its schools."""
    where = schools_for(visit, _TOOL, right)
    is_author = one.author_id == visit.account.id and not where.is_empty
    return is_author or covers(where, one)


def _theirs(portal: Portal, visit: Visit, task: UUID, right: Right) -> Task:
    """A task that somebody has *right* for; raises NotThere and Forbidden."""
    found = tasks.task(portal.district.database, BroadcastId(str(task)))
    if not _may(visit, found.broadcast, right):
        raise Forbidden(visit, Grant(_TOOL, right))
    return found


def _back(done: str) -> Response:
    return RedirectResponse(f"/background-tasks?done={done}", 303)
