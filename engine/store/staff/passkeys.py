"""Passkeys of staff: the public halves of what their authenticators keep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, select, update

from engine.store.staff.tables import staff_passkeys
from rules.tool_rights import StaffId


class Passkey(NamedTuple):
    """One of somebody's. *sign_count* is what its authenticator counted to when it was used last;
    it stays 0 where it does not count. One that is *suspect* counted back: it may be a copy."""

    credential_id: bytes
    staff: StaffId
    name: str
    public_key: bytes
    sign_count: int
    added_at: datetime
    used_at: datetime | None = None
    suspect_at: datetime | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether it is taken no more."""
        return self.suspect_at is not None


def add(connection: Connection, passkey: Passkey) -> bool:
    """Keep a new one; False where its id is there already."""
    if find(connection, passkey.credential_id):
        return False
    values = passkey._asdict()
    values["staff_id"] = values.pop("staff")
    connection.execute(staff_passkeys.insert().values(**values))
    return True


def find(connection: Connection, credential_id: bytes) -> Passkey | None:
    """The one with this id."""
    row = connection.execute(
        select(staff_passkeys).where(staff_passkeys.c.credential_id == credential_id)
    ).first()
    return _passkey(row) if row else None


def of(connection: Connection, who: StaffId) -> Sequence[Passkey]:
    """Those of one account, the oldest first."""
    rows = connection.execute(
        select(staff_passkeys)
        .where(staff_passkeys.c.staff_id == who)
        .order_by(staff_passkeys.c.added_at)
    )
    return [_passkey(row) for row in rows]


def count(connection: Connection) -> int:
    """How many there are."""
    return int(connection.execute(select(func.count()).select_from(staff_passkeys)).scalar_one())


def use(connection: Connection, passkey: Passkey, sign_count: int, now: datetime) -> bool:
    """Take note of a use; False where another use came between, which must not count the same."""
    used = connection.execute(
        update(staff_passkeys)
        .where(
            staff_passkeys.c.credential_id == passkey.credential_id,
            staff_passkeys.c.sign_count == passkey.sign_count,
        )
        .values(sign_count=sign_count, used_at=now)
    )
    return bool(used.rowcount)


def suspect(connection: Connection, credential_id: bytes, now: datetime) -> None:
    """Take one no more: it may be a copy."""
    connection.execute(
        update(staff_passkeys)
        .where(staff_passkeys.c.credential_id == credential_id)
        .values(suspect_at=now)
    )


def remove(connection: Connection, who: StaffId, credential_id: bytes) -> bool:
    """Forget one of somebody's own; whether there was one."""
    gone = connection.execute(
        delete(staff_passkeys).where(
            staff_passkeys.c.staff_id == who, staff_passkeys.c.credential_id == credential_id
        )
    )
    return bool(gone.rowcount)


def remove_all(connection: Connection, who: StaffId) -> None:
    """Forget all of somebody's."""
    connection.execute(delete(staff_passkeys).where(staff_passkeys.c.staff_id == who))


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(
        bytes(row.credential_id), StaffId(row.staff_id), row.name, bytes(row.public_key),
        row.sign_count, row.added_at, row.used_at, row.suspect_at,
    )  # fmt: skip
