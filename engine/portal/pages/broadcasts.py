"""Broadcasts: what was written to families, how far it is, and what became of it for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from engine.errors import SchoolbellError
from engine.portal.composing import Typed, Words, composed
from engine.portal.guards import SETTLED, ThePortal, actor
from engine.portal.pages.background_tasks import to_export
from engine.portal.pages.writing import Number
from engine.portal.portal import Portal
from engine.portal.rendering import page as shown
from engine.portal.senders import (
    MayApprove,
    MaySee,
    MaySend,
    TheBroadcast,
    approves,
    counted_at,
    require_to_approve,
    require_to_see,
    require_to_send,
    seen,
    seen_at,
    sees_all,
    sends,
)
from engine.portal.task_guards import FILES, exported
from engine.services import exports
from engine.services.actor import Actor
from engine.services.broadcasts import drafts, following, sending
from engine.services.broadcasts.drafts import Broadcast
from engine.services.broadcasts.writing import Refused, Texts
from engine.services.staff.signing_in import Visit
from rules.broadcasts import BroadcastState
from rules.exports import ExportOf
from rules.reasons import Reason

pages = APIRouter(prefix="/broadcasts", include_in_schema=False)

_LISTED: Final = 50
_NAMED: Final = 200
_FAULTS: Final = (Reason.TEXT_BLANK, Reason.TEMPLATE_INVALID)
_CHECK: Final = "check"
_ANSWERED_WITHIN: Final = timedelta(hours=1)  # whoever waits for longer looks again


@pages.get("")
def show_all(
    request: Request, portal: ThePortal, visit: MaySee, state: str = "", before: str = ""
) -> Response:
    """What was written, the newest first: one's own, and what one may see of others."""
    states = [one for one in BroadcastState if one.value == state]
    found = drafts.every(
        portal.district.database, states=states, before=_when(before), limit=_LISTED
    )
    return shown(
        request, "broadcasts.html", visit=visit, listed=seen(portal, visit, found),
        state=state, states=list(BroadcastState),
        older=found[-1].changed_at.isoformat() if len(found) == _LISTED else "",
    )  # fmt: skip


@pages.get("/{broadcast}")
def show(request: Request, portal: ThePortal, visit: MaySee, one: TheBroadcast) -> Response:
    """One broadcast; while it goes the page renews itself."""
    return _show(request, portal, visit, one)


@pages.get("/{broadcast}/now")
def renew(request: Request, portal: ThePortal, visit: MaySee, one: TheBroadcast) -> Response:
    """What changes on the page; the last time it says so."""
    require_to_see(portal, visit, one)
    now = _seen(portal, visit, one)
    answer = shown(request, "broadcast_now.html", visit=visit, **now)
    if not now["moves"]:
        answer.headers[SETTLED] = "yes"
    return answer


@pages.get("/{broadcast}/recipients")
def show_recipients(
    request: Request, portal: ThePortal, visit: MaySee, one: TheBroadcast,
    reason: Annotated[list[Reason], Query()] = [],  # noqa: B006
    after: Annotated[str, Query(max_length=200)] = "",
) -> Response:  # fmt: skip
    """What became of it for each, of some reasons or of all."""
    require_to_see(portal, visit, one)
    found = following.became(
        portal.district.database, one.id, seen_at(visit, one), reasons=reason, after=after,
        limit=_NAMED,
    )  # fmt: skip
    return shown(
        request, "broadcast_recipients.html", visit=visit, one=one, found=found, reasons=reason,
        after=found[-1].person if len(found) == _NAMED else "",
    )  # fmt: skip


@pages.post("/{broadcast}/export")
def export(portal: ThePortal, visit: MaySee, one: TheBroadcast) -> Response:
    """The same of all, for a spreadsheet: at once, or as a task where it is much."""
    require_to_see(portal, visit, one)
    wanted = exports.of_recipients(one.id, seen_at(visit, one))
    return to_export(exported(portal, visit, wanted, FILES[ExportOf.RECIPIENTS]))


@pages.post("/{broadcast}/approve")
def approve(
    request: Request, portal: ThePortal, visit: MayApprove, one: TheBroadcast, version: Number = 0
) -> Response:
    """Agree to it as a second person."""
    require_to_approve(visit, one)
    return _acted(
        request, portal, visit, one,
        lambda by: sending.approve(portal.district.database, by, one.id, version),
    )  # fmt: skip


@pages.post("/{broadcast}/refuse")
def refuse(
    request: Request, portal: ThePortal, visit: MayApprove, one: TheBroadcast, version: Number = 0
) -> Response:
    """Say no to it as a second person: it is a draft again."""
    require_to_approve(visit, one)
    return _acted(
        request, portal, visit, one,
        lambda by: sending.refuse(portal.district.database, by, one.id, version), "refused",
    )  # fmt: skip


@pages.post("/{broadcast}/back")
def take_back(
    request: Request, portal: ThePortal, visit: MaySend, one: TheBroadcast, version: Number = 0
) -> Response:
    """Make a draft again of what is scheduled or waits."""
    require_to_send(visit, one)
    return _acted(
        request, portal, visit, one,
        lambda by: sending.back_to_draft(portal.district.database, by, one.id, version), "draft",
    )  # fmt: skip


@pages.post("/{broadcast}/cancel")
def cancel(request: Request, portal: ThePortal, visit: MaySend, one: TheBroadcast) -> Response:
    """Stop the rest."""
    require_to_send(visit, one)
    return _acted(
        request, portal, visit, one,
        lambda by: sending.cancel(portal.district.database, by, one.id), "cancelled",
    )  # fmt: skip


@pages.post("/{broadcast}/remove")
def remove(
    request: Request, portal: ThePortal, visit: MaySend, one: TheBroadcast, version: Number = 0
) -> Response:
    """Throw a draft away."""
    require_to_send(visit, one)
    try:
        drafts.remove(portal.district.database, actor(portal, visit), one.id, version)
    except SchoolbellError as error:
        return _show(request, portal, visit, one, error)
    return RedirectResponse(f"/{one.page}?done=removed", 303)


@pages.get("/{broadcast}/correct")
def show_correction(request: Request, visit: MaySend, one: TheBroadcast) -> Response:
    """Where other words are written for the phones that show it."""
    require_to_send(visit, one)
    if not one.revision:
        return _see(one)
    return _correct(request, visit, one, one.texts, one.revision)


@pages.post("/{broadcast}/correct")
def correct(
    request: Request, portal: ThePortal, visit: MaySend, one: TheBroadcast, texts: Typed,
    revision: Number = 0, do: Words = "",
) -> Response:  # fmt: skip
    """Put other words in the place of those that phones show."""
    require_to_send(visit, one)
    if do == _CHECK:
        return _correct(request, visit, one, texts, revision)
    try:
        was = sending.correct(
            portal.district.database, actor(portal, visit), one.id, revision, texts
        )
    except SchoolbellError as error:
        return _correct(request, visit, one, texts, revision, error)
    return _see(was, "?done=corrected")


def _acted(
    request: Request, portal: Portal, visit: Visit, one: Broadcast,
    act: Callable[[Actor], Broadcast], done: str = "",
) -> Response:  # fmt: skip
    """Do something with it, and show what it is then, or why that cannot be done."""
    try:
        was = act(actor(portal, visit))
    except SchoolbellError as error:
        return _show(request, portal, visit, one, error)
    return _see(was, f"?done={done or was.state}")


def _show(
    request: Request, portal: Portal, visit: Visit, one: Broadcast,
    error: SchoolbellError | None = None,
) -> Response:  # fmt: skip
    require_to_see(portal, visit, one)
    return shown(
        request, "broadcast.html", visit=visit, status=422 if error else 200, error=error,
        **_seen(portal, visit, one),
    )  # fmt: skip


def _seen(portal: Portal, visit: Visit, one: Broadcast) -> Mapping[str, Any]:
    progress = following.progress(portal.district.database, one.id, counted_at(visit, one))
    waits = progress.phones.told > progress.phones.accepted + progress.phones.refused
    return {
        "one": progress.broadcast,
        "progress": progress,
        "faults": _FAULTS,
        "sends": sends(visit, one),
        "approves": approves(visit, one),
        "is_part": not sees_all(visit, one),
        "moves": one.state is BroadcastState.SENDING
        or (waits and portal.now - one.changed_at < _ANSWERED_WITHIN),
        "State": BroadcastState,
        "Reason": Reason,
    }


def _correct(
    request: Request, visit: Visit, one: Broadcast, texts: Texts, revision: int,
    error: SchoolbellError | None = None,
) -> Response:  # fmt: skip
    return shown(
        request, "broadcast_correct.html", visit=visit, status=422 if error else 200, one=one,
        composed=composed(one.page, texts, one.unit, so_far=not error), revision=revision,
        error=None if isinstance(error, Refused) else error, refused=isinstance(error, Refused),
    )  # fmt: skip


def _when(words: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(words)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _see(one: Broadcast, rest: str = "") -> Response:
    return RedirectResponse(f"/broadcasts/{one.id}{rest}", 303)
