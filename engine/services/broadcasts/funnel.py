"""The funnel: from the rows that are chosen to the devices that a message would go to.

It is worked out of what is written now, sent or not, and is an estimate: no gateway tells that an
app is gone, or that a phone shows nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final, NamedTuple

from engine.database import Database
from engine.runtime.behind import FindBehind
from engine.sources.selection import Selection, count
from engine.store import directory, district, reach
from engine.store.reach import Asked, Asking, Key, Reach, Standing, standing
from engine.store.said_of_students import said_of
from rules.audience import DeviceId
from rules.change import Kind, PersonId, StudentId
from rules.gates import (
    EVERY_SCHOOL,
    Circumstances,
    broadcast_gates,
    nearest,
    refusal,
    standing_case,
)
from rules.reasons import Reason
from rules.tool_rights import Schools

LATELY: Final = timedelta(days=30)


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
    """How many of what is chosen are left at each step, and how many *fell* out at which.

    *rows* are chosen, and *families* or, where the SIS has none, *students* are behind them. Of the
    *people* who have to do with these, some *may_hear*, have a device (*with_device*), and have not
    switched messages off (*switched_on*): those are told, on so many *devices*. Of *seen_lately*
    some device was used in the last 30 days. *units* are the texts before they become one a person.
    Students to whom nobody is related fell out at the first.
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
    fell: Mapping[Step, int]

    @property
    def recipients(self) -> int:
        """How many people are told."""
        return self.switched_on


class Page(NamedTuple):
    """Some who fell out at a step, with the names of all; *after* is where the next page begins."""

    fallen: Sequence[Fallen]
    people: Mapping[PersonId, str]
    students: Mapping[StudentId, str]
    after: str


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
    asked = find.asked(selection, schools)
    poured = Poured(database, asked.students, now, find.zone, is_emergency=is_emergency)
    return poured.funnel(
        rows=count(find.source, selection, schools),
        families=find.source.pages.how_many_families(asked.students) or None,
        units=asked.units,
    )


def recipients(
    database: Database,
    find: FindBehind,
    selection: Selection,
    schools: Schools,
    now: datetime,
    *,
    is_emergency: bool = False,
) -> int:
    """How many people would be told; as `funnel`, and in less time."""
    asked = find.asked(selection, schools).students
    return Poured(database, asked, now, find.zone, is_emergency=is_emergency).recipients()


def fallen(
    database: Database,
    find: FindBehind,
    selection: Selection,
    schools: Schools,
    now: datetime,
    step: Step,
    *,
    after: str = "",
    limit: int = 100,
    is_emergency: bool = False,
) -> Page:
    """Who falls out at a *step*, after what the page before says; as `funnel`.

    After the people come the students of whom nobody may hear.
    """
    asked = find.asked(selection, schools).students
    poured = Poured(database, asked, now, find.zone, is_emergency=is_emergency)
    found = poured.fallen(step, after, limit + 1)
    shown = found[:limit]
    people, students = _names(database, shown)
    return Page(shown, people, students, _mark(shown[-1]) if len(found) > limit else "")


class Poured:
    """What becomes of everybody who has to do with some students."""

    def __init__(
        self, database: Database, asked: Asked, now: datetime, zone: tzinfo, *, is_emergency: bool
    ) -> None:
        self._database = database
        today = now.astimezone(zone).date()
        self._asking = Asking(asked, today, now, now - LATELY)
        self._is_emergency = is_emergency
        with database.read() as connection:
            self._circumstances = district.circumstances(connection, today)
        self._judged: dict[Key, _Judged] = {}

    def recipients(self) -> int:
        """How many people are told."""
        with self._database.snapshot() as connection:
            people = reach.people_of(connection, self._asking)
        return sum(many for key, many in people.items() if self._of(key).reason is None)

    def funnel(self, *, rows: int, families: int | None, units: int) -> Funnel:
        """All of it, in numbers."""
        with self._database.snapshot() as connection:
            found = reach.reach_of(connection, self._asking)
        fell: Counter[Step | None] = Counter()
        for key, many in found.people.items():
            fell[self._of(key).step] += many
        people = fell.total()
        may_hear = people - fell[Step.MAY_HEAR]
        with_device = may_hear - fell[Step.WITH_DEVICE]
        switched_on = with_device - fell[Step.SWITCHED_ON]
        students = len(self._asking.asked)
        alone = students - found.students
        return Funnel(
            rows, students, families, people, may_hear, with_device, switched_on,
            switched_on - fell[Step.LATELY], self._devices(found), units,
            {step: fell[step] + (alone if step is Step.MAY_HEAR else 0) for step in Step},
        )  # fmt: skip

    def fallen(self, step: Step, after: str, limit: int) -> Sequence[Fallen]:
        """Some who fall out at a step."""
        found: list[Fallen] = []
        with self._database.snapshot() as connection:
            if not after.startswith(_ALONE):
                after_person = PersonId(after.removeprefix(_PERSON))
                found += [
                    Fallen(one.person, one.students, self._of(one.key).reason)
                    for one in reach.some_of(
                        connection, self._asking, lambda key: self._of(key).step is step,
                        after_person, limit,
                    )
                ]  # fmt: skip
            if step is Step.MAY_HEAR and len(found) < limit:
                alone = sorted(self._asking.asked.keys() - reach.related(connection, self._asking))
                last = after.removeprefix(_ALONE) if after.startswith(_ALONE) else ""
                found += [Fallen(None, [one], None) for one in alone if one > last]
        return found[:limit]

    def _devices(self, found: Reach) -> int:
        """On how many devices somebody is signed in who is told there."""
        signed_in = sum(many for at, many in found.sign_ins.items() if self._is_told_on(*at))
        told = (sum(self._is_told_on(*at) for at in theirs) for theirs in found.shared)
        return signed_in - sum(many - 1 for many in told if many)

    def _is_told_on(self, key: Key, device: DeviceId) -> bool:
        one = self._of(key)
        return one.reason is None and device in one.devices

    def _of(self, key: Key) -> _Judged:
        known = self._judged.get(key)
        if known is None:
            known = self._judged[key] = _judged(
                standing(key, self._asking.today), self._circumstances,
                is_emergency=self._is_emergency,
            )  # fmt: skip
        return known


class _Judged(NamedTuple):
    """What becomes of who stands alike: the *reason* is None for who is told, on *devices*."""

    reason: Reason | None
    devices: Collection[DeviceId]
    step: Step | None


def _judged(one: Standing, circumstances: Circumstances, *, is_emergency: bool) -> _Judged:
    gates = broadcast_gates(is_emergency=is_emergency)
    reasons = [
        refusal(standing_case(Kind.BROADCAST, EVERY_SCHOOL, each, circumstances), gates)
        for each in one.candidates
    ]
    refused = [reason for reason in reasons if reason]
    reason = nearest(refused) if len(refused) == len(reasons) else None
    live = one.candidates[0].live_devices
    step = _STEPS.get(reason, Step.WITH_DEVICE) if reason else Step.LATELY
    return _Judged(reason, live, None if not reason and one.lately.intersection(live) else step)


_STEPS: Final[Mapping[Reason, Step]] = {
    Reason.DISTRICT_OFF: Step.MAY_HEAR,
    Reason.NO_PORTAL_RIGHT: Step.MAY_HEAR,
    Reason.RESTRICTED: Step.MAY_HEAR,
    Reason.RIGHT_NOT_IN_FORCE: Step.MAY_HEAR,
    Reason.BROADCASTS_OFF: Step.SWITCHED_ON,
}
_PERSON, _ALONE = "person ", "student "


def _mark(one: Fallen) -> str:
    return f"{_ALONE}{one.students[0]}" if one.person is None else f"{_PERSON}{one.person}"


def _names(
    database: Database, found: Collection[Fallen]
) -> tuple[Mapping[PersonId, str], Mapping[StudentId, str]]:
    people = {one.person for one in found if one.person is not None}
    students = {student for one in found for student in one.students}
    with database.read() as connection:
        called = directory.full_names(connection, people)
        said = said_of(connection, students)
    return called, {
        student: f"{one.first_name} {one.last_name}".strip() for student, one in said.items()
    }
