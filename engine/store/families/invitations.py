"""Invitations: codes by which people sign in for the first time, each good once."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from engine.store.families.tables import invitations
from rules.change import PersonId


class Invitation(NamedTuple):
    """Who is invited, an identity of the directory, by whom, and until when."""

    person: PersonId
    made_at: datetime
    made_by: str
    expires_at: datetime


def put(
    connection: Connection, person: PersonId, code_hash: bytes, by: str, now: datetime,
    expires_at: datetime,
) -> None:  # fmt: skip
    """Invite somebody; a code that they had does no more."""
    drop(connection, person)
    connection.execute(
        invitations.insert().values(
            person_id=person, code_hash=code_hash, made_at=now, made_by=by, expires_at=expires_at
        )
    )


def find(connection: Connection, code_hash: bytes, now: datetime) -> PersonId | None:
    """Whom a code invites; None for one that is unknown or over."""
    found = connection.execute(
        select(invitations.c.person_id).where(
            invitations.c.code_hash == code_hash, invitations.c.expires_at > now
        )
    ).scalar()
    return None if found is None else PersonId(found)


def take(connection: Connection, code_hash: bytes, now: datetime) -> PersonId | None:
    """Whom a code invites, and use it up; None where somebody was faster."""
    person = find(connection, code_hash, now)
    used = connection.execute(delete(invitations).where(invitations.c.code_hash == code_hash))
    return person if used.rowcount else None


def of(connection: Connection, person: PersonId) -> Invitation | None:
    """The invitation of somebody, also one that is over."""
    row = connection.execute(select(invitations).where(invitations.c.person_id == person)).first()
    return (
        Invitation(PersonId(row.person_id), row.made_at, row.made_by, row.expires_at)
        if row
        else None
    )


def drop(connection: Connection, person: PersonId) -> bool:
    """Invite somebody no more; whether they were invited."""
    dropped = connection.execute(delete(invitations).where(invitations.c.person_id == person))
    return bool(dropped.rowcount)


def forget(connection: Connection, before: datetime) -> int:
    """Forget those that were over *before* a moment; how many there were."""
    return connection.execute(delete(invitations).where(invitations.c.expires_at < before)).rowcount
