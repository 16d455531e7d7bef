"""Messages to families: written, counted, sent, followed, stopped and corrected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from engine.errors import SchoolbellError
from engine.portal.api.document import REFUSALS
from engine.portal.guards import Forbidden, ThePortal, actor
from engine.portal.senders import (
    MayApprove,
    MaySee,
    MaySend,
    TheBroadcast,
    ThePage,
    counted_at,
    may_mark_emergency,
    require_to_approve,
    require_to_see,
    require_to_send,
    schools_to_send_to,
    seen,
    seen_at,
)
from engine.services.broadcasts import drafts, following, sending
from engine.services.broadcasts.drafts import Broadcast, Draft
from engine.services.broadcasts.selection import Selection
from engine.services.pages import Page
from engine.services.staff.signing_in import Visit
from rules.broadcasts import BroadcastState
from rules.reasons import Reason
from rules.tool_rights import Grant, Right, Tool
from rules.wording.broadcasts import UnitKind
from rules.wording.templates import Template

api = APIRouter(prefix="/api/v1/broadcasts", tags=["broadcasts"], responses=REFUSALS)

_MOST_IDS = 100_000
_LARGEST = 2**31 - 1
Version = Annotated[int, Field(ge=0, le=_LARGEST)]
Id = Annotated[str, Field(max_length=200)]
Ids = Annotated[list[Id], Field(max_length=_MOST_IDS)]
Few = Annotated[list[Id], Field(max_length=1_000)]


class _Asked(BaseModel):
    """What a program asks for; a field that is not known is a mistake of its author."""

    model_config = ConfigDict(extra="forbid")


class Text(_Asked):
    """A title and a message, with variables such as {{ student_first_name }}."""

    title: Annotated[str, Field(max_length=10_000)]
    message: Annotated[str, Field(max_length=10_000)]


Texts = Annotated[dict[str, Text], Field(max_length=10)]


class Days(_Asked):
    """From one day through another."""

    first: date
    last: date


class Filter(_Asked):
    """Rows that match all of it; what is empty narrows nothing."""

    words: Id = ""
    student_id: Few = []
    class_id: Few = []
    camp_id: Few = []
    school_id: Few = []
    year: Few = []
    grade: Few = []
    homeroom: Few = []
    type: Few = []
    days: Days | None = None


class Part(_Asked):
    """Of the rows of one list of the SIS these, and all that match a filter but for some."""

    ids: Ids = []
    matching: Annotated[list[Filter], Field(max_length=20)] = []
    unticked: Ids = []


class Written(_Asked):
    """A message, and whom it is for. The first language stands in for those without a text."""

    texts: Texts
    selection: dict[Page, Part]
    unit: UnitKind | None = None
    attending: Days | None = None
    emergency: bool = False


class Change(Written):
    """Another message in the place of one that has this *version*."""

    version: Version


class Versioned(_Asked):
    """The version that a program has read: what changed since is not done."""

    version: Version


class Sending(Versioned):
    """To be sent now, or *at* a moment."""

    at: datetime | None = None


class Correction(_Asked):
    """Other texts in the place of those of a *revision*, on exactly the devices that show them."""

    revision: Version
    texts: Texts


class Estimate(BaseModel):
    """How many are left at each step; of the devices nobody knows which still have the app."""

    rows: int
    families: int | None
    students: int
    people: int
    may_hear: int
    with_device: int
    switched_on: int
    seen_lately: int
    devices: int


class Shown(BaseModel):
    """A message, as it is now."""

    id: str
    version: int
    revision: int
    state: BroadcastState
    page: Tool
    unit: UnitKind
    texts: dict[str, Text]
    emergency: bool
    author: str
    approver: str | None
    made_at: datetime
    send_at: datetime | None
    begun_at: datetime | None
    sent_at: datetime | None
    problem: str | None


class Phones(BaseModel):
    """How many phones were told, and what the gateways said of them so far."""

    told: int
    accepted: int
    refused: int


class Progress(BaseModel):
    """How far a message is; before it is expanded nobody knows how many recipients there are."""

    broadcast: Shown
    expanded: bool
    recipients: int
    told: int
    waiting: int
    silent: int
    by_reason: dict[Reason, int]
    phones: Phones


class Recipient(BaseModel):
    """What became of it for one person."""

    person: str
    name: str
    students: dict[str, str]
    reason: Reason
    meaning: str
    problem: str | None
    phones: Phones


@api.get("")
def read_broadcasts(
    portal: ThePortal, visit: MaySee, state: BroadcastState | None = None,
    before: datetime | None = None,
) -> list[Shown]:  # fmt: skip
    """Those that you may see, the last changed first; *before* is a moment with its offset.

    Also what was sent for more schools than yours, once it has reached families of yours.
    """
    found = drafts.every(
        portal.district.database, states=[state] if state else (), before=_aware(before), limit=100
    )
    return [_shown(one) for one in seen(portal, visit, found)]


@api.post("/estimate")
def estimate(portal: ThePortal, visit: MaySend, page: ThePage, written: Written) -> Estimate:
    """Whom a message would reach that is not kept."""
    _require_to_mark(visit, page, is_emergency=written.emergency)
    found = sending.estimate(
        portal.district.database, portal.district.find_behind, _selection(page, written),
        schools_to_send_to(visit, page), portal.now, is_emergency=written.emergency,
    )  # fmt: skip
    return Estimate(
        rows=found.rows, families=found.families, students=found.students, people=found.people,
        may_hear=found.may_hear, with_device=found.with_device, switched_on=found.switched_on,
        seen_lately=found.seen_lately, devices=found.devices,
    )  # fmt: skip


@api.post("", status_code=201)
def write(portal: ThePortal, visit: MaySend, page: ThePage, written: Written) -> Shown:
    """Keep a draft for whom is chosen on a page."""
    database = portal.district.database
    made = drafts.new(database, actor(portal, visit), _draft(visit, page, written))
    return _shown(drafts.one(database, made))


@api.get("/{broadcast}")
def read(portal: ThePortal, visit: MaySee, one: TheBroadcast) -> Progress:
    """How far one is; where you may see some of its schools, with the families of those."""
    require_to_see(portal, visit, one)
    found = following.progress(portal.district.database, one.id, counted_at(visit, one))
    return _progress(found)


@api.put("/{broadcast}")
def change(portal: ThePortal, visit: MaySend, one: TheBroadcast, written: Change) -> Shown:
    """Write another message in its place; what waits or is scheduled is a draft again."""
    require_to_send(visit, one)
    changed = drafts.change(
        portal.district.database, actor(portal, visit), one.id, written.version,
        _draft(visit, one.page, written),
    )  # fmt: skip
    return _shown(changed)


@api.delete("/{broadcast}", status_code=204)
def remove(
    portal: ThePortal, visit: MaySend, one: TheBroadcast,
    version: Annotated[int, Query(ge=0, le=_LARGEST)],
) -> None:  # fmt: skip
    """Throw a draft away."""
    require_to_send(visit, one)
    drafts.remove(portal.district.database, actor(portal, visit), one.id, version)


@api.post("/{broadcast}/send")
def send(portal: ThePortal, visit: MaySend, one: TheBroadcast, asked: Sending) -> Shown:
    """Send it, now or later; asked again with the same version it is what was sent."""
    require_to_send(visit, one)
    _require_to_mark(visit, one.page, is_emergency=one.is_emergency)
    sent = sending.send(
        portal.district.database, portal.district.find_behind, actor(portal, visit), one.id,
        asked.version, schools_to_send_to(visit, one.page), _aware(asked.at),
    )  # fmt: skip
    return _shown(sent)


@api.post("/{broadcast}/approve")
def approve(portal: ThePortal, visit: MayApprove, one: TheBroadcast, asked: Versioned) -> Shown:
    """Agree to it as a second person."""
    require_to_approve(visit, one)
    by = actor(portal, visit)
    return _shown(sending.approve(portal.district.database, by, one.id, asked.version))


@api.post("/{broadcast}/refuse")
def refuse(portal: ThePortal, visit: MayApprove, one: TheBroadcast, asked: Versioned) -> Shown:
    """Say no to it as a second person."""
    require_to_approve(visit, one)
    by = actor(portal, visit)
    return _shown(sending.refuse(portal.district.database, by, one.id, asked.version))


@api.post("/{broadcast}/back")
def take_back(portal: ThePortal, visit: MaySend, one: TheBroadcast, asked: Versioned) -> Shown:
    """Make a draft again of what is scheduled or waits for approval."""
    require_to_send(visit, one)
    by = actor(portal, visit)
    return _shown(sending.back_to_draft(portal.district.database, by, one.id, asked.version))


@api.post("/{broadcast}/cancel")
def cancel(portal: ThePortal, visit: MaySend, one: TheBroadcast) -> Shown:
    """Stop the rest: whose turn has not come hears nothing."""
    require_to_send(visit, one)
    return _shown(sending.cancel(portal.district.database, actor(portal, visit), one.id))


@api.post("/{broadcast}/correct")
def correct(portal: ThePortal, visit: MaySend, one: TheBroadcast, asked: Correction) -> Shown:
    """Put other words in the place of those that phones show."""
    require_to_send(visit, one)
    by, words = actor(portal, visit), _texts(asked.texts)
    return _shown(sending.correct(portal.district.database, by, one.id, asked.revision, words))


@api.get("/{broadcast}/recipients")
def read_recipients(
    portal: ThePortal, visit: MaySee, one: TheBroadcast, after: Id = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[Recipient]:  # fmt: skip
    """What became of it for each person; *after* is the last person of the answer before."""
    require_to_see(portal, visit, one)
    found = following.became(
        portal.district.database, one.id, seen_at(visit, one), after=after, limit=limit
    )
    return [
        Recipient(
            person=each.person, name=each.name, reason=each.reason,
            meaning=each.reason.for_staff, problem=each.problem, phones=_phones(each.phones),
            students={str(student): name for student, name in each.students.items()},
        )
        for each in found
    ]  # fmt: skip


def _draft(visit: Visit, page: Tool, written: Written) -> Draft:
    _require_to_mark(visit, page, is_emergency=written.emergency)
    selection = _selection(page, written)
    return Draft(
        page, selection.one_for_each, msgspec.to_builtins(selection), _texts(written.texts),
        written.emergency,
    )  # fmt: skip


def _require_to_mark(visit: Visit, page: Tool, *, is_emergency: bool) -> None:
    if is_emergency and not may_mark_emergency(visit, page):
        raise Forbidden(visit, Grant(Tool.BROADCASTS, Right.EMERGENCY))


def _selection(page: Tool, written: Written) -> Selection:
    asked = {
        "page": page,
        "unit": written.unit,
        "attending": _days(written.attending),
        "parts": {part: _part(rows) for part, rows in written.selection.items()},
    }
    try:
        return msgspec.convert(asked, Selection)
    except (msgspec.ValidationError, ValueError):
        raise SchoolbellError(
            "This cannot be chosen on the page.", "Look at which lists it has, and their columns."
        ) from None


def _part(rows: Part) -> Mapping[str, Any]:
    matching = [{**one.model_dump(), "days": _days(one.days)} for one in rows.matching]
    return {"ids": rows.ids, "matching": matching, "unticked": rows.unticked}


def _days(wanted: Days | None) -> tuple[date, date] | None:
    return (wanted.first, wanted.last) if wanted else None


def _texts(written: Mapping[str, Text]) -> Mapping[str, Template]:
    return {language: Template(one.title, one.message) for language, one in written.items()}


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise SchoolbellError(
            "The moment does not say its offset from UTC.",
            "Write it like 2026-11-30T08:00:00-06:00.",
        )
    return moment


def _shown(one: Broadcast) -> Shown:
    return Shown(
        id=one.id, version=one.version, revision=one.revision, state=one.state, page=one.page,
        unit=one.unit, emergency=one.is_emergency, author=one.author, approver=one.approver,
        made_at=one.made_at, send_at=one.send_at, begun_at=one.begun_at, sent_at=one.sent_at,
        problem=one.problem,
        texts={
            language: Text(title=text.title, message=text.body)
            for language, text in one.texts.items()
        },
    )  # fmt: skip


def _progress(found: following.Progress) -> Progress:
    return Progress(
        broadcast=_shown(found.broadcast), expanded=found.is_expanded,
        recipients=found.recipients, told=found.told, waiting=found.waiting, silent=found.silent,
        by_reason=dict(found.by_reason), phones=_phones(found.phones),
    )  # fmt: skip


def _phones(found: following.Phones) -> Phones:
    return Phones(told=found.told, accepted=found.accepted, refused=found.refused)
