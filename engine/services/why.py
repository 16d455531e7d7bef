"""Why: the exact answer to "why did this person (not) hear of it?"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, Select, select

from engine.errors import SchoolbellError
from engine.store import candidates, district, ledger
from engine.store.tables import changes, decisions, outcomes, parked_changes, pushes, students
from rules.audience import Candidate
from rules.change import CalendarId, ChangeId, Kind, PersonId, SchoolId, StudentId, Subject
from rules.gates import GATES, Case
from rules.identity import notification_id
from rules.reasons import Reason

YES: Final = "yes"
NO: Final = "no"
NOT_ASKED: Final = "not asked"
BY_CHANGE: Final = "depends on the change"

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

    Without a *change* it is what would become of one that came now.
    """

    kind: Kind
    reason: Reason
    steps: Sequence[Step]
    change: ChangeId | None = None
    watch: str = ""
    committed_at: datetime | None = None
    pushes: Sequence[str] = ()


def decided(
    connection: Connection, student: StudentId, person: PersonId, limit: int = 10
) -> list[Answer]:
    """The newest decisions about *student* for *person*, newest first."""
    newest = _decisions(student, person).order_by(decisions.c.change_id.desc()).limit(limit)
    found = connection.execute(newest).all()
    return [_decided(connection, row, student, person) for row in found]


def of_change(
    connection: Connection, student: StudentId, person: PersonId, change: ChangeId
) -> Answer:
    """The decision on one change; raises SchoolbellError that says why there is none."""
    change = _change_id(change)
    query = _decisions(student, person).where(decisions.c.change_id == change)
    found = connection.execute(query).first()
    if found is None:
        raise _no_decision(connection, change)
    return _decided(connection, found, student, person)


def standing(
    connection: Connection, student: StudentId, person: PersonId, now: datetime, today: date
) -> list[Answer]:
    """What would become of a change now, for each kind: also where nothing was ever sent.

    Raises SchoolbellError when the person has nothing to do with the student.
    """
    school = connection.execute(
        select(students.c.school_id).where(students.c.id == student)
    ).scalar_one_or_none()
    wanted = {(student, kind) for kind in Kind}
    found = candidates.fetch(connection, wanted, now).candidates
    circumstances = district.circumstances(connection, today)
    answers = []
    for kind in Kind:
        candidate = _candidate(found[student, kind], student, person)
        subject = _any_subject(kind, student, SchoolId(school or ""))
        answers.append(_answer(Case(subject, candidate, circumstances)))
    return answers


def _decisions(student: StudentId, person: PersonId) -> Select[Any]:
    return (
        select(
            decisions.c.change_id, decisions.c.kind, decisions.c.reason,
            changes.c.watch, changes.c.committed_at,
        )
        .join(changes, changes.c.id == decisions.c.change_id)
        .where(decisions.c.student_id == student, decisions.c.person_id == person)
    )  # fmt: skip


def _decided(connection: Connection, row: Row[Any], student: StudentId, person: PersonId) -> Answer:
    reason, change = Reason(row.reason), ChangeId(row.change_id)
    return Answer(
        Kind(row.kind),
        reason,
        list(_steps(reason)),
        change,
        row.watch,
        row.committed_at,
        _pushes(connection, change, student, person),
    )


def _change_id(words: str) -> ChangeId:
    try:
        return ChangeId(str(UUID(words)))
    except ValueError:
        raise SchoolbellError(
            f"{words} is not the id of a change.",
            "Ids look like 019a9f6e-3b1c-7d2e-8f00-5a6b7c8d9e0f; `schoolbell why` without "
            "--change shows them.",
        ) from None


def _candidate(found: Sequence[Candidate], student: StudentId, person: PersonId) -> Candidate:
    for candidate in found:
        if candidate.person == person:
            return candidate
    raise SchoolbellError(
        f"The directory knows no relation of person {person} to student {student}.",
        "Check both ids in the SIS; a new relation arrives with `schoolbell sync`.",
    )


def _any_subject(kind: Kind, student: StudentId, school: SchoolId) -> Subject:
    return Subject(
        ChangeId(""), kind, "", student, "", school, CalendarId(""), True, None, None, {}
    )


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
    return Answer(case.subject.kind, reason, steps)


def _steps(reason: Reason) -> Iterator[Step]:
    """Gates before the one that said no passed; those after it were not asked."""
    asking = True
    for title, says in (*((gate.title, gate.says) for gate in GATES), *_AFTER_GATES):
        answer = NOT_ASKED if not asking else NO if reason in says else YES
        asking = asking and answer == YES
        yield Step(title, answer)


def _pushes(
    connection: Connection, change: ChangeId, student: StudentId, person: PersonId
) -> list[str]:
    found = connection.execute(
        select(
            pushes.c.device_id, outcomes.c.attempt, outcomes.c.verdict, outcomes.c.reason,
        )
        .outerjoin(outcomes, outcomes.c.push_id == pushes.c.id)
        .where(pushes.c.notification_id == notification_id(change, student, person))
        .order_by(pushes.c.device_id, outcomes.c.attempt)
    )  # fmt: skip
    return [
        f"device {device}: try {attempt} {verdict}{_because(reason)}"
        if verdict
        else f"device {device}: no answer yet"
        for device, attempt, verdict, reason in found
    ]


def _because(reason: str) -> str:
    if reason == ledger.SHORTENED:
        return ", its text shortened to fit"
    return f", {reason}" if reason else ""


def _no_decision(connection: Connection, change: ChangeId) -> SchoolbellError:
    parked = connection.execute(
        select(parked_changes.c.problem, parked_changes.c.remedy).where(
            parked_changes.c.id == change
        )
    ).first()
    if parked:
        return SchoolbellError(f"The change is parked: {parked.problem}", parked.remedy)
    if connection.execute(select(changes.c.id).where(changes.c.id == change)).first():
        return SchoolbellError(
            "The change was evaluated, and it did not concern this person and student.",
            "Its record may be gone, or belong to another student.",
        )
    return SchoolbellError(
        "The change is not known here.",
        "It may not be evaluated yet: see `schoolbell status`; or it is older than decisions are "
        "kept.",
    )
