"""Broadcasts as staff keep them: what each says, to whom, and where it is in its life."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from secrets import token_hex
from typing import Any, Final

from sqlalchemy import Column, Connection, Row, Select, and_, delete, or_, select, update

from engine.ports.broadcasts import Broadcast, Texts
from engine.store import recipients, schools
from engine.store.bulk import insert_new, one_of
from engine.store.tables import (
    broadcast_devices,
    broadcast_recipients,
    broadcast_texts,
    broadcasts,
)
from rules.broadcasts import BroadcastId, BroadcastState
from rules.identity import first_id_at
from rules.tool_rights import StaffId, Tool
from rules.wording.broadcasts import UnitKind
from rules.wording.templates import Template

_TIME_PART = 13

# A selection may name 100,000 rows: whoever lists broadcasts goes without.
_LIGHT: Final = tuple(column for column in broadcasts.c if column is not broadcasts.c.selection)


def new_id(now: datetime) -> BroadcastId:
    """An id for what is made *now*: a time-ordered UUID."""
    drawn = token_hex(10)
    return BroadcastId(
        f"{first_id_at(now)[:_TIME_PART]}-7{drawn[:3]}-{'89ab'[int(drawn[3], 16) & 3]}"
        f"{drawn[4:7]}-{drawn[7:19]}"
    )


def add(connection: Connection, one: Broadcast) -> bool:
    """Store a new one; False where there is one of its id."""
    new = insert_new(connection, broadcasts).values(**_columns(one._asdict()))
    return connection.execute(new.returning(broadcasts.c.id)).first() is not None


def locked(connection: Connection, name: str) -> Broadcast | None:
    """One that nobody else changes until the transaction ends; without what was chosen for it."""
    query = select(*_LIGHT).where(broadcasts.c.id == name).with_for_update()
    return next(iter(_all(connection, query)), None)


def change(
    connection: Connection, name: BroadcastId, version: int, now: datetime, **values: Any
) -> bool:
    """Change some fields; False where it has another *version* by now, or is gone."""
    done = connection.execute(
        update(broadcasts)
        .where(broadcasts.c.id == name, broadcasts.c.version == version)
        .values(version=version + 1, changed_at=now, **_columns(values))
    )
    return bool(done.rowcount)


def remove(connection: Connection, name: BroadcastId, version: int) -> bool:
    """Delete one; False where it has another *version* by now, or is gone."""
    done = connection.execute(
        delete(broadcasts).where(broadcasts.c.id == name, broadcasts.c.version == version)
    )
    return bool(done.rowcount)


def one(connection: Connection, name: str) -> Broadcast | None:
    """One of them."""
    query = select(broadcasts).where(broadcasts.c.id == name)
    return next(iter(_all(connection, query)), None)


def some(connection: Connection, names: Collection[str]) -> Mapping[BroadcastId, Broadcast]:
    """Those of these ids, which nobody changes until the transaction ends; as in `newest`."""
    if not names:
        return {}
    query = (
        select(*_LIGHT)
        .where(one_of(connection, broadcasts.c.id, names))
        .order_by(broadcasts.c.id)
        .with_for_update(read=True)
    )
    return {each.id: each for each in _all(connection, query)}


def newest(
    connection: Connection,
    *,
    states: Collection[BroadcastState] = (),
    author: StaffId | None = None,
    before: datetime | None = None,
    limit: int = 100,
) -> Sequence[Broadcast]:
    """Those that were changed last, first; of some *states* or of one *author* where given.

    Without what was chosen for them.
    """
    query = select(*_LIGHT).order_by(broadcasts.c.changed_at.desc(), broadcasts.c.id.desc())
    if states:
        query = query.where(broadcasts.c.state.in_(sorted(states)))
    if author is not None:
        query = query.where(broadcasts.c.author_id == author)
    if before is not None:
        query = query.where(broadcasts.c.changed_at < before)
    return _all(connection, query.limit(limit))


def keep_texts(
    connection: Connection, name: BroadcastId, revision: int, texts: Texts, now: datetime
) -> None:
    """Keep what a revision says."""
    connection.execute(
        broadcast_texts.insert().values(
            broadcast_id=name, revision=revision, texts=_texts_json(texts), at=now
        )
    )


def texts_of(
    connection: Connection, which: Collection[tuple[str, int]]
) -> Mapping[tuple[str, int], Texts]:
    """What revisions say, as long as the words are kept."""
    if not which:
        return {}
    names = {name for name, _ in which}
    rows = connection.execute(
        select(broadcast_texts).where(one_of(connection, broadcast_texts.c.broadcast_id, names))
    )
    return {(row.broadcast_id, row.revision): _texts(row.texts) for row in rows}


def forget_texts(connection: Connection, before: datetime) -> None:
    """Forget what was said so long ago; a draft stays as it is."""
    old = connection.execute(
        delete(broadcast_texts)
        .where(broadcast_texts.c.at < before)
        .returning(broadcast_texts.c.broadcast_id)
    )
    names = set(old.scalars())
    if names:
        connection.execute(
            update(broadcasts)
            .where(
                one_of(connection, broadcasts.c.id, names),
                broadcasts.c.state.in_([BroadcastState.SENT, BroadcastState.CANCELLED]),
                broadcasts.c.changed_at < before,
            )
            .values(texts=[])
        )


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Forget a slice of the recipients of what was sent so long ago; how many rows went.

    The broadcast goes when nothing of it is left.
    """
    name = connection.execute(
        select(broadcasts.c.id)
        .where(
            broadcasts.c.state.in_([BroadcastState.SENT, BroadcastState.CANCELLED]),
            broadcasts.c.changed_at < before,
        )
        .limit(1)
    ).scalar()
    if name is None:
        return 0
    people = _some_of(connection, broadcast_recipients.c.person_id, name, limit)
    if people:
        recipients.forget(connection, BroadcastId(name), people)
    devices = _some_of(connection, broadcast_devices.c.device_id, name, limit)
    if devices:
        connection.execute(
            delete(broadcast_devices).where(
                broadcast_devices.c.broadcast_id == name,
                one_of(connection, broadcast_devices.c.device_id, devices),
            )
        )
    gone = len(people) + len(devices)
    if not gone:
        connection.execute(delete(broadcasts).where(broadcasts.c.id == name))
    return gone or 1


def to_expand(connection: Connection, now: datetime) -> list[Broadcast]:
    """Those that are sent, stopped and not through, or scheduled for a moment that has come.

    Emergencies first, and without what was chosen for them.
    """
    table = broadcasts.c
    is_due = and_(table.state == BroadcastState.SCHEDULED, table.send_at <= now)
    is_stopped = and_(table.state == BroadcastState.CANCELLED, table.expanded < table.revision)
    query = select(*_LIGHT).where(or_(is_due, table.state == BroadcastState.SENDING, is_stopped))
    return _all(connection, query.order_by(table.is_emergency.desc(), table.changed_at, table.id))


def goes_on(connection: Connection, name: BroadcastId, **values: Any) -> None:
    """Change some fields as the engine does: what staff read of it stays the same version."""
    connection.execute(update(broadcasts).where(broadcasts.c.id == name).values(**_columns(values)))


def _some_of(connection: Connection, key: Column[Any], name: str, limit: int) -> set[Any]:
    query = select(key).where(key.table.c.broadcast_id == name).limit(limit)
    return set(connection.execute(query).scalars())


def _all(connection: Connection, query: Select[Any]) -> list[Broadcast]:
    return [_broadcast(row) for row in connection.execute(query)]


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(values)
    if "texts" in found:
        found["texts"] = _texts_json(found["texts"])
    where = found.get("schools")
    if where is not None:
        found["schools"] = schools.as_json(where)
    return found


def _texts_json(texts: Texts) -> list[tuple[str, str, str]]:
    """A list, because their order says which is the first."""
    return [(language, text.title, text.body) for language, text in texts.items()]


def _texts(stored: Sequence[tuple[str, str, str]]) -> Texts:
    return {language: Template(title, body) for language, title, body in stored}


def _broadcast(row: Row[Any]) -> Broadcast:
    return Broadcast(
        BroadcastId(row.id), Tool(row.page), UnitKind(row.unit),
        getattr(row, "selection", None), _texts(row.texts), row.is_emergency,
        BroadcastState(row.state), row.version, row.revision, row.expanded,
        None if row.author_id is None else StaffId(row.author_id), row.author, row.approver,
        None if row.schools is None else schools.of_json(row.schools), row.made_at, row.changed_at,
        row.send_at, row.begun_at, row.sent_at, row.problem, row.remedy,
    )  # fmt: skip
