"""Expand: a broadcast to what each of its recipients is told.

In:         broadcasts that are to be sent, corrected or stopped.
Out:        one recipient for every person who has to do with whom it is about, with a reason, and
            at which schools the students are because of whom they hear;
            notifications, held until release tells them.
Guarantee:  ids come from the broadcast, its revision and the person, and each portion is one
            transaction: killed between any two it goes on, and nobody is there twice. A broadcast
            that the SIS has no answer for stands still and says why; the others go on.

The SIS is asked before our transactions begin. What a portion stores does not depend on another.
Broadcasts take turns, a portion each, and while there is an emergency, emergencies alone: a long
one holds up no other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
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
from rules.broadcasts import BroadcastId, BroadcastState, Message, Unit
from rules.change import Kind, PersonId, StudentId
from rules.gates import (
    EVERY_SCHOOL,
    Circumstances,
    broadcast_gates,
    nearest,
    refusal,
    standing_case,
)
from rules.identity import broadcast_notification_id
from rules.notification import Hold, Notification, Origin, State
from rules.plan import NO_PREFERENCES, moment_of_broadcast
from rules.reasons import Reason
from rules.tool_rights import EVERYWHERE

AT_ONCE: Final = 1_000
"""People, or students, in one portion."""
AT_A_TIME: Final = 4
"""Broadcasts that take turns, emergencies apart: of each it is in memory who is behind it."""
LATEST: Final = timedelta(hours=1)
"""How long after its moment what is scheduled is still sent: what it says may be over then."""


_AGAIN: Final = timedelta(seconds=1)
_Turns = Iterator[None]


@dataclass(frozen=True, slots=True)
class Expand:
    """Makes notifications of broadcasts, corrects them, and stops them."""

    ledger: Expansions
    find: Finder
    clock: Clock

    def __call__(self) -> int:
        """Do what is to be done now, and return for how many broadcasts.

        What comes meanwhile takes its turns among the others.
        """
        going: dict[BroadcastId, _Turns] = {}
        done: set[BroadcastId] = set()
        ended, since = 0, self.clock()
        while found := [one for one in self.ledger.to_expand(self.clock()) if one.id not in done]:
            for one in _next(found, going):
                turns = going.setdefault(one.id, self._go_on(one))
                if next(turns, _OVER) is _OVER:
                    del going[one.id]
                    done.add(one.id)
                    ended += 1
            if going and self.clock() - since >= _AGAIN:
                since = self.clock()
                done.clear()
        return ended

    def _go_on(self, one: Broadcast) -> _Turns:
        if one.state is BroadcastState.SCHEDULED:
            self._begin(one)
        elif one.state is BroadcastState.CANCELLED:
            yield from self._stop(one)
        elif one.expanded == 0:
            yield from self._expand(one)
        elif one.expanded < one.revision:
            yield from self._correct(one)
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

    def _expand(self, one: Broadcast) -> _Turns:
        """Make the first revision's notifications."""
        texts = self.ledger.texts_of(one, 1)
        people: dict[PersonId, _Person] = {}
        try:
            yield from self._find(one, texts, people)
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
                    one.schools or EVERYWHERE,
                )
            yield
        with self.ledger.expanding(one.id) as expanding:
            if _goes_on(expanding.current()):
                expanding.expanded(1)

    def _find(self, one: Broadcast, texts: Texts, people: dict[PersonId, _Person]) -> _Turns:
        """Find everybody who has to do with whom a broadcast is about, each once."""
        now = self.clock()
        found: dict[StudentId, list[Behind]] = defaultdict(list)
        for number, each in enumerate(self.find(self.ledger.whole(one), texts), 1):
            found[each.student].append(each)
            if number % AT_ONCE == 0:
                yield
        circumstances = self.ledger.circumstances(now)
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
            yield

    def _held(self, one: Broadcast, person: _Person) -> Notification:
        begun = _begun(one)
        at = moment_of_broadcast(NO_PREFERENCES, begun, is_emergency=one.is_emergency)
        return Notification(
            broadcast_notification_id(one.id, 1, person.id, begun), Origin.BROADCAST, State.HELD,
            person.id, person.units[0].student, person.audience, person.language, one.id, 1,
            Message(one.id, {}, tuple(person.units), one.is_emergency), (), (), at, Hold.TURN,
        )  # fmt: skip

    def _correct(self, one: Broadcast) -> _Turns:
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
            yield

    def _stop(self, one: Broadcast) -> _Turns:
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
            yield

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
        self._reasons: set[Reason] = set()

    def add(self, student: StudentId, units: Sequence[Unit], reason: Reason | None) -> None:
        """A student because of whom they would hear, and why they may not."""
        self._students.append(student)
        if reason is None:
            self.units += units
        else:
            self._reasons.add(reason)

    @property
    def recipient(self) -> Recipient:
        """What becomes of it, as far as that is known."""
        reason = Reason.HELD if self.units else nearest(self._reasons) or Reason.NO_PORTAL_RIGHT
        return Recipient(self.id, self.audience, reason, self._students)


_OVER: Final = object()


def _next(found: Sequence[Broadcast], going: Collection[BroadcastId]) -> Sequence[Broadcast]:
    """Whose turn it is: of all emergencies, else of those that have begun and some that come next.

    They are in the order in which they were sent.
    """
    if emergencies := [one for one in found if one.is_emergency]:
        return emergencies
    begun = [one for one in found if one.id in going]
    others = [one for one in found if one.id not in going]
    return [*begun, *others][: max(AT_A_TIME, len(begun))]


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
