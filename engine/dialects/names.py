"""Names and words in SQL, where they cannot be parameters: quoted here, and nowhere else."""

from __future__ import annotations


def quoted(name: str) -> str:
    """An identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def literal(words: str) -> str:
    """A text, whatever characters it has."""
    return "'" + words.replace("'", "''") + "'"


def in_text(sql: str) -> str:
    """SQL for SQLAlchemy's text(): a colon in it is no beginning of a parameter."""
    return sql.replace(":", "\\:")
