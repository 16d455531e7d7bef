"""Selections of staff as they are kept: one for each account and page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from engine.store.bulk import insert_new
from engine.store.staff.tables import selections
from rules.tool_rights import StaffId, Tool

Kept = Mapping[str, Any]
"""A selection as JSON."""


def of(connection: Connection, who: StaffId, page: Tool) -> Kept | None:
    """What somebody ticked on a page; None where nothing is kept."""
    return connection.execute(_of(who, page)).scalar_one_or_none()


def locked(connection: Connection, who: StaffId, page: Tool, now: datetime) -> Kept:
    """The same, empty where nothing is kept; nobody else changes it until the transaction ends."""
    new = {"staff_id": who, "page": page, "selection": {}, "changed_at": now}
    connection.execute(insert_new(connection, selections).values(**new))
    kept: Kept = connection.execute(_of(who, page).with_for_update()).scalar_one()
    return kept


def keep(connection: Connection, who: StaffId, page: Tool, selection: Kept, now: datetime) -> None:
    """Keep another selection in the place of one that is locked."""
    connection.execute(
        update(selections)
        .where(selections.c.staff_id == who, selections.c.page == page)
        .values(selection=selection, changed_at=now)
    )


def forget(connection: Connection, before: datetime) -> int:
    """Forget those that nobody has changed since then; how many there were."""
    return connection.execute(delete(selections).where(selections.c.changed_at < before)).rowcount


def _of(who: StaffId, page: Tool) -> Any:
    return select(selections.c.selection).where(
        selections.c.staff_id == who, selections.c.page == page
    )
