"""The pages from which staff send broadcasts, as the queries of the definition give them.

In:         a page, what it is narrowed to, its order, and where the reader stopped.
Out:        a bounded slice of its rows; how many there are; or the students behind all rows that
            are chosen.
A page gives nobody a right: who may be told about a student, the directory says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date
from enum import StrEnum
from itertools import islice
from typing import Any, Final, NamedTuple, get_type_hints

import msgspec
from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    String,
    cast,
    desc,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)

from engine.database import Database
from engine.dialects.searching import holds
from engine.errors import ConfigError
from engine.sources import queries
from engine.sources.definition import Definition
from engine.sources.flags import allows
from rules.change import PersonId, StudentId
from rules.gates import EVERY_SCHOOL
from rules.tool_rights import EVERYWHERE, Schools

MOST_ROWS: Final = 500
_MOST_WORDS: Final = 6
_KEYS_AT_ONCE: Final = 1_000
_LONGEST_PLACE: Final = 100  # characters
_DIGITS: Final = 12


class Page(StrEnum):
    """What staff choose from."""

    FAMILIES = "families"
    STUDENTS = "students"
    CLASSES = "classes"
    CLASS_ENROLLMENTS = "class_enrollments"
    CAMPS = "camps"
    CAMP_ENROLLMENTS = "camp_enrollments"


# The rows of each page. The fields are the columns of its query; one with a default may be missing.


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

_MEMBERS: Final = "members"
_ROWS: Final[Mapping[str, Any]] = {
    Page.FAMILIES: Family,
    _MEMBERS: Member,
    Page.STUDENTS: Student,
    Page.CLASSES: SchoolClass,
    Page.CLASS_ENROLLMENTS: ClassEnrollment,
    Page.CAMPS: Camp,
    Page.CAMP_ENROLLMENTS: CampEnrollment,
}
_IN: Final = {
    Page.CLASSES: (Page.CLASS_ENROLLMENTS, "class_id"),
    Page.CAMPS: (Page.CAMP_ENROLLMENTS, "camp_id"),
}


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


EVERYTHING: Final = Narrowed()
"""What narrows nothing."""

# The columns that a SIS has indexed, the one that leaves fewest rows first.
_KEYS: Final = ("id", "student_id", "class_id", "camp_id", "school_id")
_COLUMNS: Final = (*_KEYS, "year", "grade", "homeroom", "type")
_OF_STUDENTS: Final = ("school_id", "year", "grade", "homeroom")
_FILTERS: Final = ("school_id", "year", "grade", "homeroom", "type")
_NOT_SHOWN: Final = ("id", "student_id", "class_id", "camp_id", "active")


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


class Look(NamedTuple):
    """Some rows of a page.

    *after* is where the next look begins, and *before* where the one before it ends; None at the
    end, and at the beginning.
    """

    rows: Sequence[PageRow]
    after: Mark | None
    before: Mark | None = None


class Chosen(NamedTuple):
    """A student behind *row*, the id of a row that was chosen.

    *people* are those who hear of the student in that row; None is everybody who may. *enrollment*
    is the id of that by which the student is behind a class, a camp or itself.
    """

    row: str
    student: StudentId
    people: frozenset[PersonId] | None = None
    enrollment: str = ""


def needed_columns(definition: Definition) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The name of each query of the pages, its SQL, and the columns that it must give."""
    for part, needed, _ in columns():
        if query := definition.pages.query(part):
            yield f"[pages.{part}]", query, needed


def columns() -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Each query of the pages, the columns that it must give, and those that it may."""
    for part, row in _ROWS.items():
        optional = tuple(row._field_defaults)
        yield str(part), tuple(one for one in row._fields if one not in optional), optional


class SisPages:
    """The pages of one SIS."""

    def __init__(self, database: Database, definition: Definition) -> None:
        self._database = database
        self._pages = definition.pages
        self._given: dict[Page, frozenset[str]] = {}

    @property
    def offered(self) -> Sequence[Page]:
        """The pages that this SIS has."""
        return [page for page in Page if self._pages.query(page)]

    def narrows(self, page: Page) -> Sequence[str]:
        """The fields of Narrowed that a page can be narrowed by."""
        given = self._columns(page)
        if page is Page.FAMILIES and self._pages.students:
            given |= self._columns(Page.STUDENTS).intersection(_OF_STUDENTS)
        by_days = ("days",) if given.issuperset({"starts", "ends"}) else ()
        return (*(name for name in _COLUMNS if name in given), "words", *by_days)

    def shows(self, page: Page) -> Sequence[str]:
        """The columns that a page has, ids left out: what it can be ordered by."""
        given = self._columns(page)
        return [name for name in _ROWS[page]._fields if name in given and name not in _NOT_SHOWN]

    def fields(self, page: Page) -> Sequence[str]:
        """The fields of a row of a page, those too that its query does not give."""
        fields: Sequence[str] = _ROWS[page]._fields
        return fields

    def look(
        self,
        page: Page,
        to: Narrowed = EVERYTHING,
        *,
        schools: Schools = EVERYWHERE,
        order: Order = BY_NAME,
        after: Mark | None = None,
        before: Mark | None = None,
        limit: int = MOST_ROWS,
    ) -> Look:
        """The rows of *page* that come *after* a mark or *before* one, at most *limit* of them.

        Only those of *schools*: a family is of every school that one of its students goes to, and
        a row that names no school of those of its student. Raises ConfigError where the SIS has no
        such page, or the page no such column, and where its query does not run (BrokenQuery).
        """
        limit = max(1, min(limit, MOST_ROWS))
        _require_order(page, order.by, self.shows(page))
        places = _places(page, order.by)
        query = self._select(page, to, schools)
        mark, is_backwards = (before, True) if before else (after, False)
        downwards = order.descending != is_backwards
        if mark is not None:
            here, there = tuple_(*places), tuple_(*map(literal, _values(mark, order.by)))
            query = query.where(here < there if downwards else here > there)
        ordered = [desc(one) for one in places] if downwards else places
        found = self._asked(page, query.add_columns(*places).order_by(*ordered).limit(limit + 1))
        there_are_more, found = len(found) > limit, found[:limit]
        if is_backwards:
            found = found[::-1]
        marks = [_mark(row[-len(places) :], order.by) for row in (*found[:1], *found[-1:])]
        return Look(
            _rows(page, found),
            marks[-1] if marks and (is_backwards or there_are_more) else None,
            marks[0] if marks and (there_are_more if is_backwards else after) else None,
        )

    def how_many(self, page: Page, to: Narrowed, schools: Schools = EVERYWHERE) -> int:
        """How many rows of *page* there are that *to* narrows it to; raises as `look` does."""
        ids = self._select(page, to, schools).with_only_columns(
            func.count(_words_of("id").distinct()), maintain_column_froms=True
        )
        return int(self._asked(page, ids)[0][0])

    def values(
        self, page: Page, limit: int, schools: Schools = EVERYWHERE
    ) -> Mapping[str, Sequence[str]]:
        """What the columns hold by which a page can be narrowed, where that are at most *limit*.

        Those of families are those of students. Raises as `look` does.
        """
        page = Page.STUDENTS if page is Page.FAMILIES and self._pages.students else page
        names = [name for name in _FILTERS if name in self._columns(page)]
        if not names:
            return {}
        columns: Sequence[Any] = [_words_of(name) for name in names]
        query = self._select(page, EVERYTHING, schools).with_only_columns(
            *columns, maintain_column_froms=True
        )
        found = self._asked(page, query.distinct())
        held = {name: {cells[place] for cells in found} for place, name in enumerate(names)}
        return {
            name: sorted(one for one in values if one)
            for name, values in held.items()
            if len(values) <= limit
        }  # fmt: skip

    def behind(
        self,
        page: Page,
        to: Narrowed,
        attending: Days | None = None,
        schools: Schools = EVERYWHERE,
    ) -> Iterator[Chosen]:
        """The students behind all rows of *page* that *to* narrows it to, each with its row.

        Behind a class or a camp are those whose enrollment is active, and with *attending* those
        alone who attend on one of these days; enrollments themselves may be of any type. Behind a
        family are its students at *schools*. Raises as `look` does.
        """
        match page:
            case Page.STUDENTS:
                for one in self._all(page, to, schools):
                    yield Chosen(one.id, StudentId(one.id))
            case Page.FAMILIES:
                yield from self._of_families(self._ids(page, to, schools), schools)
            case Page.CLASSES | Page.CAMPS:
                yield from self._taking_part(page, self._ids(page, to, schools), attending)
            case Page.CLASS_ENROLLMENTS | Page.CAMP_ENROLLMENTS:
                wanted = replace(to, days=attending) if attending else to
                for one in self._all(page, wanted, schools):
                    yield Chosen(one.id, StudentId(one.student_id), enrollment=one.id)

    def ids(self, page: Page, to: Narrowed, schools: Schools = EVERYWHERE) -> frozenset[str]:
        """The ids of the rows of *page* that *to* narrows it to. Raises as `look` does."""
        query = self._select(page, to, schools).with_only_columns(
            _words_of("id"), maintain_column_froms=True
        )
        return frozenset(_text(cell) for (cell,) in self._asked(page, query))

    def known(
        self, page: Page, ids: Collection[str], schools: Schools = EVERYWHERE
    ) -> frozenset[str]:
        """Those of *ids* that a row of these schools has, whatever somebody has sent for an id."""
        query, found = self._query(page), set[str]()
        for some in _some(ids):
            with (
                self._database.read() as connection,
                queries.asking(self._database, f"[pages.{page}]"),
            ):
                rows = queries.select_by(connection, query, "id", some)
            found.update(_text(row.id) for row in rows)
        if not found or schools.includes(EVERY_SCHOOL):
            return frozenset(found)
        return self.ids(page, Narrowed(id=tuple(found)), schools)

    def names(
        self, students: Iterable[StudentId], schools: Schools = EVERYWHERE
    ) -> Mapping[StudentId, str]:
        """What those of *students* are called who go to *schools*."""
        names: dict[StudentId, str] = {}
        for some in _some(students):
            for one in self._all(Page.STUDENTS, Narrowed(id=tuple(some)), schools):
                names[StudentId(one.id)] = one.name
        return names

    def students_of(self, families: Iterable[str]) -> Mapping[str, Set[StudentId]]:
        """The students of each of these families that has any."""
        found: dict[str, set[StudentId]] = defaultdict(set)
        for member in self._members("family_id", families):
            found[member.family_id].add(StudentId(member.student_id))
        return found

    def rows(self, page: Page, to: Narrowed, schools: Schools = EVERYWHERE) -> Sequence[Any]:
        """All rows of *page* that *to* narrows it to. Raises as `look` does."""
        return self._all(page, to, schools)

    def families_of(self, students: Iterable[StudentId]) -> Mapping[StudentId, Set[str]]:
        """The families of each student that has any."""
        found: dict[StudentId, set[str]] = defaultdict(set)
        if self._pages.members is not None:
            for member in self._members("student_id", students):
                found[StudentId(member.student_id)].add(member.family_id)
        return found

    def _of_families(self, families: Iterable[str], schools: Schools) -> Iterator[Chosen]:
        people: dict[tuple[str, StudentId], set[PersonId]] = defaultdict(set)
        for member in self._at(schools, self._members("family_id", families)):
            theirs = people[member.family_id, StudentId(member.student_id)]
            if member.person_id:
                theirs.add(PersonId(member.person_id))
        for (family, student), theirs in people.items():
            yield Chosen(family, student, frozenset(theirs) or None)

    def _taking_part(
        self, page: Page, ids: Iterable[str], attending: Days | None
    ) -> Iterator[Chosen]:
        enrollments, key = _IN[page]
        for some in _some(ids):
            of_these: Any = {key: tuple(some)}
            for one in self._all(enrollments, Narrowed(days=attending, **of_these)):
                if one.active:
                    yield Chosen(getattr(one, key), StudentId(one.student_id), enrollment=one.id)

    def _at(self, schools: Schools, members: Iterable[Member]) -> Iterator[Member]:
        """Those *members* whose student goes to one of these schools."""
        if schools.includes(EVERY_SCHOOL):
            yield from members
            return
        left = iter(members)
        while some := list(islice(left, _KEYS_AT_ONCE)):
            students = tuple({one.student_id for one in some})
            known = self.ids(Page.STUDENTS, Narrowed(id=students), schools)
            yield from (one for one in some if one.student_id in known)

    def _members(self, by: str, keys: Iterable[str]) -> Iterator[Member]:
        query = self._query(_MEMBERS)
        for some in _some(keys):
            with (
                self._database.read() as connection,
                queries.asking(self._database, f"[pages.{_MEMBERS}]"),
            ):
                found = queries.select_by(connection, query, by, some)
            yield from _rows(_MEMBERS, found)

    def _ids(self, page: Page, to: Narrowed, schools: Schools) -> Iterable[str]:
        """Each id once; where the ids say all, no row need be read for it."""
        if to.id and to == Narrowed(id=to.id) and schools.includes(EVERY_SCHOOL):
            return dict.fromkeys(to.id)
        return self.ids(page, to, schools)

    def _all(self, page: Page, to: Narrowed, schools: Schools = EVERYWHERE) -> Sequence[Any]:
        return _rows(page, self._asked(page, self._select(page, to, schools)))

    def _asked(self, page: Page, query: Select[Any]) -> Sequence[Row[Any]]:
        with (
            self._database.read() as connection,
            queries.asking(self._database, f"[pages.{page}]"),
        ):
            return connection.execute(query).all()

    def _select(self, page: Page, to: Narrowed, schools: Schools) -> Select[Any]:
        """The rows of a page. One column is asked by key, because one index is all that serves."""
        query, conditions = self._query(page), dict(self._conditions(page, to, schools))
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
                yield "students", _words_of("id").in_(families)
        elif not schools.includes(EVERY_SCHOOL):
            yield "schools", self._is_at(page, schools)
        for name, values in wanted.items():
            yield name, _words_of(name).in_(list(values))
        if to.days:
            _require(page, "days", able)
            yield "starts", _on_or_before("starts", to.days.last)
            yield "ends", _on_or_after("ends", to.days.first)
        for number, word in enumerate(to.words.split()[:_MOST_WORDS]):
            yield f"word {number}", self._holds("name", word)

    def _is_at(self, page: Page, schools: Schools) -> ColumnElement[bool]:
        """Whether a row is of one of these schools: its own, else that of its student."""
        given = self._columns(page)
        if "school_id" not in given and "student_id" in given:
            students = self._select(Page.STUDENTS, Narrowed(), schools).with_only_columns(
                _words_of("id"), maintain_column_froms=True
            )
            return _words_of("student_id").in_(students)
        _require(page, "school_id", given)
        if schools.everywhere:
            return _words_of("school_id").not_in(sorted(schools.but_not))
        return _words_of("school_id").in_(sorted(schools.only))

    def _holds(self, column: str, word: str) -> ColumnElement[bool]:
        """Whether a column holds a word, whatever capitals and accents either is written with."""
        with self._database.read() as connection:
            return holds(connection, _words_of(column), word)

    def _families_with(self, students: Narrowed, schools: Schools) -> Select[Any]:
        members = queries.narrowed(self._database.dialect, self._query(_MEMBERS))
        ids = self._select(Page.STUDENTS, students, schools).with_only_columns(
            _words_of("id"), maintain_column_froms=True
        )
        families = select(_words_of("family_id")).select_from(members)
        return families.where(_words_of("student_id").in_(ids))

    def _columns(self, page: Page) -> frozenset[str]:
        if page not in self._given:
            self._given[page] = queries.columns_of(
                self._database, f"[pages.{page}]", self._query(page)
            )
        return self._given[page]

    def _query(self, part: str) -> str:
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


def _words_of(name: str) -> ColumnElement[str]:
    return cast(literal_column(f'page."{name}"'), String)


def _places(page: Page, by: str) -> Sequence[ColumnElement[str]]:
    """The place of a row: the id tells rows of one name apart, the school those of one student."""
    school = _words_of("school_id") if page is Page.STUDENTS else literal("")
    places = [_small("name"), func.coalesce(_words_of("id"), ""), func.coalesce(school, "")]
    return places if by == BY_NAME.by else [_value(by), *places]


def _value(by: str) -> ColumnElement[str]:
    """A column's value as it is ordered: days by the calendar, and grade 9 before grade 10."""
    if by in ("starts", "ends"):
        return func.coalesce(_day_of(by), "")
    if by == "grade":
        grade = _small(by)
        return func.substr(literal("0" * _DIGITS) + grade, func.length(grade) + 1)
    return _small(by)


def _small(name: str) -> ColumnElement[str]:
    """In small letters; what is longer than a name needs no place of its own."""
    return func.lower(func.substr(func.coalesce(_words_of(name), ""), 1, _LONGEST_PLACE))


def _values(mark: Mark, by: str) -> Sequence[str]:
    places = [mark.name, mark.id, mark.school]
    return places if by == BY_NAME.by else [mark.value, *places]


def _mark(values: Sequence[str], by: str) -> Mark:
    value, name, key, school = ("", *values) if by == BY_NAME.by else values
    return Mark(name, key, school, value)


def _require_order(page: Page, name: str, able: Collection[str]) -> None:
    if name not in able:
        raise ConfigError(
            f"The page {page} cannot be ordered by {name}: its query gives no such column.",
            f"Add it to [pages.{page}] in the source definition, or choose another column.",
        )


def _on_or_before(name: str, day: date) -> ColumnElement[bool]:
    return or_(_words_of(name).is_(None), _day_of(name) <= day.isoformat())


def _on_or_after(name: str, day: date) -> ColumnElement[bool]:
    return or_(_words_of(name).is_(None), _day_of(name) >= day.isoformat())


def _day_of(name: str) -> ColumnElement[str]:
    """The day of a date, or of a moment; SQLite and many SIS keep either as text."""
    return func.substr(_words_of(name), 1, 10)


def _rows(part: str, found: Sequence[Row[Any]]) -> Sequence[Any]:
    if not found:
        return ()
    row = _ROWS[part]
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


def _some(keys: Iterable[str]) -> Iterator[Sequence[str]]:
    """As many keys at once as one query is asked for."""
    left = iter(keys)
    while some := list(islice(left, _KEYS_AT_ONCE)):
        yield some


def _text(cell: Any) -> str:
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
    str: _text,
    bool: allows,
    date | None: _day,
}
