"""Why: the exact answer to "why did this person (not) hear of it?"."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.ports import Decided, DecidedFor
from engine.services import typed
from engine.store import (
    candidates,
    decisions,
    directory,
    district,
    notifications,
    openings,
    outcomes,
    parked,
)
from engine.store.parked import ParkedChange
from rules.audience import Candidate, DeviceId
from rules.change import KINDS_OF_CHANGE, ChangeId, Facts, Kind, PersonId, SchoolId, StudentId
from rules.gates import EVERY_SCHOOL, GATES, Case, Whereabouts, standing_case, whereabouts
from rules.identity import notification_id
from rules.notification import Hold, Notification, State
from rules.outcomes import Verdict
from rules.reasons import Reason

YES: Final = "yes"
NO: Final = "no"
NOT_ASKED: Final = "not asked"
BY_CHANGE: Final = "depends on the change"

# What is told by a notification with a row of its own.
_WITH_A_ROW: Final = frozenset({Reason.HELD, Reason.TOLD_APART})

_HEARD: Final = frozenset({Reason.TOLD, Reason.TOLD_APART, Reason.DEVICE_ALREADY_TOLD})

# What is asked after the gates, when a text is made and devices are counted.
_AFTER_GATES: Final = (
    ("device not told yet", (Reason.DEVICE_ALREADY_TOLD,)),
    ("text complete", (Reason.TEXT_BLANK, Reason.TEMPLATE_INVALID)),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One gate and its answer: yes, no, not asked any more, or that it depends on the change."""

    gate: str
    answer: str


class Try(NamedTuple):
    """One try of a push, and what the gateway said; without a *verdict* it has said nothing yet."""

    device: DeviceId
    number: int = 0
    verdict: Verdict | None = None
    reason: str = ""

    @property
    def is_shortened(self) -> bool:
        """Whether it was sent with less of its text, so that it fits."""
        return self.reason == outcomes.SHORTENED


class Waited(NamedTuple):
    """A notification that was held: until *at* a moment, and why; or its state since then."""

    state: State
    at: datetime
    hold: Hold | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one change for one person, gate by gate, and of each push.

    Without a *change* it is what would become of one that came now, at a *school*. *at* is where
    the reason was found, and *term* what that is called where it is one. *below* are the thresholds
    of which a change must cross one, or the one that it crossed. *opens* is when families may see
    the record, and *own* is there where the notification waited. *facts* are there as long as
    somebody knows of the record, and its words are kept.
    """

    kind: Kind
    reason: Reason
    steps: Sequence[Step]
    change: ChangeId | None = None
    watch: str = ""
    committed_at: datetime | None = None
    pushes: Sequence[Try] = ()
    school: SchoolId = EVERY_SCHOOL
    at: Whereabouts | None = None
    term: str = ""
    below: Sequence[Decimal] = ()
    opens: datetime | None = None
    own: Waited | None = None
    person: DecidedFor | None = None
    facts: Facts | None = None


def decided(
    database: Database,
    student: StudentId,
    person: PersonId,
    now: datetime,
    limit: int = 10,
    *,
    zone: tzinfo = UTC,
) -> list[Answer]:
    """The newest decisions about *student* for *person*, newest first; moments by *zone*'s clock.

    Raises SchoolbellError for a *limit* that is none.
    """
    with database.read() as connection:
        rows = decisions.newest_of(
            connection, student, now, typed.shown(limit), lambda row: _of(row, person) is not None
        )
        return [_decided(connection, row, person, zone) for row in rows]


def of_change(
    database: Database,
    student: StudentId,
    person: PersonId,
    change: ChangeId,
    *,
    zone: tzinfo = UTC,
) -> Answer:
    """The decision on one change; raises SchoolbellError that says why there is none."""
    change = _change_id(change)
    with database.read() as connection:
        rows = decisions.of_changes(connection, [change])
        for row in rows:
            if row.place and row.place.student == student and _of(row, person):
                return _decided(connection, row, person, zone)
        reason = parked.of_change(connection, change)
    raise _no_decision(reason, was_evaluated=bool(rows))


class Heard(NamedTuple):
    """What became of a change for everybody, student by student."""

    change: ChangeId
    kind: Kind
    watch: str
    committed_at: datetime
    rows: Sequence[Decided]

    def only(self, students: Collection[StudentId]) -> Heard | None:
        """The same of these students alone; None where it concerns none of them."""
        rows = [one for one in self.rows if one.place and one.place.student in students]
        return self._replace(rows=rows) if rows else None

    @property
    def students(self) -> set[StudentId]:
        """Whom it is about."""
        return {one.place.student for one in self.rows if one.place}

    @property
    def people(self) -> set[PersonId]:
        """Everybody about whom it was decided."""
        return {one.person for row in self.rows for one in row.people}

    @property
    def told(self) -> set[PersonId]:
        """Who of them heard of it."""
        return {one.person for row in self.rows for one in row.people if one.reason is Reason.TOLD}


def last_decided(database: Database) -> datetime | None:
    """When the district's newest change was decided; None before there was any."""
    with database.read() as connection:
        return decisions.last_decided_at(connection)


def who_heard(database: Database, change: ChangeId) -> Heard | None:
    """Who heard of a change and who did not; None where it concerned no student, or is not known.

    Raises SchoolbellError for what is no id, and with its remedy for a change that is parked.
    """
    change = _change_id(change)
    with database.read() as connection:
        rows = [one for one in decisions.of_changes(connection, [change]) if one.place]
        waiting = None if rows else parked.of_change(connection, change)
    if waiting:
        raise _no_decision(waiting, was_evaluated=False)
    if not rows or rows[0].place is None:
        return None
    first = rows[0]
    return Heard(change, rows[0].place.kind, first.watch, first.committed_at, rows)


def standing(
    database: Database, student: StudentId, person: PersonId, now: datetime, today: date
) -> list[Answer]:
    """What would become of a change now, for each kind and each school of the student.

    Raises SchoolbellError when the person has nothing to do with the student.
    """
    answers = _standing(database, student, person, now, today)
    if not answers:
        raise SchoolbellError(
            f"The directory knows no relation of person {person} to student {student}.",
            "Check both ids in the SIS; a new relation arrives with `schoolbell sync`.",
        )
    return answers


def waits(database: Database, student: StudentId, now: datetime, trusted: timedelta) -> bool:
    """Whether changes about a student wait now, because nobody knows who may be told.

    Rights to them, or of people around them, changed and could not be read; or all of the directory
    could not be read for longer than it is *trusted*.
    """
    with database.read() as connection:
        return bool(directory.doubted(connection, [student], now, trusted))


def whole(
    database: Database,
    student: StudentId,
    person: PersonId,
    now: datetime,
    today: date,
    limit: int = 10,
    *,
    zone: tzinfo = UTC,
) -> tuple[Sequence[Answer], Sequence[Answer]]:
    """What was decided, and how things stand now: nothing where the relation is gone.

    Raises SchoolbellError where there never was any.
    """
    answers = decided(database, student, person, now, limit, zone=zone)
    if not answers:
        return answers, standing(database, student, person, now, today)
    return answers, _standing(database, student, person, now, today)


def _standing(
    database: Database, student: StudentId, person: PersonId, now: datetime, today: date
) -> list[Answer]:
    wanted = {(student, kind) for kind in KINDS_OF_CHANGE}
    with database.read() as connection:
        schools = directory.schools_of(connection, [student]).get(student, [EVERY_SCHOOL])
        found = candidates.fetch(connection, wanted, now).candidates
        circumstances = district.circumstances(connection, today)
        return [
            _answer(connection, standing_case(kind, school, candidate, circumstances))
            for kind in KINDS_OF_CHANGE
            if (candidate := _candidate(found[student, kind], person))
            for school in schools
        ]


def _term(connection: Connection, at: Whereabouts | None) -> str:
    """The name of the term that a reason is about; empty where it is about none."""
    if at is None or at.term is None:
        return ""
    return district.term_name(connection, at.school, at.term)


def _of(row: Decided, person: PersonId) -> DecidedFor | None:
    """What became of it for one person."""
    return next((one for one in row.people if one.person == person), None)


def _decided(connection: Connection, row: Decided, person: PersonId, zone: tzinfo) -> Answer:
    one = _of(row, person)
    if row.place is None or one is None:
        raise ValueError("the change does not concern this person")
    opens = openings.of_change(connection, row.change) if one.reason is Reason.OPENS_LATER else None
    has_own = one.reason in _WITH_A_ROW
    own = _own(connection, row, person) if has_own else None
    origin, devices = (own.id, own.devices) if own else (row.change, one.devices)
    is_silent = has_own and (own is None or own.state is State.HELD)
    return Answer(
        row.place.kind, one.reason, list(_steps(one.reason)), row.change, row.watch,
        row.committed_at.astimezone(zone),
        () if is_silent else _tries(connection, origin, devices), at=one.at,
        term=_term(connection, one.at),
        below=() if one.below is None else (one.below,),
        opens=opens.astimezone(zone) if opens else None,
        own=Waited(own.state, own.at.astimezone(zone), own.hold) if own else None,
        person=one, facts=row.facts,
    )  # fmt: skip


def _change_id(words: str) -> ChangeId:
    try:
        return ChangeId(str(UUID(words)))
    except ValueError:
        raise SchoolbellError(
            f"{words} is not the id of a change.",
            "Ids look like 019a9f6e-3b1c-7d2e-8f00-5a6b7c8d9e0f; `schoolbell why` without "
            "--change shows them.",
        ) from None


def _candidate(found: Sequence[Candidate], person: PersonId) -> Candidate | None:
    return next((candidate for candidate in found if candidate.person == person), None)


def _answer(connection: Connection, case: Case) -> Answer:
    steps, reason = [], Reason.TOLD
    for gate in GATES:
        if reason is not Reason.TOLD:
            steps.append(Step(gate.title, NOT_ASKED))
        elif gate.of_change:
            steps.append(Step(gate.title, BY_CHANGE))
        else:
            reason = gate.ask(case) or Reason.TOLD
            steps.append(Step(gate.title, YES if reason is Reason.TOLD else NO))
    chosen = case.candidate.subscription
    return Answer(
        case.subject.kind, reason, steps, school=case.subject.school,
        term=_term(connection, whereabouts(reason, case)),
        below=chosen.thresholds if chosen else (),
    )  # fmt: skip


def _steps(reason: Reason) -> Iterator[Step]:
    """Gates before the one that said no passed; those after it were not asked."""
    asking = True
    for title, says in (*((gate.title, gate.says) for gate in GATES), *_AFTER_GATES):
        answer = NOT_ASKED if not asking else NO if reason in says else YES
        asking = asking and answer == YES
        yield Step(title, answer)


def _own(connection: Connection, row: Decided, person: PersonId) -> Notification | None:
    """The notification with a row of its own, of a person for whom it was held."""
    if row.place is None:
        return None
    name = notification_id(row.change, row.place.student, person)
    return notifications.by_id(connection, [name]).get(name)


def _tries(connection: Connection, origin: str, devices: Sequence[DeviceId]) -> list[Try]:
    found = [
        Try(DeviceId(str(device)), attempt, Verdict(verdict), reason)
        for device, attempt, verdict, reason in outcomes.of_origin(connection, origin)
        if str(device) in devices
    ]
    silent = set(devices) - {one.device for one in found}
    return found + [Try(device) for device in sorted(silent, key=int)]


def _no_decision(parked_for: ParkedChange | None, *, was_evaluated: bool) -> SchoolbellError:
    if parked_for:
        return SchoolbellError(f"The change is parked: {parked_for.problem}", parked_for.remedy)
    if was_evaluated:
        return SchoolbellError(
            "The change was evaluated, and it did not concern this person and student.",
            "Its record may be gone, or belong to another student.",
        )
    return SchoolbellError(
        "The change is not known here.",
        "It may not be evaluated yet: see `schoolbell status`; or it is older than decisions are "
        "kept.",
    )
