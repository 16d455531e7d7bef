"""Who may see, change and download background tasks: guards of them.

Whoever started an export may see it without the right for the page. Nobody may download one who
may not see, now, all that is in it.
"""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse

from engine.errors import SchoolbellError
from engine.portal.guards import Forbidden, Needs, ThePortal, actor, signed_in
from engine.portal.portal import Portal
from engine.portal.senders import covers, schools_for, schools_to_read_of, seen_at, sees_all
from engine.services import exports, tasks
from engine.services.broadcasts.drafts import Broadcast
from engine.services.exports import Wanted
from engine.services.staff.signing_in import Visit
from engine.services.tasks import Export, Task
from rules.exports import ExportOf
from rules.tool_rights import EVERYWHERE, Grant, Right, Schools, Tool

TOOL: Final = Tool.BACKGROUND_TASKS
CSV: Final = "text/csv; charset=utf-8"


class _OrStarted(Needs):
    """A dependency: who has a right for tasks, or started the export that a request is about."""

    def __call__(  # type: ignore[override]
        self, request: Request, portal: ThePortal, visit: Annotated[Visit, Depends(signed_in)]
    ) -> Visit:
        """The visit, where it may."""
        if visit.may_somewhere(self.grant) or _started(request, portal, visit):
            return visit
        raise Forbidden(visit, self.grant)


MayList = Annotated[Visit, Depends(Needs(TOOL, anywhere=True))]
MaySee = Annotated[Visit, Depends(_OrStarted(TOOL, Right.READ, anywhere=True))]
MayChange = Annotated[Visit, Depends(_OrStarted(TOOL, Right.WRITE, anywhere=True))]


def found(portal: Portal, visit: Visit, name: UUID, right: Right) -> Task | Export:
    """A task that somebody has *right* for; raises NotThere and Forbidden."""
    one = tasks.any_task(portal.district.database, str(name))
    may = may_export(visit, one, right) if isinstance(one, Export) else may_task(visit, one, right)
    if not may:
        raise Forbidden(visit, Grant(TOOL, right))
    return one


def may_task(visit: Visit, one: Task, right: Right) -> bool:
    """Whether a right holds for what became of a broadcast; see `may`."""
    return may(visit, one.broadcast, right)


def may(visit: Visit, one: Broadcast, right: Right) -> bool:
    """Whether a right holds for a task: for one's own, and where it holds at all its schools."""
    where = schools_for(visit, TOOL, right)
    is_author = one.author_id == visit.account.id and not where.is_empty
    return is_author or covers(where, one)


def may_export(visit: Visit, one: Export, right: Right) -> bool:
    """Whether somebody may see all that is in an export; and to change it, started it or may."""
    is_theirs = one.export.staff == visit.account.id
    if not (is_theirs or _rights_cover(visit, one, right)):
        return False
    return _may_see_all_of(visit, one)


def schools_of_tasks(visit: Visit) -> Schools:
    """The schools whose students somebody sees behind tasks."""
    return schools_for(visit, TOOL, Right.READ)


def exported(portal: Portal, visit: Visit, wanted: Wanted, filename: str) -> Response | Export:
    """All of something as CSV, or the task that makes it."""
    by, database = actor(portal, visit), portal.district.database
    lines = exports.at_once(database, by, wanted)
    if lines is None:
        made = exports.begin(database, by, wanted)
        return tasks.export_of(database, made)
    return StreamingResponse(lines, media_type=CSV, headers=attached(filename))


def downloaded(portal: Portal, visit: Visit, name: UUID) -> Response:
    """What an export holds; raises NotThere, Forbidden and NotNow."""
    one = found(portal, visit, name, Right.READ)
    if isinstance(one, Task):
        raise SchoolbellError(
            "This task has nothing to download.", "Export what became of the message first."
        )
    parts = exports.downloaded(portal.district.database, actor(portal, visit), one.export.id)
    headers = attached(FILES[one.export.of]) | {"content-length": str(one.export.size)}
    return StreamingResponse(parts, media_type=CSV, headers=headers)


FILES: Final = {
    ExportOf.AUDIT: "schoolbell-audit.csv",
    ExportOf.RECIPIENTS: "schoolbell-recipients.csv",
}
"""What a file is called that somebody downloads."""


def attached(filename: str) -> dict[str, str]:
    """The header that lets a browser keep a file."""
    return {"content-disposition": f'attachment; filename="{filename}"'}


def _rights_cover(visit: Visit, one: Export, right: Right) -> bool:
    where = schools_for(visit, TOOL, right)
    if one.export.of is ExportOf.AUDIT:
        return where.covers(EVERYWHERE)
    return not where.is_empty and where.covers(one.export.schools)


def _may_see_all_of(visit: Visit, one: Export) -> bool:
    if one.export.of is ExportOf.AUDIT:
        return visit.may(Grant(Tool.AUDIT, Right.READ))
    if one.broadcast is None:
        return False
    as_task = may(visit, one.broadcast, Right.READ) and schools_of_tasks(visit)
    as_broadcast = sees_all(visit, one.broadcast) and seen_at(visit, one.broadcast)
    as_reached = one.has_reached and schools_to_read_of(visit)
    return any(
        where and where.covers(one.export.schools) for where in (as_task, as_broadcast, as_reached)
    )


def _started(request: Request, portal: Portal, visit: Visit) -> bool:
    try:
        one = tasks.any_task(portal.district.database, str(UUID(request.path_params.get("task"))))
    except (SchoolbellError, ValueError, TypeError, AttributeError):
        return False
    return isinstance(one, Export) and one.export.staff == visit.account.id
