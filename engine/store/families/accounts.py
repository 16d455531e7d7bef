"""Accounts of families: since when, whether they are disabled, and usernames with passwords."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Table, func, select, union, update

from engine.dialects import dialect_of
from engine.store.bulk import one_of
from engine.store.families.tables import invitations, local_accounts, logins
from engine.store.signing.usernames import folded
from engine.store.tables import MOMENT, accounts, people
from rules.change import PersonId

_ALONE: Final = "SHARE ROW EXCLUSIVE"


class Account(NamedTuple):
    """What is known of one person's account.

    *person* is the identity, *id* that of the directory now, and None of who is not listed. *since*
    is None for who never signed in, and *username* for who has no password here.
    """

    person: PersonId
    id: PersonId | None
    name: str
    since: datetime | None
    disabled_at: datetime | None
    username: str | None
    invited_until: datetime | None
    logins: int
    seen_at: datetime | None


class Local(NamedTuple):
    """A password of somebody's own, as its hash."""

    person: PersonId
    password_hash: str

    def __repr__(self) -> str:
        return f"Local({self.person})"


def by_username(connection: Connection, username: str) -> Local | None:
    """Whose a username is."""
    row = connection.execute(
        select(local_accounts).where(local_accounts.c.username == folded(username))
    ).first()
    return Local(PersonId(row.person_id), row.password_hash) if row else None


def set_local(
    connection: Connection, person: PersonId, username: str, password_hash: str, now: datetime
) -> bool:
    """Let somebody sign in under *username*; False where it is another's."""
    dialect_of(connection).lock(connection, local_accounts, _ALONE)
    owner = by_username(connection, username)
    if owner is not None and owner.person != person:
        return False
    values = {"username": folded(username), "password_hash": password_hash, "set_at": now}
    changed = connection.execute(
        update(local_accounts).where(local_accounts.c.person_id == person).values(**values)
    )
    if not changed.rowcount:
        connection.execute(local_accounts.insert().values(person_id=person, **values))
    return True


def rehash(connection: Connection, person: PersonId, password_hash: str) -> None:
    """Keep the same password under newer parameters."""
    connection.execute(
        update(local_accounts)
        .where(local_accounts.c.person_id == person)
        .values(password_hash=password_hash)
    )


def set_disabled(connection: Connection, person: PersonId, at: datetime | None) -> None:
    """Disable an account *at* a moment, also of who never signed in, or enable it again."""
    changed = connection.execute(
        update(accounts).where(accounts.c.person_id == person).values(disabled_at=at)
    )
    if not changed.rowcount and at is not None:
        connection.execute(accounts.insert().values(person_id=person, since=at, disabled_at=at))


def begin(connection: Connection, person: PersonId, now: datetime) -> None:
    """Let an account begin, unless it has."""
    if connection.execute(
        select(accounts.c.person_id).where(accounts.c.person_id == person)
    ).first() is None:  # fmt: skip
        connection.execute(accounts.insert().values(person_id=person, since=now))


def exists(connection: Connection, person: PersonId) -> bool:
    """Whether somebody has an account, or had one that is kept for a while."""
    found = connection.execute(select(accounts.c.person_id).where(accounts.c.person_id == person))
    return found.first() is not None


def some(
    connection: Connection, wanted: Collection[PersonId], now: datetime
) -> Mapping[PersonId, Account]:
    """What is known of those *wanted*, by their identities, also of who has no account."""
    begun = _rows(connection, accounts, wanted)
    local, invited = (_rows(connection, one, wanted) for one in (local_accounts, invitations))
    signed_in = {
        row.person_id: row
        for row in connection.execute(
            select(
                logins.c.person_id, func.count().label("many"),
                func.max(logins.c.seen_at, type_=MOMENT).label("seen_at"),
            )
            .where(one_of(connection, logins.c.person_id, wanted), logins.c.expires_at > now)
            .group_by(logins.c.person_id)
        )
    }  # fmt: skip
    listed = {
        row.identity: row
        for row in connection.execute(
            select(people)
            .where(one_of(connection, people.c.identity, wanted))
            .order_by(people.c.id.desc())
        )
    }
    return {
        one: _account(
            one, listed.get(one), begun.get(one), local.get(one), invited.get(one),
            signed_in.get(one),
        )
        for one in wanted
    }  # fmt: skip


def every(connection: Connection, after: str, limit: int) -> Sequence[PersonId]:
    """The identities of who has an account or an invitation, in order, those *after* one."""
    found = union(select(accounts.c.person_id), select(invitations.c.person_id)).subquery()
    rows = connection.execute(
        select(found.c.person_id)
        .where(found.c.person_id > after)
        .order_by(found.c.person_id)
        .limit(limit)
    )
    return [PersonId(person) for (person,) in rows]


def _rows(
    connection: Connection, table: Table, wanted: Collection[PersonId]
) -> Mapping[PersonId, Row[Any]]:
    rows = connection.execute(select(table).where(one_of(connection, table.c.person_id, wanted)))
    return {PersonId(row.person_id): row for row in rows}


def _account(
    person: PersonId, listed: Row[Any] | None, begun: Row[Any] | None, local: Row[Any] | None,
    invited: Row[Any] | None, signed_in: Row[Any] | None,
) -> Account:  # fmt: skip
    return Account(
        person,
        PersonId(listed.id) if listed else None,
        f"{listed.first_name} {listed.last_name}".strip() if listed else "",
        begun.since if begun else None,
        begun.disabled_at if begun else None,
        local.username if local else None,
        invited.expires_at if invited else None,
        signed_in.many if signed_in else 0,
        signed_in.seen_at if signed_in else None,
    )
