"""Evaluate: changes to decisions, notifications and pushes.

In:         changes, in order for each record.
Out:        one decision for every (change, candidate recipient), with its reason; notifications,
            told now or held; pushes, in order for each record.
Guarantee:  the same change twice has the effect of once. All that a batch decides is stored in
            one transaction before anything is published; a change that comes again only makes
            its unanswered pushes be published again. A change that comes after a later change of
            its record was decided tells nobody.

The SIS is asked before the transaction begins: a slow SIS holds up no writer of ours.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any, Final, assert_never

from engine.errors import BrokenQuery, ConfigError, Misconfigured, Unavailable, Unprocessable
from engine.ports import (
    DIRECTORY_ALARM,
    PARKED_ALARM,
    SOURCE_ALARM,
    UNREAD,
    Audiences,
    Clock,
    Decided,
    DecidedFor,
    Deciding,
    Directory,
    Earlier,
    Ledger,
    Opening,
    Sorted,
    Source,
)
from engine.secrets.addresses import Device
from engine.stages.composing import Composer, Composing, Unsent
from engine.stages.reporting import (
    UNTIL_A_KEY_IS_LOOKED_FOR,
    report_faulty_texts,
    report_undecidable,
    report_unsent,
)
from engine.telemetry import Event, emit, frames
from engine.wire.messages import Push
from rules.audience import DeviceId
from rules.change import (
    CalendarId,
    Change,
    ChangeId,
    Facts,
    PersonId,
    Place,
    StudentId,
    Subject,
)
from rules.decide import Decision, Texts, decide
from rules.gates import EVERY_SCHOOL, whereabouts
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
    plan,
)
from rules.reasons import Reason
from rules.timing import is_late
from rules.told import Memory
from rules.wording import TextFault

Parked = dict[ChangeId, tuple[Change, Unprocessable]]
Broken = list[tuple[BrokenQuery, Sequence[Change]]]
_ASKED_AT_MOST: Final = 50  # times, while others decide about the same records
# So long another's transaction may last, and so much its clock differ, that decided meanwhile.
_DECIDES_FOR: Final = timedelta(minutes=2)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

Planner = Callable[[Decision, Sequence[Notification], Preferences, datetime], Plan]


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Decides batches of changes, and says which pushes are to be published."""

    source: Source
    directory: Directory
    ledger: Ledger
    composer: Composer
    clock: Clock
    plan: Planner = plan

    def __call__(self, changes: Sequence[Change]) -> Sequence[Push]:
        """Decide a batch and return the pushes to publish, in order.

        A change that breaks the batch is found by taking the batch apart, and parked; its
        neighbours are decided. The changes of a watch whose query the SIS refuses are parked, and
        those of the others are decided. What is wrong with a neighbour of ours passes through:
        nothing was stored then.
        """
        try:
            return self._evaluate(changes)
        except (ConfigError, Misconfigured, Unavailable):
            raise
        except Exception as error:  # whatever one change can do to us must not stop the others
            if len(changes) == 1:
                return self._park(changes[0], error)
            middle = len(changes) // 2
            return [*self(changes[:middle]), *self(changes[middle:])]

    def _evaluate(self, changes: Sequence[Change]) -> Sequence[Push]:
        in_order = sorted({one.id: one for one in changes}.values(), key=_position)
        seen = self.ledger.seen(in_order)
        fresh = [one for one in in_order if one.id not in seen]
        whole = [one for one in fresh if not one.too_large]
        kinds = self.source.sort(whole)
        unread: Broken = []
        if kinds.of_directory:
            _ask(self._follow, kinds.of_directory, unread)
        asked = _Asked()
        for _ in range(_ASKED_AT_MOST):
            asked.at = self.clock()
            pushes = self._decided(in_order, seen, fresh, kinds, unread, asked)
            if pushes is not None:
                return sorted(pushes, key=lambda push: push.position)
        raise Unavailable(
            "Others decided about the same records each time before what the SIS says was used.",
            "It is tried again by itself. Where it comes often, look at how slow the queries of"
            " the source definition are.",
        )

    def _decided(
        self,
        in_order: Sequence[Change],
        seen: Collection[ChangeId],
        fresh: Sequence[Change],
        kinds: Sorted,
        unread: Broken,
        asked: _Asked,
    ) -> Sequence[Push] | None:
        """What is to be published; None, and nothing done, where the SIS must be asked again."""
        broken = list(unread)
        found = _ask(partial(self.source.find, as_now=asked.as_now), kinds.of_records, broken)
        names, doubted = self.directory.known({one.student for one in found})
        parked: Parked = {one.id: (one, _too_large(one)) for one in fresh if one.too_large}
        parked |= {one.id: (one, _unknown(one)) for one in kinds.unknown}
        parked |= {one.id: (one, _unasked(one, error)) for error, of in broken for one in of}
        parked |= _unclear(found, names, doubted, {one.id: one for one in fresh})
        subjects = [
            one._replace(student_name=names[one.student])
            for one in found
            if one.change not in parked
        ]
        gone = self.source.rows_gone([one for one in kinds.gone if one.id not in parked])
        alone = bool(gone) or any(one.of_others for one in subjects)
        with self.ledger.deciding(alone=alone) as deciding:
            batch = _Batch(deciding, self.composer, self.plan, self.clock())
            if not batch.recall(subjects, fresh, gone, self.source.is_of_one_row, asked):
                return None
            pushes = batch.published_again([one for one in in_order if one.id in seen])
            batch.decide()
            batch.store(fresh, {one.id for one in kinds.of_directory}, parked)
            batch.report_broken(broken)
            batch.report_doubts(doubted)
        return [*pushes, *batch.pushes]

    def _follow(self, changes: Sequence[Change]) -> Sequence[Subject]:
        self.directory.follow(changes)
        return ()

    def _park(self, change: Change, error: Exception) -> Sequence[Push]:
        problem, trace = _unexpected(change, error), frames(error)
        if isinstance(error, Unprocessable):
            problem, trace = error, ""
        with self.ledger.deciding() as deciding:
            batch = _Batch(deciding, self.composer, self.plan, self.clock())
            batch.store([change], set(), {change.id: (change, problem)}, trace)
        return []


@dataclass(slots=True)
class _Asked:
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
class _Batch:
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
        asked: _Asked,
    ) -> bool:
        """Put what *changes* mean in order, and find what was told before; *gone* are rows.

        Says whether it may be decided. Else the SIS is to be asked again, as *asked* says then.
        """
        self._committed = {one.id: one.at for one in changes}
        deleted = [one for one in changes if one.id in gone]
        moments = [moment_of(one) for one in (*(it.change for it in found), *gone)]
        if not moments:
            return True
        since, until = min(moments), max(*moments, self.now)
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
        marked = [self._marked(one) for one in sorted(subjects, key=_position)]
        self._subjects = sorted(marked, key=_position)
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
            at = whereabouts(reason, one.subject)
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


def _position(one: Change | Subject) -> int:
    return one.position


def _ask(
    ask: Callable[[Sequence[Change]], Sequence[Subject]], changes: Sequence[Change], broken: Broken
) -> Sequence[Subject]:
    """What the SIS says of *changes*; those of a watch whose query it refuses go into *broken*.

    Only where not all could be asked at once, each watch is asked by itself.
    """
    try:
        return ask(changes)
    except BrokenQuery as error:
        watches: dict[str, list[Change]] = {one.watch: [] for one in changes}
        for one in changes:
            watches[one.watch].append(one)
        if len(watches) == 1:
            broken.append((error, changes))
            return ()
    return [subject for of_watch in watches.values() for subject in _ask(ask, of_watch, broken)]


def _unclear(
    found: Sequence[Subject],
    names: Mapping[StudentId, str],
    doubted: Mapping[StudentId, Unprocessable],
    changes: Mapping[ChangeId, Change],
) -> Parked:
    """A change is parked whole whose students are not clear, or who may be told about them."""
    unclear: Parked = {}
    met: set[tuple[ChangeId, StudentId]] = set()
    for one in found:
        change, pair = changes[one.change], (one.change, one.student)
        if one.student not in names:
            unclear[change.id] = change, _stranger(change, one.student)
        elif one.student in doubted:
            unclear[change.id] = change, doubted[one.student]
        elif pair in met:
            unclear[change.id] = change, _twice(change, one.student)
        met.add(pair)
    return unclear


def _unexpected(change: Change, error: Exception) -> Unprocessable:
    """The words of a foreign error may hold a row, so only its type is told."""
    return Unprocessable(
        f"A change of {change.watch} could not be evaluated: {type(error).__name__}.",
        "Look at the record in the SIS, then run `schoolbell parked retry`.",
    )


def _unasked(change: Change, error: BrokenQuery) -> Unprocessable:
    return Unprocessable(
        f"A change of {change.watch} waits for a query that is broken. {error.problem}",
        f"{error.remedy} It is tried again by itself then.",
    )


def _unknown(change: Change) -> Unprocessable:
    return Unprocessable(
        f"No watch of the source definition is named {change.watch}.",
        "Run `schoolbell capture install` after changing the definition, then "
        "`schoolbell parked retry`.",
    )


def _too_large(change: Change) -> Unprocessable:
    megabytes = change.too_large / 1e6
    return Unprocessable(
        f"A change of {change.watch} has {megabytes:.1f} MB in its watched columns, more than is"
        " carried.",
        "Watch no column that holds pictures or documents: mend `columns` in the source definition,"
        " or the record in the SIS. What is written to it then is told as ever.",
    )


def _stranger(change: Change, student: StudentId) -> Unprocessable:
    return Unprocessable(
        f"A change of {change.watch} concerns student {student}, whom the "
        "directory query of the source definition does not list.",
        "Mend the query or the record in the SIS, run `schoolbell sync`, then "
        "`schoolbell parked retry`.",
    )


def _twice(change: Change, student: StudentId) -> Unprocessable:
    return Unprocessable(
        f"The facts about a change of {change.watch} list student {student} more than once.",
        "Mend the facts query of the source definition, so that it gives one row for each student "
        "concerned, then run `schoolbell parked retry`.",
    )
