"""Send Push Notification Message: where a message is written, looked at, and sent.

What is written is kept as a draft before it is sent, under a name that was drawn when the page was
opened: sent twice, by a double click or by Back, it is one message.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from msgspec.structs import replace

from engine.errors import SchoolbellError
from engine.portal.composing import Typed, Words, composed
from engine.portal.guards import ThePortal, actor
from engine.portal.portal import Portal
from engine.portal.rendering import page as shown
from engine.portal.senders import (
    MaySend,
    TheBroadcast,
    ThePage,
    may_mark_emergency,
    require_to_send,
    schools_to_send_to,
)
from engine.services import settings
from engine.services.broadcasts import choosing, drafts, previewing, sending, templates, testing
from engine.services.broadcasts.drafts import Broadcast, Draft
from engine.services.broadcasts.funnel import Funnel, Step, fallen
from engine.services.broadcasts.previewing import Preview
from engine.services.broadcasts.selection import Selection, count, usable
from engine.services.broadcasts.templates import KeptId
from engine.services.broadcasts.writing import Refused, Texts
from engine.services.pages import Days
from engine.services.staff.signing_in import Visit
from rules.broadcasts import BroadcastId, BroadcastState, needs_approval
from rules.change import PersonId
from rules.identity import is_origin
from rules.tool_rights import Tool
from rules.wording.broadcasts import UNITS, UnitKind

pages = APIRouter(prefix="/broadcasts", include_in_schema=False)

_CHECK, _COUNT, _TEMPLATE, _LOOK, _ANOTHER, _SEND, _OPEN = (
    "check", "count", "template", "look", "another", "send", "open",
)  # fmt: skip
_MANY = 2_000  # rows
Number = Annotated[int, Form(ge=0, lt=2**31)]


class Written(NamedTuple):
    """A message as a form says it, and what is asked of it."""

    texts: Texts
    unit: UnitKind | None
    attending: Days | None
    is_emergency: bool
    template: str
    shown_to: int
    do: str


def _written(
    texts: Typed, unit: Words = "", first: Words = "", last: Words = "", emergency: Words = "",
    template: Words = "", shown_to: Number = 0, do: Words = "",
) -> Written:  # fmt: skip
    known = UnitKind(unit) if unit in list(UnitKind) else None
    return Written(texts, known, _days(first, last), bool(emergency), template, shown_to, do)


TheWritten = Annotated[Written, Depends(_written)]


class Writing(NamedTuple):
    """What the page shows: a message for what is chosen on *page*; *one* where it is kept.

    Something is *lost* of what was chosen, for which the SIS cannot be asked any more.
    """

    page: Tool
    name: str
    selection: Selection
    texts: Texts
    is_emergency: bool = False
    shown_to: int = 0
    one: Broadcast | None = None
    lost: bool = False

    @property
    def path(self) -> str:
        """Where its form goes."""
        if self.one:
            return f"/broadcasts/{self.one.id}/edit"
        return f"/broadcasts/new?page={self.page}"

    @property
    def draft(self) -> Draft:
        """What is kept of it."""
        selection = msgspec.to_builtins(self.selection)
        unit = self.selection.one_for_each
        return Draft(self.page, unit, selection, self.texts, self.is_emergency)


@pages.get("/new")
def show_new(request: Request, portal: ThePortal, visit: MaySend, page: ThePage) -> Response:
    """An empty message for whom is ticked on a page."""
    name = drafts.new_id(portal.now)
    now = _usable(portal, Writing(page, name, _chosen(portal, visit, page), {}))
    return _show(request, portal, visit, now, do=_OPEN)


@pages.post("/new")
def write(
    request: Request, portal: ThePortal, visit: MaySend, page: ThePage, written: TheWritten,
    name: Words = "",
) -> Response:  # fmt: skip
    """Keep a new message, go on to send it, or look at what is written so far."""
    kept = _chosen(portal, visit, page)
    known = name if is_origin(name) else drafts.new_id(portal.now)
    made = _usable(portal, Writing(page, known, _meant(kept, written), written.texts))
    made = made._replace(
        is_emergency=written.is_emergency and may_mark_emergency(visit, page),
        shown_to=written.shown_to,
    )
    return _do(request, portal, visit, made, written)


@pages.get("/{broadcast}/edit")
def show_kept(request: Request, portal: ThePortal, visit: MaySend, one: TheBroadcast) -> Response:
    """A message that is kept, where it is changed."""
    require_to_send(visit, one)
    if not one.state.may_be_edited:
        return _see(one.id)
    return _show(request, portal, visit, _of(portal, one), do=_OPEN)


@pages.post("/{broadcast}/edit")
def change(
    request: Request, portal: ThePortal, visit: MaySend, one: TheBroadcast, written: TheWritten,
    version: Number = 0,
) -> Response:  # fmt: skip
    """Change a message that is kept, go on to send it, or look at what is written so far."""
    require_to_send(visit, one)
    now = _of(portal, one._replace(version=version))
    now = now._replace(
        selection=_meant(now.selection, written), texts=written.texts,
        is_emergency=written.is_emergency and may_mark_emergency(visit, one.page),
        shown_to=written.shown_to,
    )  # fmt: skip
    return _do(request, portal, visit, now, written)


@pages.get("/{broadcast}/send")
def ask(request: Request, portal: ThePortal, visit: MaySend, one: TheBroadcast) -> Response:
    """Say what happens when it is sent, and ask once more."""
    require_to_send(visit, one)
    if one.state is not BroadcastState.DRAFT:
        return _see(one.id)
    return _ask(request, portal, visit, one)


@pages.post("/{broadcast}/send")
def send(
    request: Request, portal: ThePortal, visit: MaySend, one: TheBroadcast,
    version: Number = 0, when: Words = "", day: Words = "", at: Words = "",
) -> Response:  # fmt: skip
    """Send it, now or later; the same version is sent once, however often it is asked for."""
    require_to_send(visit, one)
    if one.is_emergency and not may_mark_emergency(visit, one.page):
        raise SchoolbellError(
            "You may not send a message that is marked as an emergency.",
            "Take the mark away, or ask somebody who may.",
        )
    try:
        moment = _moment(portal, day, at) if when == "later" else None
        sent = sending.send(
            portal.district.database, portal.district.find_behind, actor(portal, visit), one.id,
            version, schools_to_send_to(visit, one.page), moment,
        )  # fmt: skip
    except SchoolbellError as error:
        return _ask(request, portal, visit, one, error=error, when=when, day=day, at=at)
    return RedirectResponse(f"/broadcasts/{sent.id}?done={sent.state}", 303)


@pages.post("/{broadcast}/test")
def try_it(
    request: Request, portal: ThePortal, visit: MaySend, one: TheBroadcast, person: Words = ""
) -> Response:
    """Send it to the phones of one person alone, who is named by their id in the directory."""
    require_to_send(visit, one)
    district = portal.district
    try:
        phones = testing.to_myself(
            district.database, district.composer, lambda: district.broker.publisher(),
            actor(portal, visit), PersonId(person.strip()), one.page, one.unit, one.texts,
            portal.today,
        )  # fmt: skip
    except SchoolbellError as error:
        return _ask(request, portal, visit, one, error=error, person=person)
    return _ask(request, portal, visit, one, tested=phones, person=person)


@pages.get("/people")
def show_people(
    request: Request, portal: ThePortal, visit: MaySend, page: ThePage, step: Step,
    unit: str = "", first: str = "", last: str = "", emergency: str = "", broadcast: str = "",
    after: Annotated[str, Query(max_length=300)] = "",
) -> Response:  # fmt: skip
    """Who falls out at a step of the funnel, and why."""
    kept = _chosen(portal, visit, page)
    if broadcast and is_origin(broadcast):
        one = drafts.one(portal.district.database, BroadcastId(broadcast))
        require_to_send(visit, one)
        kept = sending.selection_of(one)
    known = UnitKind(unit) if unit in list(UnitKind) else None
    written = Written({}, known, _days(first, last), bool(emergency), "", 0, "")
    now = _usable(portal, Writing(page, "", _meant(kept, written), {}, written.is_emergency))
    found = fallen(
        portal.district.database, portal.district.find_behind, now.selection,
        schools_to_send_to(visit, page), portal.now, step, after=after, limit=_NAMED,
        is_emergency=now.is_emergency,
    )  # fmt: skip
    more = request.url.include_query_params(after=found.after).query if found.after else ""
    return shown(
        request, "broadcast_people.html", visit=visit, page=page, step=step, found=found,
        more=more,
    )  # fmt: skip


_NAMED = 200


def _do(request: Request, portal: Portal, visit: Visit, now: Writing, written: Written) -> Response:
    do = written.do
    if do == _TEMPLATE and written.template.isdecimal() and len(written.template) < 19:
        kept = templates.one(portal.district.database, KeptId(int(written.template)))
        now = now._replace(texts=kept.texts)
    if do == _ANOTHER:
        now = now._replace(shown_to=now.shown_to + 1)
    if do in (_CHECK, _COUNT, _TEMPLATE, _LOOK, _ANOTHER):
        return _show(request, portal, visit, now, do=do)
    try:
        found = composed(now.page, now.texts, now.selection.one_for_each).faults
        if do == _SEND and found:
            raise Refused(found)
        return _keep(portal, visit, now, do=do)
    except SchoolbellError as error:
        return _show(request, portal, visit, now, do=_LOOK, error=error)


def _keep(portal: Portal, visit: Visit, now: Writing, *, do: str) -> Response:
    database, by = portal.district.database, actor(portal, visit)
    if now.one:
        drafts.change(database, by, now.one.id, now.one.version, now.draft)
        name = now.one.id
    else:
        name = drafts.new(database, by, now.draft, BroadcastId(now.name))
        if drafts.one(database, name).version > 1:
            return _see(name)  # sent again by Back: what became of it is what counts
    return _see(name, "/send") if do == _SEND else _see(name, "?done=saved")


def _show(
    request: Request, portal: Portal, visit: Visit, now: Writing, *, do: str,
    error: SchoolbellError | None = None,
) -> Response:  # fmt: skip
    unit = now.selection.one_for_each
    is_counting = do == _OPEN and _are_many(portal, visit, now)
    is_of_words = do in (_CHECK, _TEMPLATE)
    funnel = None if is_of_words or is_counting else _funnel(portal, visit, now)
    return shown(
        request, "broadcast_write.html", visit=visit, status=422 if error else 200, now=now,
        composed=composed(now.page, now.texts, unit, so_far=not error), unit=unit,
        units=UNITS[now.page], templates=templates.every(portal.district.database, now.page),
        funnel=funnel, is_counting=is_counting, preview=_preview(portal, visit, now), Step=Step,
        may_mark_emergency=may_mark_emergency(visit, now.page),
        error=None if isinstance(error, Refused) else error, refused=isinstance(error, Refused),
    )  # fmt: skip


def _ask(
    request: Request, portal: Portal, visit: Visit, one: Broadcast, *,
    error: SchoolbellError | None = None, when: str = "", day: str = "", at: str = "",
    person: str = "", tested: int | None = None,
) -> Response:  # fmt: skip
    now = _of(portal, one)
    funnel = _funnel(portal, visit, now)
    above = settings.chosen(portal.district.database).approval_above
    return shown(
        request, "broadcast_send.html", visit=visit, status=422 if error else 200, one=one,
        now=now, funnel=funnel, preview=_preview(portal, visit, now), error=error, when=when,
        day=day, at=at, person=person, tested=tested, above=above, Step=Step,
        waits=needs_approval(funnel.recipients, above),
    )  # fmt: skip


def _funnel(portal: Portal, visit: Visit, now: Writing) -> Funnel:
    return sending.estimate(
        portal.district.database, portal.district.find_behind, now.selection,
        schools_to_send_to(visit, now.page), portal.now, is_emergency=now.is_emergency,
    )  # fmt: skip


def _are_many(portal: Portal, visit: Visit, now: Writing) -> bool:
    """Whether so many rows are selected that the page had better be shown before it is counted."""
    rows = count(portal.district.source, now.selection, schools_to_send_to(visit, now.page))
    return rows >= _MANY


def _preview(portal: Portal, visit: Visit, now: Writing) -> Preview | None:
    """How it looks to somebody; None while something is wrong with it, or nobody would get it."""
    looked_at = composed(now.page, now.texts, now.selection.one_for_each)
    if not now.texts or looked_at.faults or now.selection.is_empty:
        return None
    district = portal.district
    return previewing.preview(
        district.database, district.find_behind, district.wording, now.selection, now.texts,
        schools_to_send_to(visit, now.page), portal.now, number=now.shown_to,
        is_emergency=now.is_emergency,
    )  # fmt: skip


def _of(portal: Portal, one: Broadcast) -> Writing:
    selection = replace(sending.selection_of(one), unit=one.unit)
    kept = Writing(one.page, one.id, selection, one.texts, one.is_emergency, one=one)
    return _usable(portal, kept)


def _chosen(portal: Portal, visit: Visit, page: Tool) -> Selection:
    return choosing.kept(portal.district.database, visit.account.id, page)


def _usable(portal: Portal, now: Writing) -> Writing:
    selection = usable(portal.district.source, now.selection)
    return now._replace(selection=selection, lost=selection != now.selection)


def _meant(selection: Selection, written: Written) -> Selection:
    """The selection as the form says it is meant; what the form does not ask stays as it was."""
    choices: Mapping[str, Any] = {"unit": written.unit or selection.unit}
    if selection.page is Tool.CAMPS:
        choices = {**choices, "attending": written.attending}
    return replace(selection, **choices)


def _days(first: str, last: str) -> Days | None:
    """From one day through another; one of them alone is that day."""
    days = [day for words in (first, last) if (day := _day(words))]
    return Days(min(days), max(days)) if days else None


def _day(words: str) -> date | None:
    try:
        return date.fromisoformat(words)
    except ValueError:
        return None


def _moment(portal: Portal, day: str, at: str) -> datetime:
    """The moment that is typed, by the district's clock; raises SchoolbellError."""
    try:
        return datetime.combine(date.fromisoformat(day), time.fromisoformat(at), portal.zone)
    except ValueError:
        raise SchoolbellError(
            "This is no moment to send at.", "Choose a day and a time of that day."
        ) from None


def _see(name: str, rest: str = "") -> Response:
    return RedirectResponse(f"/broadcasts/{name}{rest}", 303)
