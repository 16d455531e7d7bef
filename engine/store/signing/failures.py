"""Sign-ins that failed: what a rate limit counts, whichever process they came to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from engine.store.signing.tables import sign_in_failures


def count(connection: Connection, subject: bytes, since: datetime) -> int:
    """How many there were for *subject* since then."""
    return int(
        connection.execute(
            select(func.count())
            .select_from(sign_in_failures)
            .where(sign_in_failures.c.subject == subject, sign_in_failures.c.at > since)
        ).scalar_one()
    )


def add(connection: Connection, subjects: Iterable[bytes], now: datetime) -> None:
    """Take note of a failure, for each of its *subjects*."""
    rows = [{"subject": subject, "at": now} for subject in subjects]
    connection.execute(sign_in_failures.insert(), rows)


def forgive(connection: Connection, subject: bytes) -> None:
    """Forget the failures of who signed in."""
    connection.execute(delete(sign_in_failures).where(sign_in_failures.c.subject == subject))


def forget(connection: Connection, before: datetime) -> int:
    """Forget what is too old to count; how many there were."""
    return connection.execute(
        delete(sign_in_failures).where(sign_in_failures.c.at < before)
    ).rowcount
