"""The part of a draft about the directory: schools, calendars, terms, people, students, rights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from engine.sources.definition import ENTITY_COLUMNS, Entity
from engine.sources.draft.draft import Draft, comment, listed, one_or_list, query, text, why
from engine.sources.draft.joins import Path
from engine.sources.draft.roles import column_of
from engine.sources.draft.schema import Column, Sort, Table
from engine.sources.draft.select import Select
from engine.sources.unfilled import fill_in

_ENROLLED: Final = frozenset({"enrolled", "active", "e", "a", "current", "activo", "aktiv"})
_WHETHER: Final = "whether the student is enrolled now; TRUE where only such are listed"
_STUDENTS_OWN: Final = "student "


def directory(draft: Draft) -> Iterator[list[str]]:
    """The queries, and the tables in which a change makes them be asked again."""
    queries = {
        "schools": _schools(draft),
        "calendars": _calendars(draft),
        "terms": _terms(draft),
        "people": _people(draft),
        "students": _students(draft),
        "rights": _rights(draft),
    }
    roles = {
        "schools": ("school",), "calendars": ("year", "calendar"), "terms": ("term",),
        "people": ("person",), "students": ("student", "enrollment"), "rights": ("guardian",),
    }  # fmt: skip
    for entity, selects in queries.items():
        told = [line for role in roles[entity] for line in why(draft, role)]
        if entity == "terms" and not selects:
            yield told
            continue
        yield [*told, f"[directory.{entity}]", *query(_written(entity, selects))]
    yield comment(
        "A change in one of these tables refreshes its part of the directory at once; the whole "
        "directory is read again from time to time besides."
    )
    for entity, selects in queries.items():
        yield from _watches(draft, entity, selects)


def _written(entity: str, selects: Sequence[Select]) -> str:
    if selects:
        return "\nUNION ALL\n".join(select.written() for select in selects)
    return fill_in(f"a SELECT that gives {', '.join(ENTITY_COLUMNS[_entity(entity)])}")


def _entity(name: str) -> Entity:
    return next(entity for entity in ENTITY_COLUMNS if entity == name)


def _schools(draft: Draft) -> list[Select]:
    table = draft.table("school")
    if table is None:
        return []
    select = draft.select(table)
    select.add(select.identity(()), "id")
    titled = draft.titled((), table)
    select.add(select.column(*titled) if titled else fill_in("the school's name"), "name")
    return [select]


def _calendars(draft: Draft) -> list[Select]:
    table = draft.table("calendar")
    if table is None:
        return []
    select = draft.select(table)
    select.add(select.identity(()), "id")
    school = draft.path(table, "school")
    select.add(
        select.identity(school, needed=True) if school else fill_in("the calendar's school"),
        "school_id",
    )
    path, of = _year_of(draft, table)
    year, active = column_of(of, "year"), column_of(of, "active")
    shown = select.column(path, year.name, needed=True) if year else fill_in("the school year")
    select.add(shown, "year")
    if active:
        select.add(select.column(path, active.name, needed=True), "active")
    else:
        select.add(f"{shown} = {fill_in('the year of now, as it stands in that column')}", "active")
    return [select]


def _terms(draft: Draft) -> list[Select]:
    """The terms; none where no table looks like them, as a SIS need not have any."""
    table = draft.table("term")
    if table is None:
        return []
    select = draft.select(table)
    select.add(select.identity(()), "id")
    school, calendar = draft.place(table)
    select.add(select.identity(school, needed=True) if school else "NULL", "school_id")
    titled = draft.titled((), table)
    select.add(select.column(*titled) if titled else fill_in("the term's name"), "name")
    for meaning in ("starts", "ends"):
        found = column_of(table, meaning)
        select.add(select.column((), found.name) if found else "NULL", meaning)
    if calendar:
        select.add(select.identity(calendar, needed=True), "calendar_id")
    return [select]


def _year_of(draft: Draft, calendar: Table) -> tuple[Path, Table]:
    """Where a calendar's year stands: in its own table, or in the one of years."""
    path = draft.path(calendar, "year")
    if path and (year := draft.table("year")) and column_of(year, "year"):
        return path, year
    return (), calendar


def _people(draft: Draft) -> list[Select]:
    """The people; where students have their names in their own table, those too."""
    table, student = draft.table("person"), draft.table("student")
    apart = student is not None and not draft.path(student, "person")
    selects = []
    for one, own in ((table, False), (student if apart else None, True)):
        if one is None:
            continue
        select = draft.select(one)
        key = select.identity(())
        if apart:
            key = draft.sql.prefixed(_STUDENTS_OWN, key) if own else draft.sql.text(key)
        select.add(key, "id")
        first = column_of(one, "first_name") or column_of(one, "full_name")
        last, language = column_of(one, "last_name"), column_of(one, "language")
        select.add(
            select.column((), first.name) if first else fill_in("the first name"), "first_name"
        )
        select.add(select.column((), last.name) if last else "''", "last_name")
        select.add(select.column((), language.name) if language else "'en'", "language")
        selects.append(select)
    return selects


def _students(draft: Draft) -> list[Select]:
    table = draft.table("student")
    if table is None:
        return []
    select = draft.select(table)
    select.add(select.identity(()), "id")
    person = draft.path(table, "person")
    own = draft.sql.prefixed(_STUDENTS_OWN, select.identity(()))
    select.add(select.identity(person) if person else own, "person_id")
    school, _ = draft.place(table)
    found = select.identity(school, needed=True) if school else fill_in("the student's school")
    select.add(found, "school_id")
    select.add(is_enrolled(select, table, _WHETHER), "enrolled")
    draft.narrowed(select, school)
    return [select]


def is_enrolled(select: Select, table: Table, whether: str, meaning: str = "enrolled") -> str:
    """A flag of the base of *select*, or a mark that asks *whether* it is so."""
    column = column_of(table, meaning)
    if column is None:
        return fill_in(whether)
    shown = select.column((), column.name)
    if column.sort is Sort.FLAG:
        return shown
    words_for_it = [one for one in column.values if one.lower() in _ENROLLED]
    if len(words_for_it) == 1:
        return f"{shown} = '{words_for_it[0]}'"
    of = f", of {', '.join(column.values)}" if column.values else ""
    return f"{shown} = {fill_in(f'the value that means enrolled{of}')}"


def _rights(draft: Draft) -> list[Select]:
    table = draft.table("guardian")
    if table is None:
        return []
    select = draft.select(table)
    student, person = draft.path(table, "student"), draft.joins.path(
        table.name, lambda name: name == getattr(draft.table("person"), "name", ""),
        [one.name for one in (draft.table("student"),) if one],
    )  # fmt: skip
    apart = (of := draft.table("student")) is not None and not draft.path(of, "person")
    who = select.identity(person, needed=True) if person is not None else ""
    select.add(
        select.identity(student, needed=True) if student else fill_in("the student"), "student_id"
    )
    said = draft.sql.text(who) if who and apart else who
    select.add(said or fill_in("the guardian, as [directory.people] lists them"), "person_id")
    relation = column_of(table, "relation")
    select.add(_in_words(draft, select, table, relation) if relation else "''", "relation")
    _flag(select, table, "portal", "whether this guardian may see this student in the portal")
    for meaning in ("starts", "ends"):
        found = column_of(table, meaning)
        select.add(select.column((), found.name) if found else "NULL", meaning)
    _flag(
        select, table, "restricted",
        "whether a court order or the like forbids it; FALSE where the SIS knows none",
    )  # fmt: skip
    return [select]


def _flag(select: Select, table: Table, meaning: str, otherwise: str) -> None:
    found = column_of(table, meaning)
    select.add(select.column((), found.name) if found else fill_in(otherwise), meaning)


def _in_words(draft: Draft, select: Select, table: Table, column: Column) -> str:
    """A column, or the title of the row that it points to."""
    for edge in draft.joins.from_(table.name):
        if edge.columns == (column.name,):
            found = draft.titled((edge,), draft.schema.table(edge.parent))
            if found:
                return select.column(*found)
    return select.column((), column.name)


def _watches(draft: Draft, entity: str, selects: Sequence[Select]) -> Iterator[list[str]]:
    """A watch for each table whose columns the query shows."""
    met: set[str] = set()
    for select in selects:
        for name, used in select.used.items():
            table = draft.schema.table(name)
            columns = [one for one in used if one not in table.key]
            if name in met or table.is_view or not table.key or not columns:
                continue
            if select.base is not table and table is not draft.table("year"):
                continue  # what is joined besides seldom changes, and all would be read again
            if entity == "people" and table is draft.table("student"):
                continue  # the id of these people is no key of a row
            met.add(name)
            yield [
                "[[directory_watch]]",
                f"name = {text(_named(table, entity))}",
                f'refreshes = "{entity}"',
                f"table = {text(name)}",
                f"key = {one_or_list(table.key)}",
                f"columns = {listed(columns)}",
                *_by(draft, entity, select, table),
            ]


def _named(table: Table, entity: str) -> str:
    plain = "".join(
        letter if letter.isascii() and letter.isalnum() else "-" for letter in table.base
    )
    return f"{entity}-{plain.lower()}".strip("-")[:40]


def _by(draft: Draft, entity: str, select: Select, table: Table) -> list[str]:
    """Which rows are read again; without it all of them are."""
    if entity == "rights":
        path = draft.path(table, "student")
        if path is None or len(path) != 1 or len(path[0].columns) != 1:
            return []
        column = path[0].columns[0]
        return [
            'by = "student_id"',
            *([f"from = {text(column)}"] if column != "student_id" else []),
        ]
    plain = select.base is table and len(table.key) == 1
    return ['by = "id"'] if plain else []
