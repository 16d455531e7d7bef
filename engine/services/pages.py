"""Pages: what staff choose from when they write to families, and who is behind what they chose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Final, NamedTuple

from engine.database import Database
from engine.sources.pages import BY_NAME as BY_NAME  # how a look is ordered
from engine.sources.pages import EVERYTHING, Chosen
from engine.sources.pages import Days as Days  # what a page is narrowed to
from engine.sources.pages import Look as Look  # the answer of look
from engine.sources.pages import Mark as Mark  # where a look goes on
from engine.sources.pages import Narrowed as Narrowed
from engine.sources.pages import Order as Order
from engine.sources.pages import Page as Page
from engine.sources.source import SqlSource
from engine.store import candidates
from rules.audience import Audience, Candidate, DeviceId
from rules.change import PersonId, StudentId
from rules.tool_rights import EVERYWHERE, Schools

_AT_ONCE: Final = 1_000  # students


class Listener(NamedTuple):
    """A person who may hear of a student, because of the chosen *row*.

    *devices* are those that take pushes for the person now; who has none has an inbox.
    """

    row: str
    student: StudentId
    person: PersonId
    audience: Audience
    devices: tuple[DeviceId, ...]


class Behind(NamedTuple):
    """Who is behind a selection: the same person once for each row and student."""

    listeners: Sequence[Listener]

    @property
    def students(self) -> int:
        """How many students somebody may hear of."""
        return len({one.student for one in self.listeners})

    @property
    def people(self) -> int:
        """How many people may hear."""
        return len({one.person for one in self.listeners})

    @property
    def devices(self) -> int:
        """How many devices take a push: an estimate, since nobody says that an app is gone."""
        return len({device for one in self.listeners for device in one.devices})


def look(
    source: SqlSource,
    page: Page,
    to: Narrowed = EVERYTHING,
    *,
    schools: Schools = EVERYWHERE,
    order: Order = BY_NAME,
    after: Mark | None = None,
    before: Mark | None = None,
    limit: int = 100,
) -> Look:
    """Some rows of a page; see `engine.sources.pages.SisPages.look`."""
    return source.pages.look(
        page, to, schools=schools, order=order, after=after, before=before, limit=limit
    )


def behind(
    database: Database,
    source: SqlSource,
    page: Page,
    to: Narrowed,
    now: datetime,
    today: date,
    *,
    attending: Days | None = None,
) -> Behind:
    """Who may hear because of the rows of *page* that *to* narrows it to.

    Of the students behind those rows (see `SisPages.behind`) everybody whose right holds *today*,
    the district's date; of a family those people alone whom it names. The SIS is asked first.
    Raises ConfigError where the SIS has no such page, or the page no such column.
    """
    chosen: dict[StudentId, list[Chosen]] = defaultdict(list)
    for one in source.pages.behind(page, to, attending):
        chosen[one.student].append(one)
    found: list[Listener] = []
    students = iter(chosen)
    while some := list(islice(students, _AT_ONCE)):
        with database.read() as connection:
            related = candidates.of_students(connection, some, now)
        for student in some:
            found += _listeners(chosen[student], related.get(student, ()), today)
    return Behind(found)


def _listeners(
    rows: Sequence[Chosen], related: Sequence[Candidate], today: date
) -> Iterator[Listener]:
    for one in related:
        if one.may_hear_on(today):
            for row in rows:
                if row.people is None or one.person in row.people:
                    yield Listener(row.row, one.student, one.person, one.audience, one.live_devices)
