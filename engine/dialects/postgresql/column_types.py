"""The types of the columns that a table has, or a query gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, text

from engine.dialects.dialect import ColumnType

# PostgreSQL's own categories of types; a uuid and a bytea are among the user-defined ones.
_SORTS: Final[Mapping[str, str]] = {"N": "number", "S": "text", "B": "flag"}
_BY_NAME: Final[Mapping[str, str]] = {
    "date": "day", "timestamp without time zone": "moment", "timestamp with time zone": "moment",
    "uuid": "uuid", "bytea": "bytes",
}  # fmt: skip


def types(connection: Connection, query: str) -> Mapping[str, ColumnType]:
    """See dialect.Dialect.types: no row is read."""
    cursor: Any = connection.execute(text(f"SELECT * FROM ({query}\n) f WHERE 1 = 0")).cursor
    given = {column.name: column.type_code for column in cursor.description}
    known = {
        oid: ColumnType(name, _BY_NAME.get(name) or _SORTS.get(category, ""))
        for oid, name, category in connection.execute(
            text(
                "SELECT oid::bigint, format_type(oid, NULL), typcategory::text FROM pg_type"
                " WHERE oid = ANY(:oids)"
            ),
            {"oids": list(set(given.values()))},
        )
    }
    return {name: known[oid] for name, oid in given.items() if oid in known}
