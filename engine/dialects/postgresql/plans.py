"""Which tables PostgreSQL reads wholly to answer a statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from engine.dialects.dialect import Statement

# With these it takes an index wherever one can be taken, however small the tables are now.
_INDEXES: Final = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
# How a table is read by an index, and what such a node has unless it reads all of it.
_CONDITIONS: Final = {
    "Index Scan": "Index Cond",
    "Index Only Scan": "Index Cond",
    "Bitmap Heap Scan": "Recheck Cond",
}


def whole_reads(connection: Connection, statement: Statement) -> Sequence[str]:
    """See dialect.Dialect.whole_reads. Ends the transaction that it is called in."""
    try:
        for setting in _INDEXES:
            connection.execute(text(f"SET LOCAL {setting} = off"))
        explained = f"EXPLAIN (FORMAT JSON, VERBOSE) {statement.sql}"
        (plan,) = connection.execute(text(explained), statement.values).scalar_one()
    finally:
        connection.rollback()
    return sorted(set(_whole(plan["Plan"])))


def _whole(node: Mapping[str, Any]) -> Iterator[str]:
    kind = node["Node Type"]
    if kind == "Seq Scan" or (kind in _CONDITIONS and _CONDITIONS[kind] not in node):
        yield _named(node)
    for below in node.get("Plans", ()):
        yield from _whole(below)


def _named(node: Mapping[str, Any]) -> str:
    schema, name = node.get("Schema", "public"), str(node.get("Relation Name", ""))
    return name if schema == "public" else f"{schema}.{name}"
