"""The camps of one school of the reference SIS, and who is enrolled in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.trial.reference.load import Rows
from engine.trial.reference.school import School


class _Camp(NamedTuple):
    """A camp and its sessions: title, first day, last day."""

    title: str
    place: str
    sessions: tuple[tuple[str, str, str], ...]


LAST_YEARS_CAMP: Final = _Camp(
    "Summer camp", "Sports field", (("Week 1", "2026-06-15", "2026-06-19"),)
)
# The summer's comes after the regular year.
CAMPS: Final = (
    _Camp(
        *("Winter camp", "Gymnasium"),
        (("First days", "2026-12-28", "2026-12-29"), ("Last days", "2026-12-30", "2026-12-31")),
    ),
    _Camp("Spring break camp", "Library", (("Whole week", "2027-03-29", "2027-04-02"),)),
    _Camp(
        *("Summer camp", "Sports field"),
        (("Week 1", "2027-06-14", "2027-06-18"), ("Week 2", "2027-06-21", "2027-06-25")),
    ),
)
# Of ten who asked.
TYPES: Final = (*("active",) * 6, "trial", "waitlisted", "dropped", "active")
ONE_IN: Final = 5  # students in a session


def hold_camps(rows: Rows, school: School, students: Sequence[int]) -> None:
    """Add the camps of last year and this year, each with one in five students in a session."""
    _hold(rows, school.last_calendar_id, LAST_YEARS_CAMP, students)
    for turn, camp in enumerate(CAMPS):
        _hold(rows, school.calendar_id, camp, students[turn:])


def _hold(rows: Rows, calendar_id: int, camp: _Camp, students: Sequence[int]) -> None:
    starts, ends = camp.sessions[0][1], camp.sessions[-1][2]
    camp_id = rows.add("camp", calendar_id, camp.title, camp.place, starts, ends)
    for turn, (title, first, last) in enumerate(camp.sessions):
        session = rows.add("camp_session", camp_id, title, first, last)
        for place, student in enumerate(students[turn::ONE_IN]):
            kind = TYPES[place % len(TYPES)]
            rows.add(
                *("camp_enrollment", session, student, kind),
                *(first, first if kind == "trial" else last),
            )
