"""The audit log, read and exported."""

from __future__ import annotations

import json
from collections.abc import Iterator

from engine.database import Database
from engine.services.actor import Actor
from engine.services.csv_lines import line
from engine.store.staff import audit
from engine.store.staff.audit import Entry as Entry  # the answer of newest

_COLUMNS = ("id", "at", "who", "act", "subject", "before", "after")


def newest(
    database: Database, *, before: int | None = None, act: str = "", limit: int = 100
) -> list[Entry]:
    """The newest entries, or those older than the id *before*; of one *act* where it is given."""
    with database.read() as connection:
        return audit.newest(connection, before=before, act=act, limit=limit)


def refuse(database: Database, by: Actor, what: str) -> None:
    """Take note that somebody asked for what they may not do."""
    with database.write() as connection:
        by.did(connection, "refused", what, None, None)


def exported(database: Database) -> Iterator[str]:
    """All entries as CSV, oldest first, a part at a time."""
    with database.snapshot() as connection:
        yield line(_COLUMNS)
        for one in audit.every(connection):
            yield line((
                str(one.id), one.at.isoformat(), one.who, one.act, one.subject,
                _words(one.before), _words(one.after),
            ))  # fmt: skip


def _words(state: audit.State) -> str:
    return "" if state is None else json.dumps(state, ensure_ascii=False, sort_keys=True)
