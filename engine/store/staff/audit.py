"""The audit log: who did what, with what was there before and after. Nothing in it ever changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

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
    about: str = "",
    limit: int = 100,
) -> list[Entry]:
    """The newest entries, those older than the id *before*.

    Of one *act* or *staff* where given, and with a subject that begins with what it is *about*.
    """
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    if act:
        query = query.where(audit.c.act == act)
    if staff is not None:
        query = query.where(audit.c.staff_id == staff)
    if about:
        query = query.where(audit.c.subject.startswith(about, autoescape=True))
    return [_entry(row) for row in connection.execute(query)]


def between(connection: Connection, after: int, until: int, limit: int) -> list[Entry]:
    """Entries after an id and *until* another, oldest first."""
    query = select(audit).where(audit.c.id > after, audit.c.id <= until)
    return [_entry(row) for row in connection.execute(query.order_by(audit.c.id).limit(limit))]


def last(connection: Connection) -> int:
    """The id of the newest entry; 0 where there is none."""
    return int(connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one())


def count(connection: Connection, until: int) -> int:
    """How many entries there are up to an id."""
    return int(
        connection.execute(
            select(func.count()).select_from(audit).where(audit.c.id <= until)
        ).scalar_one()
    )


def _entry(row: Any) -> Entry:
    return Entry(
        row.id, row.at, StaffId(row.staff_id) if row.staff_id is not None else None, row.who,
        row.act, row.subject, row.before, row.after,
    )  # fmt: skip
