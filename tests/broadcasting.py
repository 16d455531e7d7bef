"""Staff of the small district write to families, and the stages do what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select

from engine.runtime.behind import FindBehind
from engine.services.actor import Actor
from engine.services.broadcasts import drafts, sending
from engine.services.broadcasts.drafts import Draft
from engine.services.broadcasts.selection import Part, Selection
from engine.sources.pages import Page
from engine.stages.expand import Expand
from engine.store.expansions import SqlExpansions
from engine.store.tables import broadcast_recipients, notifications
from engine.wire.messages import Push
from rules.broadcasts import BroadcastId
from rules.lanes import Lane
from rules.tool_rights import EVERYWHERE, Schools, StaffId, Tool
from rules.wording.broadcasts import UnitKind
from rules.wording.templates import Template
from tests.builders import NOW
from tests.district import ADA, BEN, District

ALICE: Final = Actor("Alice", NOW, StaffId(1))
BOB: Final = Actor("Bob", NOW, StaffId(2))
SNOW: Final = {"en": Template("Snow day", "No school for {{ student_first_name }} today.")}


def of_students(*students: str) -> Selection:
    """These students, ticked on their page."""
    return Selection(page=Tool.STUDENTS, parts={Page.STUDENTS: Part(ids=students)})


def a_draft(
    *students: str, texts: Mapping[str, Template] = SNOW, is_emergency: bool = False
) -> Draft:
    """A message to the families of some students, of Ada and Ben where none are named."""
    chosen = msgspec.to_builtins(of_students(*(students or (ADA, BEN))))
    return Draft(Tool.STUDENTS, UnitKind.STUDENT, chosen, texts, is_emergency)


class Office:
    """Who writes, and what becomes of it."""

    def __init__(self, district: District) -> None:
        self.district = district
        self.database = district.database
        self.find = FindBehind(
            self.database, district.source, ZoneInfo(district.settings.timezone), "Lincoln"
        )
        self.expansions = SqlExpansions(self.database, district.settings.timezone)

    def now(self, who: Actor = ALICE) -> Actor:
        """Somebody, at this moment."""
        return who._replace(at=self.district.clock.now)

    def write(self, *students: str, **choices: Any) -> BroadcastId:
        """A draft."""
        return drafts.new(self.database, self.now(), a_draft(*students, **choices))

    def send(self, *students: str, schools: Schools = EVERYWHERE, **choices: Any) -> BroadcastId:
        """A message that is sent at once, as far as staff go."""
        name = self.write(*students, **choices)
        sending.send(self.database, self.find, self.now(), name, 1, schools)
        return name

    def expand(self) -> None:
        """Do what expand does in three of its turns."""
        expand = Expand(self.expansions, self.find, self.district.clock)
        for _ in range(3):
            expand()

    def tell(self) -> Sequence[Push]:
        """What expand and release do, until nothing is left to do."""
        self.expand()
        pushes: list[Push] = []
        while some := self.district.due(Lane.BROADCASTS):
            pushes += some
        self.expand()
        return pushes

    def told(self, *students: str, **choices: Any) -> Sequence[Push]:
        """The pushes of a message that is sent at once."""
        self.send(*students, **choices)
        return self.tell()

    def reasons(self, name: BroadcastId) -> Mapping[str, str]:
        """What became of a message, by person."""
        table = broadcast_recipients.c
        return dict(
            self.district.rows(
                select(table.person_id, table.reason).where(table.broadcast_id == name)
            )
        )

    def states(self, name: BroadcastId) -> Sequence[tuple[str, int, str]]:
        """The notifications of a message: person, revision and state."""
        table = notifications.c
        return sorted(
            self.district.rows(
                select(table.person_id, table.position, table.state).where(table.record == name)
            )
        )

    def later(self, **time: float) -> None:
        """Time passes."""
        self.district.clock.forward(timedelta(**time))
