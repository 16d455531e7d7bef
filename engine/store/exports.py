"""Exports: how far each is, and what it holds, in parts that are compressed.

What was read is kept in the transaction that says how far it is: killed between any two parts, an
export goes on behind the last one. Two who make the same part at once keep it once.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, delete, exists, select, update

from engine.store import broadcasts, schools, task_looks
from engine.store.bulk import one_of
from engine.store.tables import export_parts
from engine.store.tables import exports as exports_table
from engine.store.tables import task_looks as looks
from rules.exports import ExportId, ExportOf, ExportState
from rules.tool_rights import Schools, StaffId

_table: Final = exports_table.c
_NOTHING: Final = {"after": "", "done": 0, "parts": 0, "size": 0}


class Export(NamedTuple):
    """A copy that is being made, or was, of *subject*, with students of *schools* in it.

    *until* is the last entry of the audit log that belongs to it; the next part begins *after* a
    row. Of *total* rows at its beginning *done* were read; *size* is in bytes.
    """

    id: ExportId
    of: ExportOf
    subject: str
    schools: Schools
    staff: StaffId | None
    who: str
    state: ExportState
    until: int
    after: str
    total: int
    done: int
    parts: int
    size: int
    problem: str | None
    remedy: str | None
    made_at: datetime
    changed_at: datetime

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done for it."""
        return self.state is not ExportState.MAKING


def new_id(now: datetime) -> ExportId:
    """An id for what is made *now*: no broadcast and no other export has it."""
    return ExportId(broadcasts.new_id(now))


def add(connection: Connection, one: Export) -> None:
    """Store a new one."""
    values = one._asdict()
    del values["of"], values["staff"]
    connection.execute(
        exports_table.insert().values(
            **{**values, "schools": schools.as_json(one.schools)}, kind=one.of, staff_id=one.staff
        )
    )


def one(connection: Connection, name: str) -> Export | None:
    """One of them."""
    row = connection.execute(select(exports_table).where(_table.id == name)).first()
    return _export(row) if row else None


def locked(connection: Connection, name: str) -> Export | None:
    """One that nobody else changes until the transaction ends."""
    query = select(exports_table).where(_table.id == name).with_for_update()
    row = connection.execute(query).first()
    return _export(row) if row else None


def every(connection: Connection, *states: ExportState, limit: int) -> Sequence[Export]:
    """Those of some *states*, those that were changed last first."""
    query = (
        select(exports_table)
        .where(_table.state.in_(states))
        .order_by(_table.changed_at.desc(), _table.id.desc())
        .limit(limit)
    )
    return [_export(row) for row in connection.execute(query)]


def making(connection: Connection, staff: StaffId | None) -> Sequence[Export]:
    """Those that are being made for somebody."""
    query = select(exports_table).where(
        _table.staff_id == staff, _table.state == ExportState.MAKING
    )
    return [_export(row) for row in connection.execute(query)]


def next_to_make(connection: Connection) -> Export | None:
    """The one whose turn it is: of which nothing was made for longest."""
    query = (
        select(exports_table)
        .where(_table.state == ExportState.MAKING)
        .order_by(_table.changed_at, _table.id)
        .limit(1)
    )
    row = connection.execute(query).first()
    return _export(row) if row else None


def keep_part(
    connection: Connection, was: Export, lines: str, after: str, rows: int, now: datetime,
    *, is_last: bool,
) -> bool:  # fmt: skip
    """Keep the next part; False where somebody else did, or it is not made any more.

    The next one begins *after* a row; *rows* were read for this one.
    """
    content = lines.encode()
    done = connection.execute(
        update(exports_table)
        .where(_table.id == was.id, _table.state == ExportState.MAKING, _table.parts == was.parts)
        .values(
            after=after, done=was.done + rows, parts=was.parts + 1, size=was.size + len(content),
            changed_at=now, state=ExportState.READY if is_last else ExportState.MAKING,
        )
    )  # fmt: skip
    if not done.rowcount:
        return False
    connection.execute(
        export_parts.insert().values(
            export_id=was.id, number=was.parts, content=zlib.compress(content)
        )
    )
    return True


def part(connection: Connection, name: ExportId, number: int) -> bytes | None:
    """What a part holds; None where it is gone."""
    found = connection.execute(
        select(export_parts.c.content).where(
            export_parts.c.export_id == name, export_parts.c.number == number
        )
    ).scalar()
    return None if found is None else zlib.decompress(found)


def fail(connection: Connection, name: ExportId, problem: str, remedy: str, now: datetime) -> None:
    """It does not go on; what was made stays, for who tries it again."""
    _change(connection, name, ExportState.FAILED, now, problem=problem, remedy=remedy)


def go_on(connection: Connection, name: ExportId, now: datetime) -> None:
    """Let it be made on from where it is."""
    _change(connection, name, ExportState.MAKING, now, problem=None, remedy=None)
    task_looks.forget(connection, [name])


def cancel(connection: Connection, name: ExportId, now: datetime) -> None:
    """Make no more of it, and erase what was made."""
    _change(connection, name, ExportState.CANCELLED, now, **_NOTHING)
    _erase_parts(connection, [name])


def forget(connection: Connection, before: datetime) -> None:
    """Erase those that were over by then. One that failed is kept, empty, until somebody looks."""
    was_seen = exists().where(looks.c.task_id == _table.id)
    old = connection.execute(
        select(_table.id, _table.state, was_seen).where(
            _table.state != ExportState.MAKING, _table.changed_at < before
        )
    ).all()
    unseen = {name for name, state, seen in old if state == ExportState.FAILED and not seen}
    _erase(connection, [name for name, *_ in old if name not in unseen])
    if unseen:
        _erase_parts(connection, unseen)
        connection.execute(
            update(exports_table).where(one_of(connection, _table.id, unseen)).values(**_NOTHING)
        )


def erase_those_of(connection: Connection, staff: StaffId) -> None:
    """Erase whatever somebody had copied."""
    names = connection.execute(select(_table.id).where(_table.staff_id == staff)).scalars().all()
    _erase(connection, names)


def _erase(connection: Connection, names: Sequence[str]) -> None:
    if names:
        _erase_parts(connection, names)
        task_looks.forget(connection, names)
        connection.execute(delete(exports_table).where(one_of(connection, _table.id, names)))


def _erase_parts(connection: Connection, names: Collection[str]) -> None:
    connection.execute(
        delete(export_parts).where(one_of(connection, export_parts.c.export_id, names))
    )


def _change(
    connection: Connection, name: ExportId, state: ExportState, now: datetime, **values: Any
) -> None:
    connection.execute(
        update(exports_table).where(_table.id == name).values(state=state, changed_at=now, **values)
    )


def _export(row: Row[Any]) -> Export:
    return Export(
        ExportId(row.id), ExportOf(row.kind), row.subject, schools.of_json(row.schools),
        None if row.staff_id is None else StaffId(row.staff_id), row.who, ExportState(row.state),
        row.until, row.after, row.total, row.done, row.parts, row.size, row.problem, row.remedy,
        row.made_at, row.changed_at,
    )  # fmt: skip
