"""A column of a page, as SQL sees it: words in every database."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ColumnElement, String, cast, func, literal_column, or_


def words_of(name: str) -> ColumnElement[str]:
    """What a column of the page holds."""
    return cast(literal_column(f'page."{name}"'), String)


def on_or_before(name: str, day: date) -> ColumnElement[bool]:
    """Whether a column has no day, or none after *day*."""
    return or_(words_of(name).is_(None), day_of(name) <= day.isoformat())


def on_or_after(name: str, day: date) -> ColumnElement[bool]:
    """Whether a column has no day, or none before *day*."""
    return or_(words_of(name).is_(None), day_of(name) >= day.isoformat())


def day_of(name: str) -> ColumnElement[str]:
    """The day of a date, or of a moment; SQLite and many SIS keep either as text."""
    return func.substr(words_of(name), 1, 10)
