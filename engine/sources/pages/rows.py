"""The rows of each page: their columns, and how they are read.

The fields of a row are the columns of its query; one with a default may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, Final, NamedTuple, get_type_hints

from sqlalchemy import Row

from engine.sources.definition import Definition
from engine.sources.flags import allows


class Page(StrEnum):
    """What staff choose from."""

    FAMILIES = "families"
    STUDENTS = "students"
    CLASSES = "classes"
    CLASS_ENROLLMENTS = "class_enrollments"
    CAMPS = "camps"
    CAMP_ENROLLMENTS = "camp_enrollments"


class Family(NamedTuple):
    """Those whom the SIS keeps together, mostly because they live together."""

    id: str
    name: str


class Student(NamedTuple):
    """A student at one school; who goes to two has two rows."""

    id: str
    name: str
    school_id: str
    year: str = ""
    grade: str = ""
    homeroom: str = ""
    status: str = ""


class SchoolClass(NamedTuple):
    """A class: who teaches it, when it meets and where, and on which days it begins and ends."""

    id: str
    name: str
    school_id: str
    year: str = ""
    teacher: str = ""
    meets: str = ""
    place: str = ""
    starts: date | None = None
    ends: date | None = None


class Camp(NamedTuple):
    """A camp, from its first through its last day."""

    id: str
    name: str
    school_id: str
    starts: date | None
    ends: date | None
    year: str = ""
    place: str = ""


class ClassEnrollment(NamedTuple):
    """A student in a class: *name* is the student's, *title* that of the class.

    *type* is what the SIS calls it; *active* whether the student takes part, as who waits or has
    left does not.
    """

    id: str
    name: str
    student_id: str
    class_id: str
    type: str
    active: bool
    title: str = ""
    school_id: str = ""
    year: str = ""
    grade: str = ""
    starts: date | None = None
    ends: date | None = None


class CampEnrollment(NamedTuple):
    """A student in a camp, or in one session of it, who attends from *starts* through *ends*."""

    id: str
    name: str
    student_id: str
    camp_id: str
    type: str
    active: bool
    starts: date | None
    ends: date | None
    title: str = ""
    session: str = ""
    school_id: str = ""
    year: str = ""
    grade: str = ""


class Member(NamedTuple):
    """A student of a family and, with *person_id*, one of the people who hear of them there."""

    family_id: str
    student_id: str
    person_id: str = ""


PageRow = Family | Student | SchoolClass | ClassEnrollment | Camp | CampEnrollment

MEMBERS: Final = "members"
ROWS: Final[Mapping[str, Any]] = {
    Page.FAMILIES: Family,
    MEMBERS: Member,
    Page.STUDENTS: Student,
    Page.CLASSES: SchoolClass,
    Page.CLASS_ENROLLMENTS: ClassEnrollment,
    Page.CAMPS: Camp,
    Page.CAMP_ENROLLMENTS: CampEnrollment,
}


def needed_columns(definition: Definition) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The name of each query of the pages, its SQL, and the columns that it must give."""
    for part, needed, _ in columns():
        if query := definition.pages.query(part):
            yield f"[pages.{part}]", query, needed


def columns() -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Each query of the pages, the columns that it must give, and those that it may."""
    for part, row in ROWS.items():
        optional = tuple(row._field_defaults)
        yield str(part), tuple(one for one in row._fields if one not in optional), optional


def read(part: str, found: Sequence[Row[Any]]) -> Sequence[Any]:
    """What the database gave, as rows of a page or as members."""
    if not found:
        return ()
    row = ROWS[part]
    given = {name: place for place, name in enumerate(found[0]._fields)}
    converters = [
        (name, given[name], _CONVERTERS[kind])
        for name, kind in get_type_hints(row).items()
        if name in given
    ]
    return [
        row(**{name: convert(cells[place]) for name, place, convert in converters})
        for cells in found
    ]


def text_of(cell: Any) -> str:
    """A cell as words; empty where it holds nothing."""
    return "" if cell is None else str(cell)


def _day(cell: Any) -> date | None:
    """None for what is no day of our calendar: `infinity`, or words."""
    if isinstance(cell, date):
        return cell if type(cell) is date else date(cell.year, cell.month, cell.day)
    try:
        return date.fromisoformat(str(cell)[:10])
    except ValueError:
        return None


_CONVERTERS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    str: text_of,
    bool: allows,
    date | None: _day,
}
