"""The funnel: from the rows that are chosen to the devices that a message would go to.

It is worked out of what is written now, sent or not, and is an estimate: no gateway tells that an
app is gone, or that a phone shows nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple

from engine.database import Database
from engine.ports.broadcasts import Behind, Texts
from engine.runtime.behind import FindBehind
from engine.sources.selection import Selection, count
from engine.store import devices, directory
from engine.store.expansions import SqlExpansions
from engine.store.said_of_students import said_of
from rules.audience import Candidate, DeviceId
from rules.change import Kind, PersonId, StudentId
from rules.gates import (
    BROADCAST_GATES,
    EVERY_SCHOOL,
    Circumstances,
    broadcasts_on,
    refusal,
    standing_case,
)
from rules.reasons import Reason
from rules.tool_rights import Schools

LATELY: Final = timedelta(days=30)
_AT_ONCE: Final = 1_000
_NO_TEXTS: Final[Texts] = {}

_MAY_HEAR: Final = frozenset(
    {Reason.DISTRICT_OFF, Reason.NO_PORTAL_RIGHT, Reason.RESTRICTED, Reason.RIGHT_NOT_IN_FORCE}
)
_OTHERS: Final = tuple(gate for gate in BROADCAST_GATES if gate.ask is not broadcasts_on)


class Step(StrEnum):
    """Where somebody falls out, in the order in which it is asked."""

    MAY_HEAR = "may hear"
    WITH_DEVICE = "with a device"
    SWITCHED_ON = "not switched off"
    LATELY = "seen lately"


class Fallen(NamedTuple):
    """A person who falls out, because of which students they would hear, and why.

    Who was not seen lately is told all the same, and may have no phone any more: no *reason*.
    Without a *person* it is a student of whom nobody may hear.
    """

    person: PersonId | None
    students: Sequence[StudentId]
    reason: Reason | None


class Funnel(NamedTuple):
    """How many of what is chosen are left at each step, and who fell out at which.

    *rows* are chosen, and *families* or, where the SIS has none, *students* are behind them. Of the
    *people* who have to do with these, some *may_hear*, have a device (*with_device*), and have not
    switched messages off (*switched_on*): those are told, on so many *devices*. Of *seen_lately*
    some device was used in the last 30 days. *units* are the texts before they become one a person.
    """

    rows: int
    students: int
    families: int | None
    people: int
    may_hear: int
    with_device: int
    switched_on: int
    seen_lately: int
    devices: int
    units: int
    fell: Mapping[Step, Sequence[Fallen]]

    @property
    def recipients(self) -> int:
        """How many people are told."""
        return self.switched_on


def funnel(
    database: Database,
    find: FindBehind,
    selection: Selection,
    schools: Schools,
    now: datetime,
    *,
    is_emergency: bool = False,
) -> Funnel:
    """Whom a message would reach now that is sent for a *selection* at some *schools*.

    Raises SchoolbellError where the SIS does not answer.
    """
    found: dict[StudentId, list[Behind]] = defaultdict(list)
    for one in find.of(selection, schools, _NO_TEXTS, now):
        found[one.student].append(one)
    poured = _Poured(is_emergency=is_emergency)
    expansions = SqlExpansions(database, str(find.zone))
    circumstances = expansions.circumstances(now)
    students = iter(found)
    while some := list(islice(students, _AT_ONCE)):
        related = expansions.related(some, now)
        for student in some:
            poured.add(found[student], related.get(student, ()), circumstances)
    pages = find.source.pages
    families = {one for those in pages.families_of(list(found)).values() for one in those}
    seen = _seen(database, poured.devices, now - LATELY)
    return poured.funnel(
        count(find.source, selection, schools), len(found), len(families) or None,
        sum(map(len, found.values())), seen,
    )  # fmt: skip


def names(
    database: Database, found: Collection[Fallen]
) -> tuple[Mapping[PersonId, str], Mapping[StudentId, str]]:
    """What those are called who fell out, and their students."""
    people = {one.person for one in found if one.person is not None}
    students = {student for one in found for student in one.students}
    with database.read() as connection:
        called = directory.full_names(connection, people)
        said = said_of(connection, students)
    return called, {
        student: f"{one.first_name} {one.last_name}".strip() for student, one in said.items()
    }


def _seen(
    database: Database, wanted: Collection[DeviceId], since: datetime
) -> Collection[DeviceId]:
    with database.read() as connection:
        return devices.seen_since(connection, wanted, since)


class _Poured:
    """What is known of each person so far."""

    def __init__(self, *, is_emergency: bool) -> None:
        self._is_emergency = is_emergency
        self._reasons: dict[PersonId, Reason | None] = {}
        self._students: dict[PersonId, list[StudentId]] = defaultdict(list)
        self._devices: dict[PersonId, tuple[DeviceId, ...]] = {}
        self._alone: list[StudentId] = []

    @property
    def devices(self) -> set[DeviceId]:
        """The devices of all who are told."""
        return {
            device
            for person, reason in self._reasons.items()
            if reason is None
            for device in self._devices[person]
        }

    def add(
        self,
        behind: Sequence[Behind],
        related: Sequence[Candidate],
        circumstances: Circumstances,
    ) -> None:
        """The people around one student."""
        student = behind[0].student
        theirs = [
            one
            for one in related
            if any(each.people is None or one.person in each.people for each in behind)
        ]
        if not theirs:
            self._alone.append(student)
        for one in theirs:
            reason = self._reason(one, circumstances)
            self._students[one.person].append(student)
            self._devices[one.person] = one.live_devices
            if reason is None or one.person not in self._reasons:
                self._reasons[one.person] = reason

    def funnel(
        self, rows: int, students: int, families: int | None, units: int,
        seen: Collection[DeviceId],
    ) -> Funnel:  # fmt: skip
        """All of it, with those who fell out."""
        fell: dict[Step, list[Fallen]] = {step: [] for step in Step}
        fell[Step.MAY_HEAR] = [Fallen(None, [student], None) for student in self._alone]
        for person, reason in self._reasons.items():
            if step := self._step(person, reason, seen):
                fell[step].append(Fallen(person, self._students[person], reason))
        people = len(self._reasons)
        may_hear = people - sum(one.person is not None for one in fell[Step.MAY_HEAR])
        with_device = may_hear - len(fell[Step.WITH_DEVICE])
        switched_on = with_device - len(fell[Step.SWITCHED_ON])
        return Funnel(
            rows, students, families, people, may_hear, with_device, switched_on,
            switched_on - len(fell[Step.LATELY]), len(self.devices), units, fell,
        )  # fmt: skip

    def _reason(self, one: Candidate, circumstances: Circumstances) -> Reason | None:
        """Whether a message is switched off is asked last here: it is the family's own choice."""
        case = standing_case(Kind.BROADCAST, EVERY_SCHOOL, one, circumstances)
        return refusal(case, _OTHERS) or (None if self._is_emergency else broadcasts_on(case))

    def _step(
        self, person: PersonId, reason: Reason | None, seen: Collection[DeviceId]
    ) -> Step | None:
        if reason in _MAY_HEAR:
            return Step.MAY_HEAR
        if reason is Reason.BROADCASTS_OFF:
            return Step.SWITCHED_ON
        if reason is not None:
            return Step.WITH_DEVICE
        return None if any(one in seen for one in self._devices[person]) else Step.LATELY
