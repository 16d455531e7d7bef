"""Keys that a watch may need, where the schema shows a sign of it, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.sources.draft.draft import Draft, comment, text
from engine.sources.draft.roles import column_of
from engine.sources.draft.schema import Column, Sort, Table
from engine.sources.draft.words import words_of
from engine.sources.values import COMPARED
from rules.change import Kind

_MEANINGS: Final = {Kind.ASSIGNMENT: ("score",), Kind.GRADE: ("percent", "letter")}
_CENTS: Final = frozenset({"cent", "penny", "centavo"})
_DONE: Final = frozenset({"completed", "done", "finalized", "released", "final"})


def hints(table: Table, kind: Kind, value: Column, shown: frozenset[str]) -> Iterator[str]:
    """Lines for the watch of *table*; *shown* are the columns that it names already."""
    yield from _key(table)
    yield from _scale(kind, value)
    yield from _numbers(kind, value)
    yield from _first_of(table, kind, value, shown)


def done_elsewhere(draft: Draft) -> Iterator[list[str]]:
    """Tables of which a new row may say that the grades of a section are shown."""
    section = draft.table("section")
    if section is None:
        return
    for edge in draft.joins.to(section.name):
        table = draft.schema.table(edge.child)
        says_done = not _DONE.isdisjoint(words_of(table.base)) and not table.is_view
        if says_done and draft.path(table, "student") is None:
            yield comment(
                f"A row of {table.name} may say that a section is done. If families see grades "
                "only then: join it into `released`, and watch it besides, by a [[watch]] with "
                "`appears = true`, which tells all of them when the row comes."
            )


def _key(table: Table) -> Iterator[str]:
    if not table.key:
        yield from comment(
            "No constraint says what identifies a row. Only where the school is sure of it: two "
            "rows of one key are taken for one record, and may be told to the wrong family."
        )
        yield "# key_without_constraint = true"


def _scale(kind: Kind, value: Column) -> Iterator[str]:
    if kind is Kind.MEAL_BALANCE and not _CENTS.isdisjoint(words_of(value.name)):
        yield from comment(f"{value.name} reads like cents: a hundred of them are a dollar.")
        yield "scale = 100"
    elif kind is Kind.GRADE and value.sort is Sort.NUMBER:
        yield from comment(
            f"Where {value.name} goes to another value than 100, say it for thresholds in percent."
        )
        yield "# scale = 4"


def _numbers(kind: Kind, value: Column) -> Iterator[str]:
    if kind in COMPARED and value.sort is Sort.WORDS:
        letters = value.values or ("A", "B")
        pairs = ", ".join(f"{text(one)} = 95" for one in letters)
        yield from comment(
            f"{value.name} holds words. A threshold in percent needs the number behind each; the "
            "draft does not know them."
        )
        yield from comment(f"numbers = {{ {pairs} }}")


def _first_of(table: Table, kind: Kind, value: Column, shown: frozenset[str]) -> Iterator[str]:
    for meaning in _MEANINGS.get(kind, ()):
        other = column_of(table, meaning, tuple(shown))
        if other and other.sort is value.sort:
            yield from comment(
                f"{other.name} looks like such a value, too. Where one of the two wins over the "
                "other, name both in place of `value`, the one that wins first; both belong among "
                "`columns`."
            )
            yield f"# first_of = [{text(other.name)}, {text(value.name)}]"
            return
