"""What the columns of a table, or of a query, hold: SQLite's own types say little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, text

from engine.dialects.dialect import ColumnType
from engine.dialects.names import in_text, quoted

_ROWS: Final = 1_000
_SORTS: Final[Mapping[str, str]] = {
    "integer": "number", "real": "number", "text": "text", "blob": "bytes",
}  # fmt: skip


def types(connection: Connection, query: str) -> Mapping[str, ColumnType]:
    """See dialect.Dialect.types: by some rows, and of columns that hold one type alone."""
    names = list(connection.execute(text(f"SELECT * FROM ({query}\n) f WHERE 1 = 0")).keys())
    if not names:
        return {}
    held = ", ".join(f"group_concat(DISTINCT typeof({in_text(quoted(one))}))" for one in names)
    some = f"SELECT * FROM ({query}\n) f LIMIT {_ROWS}"
    row = connection.execute(text(f"SELECT {held} FROM ({some}) s")).one()
    found = {
        name: set(value.split(",")) - {"null"}
        for name, value in zip(names, row, strict=True)
        if value
    }
    return {
        name: ColumnType(one, _SORTS[one])
        for name, kinds in found.items()
        if len(kinds) == 1
        for one in kinds
    }
