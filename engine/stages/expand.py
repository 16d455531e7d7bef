"""Expand: a broadcast to what each of its recipients is told.

In:         broadcasts that are to be sent, corrected or stopped.
Out:        one recipient for every person who has to do with whom it is about, with a reason;
            notifications, held until release tells them.
Guarantee:  ids come from the broadcast, its revision and the person, and each portion is one
            transaction: killed between any two it goes on, and nobody is there twice. A broadcast
            that the SIS has no answer for stands still and says why; the others go on.

The SIS is asked before our transactions begin. What a portion stores does not depend on another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from engine.errors import SchoolbellError
from engine.ports import Clock
from engine.ports.broadcasts import (
    Behind,
    Broadcast,
    Expansions,
    Finder,
    Recipient,
    Texts,
)
from rules.audience import Candidate
from rules.broadcasts import BroadcastState, Message, Unit
from rules.change import Kind, PersonId, StudentId
from rules.gates import EVERY_SCHOOL, Circumstances, broadcast_gates, refusal, standing_case
from rules.identity import broadcast_notification_id
from rules.notification import Hold, Notification, Origin, State
from rules.plan import NO_PREFERENCES, moment_of_broadcast
from rules.reasons import Reason

AT_ONCE: Final = 1_000
"""People, or students, in one portion."""
LATEST: Final = timedelta(hours=1)
"""How long after its moment what is scheduled is still sent: what it says may be over then."""


@dataclass(frozen=True, slots=True)
class Expand:
    """Makes notifications of broadcasts, corrects them, and stops them."""

    ledger: Expansions
    find: Finder
    clock: Clock

    def __call__(self) -> int:
        """Do what is to be done now, and return for how many broadcasts."""
        found = self.ledger.to_expand(self.clock())
        for one in found:
            self._go_on(one)
        return len(found)

    def _go_on(self, one: Broadcast) -> None:
        if one.state is BroadcastState.SCHEDULED:
            self._begin(one)
        elif one.state is BroadcastState.CANCELLED:
            self._stop(one)
        elif one.expanded == 0:
            self._expand(one)
        elif one.expanded < one.revision:
            self._correct(one)
        else:
            self._settle(one)

    def _begin(self, one: Broadcast) -> None:
        now = self.clock()
        with self.ledger.expanding(one.id) as expanding:
            current = expanding.current()
            if current is None or current.version != one.version:
                return
            if current.send_at is not None and now - current.send_at > LATEST:
                expanding.missed(
                    "Its moment passed while Schoolbell was not running, so it was not sent.",
                    "Send it now, or choose another moment, if it is still true.",
                )
            else:
                expanding.begin(now)

    def _expand(self, one: Broadcast) -> None:
        """Make the first revision's notifications."""
        texts = self.ledger.texts_of(one, 1)
        try:
            people = self._people(one, texts)
        except SchoolbellError as error:
            with self.ledger.expanding(one.id) as expanding:
                expanding.stands_still(error.problem, error.remedy)
            return
        left = iter(sorted(people))
        while some := list(islice(left, AT_ONCE)):
            with self.ledger.expanding(one.id) as expanding:
                if not _goes_on(expanding.current()):
                    return
                known = expanding.known(some)
                new = [people[person] for person in some if person not in known]
                expanding.add(
                    [each.recipient for each in new],
                    [self._held(one, each) for each in new if each.units],
                )
        with self.ledger.expanding(one.id) as expanding:
            if _goes_on(expanding.current()):
                expanding.expanded(1)

    def _people(self, one: Broadcast, texts: Texts) -> Mapping[PersonId, _Person]:
        """Everybody who has to do with whom a broadcast is about, each once."""
        now = self.clock()
        found: dict[StudentId, list[Behind]] = defaultdict(list)
        for each in self.find(self.ledger.whole(one), texts):
            found[each.student].append(each)
        circumstances = self.ledger.circumstances(now)
        people: dict[PersonId, _Person] = {}
        students = iter(found)
        while some := list(islice(students, AT_ONCE)):
            related = self.ledger.related(some, now)
            for student in some:
                for candidate in related.get(student, ()):
                    units = _units(found[student], candidate.person)
                    if units:
                        reason = _reason(one, candidate, circumstances)
                        person = people.setdefault(candidate.person, _Person(candidate))
                        person.add(student, units, reason)
        return people

    def _held(self, one: Broadcast, person: _Person) -> Notification:
        begun = _begun(one)
        at = moment_of_broadcast(NO_PREFERENCES, begun, is_emergency=one.is_emergency)
        return Notification(
            broadcast_notification_id(one.id, 1, person.id, begun), Origin.BROADCAST, State.HELD,
            person.id, person.units[0].student, person.audience, person.language, one.id, 1,
            Message(one.id, {}, tuple(person.units), one.is_emergency), (), (), at, Hold.TURN,
        )  # fmt: skip

    def _correct(self, one: Broadcast) -> None:
        """Put the newest revision in the place of older ones, on the devices that show those."""
        now, revision = self.clock(), one.revision
        while True:
            with self.ledger.expanding(one.id) as expanding:
                current = expanding.current()
                if not _goes_on(current) or current is None or current.revision != revision:
                    return
                old = expanding.unfinished(AT_ONCE, before=revision)
                if not old:
                    expanding.expanded(revision)
                    return
                shown = expanding.shown([each for each in old if each.state is State.TOLD])
                expanding.replace(
                    old,
                    [
                        each._replace(
                            id=broadcast_notification_id(one.id, revision, each.person, now),
                            state=State.HELD, position=revision, at=now,
                            devices=shown.get(each.id, ()),
                            hold=Hold.TURN if each.state is State.HELD else Hold.CORRECTION,
                        )
                        for each in old
                    ],
                )  # fmt: skip

    def _stop(self, one: Broadcast) -> None:
        """Withdraw all whose turn has not come."""
        while True:
            with self.ledger.expanding(one.id) as expanding:
                current = expanding.current()
                if current is None or current.state is not BroadcastState.CANCELLED:
                    return
                held = expanding.unfinished(AT_ONCE)
                if not held:
                    expanding.expanded(one.revision)
                    return
                expanding.withdraw(held, Reason.CANCELLED)

    def _settle(self, one: Broadcast) -> None:
        now = self.clock()
        with self.ledger.expanding(one.id) as expanding:
            if _goes_on(expanding.current()) and not expanding.unfinished(1):
                expanding.sent(now)


class _Person:
    """What a broadcast is for one person: the units that they may hear of, or why of none."""

    def __init__(self, candidate: Candidate) -> None:
        self.id = candidate.person
        self.audience = candidate.audience
        self.language = candidate.language
        self.units: list[Unit] = []
        self._students: list[StudentId] = []
        self._reason: Reason | None = None

    def add(self, student: StudentId, units: Sequence[Unit], reason: Reason | None) -> None:
        """A student because of whom they would hear, and why they may not."""
        self._students.append(student)
        if reason is None:
            self.units += units
        else:
            self._reason = self._reason or reason

    @property
    def recipient(self) -> Recipient:
        """What becomes of it, as far as that is known."""
        reason = Reason.HELD if self.units else self._reason or Reason.NO_PORTAL_RIGHT
        return Recipient(self.id, self.audience, reason, self._students)


def _goes_on(current: Broadcast | None) -> bool:
    return current is not None and current.state is BroadcastState.SENDING


def _begun(one: Broadcast) -> datetime:
    if one.begun_at is None:
        raise ValueError("a broadcast that is sent has begun")
    return one.begun_at


def _units(found: Sequence[Behind], person: PersonId) -> list[Unit]:
    """The units by which *person* hears of a student, each once."""
    units: list[Unit] = []
    for one in found:
        unit = Unit(one.student, one.variables)
        if (one.people is None or person in one.people) and unit not in units:
            units.append(unit)
    return units


def _reason(one: Broadcast, candidate: Candidate, circumstances: Circumstances) -> Reason | None:
    case = standing_case(Kind.BROADCAST, EVERY_SCHOOL, candidate, circumstances)
    return refusal(case, broadcast_gates(is_emergency=one.is_emergency))
