"""Changes: what was committed in the SIS, and what it means for one student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, NewType

ChangeId = NewType("ChangeId", str)
StudentId = NewType("StudentId", str)
PersonId = NewType("PersonId", str)
SchoolId = NewType("SchoolId", str)
CalendarId = NewType("CalendarId", str)
TermId = NewType("TermId", str)

Scalar = str | int | float | bool | None


class Kind(StrEnum):
    """What families hear about: five kinds of change, and what staff write to them."""

    ASSIGNMENT = "assignment"
    GRADE = "grade"
    ATTENDANCE = "attendance"
    MEAL_BALANCE = "meal_balance"
    RESPONSIVE_SCHEDULE = "responsive_schedule"
    BROADCAST = "broadcast"


KINDS_OF_CHANGE: Final[tuple[Kind, ...]] = tuple(
    kind for kind in Kind if kind is not Kind.BROADCAST
)
"""The five kinds of change that families hear about (district-push-notifications)."""


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
    whatever the clock of the SIS says; 0 is a change that no outbox gave a place. *too_large* is
    0, or how many bytes its values have where they were too many to carry: they are not here then.
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
    too_large: int = 0


class Value(NamedTuple):
    """What a record says: *text* as families see it, *number* where it can be compared.

    *number* is percent for an assignment or a grade, dollars for a meal balance, and None where
    the record has no number (attendance, a session, a score of a zero-point assignment).
    """

    text: str
    number: Decimal | None = None


class Facts(NamedTuple):
    """What the text about one record of one student is made of, whenever it is made.

    *before* and *after* are what families saw and see, None for nothing: without *after* the text
    corrects what was told of a record that is gone. *details* are the words
    that wording may use (title, course, period, room, day ...). *number* is that of *after*.
    *closes* is when families may not see the record any more. *school* and *term* are the record's,
    empty where that is not known.
    """

    kind: Kind
    student_name: str
    before: str | None
    after: str | None
    details: Mapping[str, str]
    number: Decimal | None = None
    closes: datetime | None = None
    school: SchoolId = SchoolId("")
    term: TermId = TermId("")

    @property
    def forgotten(self) -> bool:
        """Whether the words are not kept any more."""
        return self.before is None and self.after is None and not self.student_name

    @property
    def is_withdrawn(self) -> bool:
        """Whether the record is gone."""
        return self.after is None and not self.forgotten


class Place(NamedTuple):
    """Where texts replace one another: what a person's phones show of one record of a student."""

    student: StudentId
    kind: Kind
    record: str


class Subject(NamedTuple):
    """What one change means for one student, with the facts the source gave about it.

    *record* identifies what is shown: two changes with the same kind and record replace one
    another on a phone. *before* is what the change itself replaced, None where families have not
    seen that. *position* is the change's, and *superseded* is true when a later change of the same
    record was decided before this one. *was* is what was last told of the record, where that is
    remembered. *withdrawn* is true when the record is gone, and that is news of its kind; *row*
    then says which row of the SIS it stood in, and is empty where its going is no news. *late* is
    true when it was committed so long ago that a push is not worth sending any more. *opens* is
    the moment from which families may see it, None where that is past; *closes* is when they may
    not any more, and *closed* is true where that is past. *release_is_watched* says whether it
    would be noticed when the SIS shows it. *of_others* is true where changes of other rows may tell
    of the same record. *as_now* is true where its value is what the SIS said when it was asked, and
    not what the change says. *term* is empty where the source names
    none. The directory knows the *student_name*, which is empty until it was asked.
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
    position: int = 0
    superseded: bool = False
    was: str | None = None
    withdrawn: bool = False
    row: str = ""
    late: bool = False
    opens: datetime | None = None
    closes: datetime | None = None
    closed: bool = False
    release_is_watched: bool = True
    of_others: bool = False
    as_now: bool = False
    term: TermId = TermId("")

    @property
    def place(self) -> Place:
        """Where its text stands."""
        return Place(self.student, self.kind, self.record)

    @property
    def facts(self) -> Facts:
        """What its text is made of: what was before is said only where it was different."""
        before = self.was or (self.before.text if self.before else None)
        after, number = self.after or (None, None)
        return Facts(
            self.kind,
            self.student_name,
            None if before == after else before,
            after,
            self.details,
            number,
            self.closes,
            self.school,
            self.term,
        )
