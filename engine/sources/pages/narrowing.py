"""What a page is narrowed to, as a question to the SIS."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Select, select, text

from engine.database import Database
from engine.dialects.searching import holds
from engine.errors import ConfigError
from engine.sources import queries
from engine.sources.definition import Definition
from engine.sources.pages.cells import on_or_after, on_or_before, words_of
from engine.sources.pages.rows import MEMBERS, Page
from rules.gates import EVERY_SCHOOL
from rules.tool_rights import Schools

_MOST_WORDS: Final = 6

# The columns that a SIS has indexed, the one that leaves fewest rows first.
_KEYS: Final = ("id", "student_id", "class_id", "camp_id", "school_id")
_COLUMNS: Final = (*_KEYS, "year", "grade", "homeroom", "type")
_OF_STUDENTS: Final = ("school_id", "year", "grade", "homeroom")


class Days(NamedTuple):
    """From one day through another, both included."""

    first: date
    last: date


class Narrowed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a page is narrowed to, by its columns; what is empty narrows nothing.

    All *words* must stand in the name, whatever capitals and accents either is written with. *days*
    are those on which it takes place or the student attends, at least on one of them. A family is
    narrowed by what its students have.
    """

    id: tuple[str, ...] = ()
    student_id: tuple[str, ...] = ()
    class_id: tuple[str, ...] = ()
    camp_id: tuple[str, ...] = ()
    school_id: tuple[str, ...] = ()
    year: tuple[str, ...] = ()
    grade: tuple[str, ...] = ()
    homeroom: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    words: str = ""
    days: Days | None = None

    @property
    def asks(self) -> Collection[str]:
        """The fields by which it narrows."""
        return [name for name in self.__struct_fields__ if getattr(self, name)]


EVERYTHING: Final = Narrowed()
"""What narrows nothing."""


class Questions:
    """What the pages of one SIS are asked, as SQL."""

    def __init__(self, database: Database, definition: Definition) -> None:
        self._database = database
        self._pages = definition.pages
        self._given: dict[Page, frozenset[str]] = {}

    def narrows(self, page: Page) -> Sequence[str]:
        """The fields of Narrowed that a page can be narrowed by."""
        given = self.columns(page)
        if page is Page.FAMILIES and self._pages.students:
            given |= self.columns(Page.STUDENTS).intersection(_OF_STUDENTS)
        by_days = ("days",) if given.issuperset({"starts", "ends"}) else ()
        return (*(name for name in _COLUMNS if name in given), "words", *by_days)

    def select(self, page: Page, to: Narrowed, schools: Schools) -> Select[Any]:
        """The rows of a page. One column is asked by key, because one index is all that serves."""
        query, conditions = self.query(page), dict(self._conditions(page, to, schools))
        by = next((name for name in _KEYS if name in conditions), "")
        if by:
            del conditions[by]
        rows = queries.narrowed(self._database.dialect, query, by, getattr(to, by, ()))
        return select(text("page.*")).select_from(rows).where(*conditions.values())

    def _conditions(
        self, page: Page, to: Narrowed, schools: Schools
    ) -> Iterator[tuple[str, ColumnElement[bool]]]:
        wanted = {name: values for name in _COLUMNS if (values := getattr(to, name))}
        able = self.narrows(page) if wanted or to.days else ()
        for name in wanted:
            _require(page, name, able)
        if page is Page.FAMILIES:
            of_students = {name: wanted.pop(name) for name in _OF_STUDENTS if name in wanted}
            if of_students or not schools.includes(EVERY_SCHOOL):
                families = self._families_with(Narrowed(**of_students), schools)
                yield "students", words_of("id").in_(families)
        elif not schools.includes(EVERY_SCHOOL):
            yield "schools", self._is_at(page, schools)
        for name, values in wanted.items():
            yield name, words_of(name).in_(list(values))
        if to.days:
            _require(page, "days", able)
            yield "starts", on_or_before("starts", to.days.last)
            yield "ends", on_or_after("ends", to.days.first)
        for number, word in enumerate(to.words.split()[:_MOST_WORDS]):
            yield f"word {number}", self._holds("name", word)

    def _is_at(self, page: Page, schools: Schools) -> ColumnElement[bool]:
        """Whether a row is of one of these schools: its own, else that of its student."""
        given = self.columns(page)
        if "school_id" not in given and "student_id" in given:
            students = self.select(Page.STUDENTS, Narrowed(), schools).with_only_columns(
                words_of("id"), maintain_column_froms=True
            )
            return words_of("student_id").in_(students)
        _require(page, "school_id", given)
        if schools.everywhere:
            return words_of("school_id").not_in(sorted(schools.but_not))
        return words_of("school_id").in_(sorted(schools.only))

    def _holds(self, column: str, word: str) -> ColumnElement[bool]:
        """Whether a column holds a word, whatever capitals and accents either is written with."""
        with self._database.read() as connection:
            return holds(connection, words_of(column), word)

    def _families_with(self, students: Narrowed, schools: Schools) -> Select[Any]:
        members = queries.narrowed(self._database.dialect, self.query(MEMBERS))
        ids = self.select(Page.STUDENTS, students, schools).with_only_columns(
            words_of("id"), maintain_column_froms=True
        )
        families = select(words_of("family_id")).select_from(members)
        return families.where(words_of("student_id").in_(ids))

    def columns(self, page: Page) -> frozenset[str]:
        """The columns that the query of a page gives; raises BrokenQuery where it does not run."""
        if page not in self._given:
            self._given[page] = queries.columns_of(
                self._database, f"[pages.{page}]", self.query(page)
            )
        return self._given[page]

    def query(self, part: str) -> str:
        """The query of a page, or of its members; raises ConfigError where there is none."""
        query = self._pages.query(part)
        if query is None:
            raise ConfigError(
                f"The source definition has no [pages.{part}].",
                "Add the query, or choose from another page.",
            )
        return query


def _require(page: Page, name: str, able: Collection[str]) -> None:
    if name not in able:
        raise ConfigError(
            f"The page {page} cannot be narrowed by {name}: its query gives no such column.",
            f"Add it to [pages.{page}] in the source definition.",
        )
