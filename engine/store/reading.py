"""Reading: what people have seen of their inboxes, and read in them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select, update

from engine.store.bulk import append, one_of
from engine.store.tables import inbox_reads, inboxes, people
from rules.change import PersonId
from rules.notification import NotificationId


def seen_at(connection: Connection, person: PersonId) -> datetime | None:
    """When the person last looked at the list."""
    found: datetime | None = connection.execute(
        select(inboxes.c.seen_at).where(inboxes.c.person_id == person)
    ).scalar()
    return found


def read(
    connection: Connection, person: PersonId, ids: Collection[NotificationId]
) -> set[NotificationId]:
    """Which of these entries the person has read."""
    found = connection.execute(
        select(inbox_reads.c.notification_id).where(
            inbox_reads.c.person_id == person,
            one_of(connection, inbox_reads.c.notification_id, ids),
        )
    )
    return {NotificationId(row.notification_id) for row in found}


def language(connection: Connection, person: PersonId) -> str | None:
    """The language that the directory knows of the person now."""
    found: str | None = connection.execute(
        select(people.c.language).where(people.c.id == person)
    ).scalar()
    return found


def mark_seen(connection: Connection, person: PersonId, now: datetime) -> None:
    """Remember when the person looked at the list."""
    changed = connection.execute(
        update(inboxes).where(inboxes.c.person_id == person).values(seen_at=now)
    )
    if not changed.rowcount:
        append(connection, inboxes, [(person, now)])


def mark_read(
    connection: Connection, person: PersonId, ids: Collection[NotificationId], now: datetime
) -> None:
    """Remember that the person read these entries."""
    known = read(connection, person, ids)
    append(connection, inbox_reads, [(person, one, now) for one in sorted(set(ids) - known)])
