"""From the structure of a database to the beginnings of a source definition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.engine.interfaces import Dialect

from engine.sources.draft.draft import Draft, comment, text
from engine.sources.draft.joins import Joins
from engine.sources.draft.pages import pages
from engine.sources.draft.people import directory
from engine.sources.draft.roles import find
from engine.sources.draft.schema import Schema
from engine.sources.draft.select import Sql
from engine.sources.draft.watches import watches
from engine.sources.unfilled import Unfilled, unfilled

_NAME: Final = "sis"
_WIDTH: Final = 95


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft: its *text*, the lines of it that wait, and each role with the table taken for it."""

    text: str
    waiting: Sequence[Unfilled]
    taken: Sequence[tuple[str, str]]


def write(name: str, schema: Schema, dialect: Dialect) -> Drafted:
    """A definition of the database *name*, with a comment for each choice."""
    joins = Joins(schema)
    draft = Draft(name, schema, joins, find(schema, joins), Sql(dialect))
    parts = [
        [_heading("1. Changes")], *watches(draft),
        [_heading("2. The directory")], *directory(draft),
        [_heading("3. Pages")], *pages(draft),
    ]  # fmt: skip
    body = "\n\n".join("\n".join(part) for part in parts)
    written = f"{_beginning(draft, len(unfilled(body)))}\n\n{body}\n"
    taken = [
        (found.role.what, found.taken.table.name if found.taken else "")
        for found in draft.found.values()
    ]
    return Drafted(written, unfilled(written), taken)


def _heading(title: str) -> str:
    return f"\n# {title} ".ljust(_WIDTH, "=")


def _beginning(draft: Draft, waiting: int) -> str:
    marks = "1 place waits" if waiting == 1 else f"{waiting} places wait"
    lines = comment(
        f"The beginnings of a source definition for {draft.name}.",
        "",
        "It was drafted from the names and types of tables and columns, from keys and foreign "
        "keys. Read every line: what a name suggests may be something else. No row of the "
        "database stands here.",
        f"{marks} for you: they say FILL IN, and until then this file is not loaded."
        if waiting
        else "Nothing waits to be filled in.",
        "Then: schoolbell source try. docs/connect-a-sis.md says how to go on.",
    )
    name = re.sub(r"[^a-z0-9]+", "-", draft.name.rpartition("/")[2].lower().removesuffix(".db"))
    return "\n".join([*lines, "", f"name = {text(name.strip('-') or _NAME)}"])
