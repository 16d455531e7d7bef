"""Access tokens of staff: what their programs show, known by hashes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, select, update

from engine.store.staff.tables import staff_tokens
from rules.tool_rights import StaffId


class Token(NamedTuple):
    """One access token. *name* is what its owner calls it; it ends at *expires_at*."""

    id: int
    staff: StaffId
    name: str
    token_hash: bytes
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None


def add(
    connection: Connection, staff: StaffId, name: str, token_hash: bytes, made_at: datetime,
    expires_at: datetime,
) -> None:  # fmt: skip
    """Keep a new token."""
    connection.execute(
        staff_tokens.insert().values(
            staff_id=staff, name=name, token_hash=token_hash, made_at=made_at, expires_at=expires_at
        )
    )


def find(connection: Connection, token_hash: bytes) -> Token | None:
    """The token of a hash, whether it has ended or not."""
    row = connection.execute(
        select(staff_tokens).where(staff_tokens.c.token_hash == token_hash)
    ).first()
    return _token(row) if row else None


def of(connection: Connection, who: StaffId, now: datetime) -> Sequence[Token]:
    """The tokens of one account that have not ended, the newest first."""
    rows = connection.execute(
        select(staff_tokens)
        .where(staff_tokens.c.staff_id == who, staff_tokens.c.expires_at > now)
        .order_by(staff_tokens.c.id.desc())
    )
    return [_token(row) for row in rows]


def used(connection: Connection, token: int, now: datetime) -> None:
    """Take note that a token is in use."""
    connection.execute(update(staff_tokens).where(staff_tokens.c.id == token).values(used_at=now))


def end(connection: Connection, who: StaffId, token: int) -> bool:
    """End one token of an account; whether there was one."""
    ended = connection.execute(
        delete(staff_tokens).where(staff_tokens.c.id == token, staff_tokens.c.staff_id == who)
    )
    return bool(ended.rowcount)


def end_all(connection: Connection, who: StaffId) -> int:
    """End every token of an account; how many there were."""
    return connection.execute(delete(staff_tokens).where(staff_tokens.c.staff_id == who)).rowcount


def forget(connection: Connection, now: datetime) -> int:
    """Forget the tokens that have ended by themselves; how many there were."""
    return connection.execute(delete(staff_tokens).where(staff_tokens.c.expires_at <= now)).rowcount


def _token(row: Row[Any]) -> Token:
    return Token(
        row.id, StaffId(row.staff_id), row.name, bytes(row.token_hash), row.made_at,
        row.expires_at, row.used_at,
    )  # fmt: skip
