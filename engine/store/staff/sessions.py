"""Sessions of staff: which browsers are signed in, known by the hashes of what they show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from engine.store.staff import accounts
from engine.store.staff.accounts import Account
from engine.store.staff.tables import staff, staff_sessions
from rules.tool_rights import StaffId


class Session(NamedTuple):
    """One signed-in browser.

    While it *is_pending* a second factor is still to be shown, and nothing else may be done.
    *proved_at* is when one was shown. *expires_at* is its end, whatever happens.
    *provider_session* is the hash of what the provider calls the session there, if it says.
    """

    token_hash: bytes
    staff: StaffId
    browser: str
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    is_pending: bool
    proved_at: datetime | None
    provider_session: bytes | None = None


_WITH_ACCOUNT: Final = (
    accounts.SELECTED.add_columns(
        *(one for one in staff_sessions.c if one.name not in accounts.SELECTED.selected_columns)
    )
    .join(staff_sessions, staff_sessions.c.staff_id == staff.c.id)
    .where(staff_sessions.c.token_hash == bindparam("shown"))
)


def begin(connection: Connection, session: Session) -> None:
    """Keep a new session."""
    values = session._asdict()
    values["staff_id"] = values.pop("staff")
    connection.execute(staff_sessions.insert().values(**values))


def find(connection: Connection, token_hash: bytes) -> Session | None:
    """The session of a token."""
    row = connection.execute(
        select(staff_sessions).where(staff_sessions.c.token_hash == token_hash)
    ).first()
    return _session(row) if row else None


def with_account(connection: Connection, token_hash: bytes) -> tuple[Session, Account] | None:
    """The session of a token and whose it is, in one statement: every page asks for it."""
    row = connection.execute(_WITH_ACCOUNT, {"shown": token_hash}).first()
    return (_session(row), accounts.account(row)) if row else None


def of(connection: Connection, who: StaffId, now: datetime) -> Sequence[Session]:
    """The sessions of one account that have not ended, the newest first."""
    rows = connection.execute(
        select(staff_sessions)
        .where(staff_sessions.c.staff_id == who, staff_sessions.c.expires_at > now)
        .order_by(staff_sessions.c.started_at.desc())
    )
    return [_session(row) for row in rows]


def seen(connection: Connection, token_hash: bytes, now: datetime) -> None:
    """Take note that a session is in use."""
    connection.execute(
        update(staff_sessions).where(staff_sessions.c.token_hash == token_hash).values(seen_at=now)
    )


def end(connection: Connection, token_hash: bytes) -> bool:
    """End one session; whether there was one."""
    ended = connection.execute(
        delete(staff_sessions).where(staff_sessions.c.token_hash == token_hash)
    )
    return bool(ended.rowcount)


def end_all(connection: Connection, who: StaffId, *, but: bytes | None = None) -> int:
    """End every session of an account, *but* that one; how many there were."""
    conditions = [staff_sessions.c.staff_id == who]
    if but is not None:
        conditions.append(staff_sessions.c.token_hash != but)
    return connection.execute(delete(staff_sessions).where(*conditions)).rowcount


def end_of_provider(connection: Connection, provider_session: bytes) -> Sequence[StaffId]:
    """End the sessions that began in one of the provider's; whose they were."""
    ended = connection.execute(
        delete(staff_sessions)
        .where(staff_sessions.c.provider_session == provider_session)
        .returning(staff_sessions.c.staff_id)
    )
    return [StaffId(who) for who in ended.scalars()]


def forget(connection: Connection, now: datetime) -> int:
    """Forget the sessions that have ended by themselves; how many there were."""
    return connection.execute(
        delete(staff_sessions).where(staff_sessions.c.expires_at <= now)
    ).rowcount


def _session(row: Row[Any]) -> Session:
    return Session(
        bytes(row.token_hash), StaffId(row.staff_id), row.browser, row.started_at, row.seen_at,
        row.expires_at, row.is_pending, row.proved_at,
        bytes(row.provider_session) if row.provider_session is not None else None,
    )  # fmt: skip
