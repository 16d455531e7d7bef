"""The part of a draft about the pages from which staff send broadcasts.

A page may be missing, so one of which something is not known stands there as a comment: the file
can be used without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.sources.draft.draft import Draft, comment, query, why
from engine.sources.draft.joins import Edge, Path
from engine.sources.draft.people import is_enrolled
from engine.sources.draft.roles import column_of
from engine.sources.draft.schema import Table
from engine.sources.draft.select import Select
from engine.sources.unfilled import fill_in

_SAID: Final = (
    "The pages from which staff write to families. A page gives nobody a right: who may be told "
    "about a student, the directory says. What is not known of a page is asked for by FILL IN, and "
    "then the page is a comment: take the marks away when it is filled in, or leave it out."
)
_TAKES_PART: Final = "takes_part"
_LEFT_OUT: Final = "A page that needs it is left out."

Page = tuple[str, Select]


def pages(draft: Draft) -> Iterator[list[str]]:
    """Each page for which the schema has a table, with why it was taken."""
    yield comment(_SAID)
    yield from _written(draft, "student", [("students", _students(draft))])
    yield from _written(
        draft, "family", [("families", _named(draft, "family")), ("members", _members(draft))]
    )
    yield from _written(
        draft, "roster",
        [("classes", _classes(draft)), ("class_enrollments", _enrollments(draft, "roster"))],
    )  # fmt: skip
    yield from _written(
        draft, "camp_enrollment",
        [("camps", _camps(draft)), ("camp_enrollments", _enrollments(draft, "camp_enrollment"))],
    )  # fmt: skip


def _written(
    draft: Draft, role: str, found: list[tuple[str, Select | None]]
) -> Iterator[list[str]]:
    """Pages that need one another: all of them, or none."""
    told = why(draft, role) if role != "student" else []
    selects = [(name, select) for name, select in found if select is not None]
    if len(selects) < len(found):
        yield [*told, *comment(_LEFT_OUT)]
        return
    parts = [[f"[pages.{name}]", *query(select.written())] for name, select in selects]
    waits = any("<FILL IN" in line for part in parts for line in part)
    for part in parts:
        yield [*told, *(f"# {line}".rstrip() for line in part)] if waits else [*told, *part]
        told = []


def _students(draft: Draft) -> Select | None:
    table = draft.table("student")
    if table is None:
        return None
    select = draft.select(table)
    select.add(select.identity(()), "id")
    select.add(_name_of_student(draft, select, ()), "name")
    school, calendar = draft.place(table)
    _school(select, school)
    _year(draft, select, calendar)
    _add(select, table, (), "grade_level", "grade")
    _add(select, table, (), "enrolled", "status")
    draft.narrowed(select, school)
    return select


def _named(draft: Draft, role: str) -> Select | None:
    table = draft.table(role)
    if table is None:
        return None
    select = draft.select(table)
    select.add(select.identity(()), "id")
    titled = draft.titled((), table)
    select.add(select.column(*titled) if titled else fill_in("its name"), "name")
    return select


def _members(draft: Draft) -> Select | None:
    """Who belongs to a family: a table of members; else the student points to it."""
    family, student = draft.table("family"), draft.table("student")
    table = draft.table("member") or student
    if family is None or student is None or table is None:
        return None
    to_family, to_student = draft.path(table, "family"), _to_student(draft, table, student)
    select = draft.select(table)
    select.add(
        select.identity(to_family, needed=True) if to_family else fill_in("the family"), "family_id"
    )
    select.add(
        select.identity(to_student, needed=True)
        if to_student is not None
        else fill_in("a student of the family, with a row for each of its members"),
        "student_id",
    )
    return select


def _to_student(draft: Draft, table: Table, student: Table) -> Path | None:
    """The way to a student: also by way of the person that a member and the student are."""
    found = draft.path(table, "student")
    to_person, of_student = draft.path(table, "person"), draft.path(student, "person")
    if found is not None or not to_person or not of_student:
        return found
    if len(to_person) > 1 or len(of_student) > 1:
        return None
    (member,), (own,) = to_person, of_student
    return (Edge(table.name, member.columns, student.name, own.columns, member.declared),)


def _classes(draft: Draft) -> Select | None:
    table = draft.table("section")
    if table is None:
        return None
    select = draft.select(table)
    select.add(select.identity(()), "id")
    course = draft.path(table, "course")
    titled = draft.titled(course, draft.schema.table(course[-1].parent)) if course else None
    titled = titled or draft.titled((), table)
    select.add(select.column(*titled) if titled else fill_in("the title of the class"), "name")
    school, calendar = draft.place(table)
    _school(select, school)
    _year(draft, select, calendar)
    _add(select, table, (), "period", "meets")
    _add(select, table, (), "room", "place")
    return select


def _camps(draft: Draft) -> Select | None:
    select, table = _named(draft, "camp"), draft.table("camp")
    if select is None or table is None:
        return None
    school, calendar = draft.place(table)
    _school(select, school)
    for meaning in ("starts", "ends"):
        found = column_of(table, meaning)
        select.add(
            select.column((), found.name) if found else fill_in(f"when it {meaning}"), meaning
        )
    _year(draft, select, calendar)
    return select


def _enrollments(draft: Draft, role: str) -> Select | None:
    """Who takes part in a class or a camp."""
    table, of = draft.table(role), "section" if role == "roster" else "camp"
    if table is None or draft.table(of) is None:
        return None
    select, student, there = (
        draft.select(table),
        draft.path(table, "student"),
        draft.path(table, of),
    )
    select.add(select.identity(()), "id")
    select.add(
        _name_of_student(draft, select, student) if student else fill_in("the student's name"),
        "name",
    )
    select.add(
        select.identity(student, needed=True) if student else fill_in("the student"), "student_id"
    )
    key = "class_id" if of == "section" else "camp_id"
    select.add(select.identity(there, needed=True) if there else fill_in(f"the {of}"), key)
    status = column_of(table, _TAKES_PART)
    select.add(select.column((), status.name) if status else "'enrolled'", "type")
    ends = column_of(table, "ends")
    hint = f", like {ends.name} IS NULL" if ends else ""
    whether = f"whether the student takes part{hint}"
    select.add(is_enrolled(select, table, whether, _TAKES_PART), "active")
    for meaning in ("starts", "ends"):
        _add(select, table, (), meaning, meaning, needed=of == "camp")
    return select


def _name_of_student(draft: Draft, select: Select, to_student: Path) -> str:
    """Last name, first name: of the student, or of the person that the student is."""
    student = draft.table("student")
    if student is None:
        return fill_in("the student's name")
    to_person = draft.path(student, "person")
    for path in (to_student, (*to_student, *to_person) if to_person else None):
        if path is None:
            continue
        table = draft.schema.table(path[-1].parent) if path else select.base
        first, last = column_of(table, "first_name"), column_of(table, "last_name")
        if first and last:
            names = [select.column(path, one.name, needed=True) for one in (last, first)]
            return draft.sql.joined(names, ", ")
        if full := column_of(table, "full_name"):
            return select.column(path, full.name, needed=True)
    return fill_in("the student's name")


def _school(select: Select, school: Path | None) -> None:
    found = select.identity(school, needed=True) if school else fill_in("the school")
    select.add(found, "school_id")


def _year(draft: Draft, select: Select, calendar: Path | None) -> None:
    if calendar is None or not calendar:
        return
    table = draft.schema.table(calendar[-1].parent)
    on = draft.path(table, "year")
    path = (*calendar, *on) if on else calendar
    _add(select, draft.schema.table(path[-1].parent), path, "year", "year")


def _add(
    select: Select, table: Table, path: Path, meaning: str, name: str, *, needed: bool = False
) -> None:
    """A column of the page where the table has one; else a mark where it must have one."""
    found = column_of(table, meaning)
    if found:
        select.add(select.column(path, found.name), name)
    elif needed:
        select.add(fill_in(f"the column that says {name}"), name)
