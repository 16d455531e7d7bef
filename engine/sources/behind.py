"""Who is behind a broadcast, and what its text says of each.

In:         a selection, the names of the variables, and what is known without the SIS.
Out:        the students behind it, with those to whom the SIS gives them and the values of the
            variables, as far as the SIS has them: what it has not is blank.
Only what a text names is asked for, and in portions: no query for each row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from engine.ports.broadcasts import Behind
from engine.sources.pages import Chosen, Narrowed, Page
from engine.sources.selection import Selection, chosen
from engine.sources.source import SqlSource
from rules.change import PersonId, StudentId
from rules.tool_rights import Schools
from rules.wording.broadcasts import VARIABLES, Group, filled_from

_AT_ONCE: Final = 1_000
_ROW_OF: Final = {Page.CLASSES: Group.CLASS, Page.CAMPS: Group.CAMP}
_ENROLLMENTS: Final = {
    Page.CLASSES: Page.CLASS_ENROLLMENTS,
    Page.CAMPS: Page.CAMP_ENROLLMENTS,
    Page.CLASS_ENROLLMENTS: Page.CLASS_ENROLLMENTS,
    Page.CAMP_ENROLLMENTS: Page.CAMP_ENROLLMENTS,
}

Known = Mapping[Group, Mapping[str, Any]]
"""What is known of one student, by the columns of each group."""


class Asked(NamedTuple):
    """Everybody behind a selection: how many *units* they are, and which *students*.

    Of each student those of their people who hear; None is everybody who may.
    """

    units: int
    students: Mapping[StudentId, frozenset[PersonId] | None]


class _Related(Protocol):
    @property
    def student(self) -> StudentId: ...
    @property
    def people(self) -> frozenset[PersonId] | None: ...


def asked(found: Iterable[_Related]) -> Asked:
    """The students behind some units, each once."""
    units, students = 0, dict[StudentId, frozenset[PersonId] | None]()
    for one in found:
        units += 1
        before = students.get(one.student, frozenset())
        if before is None or one.people is None:
            students[one.student] = None
        else:
            students[one.student] = before | one.people
    return Asked(units, students)


def behind(
    source: SqlSource,
    selection: Selection,
    schools: Schools,
    names: Collection[str],
    ours: Callable[[Collection[StudentId], Collection[Group]], Mapping[StudentId, Known]],
) -> Iterator[Behind]:
    """Everybody behind a selection, the same student once for each unit of it.

    *names* are the variables of the text, and *ours* tells what is known without the SIS of some
    students, by the groups that are asked for. Raises as `SisPages.look` does.
    """
    groups = {VARIABLES[name].group for name in names if name in VARIABLES}
    for part in selection.parts:
        alone = msgspec.structs.replace(selection, parts={part: selection.of(part)})
        left = chosen(source, alone, schools)
        while some := list(islice(left, _AT_ONCE)):
            rows = _Rows(source, part, some, groups)
            own = ours({one.student for one in some}, groups) if groups else {}
            for one in some:
                known = _together(rows.known(one), own.get(one.student, {}))
                yield Behind(one.student, one.people, filled_from(known, names))


def _together(one: Known, other: Known) -> Known:
    return {
        group: {**one.get(group, {}), **other.get(group, {})}
        for group in dict.fromkeys((*one, *other))
    }


class _Rows:
    """What the SIS says of some students and of the rows by which they were chosen."""

    def __init__(
        self, source: SqlSource, part: Page, some: Sequence[Chosen], groups: Collection[Group]
    ) -> None:
        self._source = source
        self._part = part
        students = tuple(dict.fromkeys(one.student for one in some))
        rows = tuple(dict.fromkeys(one.row for one in some))
        of_row = _ROW_OF.get(part)
        self._rows = self._by_id(part, rows) if of_row in groups else {}
        self._students = self._by_id(Page.STUDENTS, students) if Group.STUDENT in groups else {}
        self._enrollments: Mapping[str, Any] = {}
        if Group.ENROLLMENT in groups and part in _ENROLLMENTS:
            ids = tuple(dict.fromkeys(one.enrollment for one in some))
            self._enrollments = self._by_id(_ENROLLMENTS[part], ids)
        self._families: Mapping[StudentId, str] = {}
        self._homes: Mapping[str, Any] = {}
        if Group.FAMILY in groups and part is Page.FAMILIES:
            self._homes = self._by_id(part, rows)
        elif Group.FAMILY in groups:
            self._families = self._names_of_families(students)

    def known(self, one: Chosen) -> Known:
        """What is known of one student and the row by which they were chosen."""
        found: dict[Group, Mapping[str, Any]] = {}
        if row := self._rows.get(one.row):
            found[_ROW_OF[self._part]] = row._asdict()
        if student := self._students.get(one.student):
            found[Group.STUDENT] = student._asdict()
        if enrollment := self._enrollments.get(one.enrollment):
            found[Group.ENROLLMENT] = enrollment._asdict()
        if home := self._homes.get(one.row):
            found[Group.FAMILY] = home._asdict()
        elif name := self._families.get(one.student):
            found[Group.FAMILY] = {"name": name}
        return found

    def _by_id(self, page: Page, ids: Sequence[str]) -> Mapping[str, Any]:
        if page not in self._source.pages.offered:
            return {}
        rows = self._source.pages.rows(page, Narrowed(id=tuple(ids)))
        # Who goes to two schools has a row for each: what is said comes from one of them.
        return {row.id: row for row in reversed(rows)}

    def _names_of_families(self, students: Sequence[StudentId]) -> Mapping[StudentId, str]:
        families = self._source.pages.families_of(students)
        ids = {family for those in families.values() for family in those}
        homes = self._by_id(Page.FAMILIES, tuple(sorted(ids))) if ids else {}
        named: dict[StudentId, list[str]] = defaultdict(list)
        for student, those in families.items():
            named[student] += [homes[family].name for family in sorted(those) if family in homes]
        return {student: ", ".join(dict.fromkeys(names)) for student, names in named.items()}
