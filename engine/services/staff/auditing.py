"""The audit log, read, and made into lines for a spreadsheet."""

from __future__ import annotations

import json
from typing import Final

from engine.database import Database
from engine.services.actor import Actor
from engine.services.csv_lines import Portion, line
from engine.store.staff import audit
from engine.store.staff.audit import Entry as Entry  # the answer of newest

HEADING: Final = line(("id", "at", "who", "act", "subject", "before", "after"))
"""The first line of an export."""


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


def portion(database: Database, after: int, until: int, limit: int) -> Portion:
    """Entries as CSV, oldest first: those after an id, *until* another."""
    with database.read() as connection:
        found = audit.between(connection, after, until, limit)
    last = found[-1].id if found else until
    return Portion([_line(one) for one in found], str(last), len(found), last >= until)


def _line(one: Entry) -> str:
    return line((
        str(one.id), one.at.isoformat(), one.who, one.act, one.subject,
        _words(one.before), _words(one.after),
    ))  # fmt: skip


def _words(state: audit.State) -> str:
    return "" if state is None else json.dumps(state, ensure_ascii=False, sort_keys=True)
