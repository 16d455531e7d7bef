"""Searching names: whether a column holds a word, whatever capitals and accents either has."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, func, or_

from engine.dialects import dialect_of
from engine.dialects.folding import folded


def holds(connection: Connection, words: ColumnElement[str], word: str) -> ColumnElement[bool]:
    """Whether *words* hold *word*.

    What a database does not take apart as we do is still found as it was typed.
    """
    plain = dialect_of(connection).folded(connection, words)
    alike = plain.like(around(folded(word)), escape="\\")
    if word.isascii():
        return alike
    return or_(alike, func.lower(words).like(func.lower(around(word)), escape="\\"))


def around(word: str) -> str:
    """A pattern, with backslashes, for what has *word* in it.

    What stands for anything elsewhere is only itself.
    """
    literally = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in word)
    return f"%{literally}%"
