"""Standing: whether somebody may sign in at all, and stay signed in; asked at every request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from engine.errors import SchoolbellError
from engine.store.families import members
from engine.store.families.members import Member as Member  # the answer of standing
from rules.change import PersonId


class Barred(StrEnum):
    """Why somebody may not sign in."""

    NOT_LISTED = "not-listed"
    DISABLED = "disabled"
    SEES_NOBODY = "sees-nobody"


WORDS: Final[Mapping[Barred, tuple[str, str]]] = {
    Barred.NOT_LISTED: (
        "The directory does not list this person now.",
        "Check the person in the SIS; who is new there arrives with `schoolbell sync`.",
    ),
    Barred.DISABLED: (
        "This account is disabled.", "The school can enable it again.",
    ),
    Barred.SEES_NOBODY: (
        "There is no student whom this person may see now.",
        "The school says in the SIS who may see a student in the portal, from when until when.",
    ),
}  # fmt: skip
"""What is wrong, and what to do."""


def standing(connection: Connection, person: PersonId, today: date) -> Member | Barred:
    """Somebody as they may sign in now, by their identity, or why not. *today* is the district's
    date."""
    member = members.find(connection, person)
    if member is None:
        return Barred.NOT_LISTED
    if member.disabled_at is not None:
        return Barred.DISABLED
    sees_others = any(
        right.portal and not right.restricted and right.holds_on(today)
        for right in member.rights.values()
    )
    return member if member.themselves or sees_others else Barred.SEES_NOBODY


def refusal(barred: Barred) -> SchoolbellError:
    """The same as an error, for who asks for what cannot be."""
    return SchoolbellError(*WORDS[barred])
