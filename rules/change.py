"""Changes: what was committed in the SIS, and what it means for one student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType

ChangeId = NewType("ChangeId", str)
StudentId = NewType("StudentId", str)
PersonId = NewType("PersonId", str)
SchoolId = NewType("SchoolId", str)
CalendarId = NewType("CalendarId", str)

Scalar = str | int | float | bool | None


class Kind(StrEnum):
    """The five kinds of change that families hear about (district-push-notifications)."""

    ASSIGNMENT = "assignment"
    GRADE = "grade"
    ATTENDANCE = "attendance"
    MEAL_BALANCE = "meal_balance"
    RESPONSIVE_SCHEDULE = "responsive_schedule"


class Op(StrEnum):
    """What was done to the record."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change to one record, as the triggers saw it.

    *id* is a time-ordered UUID made at capture, so it survives a restore of the SIS database.
    *watch* names the entry of the source definition that caught it, *key* is the record's
    primary key as text. *before* and *after* hold the watched columns only; *before* is None
    for an insert, *after* for a delete. *at* is the moment of the write. *position* is the
    change's place in the outbox: for one record the order of positions is the order of commits,
    whatever the clock of the SIS says; 0 is a change that no outbox gave a place.
    """

    id: ChangeId
    source: str
    watch: str
    op: Op
    key: str
    before: Mapping[str, Scalar] | None
    after: Mapping[str, Scalar] | None
    at: datetime
    position: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    """What a record says: *text* as families see it, *number* where it can be compared.

    *number* is percent for an assignment or a grade, dollars for a meal balance, and None where
    the record has no number (attendance, a session, a score of a zero-point assignment).
    """

    text: str
    number: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What one change means for one student, with the facts the source gave about it.

    *record* identifies what is shown: two changes with the same kind and record replace one
    another on a phone. *before* is None when families have not seen a value yet.
    *details* are the words that wording may use (title, course, period, room, day ...).
    """

    change: ChangeId
    kind: Kind
    record: str
    student: StudentId
    student_name: str
    school: SchoolId
    calendar: CalendarId
    released: bool
    before: Value | None
    after: Value | None
    details: Mapping[str, str]
