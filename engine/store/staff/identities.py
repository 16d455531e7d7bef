"""Who members of staff are at the district's provider of OpenID Connect."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from engine.store.staff.tables import staff_identities
from rules.tool_rights import StaffId


class Identity(NamedTuple):
    """Somebody as the provider *issuer* knows them: by a *subject* that never changes."""

    issuer: str
    subject: str


class Bound(NamedTuple):
    """An identity, and since when it is an account's."""

    identity: Identity
    at: datetime


def owner(connection: Connection, identity: Identity) -> StaffId | None:
    """Whose it is."""
    found = connection.execute(
        select(staff_identities.c.staff_id).where(
            staff_identities.c.issuer == identity.issuer,
            staff_identities.c.subject == identity.subject,
        )
    ).scalar()
    return StaffId(found) if found is not None else None


def of(connection: Connection, who: StaffId) -> Bound | None:
    """What an account is bound to; None before the first sign-in."""
    row = connection.execute(
        select(staff_identities).where(staff_identities.c.staff_id == who)
    ).first()
    return Bound(Identity(row.issuer, row.subject), row.bound_at) if row else None


def bind(connection: Connection, identity: Identity, who: StaffId, now: datetime) -> None:
    """Let an identity be an account's from now on; each has one of the other."""
    connection.execute(
        staff_identities.insert().values(
            issuer=identity.issuer, subject=identity.subject, staff_id=who, bound_at=now
        )
    )


def forget(connection: Connection, who: StaffId) -> None:
    """Let an account be bound to nobody."""
    connection.execute(delete(staff_identities).where(staff_identities.c.staff_id == who))
