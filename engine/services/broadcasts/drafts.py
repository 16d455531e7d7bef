"""Drafts: what staff write before it is sent.

An edit of one that waits for approval, is approved or is scheduled makes a draft of it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.ports.broadcasts import Broadcast as Broadcast  # the answer of one
from engine.services.actor import Actor
from engine.services.broadcasts.refusals import changed_meanwhile, not_now, not_there
from engine.store import broadcasts
from rules.broadcasts import BroadcastId, BroadcastState
from rules.tool_rights import Tool
from rules.wording.broadcasts import UNITS, UnitKind
from rules.wording.templates import Template

MADE = "broadcast.made"
EDITED = "broadcast.edited"
REMOVED = "broadcast.removed"


class Draft(NamedTuple):
    """What is written, from which page, for what is chosen there.

    *selection* is JSON: what `msgspec.to_builtins` makes of a Selection. The first of *texts*
    stands in for languages that have none.
    """

    page: Tool
    unit: UnitKind
    selection: Any
    texts: Mapping[str, Template]
    is_emergency: bool = False


def new_id(now: datetime) -> BroadcastId:
    """A name for a draft that is begun *now*: a page that is sent twice makes one of it."""
    return broadcasts.new_id(now)


def new(
    database: Database, by: Actor, draft: Draft, name: BroadcastId | None = None
) -> BroadcastId:
    """Keep a draft; its id. Its version is 1. Raises SchoolbellError for what is no draft.

    With a *name* of `new_id` it is kept once: what that is by now stays as it is, and is changed
    by `change`. Raises NotThere where the name is another's.
    """
    _require_sound(draft)
    name = name or new_id(by.at)
    with database.write() as connection:
        is_new = broadcasts.add(
            connection,
            Broadcast(
                name, draft.page, draft.unit, draft.selection, draft.texts, draft.is_emergency,
                BroadcastState.DRAFT, 1, 0, 0, by.staff, by.name, None, None, by.at, by.at, None,
                None, None,
            ),
        )  # fmt: skip
        if is_new:
            by.did(connection, MADE, name, None, _told_of(draft))
        elif known(connection, name).author_id != by.staff:
            raise not_there()
    return name


def change(
    database: Database, by: Actor, name: BroadcastId, version: int, draft: Draft
) -> Broadcast:
    """Write another draft in the place of one, or of what waits, is approved or scheduled.

    Raises ChangedMeanwhile where it has not this *version* any more, NotThere, or NotNow.
    """
    _require_sound(draft)
    with database.write() as connection:
        was = at_version(connection, name, version)
        if not was.state.may_be_edited:
            raise not_now()
        done = broadcasts.change(
            connection, name, version, by.at, page=draft.page, unit=draft.unit,
            selection=draft.selection, texts=draft.texts, is_emergency=draft.is_emergency,
            state=BroadcastState.DRAFT, approver=None, schools=None, send_at=None,
        )  # fmt: skip
        if not done:
            raise changed_meanwhile()
        by.did(connection, EDITED, name, {"state": was.state}, _told_of(draft))
        return known(connection, name)


def remove(database: Database, by: Actor, name: BroadcastId, version: int) -> None:
    """Throw a draft away; raises as `change` does."""
    with database.write() as connection:
        was = at_version(connection, name, version)
        if was.state is not BroadcastState.DRAFT or was.revision:
            raise not_now()
        if not broadcasts.remove(connection, name, version):
            raise changed_meanwhile()
        by.did(connection, REMOVED, name, {"page": was.page, "author": was.author}, None)


def one(database: Database, name: BroadcastId) -> Broadcast:
    """A broadcast, in whatever state it is; raises NotThere."""
    with database.read() as connection:
        return known(connection, name)


def mine(database: Database, by: Actor, limit: int = 100) -> Sequence[Broadcast]:
    """The drafts that somebody began, those first that were changed last."""
    with database.read() as connection:
        return broadcasts.newest(
            connection, states=[BroadcastState.DRAFT], author=by.staff, limit=limit
        )


def every(
    database: Database,
    *,
    states: Collection[BroadcastState] = (),
    before: datetime | None = None,
    limit: int = 100,
) -> Sequence[Broadcast]:
    """Everybody's, in some *states* or in any, those first that were changed last."""
    with database.read() as connection:
        return broadcasts.newest(connection, states=states, before=before, limit=limit)


def known(connection: Connection, name: BroadcastId) -> Broadcast:
    """A broadcast; raises NotThere."""
    found = broadcasts.one(connection, name)
    if found is None:
        raise not_there()
    return found


def at_version(connection: Connection, name: BroadcastId, version: int) -> Broadcast:
    """A broadcast that nobody has changed since; raises NotThere or ChangedMeanwhile."""
    found = known(connection, name)
    if found.version != version:
        raise changed_meanwhile()
    return found


def _require_sound(draft: Draft) -> None:
    if draft.unit not in UNITS.get(draft.page, ()):
        raise SchoolbellError(
            "This page sends no such messages.", "Choose one of those that the page offers."
        )
    if not draft.texts:
        raise SchoolbellError(
            "The message has no language.", "Write a title and a message in one at least."
        )


def _told_of(draft: Draft) -> Mapping[str, Any]:
    """What the audit log keeps of it: no words, which may name a pupil."""
    return {
        "page": draft.page,
        "unit": draft.unit,
        "languages": list(draft.texts),
        "emergency": draft.is_emergency,
    }
