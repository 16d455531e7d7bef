"""Whom: the people of whom staff speak, by the ids of the directory."""

from __future__ import annotations

from sqlalchemy import Connection

from engine.errors import SchoolbellError
from engine.store import directory
from engine.store.families import accounts
from rules.change import PersonId


def identity_of(connection: Connection, person: PersonId) -> PersonId:
    """What a person's account is kept under, also of one who is missing now.

    Raises SchoolbellError for whom neither the directory nor an account knows.
    """
    identity = directory.identity_of(connection, person)
    if not directory.knows_person(connection, person) and not accounts.exists(connection, identity):
        raise SchoolbellError(
            "The directory knows no person %(person)s.",
            "Check the id in the SIS; who is new there arrives with `schoolbell sync`.",
            person=person,
        )
    return identity
