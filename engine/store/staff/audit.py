"""The audit log: who did what, with what was there before and after. Nothing in it ever changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from engine.store.staff.tables import audit
from rules.tool_rights import StaffId

State = Mapping[str, Any] | None
"""Values of JSON by name."""


class Entry(NamedTuple):
    """One act on *subject*. *who* is the name of that time; *staff* is None for a command."""

    id: int
    at: datetime
    staff: StaffId | None
    who: str
    act: str
    subject: str
    before: State
    after: State


def add(
    connection: Connection, at: datetime, staff: StaffId | None, who: str, act: str, subject: str,
    before: State, after: State,
) -> None:  # fmt: skip
    """Write an entry, in the transaction of what it tells about."""
    connection.execute(
        audit.insert().values(
            at=at, staff_id=staff, who=who, act=act, subject=subject, before=before, after=after
        )
    )


def newest(
    connection: Connection,
    *,
    before: int | None = None,
    act: str = "",
    staff: StaffId | None = None,
    limit: int = 100,
) -> list[Entry]:
    """The newest entries, those older than the id *before*; of one *act* or *staff* where given."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    if act:
        query = query.where(audit.c.act == act)
    if staff is not None:
        query = query.where(audit.c.staff_id == staff)
    return [_entry(row) for row in connection.execute(query)]


def every(connection: Connection, slice_of: int = 1_000) -> Iterator[Entry]:
    """All entries, oldest first."""
    last = 0
    while rows := connection.execute(
        select(audit).where(audit.c.id > last).order_by(audit.c.id).limit(slice_of)
    ).all():
        yield from (_entry(row) for row in rows)
        last = rows[-1].id


def _entry(row: Any) -> Entry:
    return Entry(
        row.id, row.at, StaffId(row.staff_id) if row.staff_id is not None else None, row.who,
        row.act, row.subject, row.before, row.after,
    )  # fmt: skip
