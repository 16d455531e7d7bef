"""Openings: changes of records that families may see from a later moment on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, select, update

from engine.ports import Opening
from engine.store.bulk import append, one_of
from engine.store.tables import decisions, openings, parked_changes
from rules.change import Change


def plan(connection: Connection, found: Sequence[Opening]) -> None:
    """Plan to look at changes again."""
    append(
        connection,
        openings,
        [(one.change.id, one.opens, msgspec.to_builtins(one.change), None) for one in found],
    )


def waiting(connection: Connection, now: datetime, limit: int) -> list[Opening]:
    """What is open and not on its way, what opened first before the others."""
    found = connection.execute(
        select(openings)
        .where(openings.c.opens_at <= now, openings.c.published_at.is_(None))
        .order_by(openings.c.opens_at, openings.c.change_id)
        .limit(limit)
    )
    return [_opening(row) for row in found]


def on_the_way(connection: Connection, since: datetime) -> int:
    """How many were published since then and not settled."""
    query = select(func.count()).where(openings.c.published_at > since)
    return int(connection.execute(query).scalar_one())


def published(connection: Connection, found: Collection[Opening], now: datetime) -> None:
    """Remember that these are on their way."""
    ids = {one.change.id for one in found}
    connection.execute(
        update(openings)
        .where(one_of(connection, openings.c.change_id, ids))
        .values(published_at=now)
    )


def settle(connection: Connection, lost_before: datetime, limit: int) -> None:
    """Forget what was looked at; let go again what was published so long ago and never arrived."""
    on_the_way = [
        _opening(row)
        for row in connection.execute(
            select(openings)
            .where(openings.c.published_at.is_not(None))
            .order_by(openings.c.published_at)
            .limit(limit)
        )
    ]
    if not on_the_way:
        return
    looks = {one.looked_at_again.id: one.change.id for one in on_the_way}
    arrived: set[str] = set()
    for column in (decisions.c.change_id, parked_changes.c.id):
        found = connection.execute(select(column).where(one_of(connection, column, looks)))
        arrived |= {looks[row[0]] for row in found}
    connection.execute(delete(openings).where(one_of(connection, openings.c.change_id, arrived)))
    connection.execute(
        update(openings).where(openings.c.published_at < lost_before).values(published_at=None)
    )


def of_change(connection: Connection, change: str) -> datetime | None:
    """When a change is looked at again; None where that has happened, or never will."""
    return connection.execute(
        select(openings.c.opens_at).where(openings.c.change_id == change)
    ).scalar_one_or_none()


def _opening(row: Row[Any]) -> Opening:
    return Opening(msgspec.convert(row.change, Change), row.opens_at)
