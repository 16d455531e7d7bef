"""What is ours in a SIS on SQLite."""

from __future__ import annotations

from typing import Final

from engine.dialects.dialect import Owner
from engine.dialects.names import table_parts

MICROSECONDS_NOW: Final = "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"


def outbox_of(owner: Owner) -> str:
    return f"schoolbell_outbox_{owner.identifier}"


def cursor_of(owner: Owner) -> str:
    return f"schoolbell_cursor_{owner.identifier}"


def replaced_of(owner: Owner) -> str:
    """What a row that is being inserted takes the place of, until it stands there."""
    return f"schoolbell_replaced_{owner.identifier}"


def last_id(outbox: str) -> str:
    return f"coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{outbox}'), 0)"


def table_of(table: str) -> str:
    """A table's own name: every table of a file is in its schema `main`."""
    return table_parts(table)[-1]
