"""Why: the exact answer to "why did this person (not) hear of it?"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Final
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
from rules.change import ChangeId, Kind, PersonId, SchoolId, StudentId
from rules.gates import EVERY_SCHOOL, GATES, Case, Whereabouts, standing_case
from rules.identity import notification_id
from rules.notification import State
from rules.reasons import Reason

YES: Final = "yes"
NO: Final = "no"
NOT_ASKED: Final = "not asked"
BY_CHANGE: Final = "depends on the change"

# What is told by a notification with a row of its own.
_WITH_A_ROW: Final = frozenset({Reason.HELD, Reason.TOLD_APART})

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


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one change for one person, gate by gate, and of each push.

    Without a *change* it is what would become of one that came now, at a *school*. *at* is where
    the reason was found, and *below* are the thresholds of which a change must cross one, or the
    one that it crossed.
    """

    kind: Kind
    reason: Reason
    steps: Sequence[Step]
    change: ChangeId | None = None
    watch: str = ""
    committed_at: datetime | None = None
    pushes: Sequence[str] = ()
    school: SchoolId = EVERY_SCHOOL
    at: Whereabouts | None = None
    below: Sequence[Decimal] = ()


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
    wanted = {(student, kind) for kind in Kind}
    with database.read() as connection:
        schools = directory.schools_of(connection, [student]).get(student, [EVERY_SCHOOL])
        found = candidates.fetch(connection, wanted, now).candidates
        circumstances = district.circumstances(connection, today)
    answers = []
    for kind in Kind:
        if candidate := _candidate(found[student, kind], person):
            answers += [
                _answer(standing_case(kind, school, candidate, circumstances)) for school in schools
            ]
    return answers


def _of(row: Decided, person: PersonId) -> DecidedFor | None:
    """What became of it for one person."""
    return next((one for one in row.people if one.person == person), None)


def _decided(connection: Connection, row: Decided, person: PersonId, zone: tzinfo) -> Answer:
    one = _of(row, person)
    if row.place is None or one is None:
        raise ValueError("the change does not concern this person")
    return Answer(
        row.place.kind, one.reason, list(_steps(one.reason)), row.change, row.watch,
        row.committed_at.astimezone(zone), _told(connection, row, one, zone), at=one.at,
        below=() if one.below is None else (one.below,),
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


def _answer(case: Case) -> Answer:
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
        below=chosen.thresholds if chosen else (),
    )  # fmt: skip


def _steps(reason: Reason) -> Iterator[Step]:
    """Gates before the one that said no passed; those after it were not asked."""
    asking = True
    for title, says in (*((gate.title, gate.says) for gate in GATES), *_AFTER_GATES):
        answer = NOT_ASKED if not asking else NO if reason in says else YES
        asking = asking and answer == YES
        yield Step(title, answer)


def _told(connection: Connection, row: Decided, one: DecidedFor, zone: tzinfo) -> list[str]:
    """What became of each push, also of a notification that was held first, and what will."""
    if one.reason is Reason.OPENS_LATER:
        opens = openings.of_change(connection, row.change)
        return [f"opens at {_at(opens, zone)}"] if opens else []
    if one.reason not in _WITH_A_ROW or row.place is None:
        return _pushes(connection, row.change, one.devices)
    name = notification_id(row.change, row.place.student, one.person)
    own = notifications.by_id(connection, [name]).get(name)
    if own is None:
        return []
    when = _at(own.at, zone)
    if own.state is State.HELD:
        return [f"held until {when}: {own.hold}"]
    return [f"{own.state} at {when}", *_pushes(connection, own.id, own.devices)]


def _at(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _pushes(connection: Connection, origin: str, devices: Sequence[DeviceId]) -> list[str]:
    found = outcomes.of_origin(connection, origin)
    answered = [
        f"device {device}: try {attempt} {verdict}{_because(reason)}"
        for device, attempt, verdict, reason in found
        if str(device) in devices
    ]
    silent = set(devices) - {str(device) for device, *_ in found}
    return answered + [f"device {device}: no answer yet" for device in sorted(silent, key=int)]


def _because(reason: str) -> str:
    if reason == outcomes.SHORTENED:
        return ", its text shortened to fit"
    return f", {reason}" if reason else ""


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
