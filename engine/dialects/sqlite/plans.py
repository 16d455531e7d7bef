"""Which tables SQLite reads wholly to answer a statement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, text

from engine.dialects.dialect import Statement

# The alias is what is named; an index made for the statement alone stands for a whole read.
_WHOLE: Final = re.compile(r"SCAN (\S+)|SEARCH (\S+) USING AUTOMATIC")
_ALIAS: Final = r'(?:FROM|JOIN)\s+("[^"]+"|\w+)\s+(?:AS\s+)?("{0}"|{0})\b'


def whole_reads(connection: Connection, statement: Statement) -> Sequence[str]:
    """See dialect.Dialect.whole_reads."""
    explained = connection.execute(
        text(f"EXPLAIN QUERY PLAN {statement.sql}"), statement.values
    ).all()
    tables = set(
        connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars()
    )
    scanned = {
        next(filter(None, found.groups()))
        for row in explained
        if (found := _WHOLE.match(row.detail)) and "VIRTUAL TABLE" not in row.detail
    }
    named = {name if name in tables else _behind(name, statement.sql) for name in scanned}
    return sorted(named & tables)


def _behind(alias: str, sql: str) -> str:
    """The table that the statement calls by an alias; empty where it is none."""
    found = re.search(_ALIAS.format(re.escape(alias)), sql, re.IGNORECASE)
    return found[1].strip('"') if found else ""
