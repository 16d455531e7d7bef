"""The pages of a SIS, read: their rows, how many there are, and the students behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any, Final, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Row, Select, desc, func, literal, literal_column, select, tuple_

from engine.database import Database
from engine.sources import queries
from engine.sources.definition import Definition
from engine.sources.flags import allows
from engine.sources.pages import order as order_by
from engine.sources.pages.cells import words_of
from engine.sources.pages.narrowing import EVERYTHING, Days, Narrowed, Questions
from engine.sources.pages.order import BY_NAME, Mark, Order
from engine.sources.pages.rows import MEMBERS, ROWS, Member, Page, PageRow, read, text_of
from rules.change import PersonId, StudentId
from rules.gates import EVERY_SCHOOL
from rules.tool_rights import EVERYWHERE, Schools

MOST_ROWS: Final = 500
_KEYS_AT_ONCE: Final = 1_000
_COUNTED_AT_ONCE: Final = 200_000  # keys of which no row is read
_FILTERS: Final = ("school_id", "year", "grade", "homeroom", "type")
_NOT_SHOWN: Final = ("id", "student_id", "class_id", "camp_id", "active")
_IN: Final = {
    Page.CLASSES: (Page.CLASS_ENROLLMENTS, "class_id"),
    Page.CAMPS: (Page.CAMP_ENROLLMENTS, "camp_id"),
}


class Look(NamedTuple):
    """Some rows of a page.

    *after* is where the next look begins, and *before* where the one before it ends; None at the
    end, and at the beginning.
    """

    rows: Sequence[PageRow]
    after: Mark | None
    before: Mark | None = None

    @property
    def is_all(self) -> bool:
        """Whether there are no rows but these."""
        return self.after is None and self.before is None


class Chosen(NamedTuple):
    """A student behind *row*, the id of a row that was chosen.

    *people* are those who hear of the student in that row; None is everybody who may. *enrollment*
    is the id of that by which the student is behind a class, a camp or itself.
    """

    row: str
    student: StudentId
    people: frozenset[PersonId] | None = None
    enrollment: str = ""


class SisPages:
    """The pages of one SIS."""

    def __init__(self, database: Database, definition: Definition) -> None:
        self._database = database
        self._pages = definition.pages
        self._questions = Questions(database, definition)

    @property
    def offered(self) -> Sequence[Page]:
        """The pages that this SIS has."""
        return [page for page in Page if self._pages.query(page)]

    def narrows(self, page: Page) -> Sequence[str]:
        """The fields of Narrowed that a page can be narrowed by."""
        return self._questions.narrows(page)

    def shows(self, page: Page) -> Sequence[str]:
        """The columns that a page has, ids left out: what it can be ordered by."""
        given = self._questions.columns(page)
        return [name for name in self.fields(page) if name in given and name not in _NOT_SHOWN]

    def fields(self, page: Page) -> Sequence[str]:
        """The fields of a row of a page, those too that its query does not give."""
        fields: Sequence[str] = ROWS[page]._fields
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
        order_by.require(page, order.by, self.shows(page))
        places = order_by.places(page, order.by)
        query = self._questions.select(page, to, schools)
        mark, is_backwards = (before, True) if before else (after, False)
        downwards = order.descending != is_backwards
        if mark is not None:
            here, there = tuple_(*places), tuple_(*map(literal, order_by.values(mark, order.by)))
            query = query.where(here < there if downwards else here > there)
        ordered = [desc(one) for one in places] if downwards else places
        found = self._asked(page, query.add_columns(*places).order_by(*ordered).limit(limit + 1))
        there_are_more, found = len(found) > limit, found[:limit]
        if is_backwards:
            found = found[::-1]
        marks = [order_by.mark(row[-len(places) :], order.by) for row in (*found[:1], *found[-1:])]
        return Look(
            read(page, found),
            marks[-1] if marks and (is_backwards or there_are_more) else None,
            marks[0] if marks and (there_are_more if is_backwards else after) else None,
        )

    def how_many(self, page: Page, to: Narrowed, schools: Schools = EVERYWHERE) -> int:
        """How many rows of *page* there are that *to* narrows it to; raises as `look` does."""
        ids = self._questions.select(page, to, schools).with_only_columns(
            func.count(words_of("id").distinct()), maintain_column_froms=True
        )
        return int(self._asked(page, ids)[0][0])

    def values(
        self, page: Page, limit: int, schools: Schools = EVERYWHERE
    ) -> Mapping[str, Sequence[str]]:
        """What the columns hold by which a page can be narrowed, where that are at most *limit*.

        Those of families are those of students. Raises as `look` does.
        """
        page = Page.STUDENTS if page is Page.FAMILIES and self._pages.students else page
        names = [name for name in _FILTERS if name in self._questions.columns(page)]
        if not names:
            return {}
        columns: Sequence[Any] = [words_of(name) for name in names]
        query = self._questions.select(page, EVERYTHING, schools).with_only_columns(
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
                for (id_,) in self._cells(page, to, schools, "id"):
                    yield Chosen(text_of(id_), StudentId(text_of(id_)))
            case Page.FAMILIES:
                yield from self._of_families(self._ids(page, to, schools), schools)
            case Page.CLASSES | Page.CAMPS:
                yield from self._taking_part(page, self._ids(page, to, schools), attending)
            case Page.CLASS_ENROLLMENTS | Page.CAMP_ENROLLMENTS:
                wanted = replace(to, days=attending) if attending else to
                for id_, student in self._cells(page, wanted, schools, "id", "student_id"):
                    enrollment = text_of(id_)
                    yield Chosen(enrollment, StudentId(text_of(student)), enrollment=enrollment)

    def ids(self, page: Page, to: Narrowed, schools: Schools = EVERYWHERE) -> frozenset[str]:
        """The ids of the rows of *page* that *to* narrows it to. Raises as `look` does."""
        query = self._questions.select(page, to, schools).with_only_columns(
            words_of("id"), maintain_column_froms=True
        )
        return frozenset(text_of(cell) for (cell,) in self._asked(page, query))

    def known(
        self, page: Page, ids: Collection[str], schools: Schools = EVERYWHERE
    ) -> frozenset[str]:
        """Those of *ids* that a row of these schools has, whatever somebody has sent for an id."""
        query, found = self._questions.query(page), set[str]()
        for some in _some(ids):
            with (
                self._database.read() as connection,
                queries.asking(self._database, f"[pages.{page}]"),
            ):
                rows = queries.select_by(connection, query, "id", some)
            found.update(text_of(row.id) for row in rows)
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

    def how_many_families(self, students: Iterable[StudentId]) -> int | None:
        """How many families these students have; None where the SIS has none."""
        if self._pages.members is None:
            return None
        query, found, left = self._questions.query(MEMBERS), set[str](), iter(students)
        while some := list(islice(left, _COUNTED_AT_ONCE)):
            members = queries.narrowed(self._database.dialect, query, "student_id", some)
            families = select(words_of("family_id")).select_from(members).distinct()
            found.update(text_of(cell) for (cell,) in self._asked(MEMBERS, families))
        return len(found)

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
            for row, student, id_, active in self._cells(
                enrollments, Narrowed(days=attending, **of_these), EVERYWHERE,
                key, "student_id", "id", "active",
            ):  # fmt: skip
                if allows(active):
                    yield Chosen(text_of(row), StudentId(text_of(student)), enrollment=text_of(id_))

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
        query = self._questions.query(MEMBERS)
        for some in _some(keys):
            with (
                self._database.read() as connection,
                queries.asking(self._database, f"[pages.{MEMBERS}]"),
            ):
                found = queries.select_by(connection, query, by, some)
            yield from read(MEMBERS, found)

    def _ids(self, page: Page, to: Narrowed, schools: Schools) -> Iterable[str]:
        """Each id once; where the ids say all, no row need be read for it."""
        if to.id and to == Narrowed(id=to.id) and schools.includes(EVERY_SCHOOL):
            return dict.fromkeys(to.id)
        return self.ids(page, to, schools)

    def _cells(
        self, page: Page, to: Narrowed, schools: Schools, *names: str
    ) -> Sequence[Sequence[Any]]:
        """Some columns of the rows: of a whole district nobody reads more than they need."""
        columns: Sequence[Any] = [literal_column(f'page."{name}"') for name in names]
        query = self._questions.select(page, to, schools)
        asked = query.with_only_columns(*columns, maintain_column_froms=True)
        found: Sequence[Sequence[Any]] = self._asked(page, asked)
        return found

    def _all(self, page: Page, to: Narrowed, schools: Schools = EVERYWHERE) -> Sequence[Any]:
        return read(page, self._asked(page, self._questions.select(page, to, schools)))

    def _asked(self, page: str, query: Select[Any]) -> Sequence[Row[Any]]:
        with (
            self._database.read() as connection,
            queries.asking(self._database, f"[pages.{page}]"),
        ):
            return connection.execute(query).all()


def _some(keys: Iterable[str]) -> Iterator[Sequence[str]]:
    """As many keys at once as one query is asked for."""
    left = iter(keys)
    while some := list(islice(left, _KEYS_AT_ONCE)):
        yield some
