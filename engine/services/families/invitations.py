"""Invitations: one-time codes that a school hands out, to sign in for the first time or after a
password was forgotten."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from engine.database import Database
from engine.errors import SchoolbellError
from engine.secrets import authenticator
from engine.services.actor import Actor
from engine.services.families.standing import Barred, refusal, standing
from engine.services.families.whom import identity_of
from engine.store.families import invitations
from rules.change import PersonId

LASTS: Final = timedelta(days=14)
LONGEST: Final = timedelta(days=365)


class Invited(NamedTuple):
    """The code, shown this once, and when it is over."""

    person: PersonId
    name: str
    code: str
    until: datetime

    def __repr__(self) -> str:
        return f"Invited({self.person!r}, {self.until!r})"


def invite(
    database: Database, by: Actor, person: PersonId, today: date, lasts: timedelta = LASTS
) -> Invited:
    """Make a code for a person of the directory; one that they had does no more.

    Raises SchoolbellError for whom may not sign in, and for a time that is none.
    """
    if not timedelta() < lasts <= LONGEST:
        raise SchoolbellError(
            "An invitation cannot last so long.", "Choose 1 to %(most)s days.", most=LONGEST.days
        )
    code, until = authenticator.new_code(), by.at + lasts
    with database.write() as connection:
        identity = identity_of(connection, person)
        member = standing(connection, identity, today)
        if isinstance(member, Barred):
            raise refusal(member)
        invitations.put(connection, identity, authenticator.code_hash(code), by.name, by.at, until)
        by.did(connection, "family.invited", f"person {person}", None, {"until": until.isoformat()})
    return Invited(person, member.name, code, until)


def take_back(database: Database, by: Actor, person: PersonId) -> None:
    """Let the code of somebody do no more."""
    with database.write() as connection:
        if invitations.drop(connection, identity_of(connection, person)):
            by.did(connection, "family.invitation-taken-back", f"person {person}", None, None)
