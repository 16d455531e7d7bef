"""Standing: whether somebody may sign in at all, and stay signed in; asked at every request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.errors import SchoolbellError
from engine.store import district
from engine.store.families import members
from engine.store.families.members import Member as Member  # the answer of standing
from rules.ages import years
from rules.change import PersonId


class Barred(StrEnum):
    """Why somebody may not sign in."""

    NOT_LISTED = "not-listed"
    DISABLED = "disabled"
    SEES_NOBODY = "sees-nobody"
    TOO_YOUNG = "too-young"
    AGE_UNKNOWN = "age-unknown"


class Words(NamedTuple):
    """What is wrong, and what to do."""

    problem: str
    remedy: str


FOR_STAFF: Final[Mapping[Barred, Words]] = {
    Barred.NOT_LISTED: Words(
        "The directory does not list this person now.",
        "Check the person in the SIS; who is new there arrives with `schoolbell sync`.",
    ),
    Barred.DISABLED: Words("This account is disabled.", "Enable it first."),
    Barred.SEES_NOBODY: Words(
        "There is no student whom this person may see now.",
        "The SIS says who may see a student in the portal, from when until when.",
    ),
    Barred.TOO_YOUNG: Words(
        "This student is younger than the district lets students sign in.",
        "Invite a parent; `schoolbell youngest-student` says from which age on students sign in.",
    ),
    Barred.AGE_UNKNOWN: Words(
        "Nobody knows how old this student is.",
        "Give `born` in the students query of the source definition, or let students of any age "
        "sign in with `schoolbell youngest-student 0`.",
    ),
}

FOR_FAMILIES: Final[Mapping[Barred, Words]] = {
    Barred.NOT_LISTED: Words("The school does not list you now.", "Ask the school."),
    Barred.DISABLED: Words("Your account is disabled.", "Ask the school."),
    Barred.SEES_NOBODY: Words("There is no student whom you may see now.", "Ask the school."),
    Barred.TOO_YOUNG: Words(
        "You are too young to sign in by yourself.", "Ask your parents to sign in.",
    ),
    Barred.AGE_UNKNOWN: Words(
        "The school has not said how old you are.", "Ask the school, or let your parents sign in.",
    ),
}  # fmt: skip
"""The same in the words of who is refused."""


def standing(connection: Connection, person: PersonId, today: date) -> Member | Barred:
    """Somebody as they may sign in now, by their identity, or why not. *today* is the district's
    date."""
    member = members.find(connection, person)
    if member is None:
        return Barred.NOT_LISTED
    if member.disabled_at is not None:
        return Barred.DISABLED
    sees = member.sees(today)
    if not sees:
        return Barred.SEES_NOBODY
    is_only_themselves = sees <= member.themselves
    return (_too_young(connection, member, today) if is_only_themselves else None) or member


def _too_young(connection: Connection, student: Member, today: date) -> Barred | None:
    youngest = district.youngest_student(connection)
    if not youngest:
        return None
    if student.born is None:
        return Barred.AGE_UNKNOWN
    return Barred.TOO_YOUNG if years(student.born, today) < youngest else None


def refusal(barred: Barred) -> SchoolbellError:
    """The same as an error, for staff who ask for what cannot be."""
    return SchoolbellError(*FOR_STAFF[barred])
