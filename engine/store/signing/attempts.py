"""Sign-ins under way elsewhere: at a provider, or at an authenticator. Each is finished once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from engine.store.bulk import insert_new
from engine.store.signing.tables import sign_in_attempts


class Attempt(NamedTuple):
    """What a browser was sent out with: *key_hash* is of what it comes back with.

    *browser_hash* is of a cookie that it had; *carried* is what we need to know of it afterwards.
    """

    key_hash: bytes
    browser_hash: bytes
    purpose: str
    carried: Mapping[str, str]
    expires_at: datetime


def begin(connection: Connection, attempt: Attempt, now: datetime) -> None:
    """Keep a new one, and forget those that came to nothing: anybody may begin as many as they
    like."""
    forget(connection, now)
    connection.execute(sign_in_attempts.insert().values(**attempt._asdict()))


def is_first(connection: Connection, attempt: Attempt) -> bool:
    """Take note of what may be shown once until it expires; False where it was shown before."""
    new = insert_new(connection, sign_in_attempts).values(**attempt._asdict())
    return connection.execute(new.returning(sign_in_attempts.c.key_hash)).first() is not None


def take(
    connection: Connection, key_hash: bytes, browser_hash: bytes, purpose: str, now: datetime
) -> Attempt | None:
    """The attempt of this browser, used up; None where there is none, or it came too late."""
    its = (
        sign_in_attempts.c.key_hash == key_hash,
        sign_in_attempts.c.browser_hash == browser_hash,
        sign_in_attempts.c.purpose == purpose,
        sign_in_attempts.c.expires_at > now,
    )
    row = connection.execute(select(sign_in_attempts).where(*its)).first()
    if row is None or not connection.execute(delete(sign_in_attempts).where(*its)).rowcount:
        return None
    return Attempt(
        bytes(row.key_hash), bytes(row.browser_hash), row.purpose, row.carried, row.expires_at
    )


def forget(connection: Connection, now: datetime) -> int:
    """Forget those that nobody finished in time; how many there were."""
    return connection.execute(
        delete(sign_in_attempts).where(sign_in_attempts.c.expires_at <= now)
    ).rowcount
