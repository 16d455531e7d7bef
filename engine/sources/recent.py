"""Recent rows of a watched table, as the triggers would have told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
import sqlalchemy
from sqlalchemy import ColumnClause, Connection, FromClause, column, func, literal_column, select
from sqlalchemy import table as sql_table

from engine.dialects.names import table_parts
from engine.sources.definition import Captured, Watch
from engine.sources.draft.looking import structure
from engine.sources.draft.roles import column_of
from engine.sources.draft.schema import Column, Sort, Table
from rules.change import Change, ChangeId, Op, Scalar

_SMALL: Final = 100_000  # rows that may be sorted without an index

Values = Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its key as `Change.key` carries it, how people name it, and the watched columns."""

    key: str
    name: str
    values: Values

    def as_change(
        self, source: str, watch: Captured, change: ChangeId, now: datetime, position: int
    ) -> Change:
        """The change that writing this row just now would be; a release, as if it came just now."""
        before: Values | None = None
        after = self.values
        if isinstance(watch, Watch) and watch.becomes:
            before, after = {**after, watch.becomes: False}, {**after, watch.becomes: True}
        op = Op.INSERT if before is None else Op.UPDATE
        return Change(change, source, watch.name, op, self.key, before, after, now, position)


@dataclass(frozen=True, slots=True)
class Recent:
    """Rows of a table, newest first where that can be told, and in words how they were chosen."""

    rows: Sequence[Row]
    how: str


def recent(connection: Connection, captured: Captured, last: int) -> Recent:
    """At most *last* rows. A large table is never sorted without an index."""
    seen = structure(sqlalchemy.inspect(connection), captured.table)
    ordered, how = _order(connection, captured, seen)
    asked = [*captured.key_columns, *captured.columns]
    columns: list[ColumnClause[Any]] = [column(name) for name in dict.fromkeys(asked)]
    query = select(*columns)
    query = query.select_from(_from(captured.table)).limit(last)
    if ordered is not None:
        query = query.where(ordered.is_not(None)).order_by(ordered.desc())
    found = connection.execute(query).mappings().all()
    return Recent([_row(captured, dict(one)) for one in found], how)


def _order(
    connection: Connection, captured: Captured, seen: Table
) -> tuple[ColumnClause[Any] | None, str]:
    """The column by which rows are recent, if any is of use, and the words for it."""
    for name in _candidates(captured, seen):
        if name in seen.indexed:
            return column(name), f"newest by {name}"
    for name in _candidates(captured, seen):
        if _count(connection, captured.table) <= _SMALL:
            return column(name), f"newest by {name}, without an index"
    return None, "as the database gives them: no index says which are recent"


def _candidates(captured: Captured, seen: Table) -> Iterator[str]:
    """Columns that grow with time: of the last change, a key in one number, a day in the key."""
    modified = column_of(seen, "modified")
    if modified is not None:
        yield modified.name
    keys = [seen.by_name[name] for name in captured.key_columns if name in seen.by_name]
    if len(keys) == 1 and keys[0].sort is Sort.NUMBER:
        yield keys[0].name
    yield from (one.name for one in keys if _is_day(one))


def _is_day(one: Column) -> bool:
    return one.sort in (Sort.DAY, Sort.MOMENT)


def _count(connection: Connection, table: str) -> int:
    some = select(literal_column("1")).select_from(_from(table)).limit(_SMALL + 1).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _from(table: str) -> FromClause:
    *schema, name = table_parts(table)
    return sql_table(name, schema=schema[0] if schema else None)


def _row(captured: Captured, found: Mapping[str, Any]) -> Row:
    parts = [_text(found[name]) for name in captured.key_columns]
    key = (parts[0] or "") if len(parts) == 1 else msgspec.json.encode(parts).decode()
    name = ", ".join(
        f"{name} {part}" for name, part in zip(captured.key_columns, parts, strict=True)
    )
    return Row(key, name, {name: _scalar(found[name]) for name in captured.columns})


def _text(value: Any) -> str | None:
    scalar = _scalar(value)
    if scalar is None:
        return None
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar)


def _scalar(value: Any) -> Scalar:
    """A value as the outbox has it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes() | memoryview():
            return None
        case _:
            return str(value)


def as_changes(source: str, watch: Captured, rows: Sequence[Row], now: datetime) -> list[Change]:
    """The changes that writing *rows* just now would be, the first row as the newest."""
    return [
        Change(
            _change_id(now, place), source, watch.name,
            Op.INSERT if before is None else Op.UPDATE, row.key, before, after, now, place,
        )
        for row, place in zip(rows, range(len(rows), 0, -1), strict=True)
        for before, after in [_before_and_after(watch, row.values)]
    ]  # fmt: skip


def _before_and_after(watch: Captured, values: Values) -> tuple[Values | None, Values]:
    """A row is as if it were new; a release, as if it came just now."""
    if isinstance(watch, Watch) and watch.becomes:
        return {**values, watch.becomes: False}, {**values, watch.becomes: True}
    return None, values


def _change_id(now: datetime, place: int) -> ChangeId:
    """A UUIDv7 of *now*, the higher the later."""
    milliseconds = int(now.timestamp() * 1000)
    return ChangeId(str(UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | place)))
