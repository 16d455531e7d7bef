"""A batch: what one transaction of evaluate recalls, decides, plans, composes and stores."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, assert_never

from engine.errors import Unprocessable
from engine.ports import (
    DIRECTORY_ALARM,
    PARKED_ALARM,
    SOURCE_ALARM,
    UNREAD,
    Audiences,
    Decided,
    DecidedFor,
    Deciding,
    Earlier,
    Opening,
)
from engine.secrets.addresses import Device
from engine.stages.composing import Composer, Composing, Unsent
from engine.stages.parking import Broken, Parked
from engine.stages.reporting import (
    UNTIL_A_KEY_IS_LOOKED_FOR,
    report_faulty_texts,
    report_undecidable,
    report_unsent,
)
from engine.telemetry import Event, emit
from engine.wire.messages import Push
from rules.audience import DeviceId
from rules.change import CalendarId, Change, ChangeId, Facts, PersonId, Place, StudentId, Subject
from rules.decide import Decision, Texts, decide
from rules.gates import EVERY_SCHOOL
from rules.identity import PushId, entry_id, moment_of, notification_id, push_id
from rules.lanes import Lane
from rules.notification import Hold, Notification, Origin, State
from rules.outcomes import SUPERSEDED
from rules.plan import (
    NO_PREFERENCES,
    Correct,
    FoldInto,
    HoldUntil,
    Plan,
    Preferences,
    SendNow,
    StaySilent,
)
from rules.reasons import Reason
from rules.timing import is_late
from rules.told import Memory
from rules.wording import TextFault

# So long another's transaction may last, and so much its clock differ, that decided meanwhile.
_DECIDES_FOR: Final = timedelta(minutes=2)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

Planner = Callable[[Decision, Sequence[Notification], Preferences, datetime], Plan]


@dataclass(slots=True)
class Asked:
    """How the SIS is asked about a batch: when, and of which changes what holds now.

    What a release says is what the SIS says, and so is what comes after a later change of its
    record through another row: which of the two was committed first their positions do not tell.
    It holds only if nobody has decided about the record since the SIS was asked; *known* is what
    was decided before.
    """

    at: datetime = _NEVER
    as_now: set[ChangeId] = field(default_factory=set)
    known: set[tuple[Place, ChangeId]] = field(default_factory=set)

    def is_outdated(
        self,
        unsure: Sequence[Subject],
        watches: Mapping[ChangeId, str],
        earlier: Mapping[Place, Sequence[Earlier]],
        memory: Memory,
    ) -> bool:
        """Whether the SIS must be asked again, by what was decided *earlier*; notes of what."""
        again = {
            one.change
            for one in unsure
            if self._must_ask(
                one, watches[one.change], earlier.get(one.place, ()), memory.is_behind(one)
            )
        }
        self.as_now |= again
        self.known |= {(place, row.change) for place, rows in earlier.items() for row in rows}
        return bool(again)

    def _must_ask(
        self, one: Subject, watch: str, earlier: Sequence[Earlier], is_behind: bool
    ) -> bool:
        if not one.as_now:
            return not one.of_others and any(row.watch != watch for row in earlier[:1])
        if is_behind and one.change not in self.as_now:
            return True
        since = self.at - _DECIDES_FOR
        return any(
            row.decided_at > since and (one.place, row.change) not in self.known for row in earlier
        )


@dataclass(slots=True)
class Batch:
    """What one transaction of evaluate decides and stores."""

    deciding: Deciding
    composer: Composer
    plan: Planner
    now: datetime
    pushes: list[Push] = field(default_factory=list)
    _people: dict[tuple[ChangeId, StudentId], list[DecidedFor]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _subjects: Sequence[Subject] = ()
    _memory: Memory = field(default_factory=Memory)
    _met_again: Collection[Place] = ()
    _informing: set[tuple[ChangeId, StudentId]] = field(default_factory=set)
    _committed: Mapping[ChangeId, datetime] = field(default_factory=dict)
    _opening: dict[ChangeId, datetime] = field(default_factory=dict)
    _undecidable: set[PersonId] = field(default_factory=set)
    _facts: dict[tuple[ChangeId, StudentId], Facts] = field(default_factory=dict)
    _held: list[Notification] = field(default_factory=list)
    _faults: dict[str, TextFault] = field(default_factory=dict)
    _unsent: dict[Unsent, list[tuple[PushId, Device]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def decide(self) -> None:
        """Decide what is recalled, plan, and compose what is told now."""
        audiences = self.deciding.audiences(
            {(one.student, one.kind) for one in self._subjects}, self.now
        )
        texts = Texts(self.composer.wording)
        composing = self._composing(texts)
        circumstances = self.deciding.circumstances(self.now)
        for decision in decide(
            self._subjects, audiences.candidates, circumstances, texts, self._memory
        ):
            self._carry_out(decision, audiences, composing)

    def published_again(self, changes: Sequence[Change]) -> list[Push]:
        """The pushes of changes decided before whose publishing may have failed.

        What a newer text has replaced is not: it gets an outcome, by which a late one is known.
        Nor is what nobody knows to whom it may be told: it is found to be lost, and judged again.
        """
        if not changes:
            return []
        waiting: dict[PushId, tuple[ChangeId, DeviceId, Notification]] = {}
        for row in self.deciding.told({one.id for one in changes}):
            for person in row.people:
                for device in person.devices:
                    which = push_id(row.change, device)
                    waiting[which] = row.change, device, row.notification(person)
        for which in self.deciding.tried(waiting.keys()):
            del waiting[which]
        newer = self.deciding.newer([one for _, _, one in waiting.values()])
        old = {which for which, (_, _, one) in waiting.items() if (one.id, one.person) in newer}
        self.deciding.refuse([(which, 1, SUPERSEDED) for which in sorted(old)], self.now)
        doubted = self.deciding.doubted({one.student for _, _, one in waiting.values()}, self.now)
        phones = self.deciding.phones({device for _, device, _ in waiting.values()})
        composing = self._composing(Texts(self.composer.wording))
        made = [
            composing.push(change, one, phones[device])
            for which, (change, device, one) in waiting.items()
            if which not in old and device in phones and one.student not in doubted
        ]
        return [push for push in made if isinstance(push, Push)]

    def store(
        self,
        fresh: Sequence[Change],
        of_directory: Collection[ChangeId],
        parked: Parked,
        trace: str = "",
    ) -> None:
        """Store all of it: decisions, held notifications, parked changes and alarms.

        *trace* says where an unexpected error came from.
        """
        kept = [one for one in fresh if one.id not in parked]
        by_id = {one.id: one for one in kept}
        concerned = {one.change for one in self._subjects}
        rows = [self._row(by_id[one.change], one) for one in self._subjects]
        rows += [
            self._row(one, None)
            for one in kept
            if one.id not in concerned and one.id not in of_directory
        ]
        self.deciding.store(rows, self._held, self.now)
        self.deciding.look_again(
            [Opening(by_id[change], opens) for change, opens in self._opening.items()]
        )
        self.deciding.note([one for one in kept if one.id in of_directory], self.now)
        self.deciding.unpark(fresh, kept)
        self.deciding.park(list(parked.values()), self.now)
        self._report(parked, trace)

    def report_broken(self, broken: Broken) -> None:
        """Raise the alarm about each query that the SIS refuses."""
        for error in {error.query: error for error, _ in broken}.values():
            self.deciding.report(SOURCE_ALARM, error.query, error.problem, error.remedy, self.now)

    def report_doubts(self, doubted: Mapping[StudentId, Unprocessable]) -> None:
        """Raise the alarm that changes wait until the directory is read."""
        for why in {why.problem: why for why in doubted.values()}.values():
            self.deciding.report(DIRECTORY_ALARM, UNREAD, why.problem, why.remedy, self.now)

    def _composing(self, texts: Texts) -> Composing:
        keyring = self.composer.keyring
        fits = cache(lambda: self.deciding.keyring_fits(keyring.ids))
        return self.composer.at(self.deciding.privacy(), self.now, fits, texts)

    def recall(
        self,
        found: Sequence[Subject],
        changes: Sequence[Change],
        gone: Mapping[ChangeId, str],
        is_of_one_row: Callable[[Change, str], bool],
        asked: Asked,
    ) -> bool:
        """Put what *changes* mean in order, and find what was told before; *gone* are rows.

        Says whether it may be decided. Else the SIS is to be asked again, as *asked* says then.
        """
        self._committed = {one.id: one.at for one in changes}
        deleted = [one for one in changes if one.id in gone]
        ids = {*gone, *(one.change for one in found)}
        if not ids:
            return True
        since, until = moment_of(min(ids)), max(moment_of(max(ids)), self.now)
        places = self.deciding.places_of({*gone.values()}, since, until) if gone else {}
        wanted = {one.place for one in found}.union(*places.values())
        self._memory = Memory(self.deciding.last_told(wanted, since, until))
        where = [(one, places.get(gone[one.id], ())) for one in deleted]
        subjects = [*found, *self._withdrawn(where, found, is_of_one_row)]
        unsure = [one for one in subjects if _may_be_outdated(one) or self._memory.is_behind(one)]
        if unsure:
            earlier = self.deciding.earlier({one.place for one in unsure}, since, until)
            watches = {one.id: one.watch for one in changes}
            if asked.is_outdated(unsure, watches, earlier, self._memory):
                return False
        met = Counter(one.place for one in subjects)
        self._met_again = {place for place, times in met.items() if times > 1}
        marked = [self._marked(one) for one in sorted(subjects, key=position)]
        self._subjects = sorted(marked, key=position)
        return True

    def _marked(self, one: Subject) -> Subject:
        """With whether it came after a later change of its record, or too late for a push."""
        marks: dict[str, Any] = {}
        if is_late(one.kind, self._committed[one.change], self.now):
            marks["late"] = True
        if one.opens and one.opens <= self.now:
            marks["opens"] = None
        if one.closes and one.closes <= self.now:
            marks["closed"] = True
        one = one._replace(**marks) if marks else one
        if self._memory.is_behind(one):
            return self._after_what_is_told(one)
        return self._memory.above(one) if self._memory.is_level(one) else one

    def _after_what_is_told(self, one: Subject) -> Subject:
        """A later change of the record was decided before it, and did not know of it, or did.

        What holds now is the newest of all, wherever its row was written.
        """
        is_shown = one.released and not one.opens and not one.closed
        if not one.as_now or (is_shown and self._memory.has_told(one)):
            return one._replace(superseded=True)
        return self._memory.above(one)

    def _withdrawn(
        self,
        gone: Sequence[tuple[Change, Collection[Place]]],
        found: Sequence[Subject],
        is_of_one_row: Callable[[Change, str], bool],
    ) -> Iterator[Subject]:
        """What it means that rows are gone: the SIS says nothing of them, so it is what was told.

        A record that a later change of the batch tells of was only written anew. Where its school
        is not kept, it is one of the student's.
        """
        anew = {one.place: one.position for one in found}
        schools = self.deciding.schools({place.student for _, places in gone for place in places})
        for change, places in gone:
            for place in sorted(places):
                told = self._memory.last(place)
                if told and anew.get(place, -1) < change.position:
                    yield Subject(
                        change.id, place.kind, place.record, place.student,
                        told.facts.student_name,
                        told.facts.school or schools.get(place.student, (EVERY_SCHOOL,))[0],
                        CalendarId(""), True, None, None, told.facts.details, change.position,
                        withdrawn=True, as_now=is_of_one_row(change, place.record),
                        term=told.facts.term,
                    )  # fmt: skip

    def _carry_out(self, one: Decision, audiences: Audiences, composing: Composing) -> None:
        planned = self.plan(one, (), NO_PREFERENCES, self.now)
        match planned:
            case SendNow():
                self._tell(one, audiences, composing)
            case HoldUntil(why=why):
                self._held.append(self._notification(one, planned))
                self._note(one, Reason.TOLD_APART if why is Hold.APART else Reason.HELD)
            case FoldInto(notification):
                self.deciding.fold(notification, one.subject)
                self._note(one, Reason.HELD)
            case Correct(devices):
                self._tell(one._replace(devices=devices), audiences, composing)
            case StaySilent(reason):
                self._note(one, reason)
                if one.fault:
                    self._faults[one.fault.template] = one.fault
                if reason is Reason.OPENS_LATER:
                    self._open_later(one.subject)
                if reason is Reason.UNDECIDABLE:
                    self._undecidable.add(one.person)
            case _:
                assert_never(planned)

    def _open_later(self, subject: Subject) -> None:
        """Look again when the first of a change's records opens; the others are planned then."""
        opens = subject.opens
        if opens is not None:
            known = self._opening.get(subject.change, opens)
            self._opening[subject.change] = min(known, opens)

    def _tell(self, one: Decision, audiences: Audiences, composing: Composing) -> None:
        self._note(one, Reason.TOLD, one.devices)
        told = self._notification(one, None)
        for device in one.devices:
            phone = audiences.devices[device]
            push = composing.push(one.subject.change, told, phone)
            if isinstance(push, Push):
                self.pushes.append(push)
            elif isinstance(push, Unsent):
                self._unsent[push].append((push_id(one.subject.change, device), phone))

    def _note(self, one: Decision, reason: Reason, devices: tuple[DeviceId, ...] = ()) -> None:
        about, last, at = (one.subject.change, one.subject.student), None, None
        if reason.informs:
            self._informing.add(about)
        else:
            last = one.shown.change if one.shown else None
            at = one.at
        self._people[about].append(
            DecidedFor(one.person, one.audience, reason, one.language, devices, last, at, one.below)
        )
        if self._met_again:
            self._remember(one, reason, devices)

    def _remember(self, one: Decision, reason: Reason, devices: tuple[DeviceId, ...]) -> None:
        """Keep in mind what the person knows, for a later change of the record in this batch."""
        place = one.subject.place
        if place not in self._met_again:
            return
        if reason.informs:
            waits = reason is Reason.TOLD_APART
            self._memory.told(one.subject, self._facts_of(one.subject), one.person, devices, waits)
        elif not one.shown:
            self._memory.forget(place, one.person)

    def _notification(self, one: Decision, held: HoldUntil | None) -> Notification:
        subject = one.subject
        if held is None:
            name, state = entry_id(subject.change, subject.student), State.TOLD
        else:
            name = notification_id(subject.change, subject.student, one.person)
            state = State.HELD
        return Notification(
            name, Origin.CHANGES, state, one.person, subject.student, one.audience, one.language,
            subject.record, subject.position, self._facts_of(subject), (subject.change,),
            one.devices,
            held.moment if held else self.now, held.why if held else None,
            None if held else self._committed[subject.change], one.below,
        )  # fmt: skip

    def _row(self, change: Change, subject: Subject | None) -> Decided:
        people: Sequence[DecidedFor] = ()
        if subject is not None:
            people = self._people.get((subject.change, subject.student), ())
        is_told = subject is not None and (subject.change, subject.student) in self._informing
        # What nobody heard of has no place above what was decided before.
        is_known = subject is not None and (is_told or self._memory.last(subject.place) is not None)
        return Decided(
            change.id, subject.place if subject else None,
            subject.position if subject and is_known else change.position, change.watch,
            change.at, self.now, tuple(people),
            self._facts_of(subject) if subject and is_told else None,
            subject.row if subject and is_told else "",
        )  # fmt: skip

    def _facts_of(self, subject: Subject) -> Facts:
        """What its text is made of, made once for all who are told."""
        about = subject.change, subject.student
        found = self._facts.get(about)
        if found is None:
            found = self._facts[about] = subject.facts
        return found

    def _report(self, parked: Parked, trace: str) -> None:
        for change, why in parked.values():
            emit(
                Event.CHANGE_PARKED, level=logging.WARNING, change=change.id, watch=change.watch,
                problem=why.problem, **({"trace": trace} if trace else {}),
            )  # fmt: skip
            self.deciding.report(PARKED_ALARM, change.watch, why.problem, why.remedy, self.now)
        report_faulty_texts(self.deciding, self._faults.values(), self.now)
        report_undecidable(self.deciding, sorted(self._undecidable), self.now)
        self.deciding.refuse(
            [
                (push, 1, Unsent.TOKEN_UNREADABLE)
                for push, _ in self._unsent[Unsent.TOKEN_UNREADABLE]
            ],
            self.now,
        )
        self.deciding.postpone(
            [push for push, _ in self._unsent[Unsent.KEY_UNKNOWN]],
            self.now + UNTIL_A_KEY_IS_LOOKED_FOR,
            Lane.ORDINARY,
        )
        report_unsent(
            self.deciding,
            {unsent: [phone for _, phone in found] for unsent, found in self._unsent.items()},
            self.now,
        )


def _may_be_outdated(one: Subject) -> bool:
    """Whether others may have decided about it by what the SIS said later."""
    return one.as_now and one.of_others


def position(one: Change | Subject) -> int:
    """By what the changes of a record are in order."""
    return one.position
