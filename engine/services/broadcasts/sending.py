"""Sending: what staff do with a draft, and with what is on its way.

To send writes a row, however many people it is for: the stages do the rest. Whoever sends names the
version that they read, so what a click, Back or a retry sends twice is sent once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.ports.broadcasts import Broadcast, Texts
from engine.runtime.behind import FindBehind
from engine.services.actor import Actor
from engine.services.broadcasts.drafts import at_version, known
from engine.services.broadcasts.funnel import Funnel, funnel, recipients
from engine.services.broadcasts.refusals import changed_meanwhile, not_now
from engine.services.broadcasts.writing import require_faultless
from engine.sources.selection import Selection, usable
from engine.store import broadcasts, district, expansions
from rules.broadcasts import BroadcastId, BroadcastState, needs_approval
from rules.tool_rights import Schools
from rules.wording.broadcasts import allowed

SENT: Final = "broadcast.sent"
SCHEDULED: Final = "broadcast.scheduled"
ASKED: Final = "broadcast.asked-for-approval"
APPROVED: Final = "broadcast.approved"
REFUSED: Final = "broadcast.refused"
TAKEN_BACK: Final = "broadcast.taken-back"
CANCELLED: Final = "broadcast.cancelled"
CORRECTED: Final = "broadcast.corrected"

FARTHEST: Final = timedelta(days=366)
"""How far ahead a message can be scheduled."""

A_WHILE: Final = timedelta(minutes=1)
"""How long an estimate is good that took long."""
_LONG: Final = 0.5  # seconds
_Asked = tuple[bytes, Schools, bool]
_ESTIMATES: Final[WeakKeyDictionary[Database, dict[_Asked, tuple[datetime, Funnel]]]] = (
    WeakKeyDictionary()
)

_ACTS: Final = {
    BroadcastState.WAITING: ASKED,
    BroadcastState.SCHEDULED: SCHEDULED,
    BroadcastState.SENDING: SENT,
}


def estimate(
    database: Database,
    find: FindBehind,
    selection: Selection,
    schools: Schools,
    now: datetime,
    *,
    is_emergency: bool = False,
) -> Funnel:
    """Whom a draft would reach that need not be kept; see `funnel.funnel`.

    What took long is good for A_WHILE: the pages ask on each step, and whoever sends has just seen
    it.
    """
    known, asked = _ESTIMATES.setdefault(database, {}), _asked(selection, schools, is_emergency)
    if found := _fresh(database, asked, now):
        return found
    began = time.monotonic()
    estimated = funnel(database, find, selection, schools, now, is_emergency=is_emergency)
    if time.monotonic() - began > _LONG:
        for old in [each for each, (at, _) in known.items() if now - at >= A_WHILE]:
            known.pop(old, None)
        known[asked] = now, estimated
    return estimated


def send(
    database: Database,
    find: FindBehind,
    by: Actor,
    name: BroadcastId,
    version: int,
    schools: Schools,
    at: datetime | None = None,
) -> Broadcast:
    """Send a draft to families of some *schools*: now, or *at* a moment.

    Where the district wants a second person's approval for so many, it waits for that. Raises
    SchoolbellError for what cannot be sent, ChangedMeanwhile where it has not this *version* any
    more, and Refused for faulty words. Sent again, it is what was sent.
    """
    one = _read(database, name)
    if _was_sent_from(one, version):
        return one
    _require_sendable(one, by, schools, at)
    _require_answerable(find, selection_of(one))
    waits = _needs_approval(database, find, one, schools, by.at)
    with database.write() as connection:
        one = known(connection, name)
        if _was_sent_from(one, version):
            return one
        at_version(connection, name, version)
        if waits:
            state = BroadcastState.WAITING
        else:
            state = BroadcastState.SENDING if at is None else BroadcastState.SCHEDULED
        _move(connection, by, one, state, send_at=at, schools=schools)
        return known(connection, name)


def approve(database: Database, by: Actor, name: BroadcastId, version: int) -> Broadcast:
    """Agree as a second person: it is sent, or scheduled; raises as `send` does."""
    with database.write() as connection:
        one = at_version(connection, name, version)
        if one.state is not BroadcastState.WAITING:
            raise not_now()
        if by.staff is None or by.staff == one.author_id:
            raise SchoolbellError(
                "Nobody approves a message of their own.", "Ask somebody else who may approve."
            )
        if one.send_at is not None and one.send_at <= by.at:
            raise SchoolbellError(
                "The moment at which this message was to be sent has passed.",
                "Refuse it, so that another moment can be chosen.",
            )
        state = BroadcastState.SCHEDULED if one.send_at else BroadcastState.SENDING
        _move(connection, by, one, state, APPROVED, approver=by.name)
        return known(connection, name)


def refuse(database: Database, by: Actor, name: BroadcastId, version: int) -> Broadcast:
    """Say no as a second person: it is a draft again; raises as `send` does."""
    with database.write() as connection:
        one = at_version(connection, name, version)
        if one.state is not BroadcastState.WAITING:
            raise not_now()
        _to_draft(connection, by, one, REFUSED)
        return known(connection, name)


def back_to_draft(database: Database, by: Actor, name: BroadcastId, version: int) -> Broadcast:
    """Take back what waits for approval or is scheduled; raises as `send` does."""
    with database.write() as connection:
        one = at_version(connection, name, version)
        if one.state not in (BroadcastState.WAITING, BroadcastState.SCHEDULED):
            raise not_now()
        _to_draft(connection, by, one, TAKEN_BACK)
        return known(connection, name)


def cancel(database: Database, by: Actor, name: BroadcastId) -> Broadcast:
    """Stop the rest: whose turn has not come hears nothing. Cancelled again it stays so."""
    with database.write() as connection:
        one = _locked(connection, name)
        if one.state is BroadcastState.CANCELLED:
            return one
        if one.state is not BroadcastState.SENDING:
            raise not_now()
        _change(connection, by, one, state=BroadcastState.CANCELLED, expanded=0)
        by.did(connection, CANCELLED, name, {"state": one.state}, {"state": "cancelled"})
        return known(connection, name)


def correct(
    database: Database, by: Actor, name: BroadcastId, revision: int, texts: Texts
) -> Broadcast:
    """Put other *texts* in the place of *revision* on exactly the devices that show it.

    Who waits for their turn hears the new ones. The same correction twice is one. Raises
    ChangedMeanwhile where another one came first, NotNow where nothing was shown yet.
    """
    with database.write() as connection:
        one = _locked(connection, name)
        if one.revision == revision + 1 and one.texts == texts:
            return one
        if one.revision != revision:
            raise changed_meanwhile()
        if not one.revision or one.state not in _CORRECTABLE:
            raise not_now()
        if one.state is BroadcastState.CANCELLED and one.expanded < one.revision:
            raise SchoolbellError(
                "This message is still being stopped.", "Try again in a few seconds."
            )
        require_faultless(texts, allowed(one.page, one.unit))
        broadcasts.keep_texts(connection, name, revision + 1, texts, by.at)
        _change(
            connection, by, one, state=BroadcastState.SENDING, revision=revision + 1, texts=texts,
            sent_at=None,
        )  # fmt: skip
        by.did(connection, CORRECTED, name, {"revision": revision}, {"revision": revision + 1})
        return known(connection, name)


_CORRECTABLE: Final = frozenset(
    {BroadcastState.SENDING, BroadcastState.SENT, BroadcastState.CANCELLED}
)


def _read(database: Database, name: BroadcastId) -> Broadcast:
    with database.read() as connection:
        return known(connection, name)


def _locked(connection: Connection, name: BroadcastId) -> Broadcast:
    """A broadcast that stays as it is: what release has in hand is published before."""
    return broadcasts.locked(connection, name) or known(connection, name)


def _was_sent_from(one: Broadcast, version: int) -> bool:
    """Whether somebody sent it as it was then, or later."""
    return one.state is not BroadcastState.DRAFT and one.version > version


def _require_sendable(one: Broadcast, by: Actor, schools: Schools, at: datetime | None) -> None:
    if one.state is not BroadcastState.DRAFT:
        raise not_now()
    require_faultless(one.texts, allowed(one.page, one.unit))
    if selection_of(one).is_empty or schools.is_empty:
        raise SchoolbellError(
            "Nobody is chosen.", "Mark the families, students, classes or enrollments to write to."
        )
    if at is not None and not by.at < at <= by.at + FARTHEST:
        raise SchoolbellError(
            "A message cannot be scheduled for this moment.",
            "Choose one that is still to come, within a year.",
        )


def _require_answerable(find: FindBehind, selection: Selection) -> None:
    if usable(find.source, selection) != selection:
        raise SchoolbellError(
            "A search of which all was selected cannot be made any more: the student information"
            " system does not give what it asked for.",
            "Open the message, look whom it reaches without that search, and save it.",
        )


def selection_of(one: Broadcast) -> Selection:
    """What was chosen for a broadcast; raises SchoolbellError for what is none."""
    try:
        return msgspec.convert(one.selection, Selection)
    except (msgspec.ValidationError, ValueError):
        raise SchoolbellError(
            "What was chosen for this message cannot be read any more.",
            "Choose again on the page, and write the message anew.",
        ) from None


def _needs_approval(
    database: Database, find: FindBehind, one: Broadcast, schools: Schools, now: datetime
) -> bool:
    """Whether so many people are behind it; the SIS is asked only where a district wants that."""
    with database.read() as connection:
        above = district.approval_above(connection)
    if not above:
        return False
    selection = selection_of(one)
    if found := _fresh(database, _asked(selection, schools, one.is_emergency), now):
        return needs_approval(found.recipients, above)
    many = recipients(database, find, selection, schools, now, is_emergency=one.is_emergency)
    return needs_approval(many, above)


def _asked(selection: Selection, schools: Schools, is_emergency: bool) -> _Asked:
    """What an estimate is of: it is the same for each unit."""
    of_any_unit = msgspec.structs.replace(selection, unit=None)
    return msgspec.json.encode(of_any_unit), schools, is_emergency


def _fresh(database: Database, asked: _Asked, now: datetime) -> Funnel | None:
    found = _ESTIMATES.get(database, {}).get(asked)
    return found[1] if found is not None and now - found[0] < A_WHILE else None


def _move(
    connection: Connection,
    by: Actor,
    one: Broadcast,
    state: BroadcastState,
    act: str = "",
    **values: Any,
) -> None:
    """Send, schedule, or let it wait, and write it into the audit log."""
    if state is BroadcastState.SENDING:
        _change(connection, by, one, **values)
        expansions.begin(connection, one.id, by.at)
    else:
        _change(connection, by, one, state=state, **values)
    by.did(connection, act or _ACTS[state], one.id, {"state": one.state}, _now(state, values))


def _now(state: BroadcastState, values: Mapping[str, Any]) -> Mapping[str, Any]:
    at = values.get("send_at")
    return {"state": state, **({"at": at.isoformat()} if at else {})}


def _to_draft(connection: Connection, by: Actor, one: Broadcast, act: str) -> None:
    _change(
        connection, by, one, state=BroadcastState.DRAFT, approver=None, schools=None, send_at=None
    )
    by.did(connection, act, one.id, {"state": one.state}, {"state": BroadcastState.DRAFT})


def _change(connection: Connection, by: Actor, one: Broadcast, **values: Any) -> None:
    if not broadcasts.change(connection, one.id, one.version, by.at, **values):
        raise changed_meanwhile()
