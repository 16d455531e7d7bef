"""Names and words in SQL, where they cannot be parameters: quoted here, and nowhere else."""

from __future__ import annotations

import re
from typing import Final

_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def quoted(name: str) -> str:
    """An identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def literal(words: str) -> str:
    """A text, whatever characters it has."""
    return "'" + words.replace("'", "''") + "'"


def in_text(sql: str) -> str:
    """SQL for SQLAlchemy's text(): a colon in it is no beginning of a parameter."""
    return sql.replace(":", "\\:")


def table_parts(table: str) -> tuple[str, ...]:
    """A table's name, with its schema before it where it is named; empty where it is no name.

    A part that holds a dot or a quote stands in quotes: `food."Acc.ounts"`.
    """
    parts: list[str] = []
    place = 0
    while match := _PART.match(table, place):
        within, plain = match.groups()
        parts.append(within.replace('""', '"') if within else plain)
        if match.end() == len(table):
            return tuple(parts)
        if table[match.end()] != ".":
            break
        place = match.end() + 1
    return ()


def table_name(parts: tuple[str, ...]) -> str:
    """The name that `table_parts` takes apart into these."""
    return ".".join(quoted(one) if _needs_quotes(one) else one for one in parts)


def _needs_quotes(part: str) -> bool:
    return '"' in part or "." in part
