"""What is ours in a SIS on PostgreSQL, and how names are written there."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from engine.dialects import names
from engine.dialects.dialect import Owner

_LONGEST_NAME: Final = 63  # bytes; PostgreSQL cuts what is longer
MICROSECONDS_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


def schema_of(owner: Owner) -> str:
    """Not named like a role: that is where the role's own tables go."""
    return f"schoolbell_capture_{owner.identifier}"


def quoted(table: str) -> str:
    """A table name, with or without its schema, quoted."""
    return ".".join(map(names.quoted, names.table_parts(table)))


def short(name: str) -> str:
    """The *name*, or where that is too long its beginning and a hash."""
    if len(name) <= _LONGEST_NAME:
        return name
    mark = blake2b(name.encode(), digest_size=5).hexdigest()
    return f"{name[: _LONGEST_NAME - len(mark) - 1]}_{mark}"
