"""Logins: where people are signed in, and the chain of refresh tokens of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, NewType

from sqlalchemy import ColumnElement, Connection, Row, delete, select, update

from engine.store.bulk import one_of
from engine.store.families.tables import logins
from engine.store.tables import sessions
from rules.change import PersonId
from rules.refreshing import Newest

LoginId = NewType("LoginId", int)
_SLICE: Final = 1_000  # that end at once; nobody has so many


class Login(NamedTuple):
    """One sign-in of *person*, an identity of the directory, on what calls itself *name*.

    It ends at *expires_at*, whatever happens.
    """

    id: LoginId
    person: PersonId
    name: str
    stay_logged_in: bool
    started_at: datetime
    seen_at: datetime
    expires_at: datetime


class Chain(NamedTuple):
    """The refresh tokens of a login: each is made of the one before by the *seed*.

    Of the newest, the one of *generation*, only a hash is known.
    """

    seed: bytes
    generation: int
    token_hash: bytes
    newest: Newest

    def __repr__(self) -> str:
        return f"Chain({self.generation})"


class Kept(NamedTuple):
    """A login with its chain."""

    login: Login
    chain: Chain


def begin(
    connection: Connection, person: PersonId, name: str, chain: Chain, now: datetime,
    expires_at: datetime, *, stay_logged_in: bool,
) -> Login:  # fmt: skip
    """Keep a new login."""
    made = connection.execute(
        logins.insert()
        .values(
            person_id=person, name=name, stay_logged_in=stay_logged_in, started_at=now,
            seen_at=now, expires_at=expires_at, seed=chain.seed, generation=chain.generation,
            token_hash=chain.token_hash, renewed_at=chain.newest.made_at,
        )
        .returning(logins.c.id)
    ).scalar_one()  # fmt: skip
    return Login(LoginId(made), person, name, stay_logged_in, now, now, expires_at)


def find(connection: Connection, which: LoginId) -> Kept | None:
    """A login by its id."""
    row = connection.execute(select(logins).where(logins.c.id == which)).first()
    return _kept(row) if row else None


def hold(connection: Connection, which: LoginId) -> bool:
    """Let nobody end a login until the transaction ends; False where it has ended."""
    found = connection.execute(select(logins.c.id).where(logins.c.id == which).with_for_update())
    return found.first() is not None


def of(connection: Connection, person: PersonId, now: datetime) -> Sequence[Login]:
    """The logins of one person that have not come to their end, the newest first."""
    rows = connection.execute(
        select(logins)
        .where(logins.c.person_id == person, logins.c.expires_at > now)
        .order_by(logins.c.id.desc())
    )
    return [_kept(row).login for row in rows]


def renew(
    connection: Connection, which: LoginId, generation: int, token_hash: bytes, now: datetime
) -> bool:
    """Let a token follow that of *generation*; False where somebody else did so first."""
    renewed = connection.execute(
        update(logins)
        .where(logins.c.id == which, logins.c.generation == generation)
        .values(
            generation=generation + 1, token_hash=token_hash, renewed_at=now, used_at=None,
            seen_at=now,
        )
    )  # fmt: skip
    return bool(renewed.rowcount)


def used(connection: Connection, which: LoginId, generation: int, now: datetime) -> None:
    """Take note that the token of *generation* arrived where it belongs."""
    connection.execute(
        update(logins)
        .where(
            logins.c.id == which, logins.c.generation == generation, logins.c.used_at.is_(None)
        )
        .values(used_at=now)
    )  # fmt: skip


def seen(connection: Connection, which: LoginId, now: datetime) -> None:
    """Take note that a login is in use."""
    connection.execute(update(logins).where(logins.c.id == which).values(seen_at=now))


def end(connection: Connection, person: PersonId, which: LoginId, now: datetime) -> bool:
    """End a login of a person, with the pushes to its devices; whether there was one."""
    return bool(_end(connection, now, logins.c.id == which, logins.c.person_id == person))


def end_all(
    connection: Connection, person: PersonId, now: datetime, *, but: LoginId | None = None
) -> int:
    """End every login of a person, *but* that one; how many there were."""
    others = () if but is None else (logins.c.id != but,)
    return _end(connection, now, logins.c.person_id == person, *others)


def forget(connection: Connection, now: datetime) -> int:
    """End the logins that have come to their end, some at once; how many there were."""
    return _end(connection, now, logins.c.expires_at <= now)


def _end(connection: Connection, now: datetime, *which: ColumnElement[bool]) -> int:
    """Locked first: a device that is just being registered ends with its login."""
    found = connection.execute(
        select(logins.c.id).where(*which).limit(_SLICE).with_for_update()
    ).scalars()
    ids = [int(one) for one in found]
    if not ids:
        return 0
    connection.execute(
        update(sessions)
        .where(one_of(connection, sessions.c.login_id, ids), sessions.c.ended_at.is_(None))
        .values(ended_at=now)
    )
    return connection.execute(delete(logins).where(one_of(connection, logins.c.id, ids))).rowcount


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        Login(
            LoginId(row.id), PersonId(row.person_id), row.name, row.stay_logged_in,
            row.started_at, row.seen_at, row.expires_at,
        ),
        Chain(
            bytes(row.seed), row.generation, bytes(row.token_hash),
            Newest(row.renewed_at, row.used_at),
        ),
    )  # fmt: skip
