"""Searching names: whether a column holds a word, whatever capitals and accents either has."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, func, or_

from engine.dialects import dialect_of
from engine.dialects.folding import around


def holds(connection: Connection, words: ColumnElement[str], word: str) -> ColumnElement[bool]:
    """Whether *words* hold *word*.

    What a database does not take apart as we do is still found as it was typed.
    """
    alike = dialect_of(connection).holds(connection, words, word)
    if word.isascii():
        return alike
    return or_(alike, func.lower(words).like(func.lower(around(word)), escape="\\"))
