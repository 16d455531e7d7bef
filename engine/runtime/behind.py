"""Who is behind a broadcast: the SIS says it, and our directory what it knows of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from engine.ports.broadcasts import Behind, Broadcast, Texts
from engine.runtime.clock import utc_now
from engine.sources.behind import Asked, Known, asked, behind
from engine.sources.selection import Selection, chosen
from engine.store.said_of_students import said_of
from rules.change import StudentId
from rules.tool_rights import NOWHERE, Schools
from rules.wording.broadcasts import Group, named_in

if TYPE_CHECKING:
    from engine.database import Database
    from engine.sources.source import SqlSource


@dataclass(frozen=True, slots=True)
class FindBehind:
    """Implements ports.broadcasts.Finder, and finds who would be behind what is not sent yet."""

    database: Database
    source: SqlSource
    zone: ZoneInfo
    district_name: str

    def __call__(self, one: Broadcast, texts: Texts) -> Iterator[Behind]:
        """See ports.broadcasts.Finder."""
        selection = msgspec.convert(one.selection, Selection)
        return self.of(selection, one.schools or NOWHERE, texts, one.begun_at or utc_now())

    def of(
        self, selection: Selection, schools: Schools, texts: Texts, at: datetime
    ) -> Iterator[Behind]:
        """Who is behind a *selection* at some *schools*, with what *texts* say of them.

        *at* is when they are sent. Raises SchoolbellError where the SIS does not answer.
        """
        today = {Group.DATE: {"date": at.astimezone(self.zone).date()}}

        def ours(
            students: Collection[StudentId], groups: Collection[Group]
        ) -> Mapping[StudentId, Known]:
            said = self._said(students) if _OURS.intersection(groups) else {}
            return {student: {**today, **said.get(student, {})} for student in students}

        return behind(self.source, selection, schools, named_in(texts), ours)

    def asked(self, selection: Selection, schools: Schools) -> Asked:
        """Who is behind a *selection* at some *schools*, and nothing of what a text says of them.

        Raises SchoolbellError where the SIS does not answer.
        """
        return asked(chosen(self.source, selection, schools))

    def _said(self, students: Collection[StudentId]) -> Mapping[StudentId, Known]:
        with self.database.read() as connection:
            found = said_of(connection, students)
        return {
            student: {
                Group.STUDENT: {"first_name": one.first_name, "last_name": one.last_name},
                Group.DISTRICT: {
                    "school_name": one.school_name, "district_name": self.district_name,
                },
            }
            for student, one in found.items()
        }  # fmt: skip


_OURS = frozenset({Group.STUDENT, Group.DISTRICT})
