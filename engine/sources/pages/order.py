"""The order of a page, and a row's place in it: where a look begins and ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, func, literal

from engine.errors import ConfigError
from engine.sources.pages.cells import day_of, words_of
from engine.sources.pages.rows import Page

_LONGEST_PLACE: Final = 100  # characters
_DIGITS: Final = 12


class Order(NamedTuple):
    """The column that rows are ordered by; where two have the same, their names tell."""

    by: str = "name"
    descending: bool = False


BY_NAME: Final = Order()


class Mark(NamedTuple):
    """A row's place in the order of a page; *value* is that of the column it is ordered by."""

    name: str
    id: str
    school: str
    value: str = ""


def places(page: Page, by: str) -> Sequence[ColumnElement[str]]:
    """The place of a row: the id tells rows of one name apart, the school those of one student."""
    school = words_of("school_id") if page is Page.STUDENTS else literal("")
    places = [_small("name"), func.coalesce(words_of("id"), ""), func.coalesce(school, "")]
    return places if by == BY_NAME.by else [_value(by), *places]


def _value(by: str) -> ColumnElement[str]:
    """A column's value as it is ordered: days by the calendar, and grade 9 before grade 10."""
    if by in ("starts", "ends"):
        return func.coalesce(day_of(by), "")
    if by == "grade":
        grade = _small(by)
        return func.substr(literal("0" * _DIGITS) + grade, func.length(grade) + 1)
    return _small(by)


def _small(name: str) -> ColumnElement[str]:
    """In small letters; what is longer than a name needs no place of its own."""
    return func.lower(func.substr(func.coalesce(words_of(name), ""), 1, _LONGEST_PLACE))


def values(mark: Mark, by: str) -> Sequence[str]:
    """What the columns of `places` hold in the row of a mark."""
    places = [mark.name, mark.id, mark.school]
    return places if by == BY_NAME.by else [mark.value, *places]


def mark(values: Sequence[str], by: str) -> Mark:
    """The mark of the row whose `places` hold *values*."""
    value, name, key, school = ("", *values) if by == BY_NAME.by else values
    return Mark(name, key, school, value)


def require(page: Page, name: str, able: Collection[str]) -> None:
    """Raise ConfigError unless *name* is one of the columns that a page can be ordered by."""
    if name not in able:
        raise ConfigError(
            f"The page {page} cannot be ordered by {name}: its query gives no such column.",
            f"Add it to [pages.{page}] in the source definition, or choose another column.",
        )
