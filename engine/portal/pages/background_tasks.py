"""Background tasks: what staff started, what waits for somebody, and what went wrong."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from engine.portal.guards import SETTLED, ThePortal, actor
from engine.portal.portal import Portal
from engine.portal.rendering import page
from engine.portal.task_guards import (
    FILES,
    TOOL,
    MayChange,
    MayList,
    MaySee,
    downloaded,
    exported,
    found,
    may,
    may_export,
    may_task,
    schools_of_tasks,
)
from engine.services import exports, tasks
from engine.services.broadcasts import sending
from engine.services.staff.signing_in import Visit
from engine.services.tasks import Export, Standing, Task
from rules.exports import ExportOf
from rules.tool_rights import Grant, Right

pages = APIRouter(prefix="/background-tasks", include_in_schema=False)

After = Annotated[str, Query(max_length=200)]
_ERRORS_SHOWN = 100


@pages.get("")
def show_all(request: Request, portal: ThePortal, visit: MayList) -> Response:
    """All of them; with JavaScript they renew themselves."""
    return page(request, "background_tasks.html", visit=visit, **_seen(portal, visit))


@pages.get("/now")
def renew(request: Request, portal: ThePortal, visit: MayList) -> Response:
    """What changes on the page."""
    return page(request, "background_tasks_now.html", visit=visit, **_seen(portal, visit))


@pages.get("/{task}")
def show(
    request: Request, portal: ThePortal, visit: MaySee, task: UUID, after: After = ""
) -> Response:
    """One of them: how far it is, and what went wrong for whom."""
    one = found(portal, visit, task, Right.READ)
    if isinstance(one, Export):
        return page(
            request, "background_export.html", visit=visit, **_export_seen(portal, visit, one)
        )
    errors = tasks.errors(
        portal.district.database, one.broadcast.id, schools_of_tasks(visit), after,
        _ERRORS_SHOWN + 1,
    )  # fmt: skip
    return page(
        request, "background_task.html", visit=visit, task=one, errors=errors[:_ERRORS_SHOWN],
        more=errors[_ERRORS_SHOWN - 1].person if len(errors) > _ERRORS_SHOWN else None,
        changes=may_task(visit, one, Right.WRITE),
    )  # fmt: skip


@pages.get("/{task}/now")
def renew_one(request: Request, portal: ThePortal, visit: MaySee, task: UUID) -> Response:
    """What changes on the page of an export, which says so the last time.

    Of a message its numbers stand on the page itself.
    """
    one = found(portal, visit, task, Right.READ)
    if isinstance(one, Task):
        return RedirectResponse(f"/background-tasks/{task}", 303)
    answer = page(
        request, "background_export_now.html", visit=visit, **_export_seen(portal, visit, one)
    )
    if one.standing is not Standing.MAKING:
        answer.headers[SETTLED] = "yes"
    return answer


@pages.get("/{task}/download")
def download(portal: ThePortal, visit: MaySee, task: UUID) -> Response:
    """What an export holds, for a spreadsheet."""
    return downloaded(portal, visit, task)


@pages.post("/{task}/export")
def export(portal: ThePortal, visit: MaySee, task: UUID) -> Response:
    """What became of a message for everybody: at once, or as a task where it is much."""
    one = found(portal, visit, task, Right.READ)
    if isinstance(one, Export):
        return RedirectResponse(f"/background-tasks/{task}", 303)
    wanted = exports.of_recipients(one.broadcast.id, schools_of_tasks(visit))
    return to_export(exported(portal, visit, wanted, FILES[ExportOf.RECIPIENTS]))


@pages.post("/{task}/try-again")
def try_again(portal: ThePortal, visit: MayChange, task: UUID) -> Response:
    """Make the texts anew that could not be made, or go on with an export that failed."""
    one, by = found(portal, visit, task, Right.WRITE), actor(portal, visit)
    if isinstance(one, Export):
        exports.try_again(portal.district.database, by, one.export.id)
        return _back("tried-again", task)
    tasks.try_again(portal.district.database, by, one.broadcast.id)
    return _back("tried-again")


@pages.post("/{task}/cancel")
def cancel(portal: ThePortal, visit: MayChange, task: UUID) -> Response:
    """Stop the rest of a message; stop an export, and erase what was made of it."""
    one, by = found(portal, visit, task, Right.WRITE), actor(portal, visit)
    if isinstance(one, Export):
        exports.cancel(portal.district.database, by, one.export.id)
        return _back("erased", task)
    sending.cancel(portal.district.database, by, one.broadcast.id)
    return _back("stopped")


@pages.post("/{task}/look")
def look(portal: ThePortal, visit: MayChange, task: UUID) -> Response:
    """Say that what went wrong was seen."""
    one, by = found(portal, visit, task, Right.WRITE), actor(portal, visit)
    if isinstance(one, Export):
        exports.look_at(portal.district.database, by, one.export.id)
        return _back("looked-at", task)
    tasks.look_at(portal.district.database, by, one.broadcast.id)
    return _back("looked-at")


def to_export(made: Response | Export) -> Response:
    """The file, or the way to the page of the task that makes it."""
    if isinstance(made, Response):
        return made
    return RedirectResponse(f"/background-tasks/{made.export.id}", 303)


def _seen(portal: Portal, visit: Visit) -> dict[str, Any]:
    database = portal.district.database
    sees_all = visit.may(Grant(TOOL, Right.READ))
    return {
        "seen": tasks.overview(
            database,
            lambda one: may(visit, one, Right.READ),
            lambda one: may_export(visit, one, Right.READ),
        ),
        "alarms": tasks.alarms_now(database, portal.now) if sees_all else [],
    }


def _export_seen(portal: Portal, visit: Visit, one: Export) -> dict[str, Any]:
    keep = portal.district.config.schedule.keep_exports
    return {
        "task": one, "changes": may_export(visit, one, Right.WRITE),
        "lists": visit.may_somewhere(Grant(TOOL, Right.READ)),
        "ends": exports.lasts_until(one.export, keep),
    }  # fmt: skip


def _back(done: str, task: UUID | None = None) -> Response:
    """To the list, or to the page of one: whoever started an export may not see the list."""
    path = f"/background-tasks/{task}" if task else "/background-tasks"
    return RedirectResponse(f"{path}?done={done}", 303)
