"""What people do in the app: sign in on a device, sign out, choose what to hear about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    Column,
    Connection,
    bindparam,
    delete,
    distinct,
    exists,
    func,
    or_,
    select,
    update,
)

from engine.store import devices
from engine.store.bulk import one_of
from engine.store.families import accounts as families
from engine.store.families.logins import LoginId
from engine.store.families.tables import invitations, local_accounts, logins, trials
from engine.store.tables import accounts, inbox_reads, inboxes, missing, sessions, subscriptions
from engine.store.tables import devices as device_rows
from engine.wire.messages import Token
from rules.audience import DeviceId
from rules.change import Kind, PersonId, StudentId

if TYPE_CHECKING:
    from engine.secrets.keyring import Keyring

_OF_PEOPLE: Final = (
    accounts, sessions, subscriptions, inboxes, inbox_reads, invitations, local_accounts, logins,
    trials,
)  # fmt: skip
_BEGINNINGS: Final = (accounts.c.person_id, invitations.c.person_id)
"""What somebody has who has anything of their own."""


def sign_in(
    connection: Connection,
    keyring: Keyring,
    person: PersonId,
    token: Token,
    now: datetime,
    *,
    push_key: bytes | None = None,
    stay_logged_in: bool = True,
    expires_at: datetime | None = None,
    login: LoginId | None = None,
) -> DeviceId:
    """Begin a session of *person* on the device with *token*; repeatable at every app start.

    *person* is an identity of the directory, as everywhere here. A device that was retired lives
    again: the app on it just proved so. *push_key* (32 bytes) opens what is sealed for this phone
    alone.
    """
    families.begin(connection, person, now)
    device = devices.register(connection, keyring, token, push_key, now)
    connection.execute(
        delete(sessions).where(sessions.c.person_id == person, sessions.c.device_id == int(device))
    )
    connection.execute(
        sessions.insert().values(
            person_id=person, device_id=int(device), stay_logged_in=stay_logged_in,
            started_at=now, expires_at=expires_at, login_id=login,
        )
    )  # fmt: skip
    return device


def sign_out_others(
    connection: Connection, person: PersonId, device: DeviceId, now: datetime
) -> int:
    """End the sessions of everybody but *person* on *device*: an app is of one account at a time.

    Return how many there were.
    """
    return connection.execute(
        update(sessions)
        .where(
            sessions.c.person_id != person,
            sessions.c.device_id == int(device),
            sessions.c.ended_at.is_(None),
        )
        .values(ended_at=now)
    ).rowcount


def sign_out_everywhere(connection: Connection, person: PersonId, now: datetime) -> int:
    """End every session of *person*, also those that a command began; how many there were."""
    return connection.execute(
        update(sessions)
        .where(sessions.c.person_id == person, sessions.c.ended_at.is_(None))
        .values(ended_at=now)
    ).rowcount


def sign_out(connection: Connection, person: PersonId, device: DeviceId, now: datetime) -> bool:
    """End the session of *person* on *device*; return whether there was one that had not ended."""
    ended = connection.execute(
        update(sessions)
        .where(
            sessions.c.person_id == person,
            sessions.c.device_id == int(device),
            sessions.c.ended_at.is_(None),
        )
        .values(ended_at=now)
    )
    return bool(ended.rowcount)


def count_reached(connection: Connection, now: datetime) -> tuple[int, int]:
    """How many people, and devices, take pushes now."""
    row = connection.execute(
        select(
            func.count(distinct(sessions.c.person_id)), func.count(distinct(sessions.c.device_id))
        )
        .join(device_rows, device_rows.c.id == sessions.c.device_id)
        .where(
            sessions.c.stay_logged_in,
            sessions.c.ended_at.is_(None),
            or_(sessions.c.expires_at.is_(None), sessions.c.expires_at > now),
            device_rows.c.retired_at.is_(None),
        )
    ).one()
    return int(row[0]), int(row[1])


def devices_of(connection: Connection, person: PersonId, now: datetime) -> list[DeviceId]:
    """The devices on which *person* stays logged in now."""
    found = connection.execute(
        select(sessions.c.device_id)
        .join(accounts, accounts.c.person_id == sessions.c.person_id)
        .where(
            sessions.c.person_id == person,
            accounts.c.disabled_at.is_(None),
            sessions.c.stay_logged_in,
            sessions.c.ended_at.is_(None),
            or_(sessions.c.expires_at.is_(None), sessions.c.expires_at > now),
        )
        .order_by(sessions.c.device_id)
    )
    return [DeviceId(str(number)) for number in found.scalars()]


def account_since(connection: Connection, person: PersonId) -> datetime | None:
    """When the account of *person* began; None where they have none, or are missing."""
    is_missing = exists().where(missing.c.entity == "people", missing.c.identity == person)
    found: datetime | None = connection.execute(
        select(accounts.c.since).where(accounts.c.person_id == person, ~is_missing)
    ).scalar()
    return found


def end_accounts(connection: Connection, people: Collection[str]) -> None:
    """Forget sign-ins and choices of people who are gone: who gets their id has none of them."""
    for table in _OF_PEOPLE:
        connection.execute(delete(table).where(one_of(connection, table.c.person_id, people)))


def move_accounts(connection: Connection, pairs: Mapping[str, str]) -> None:
    """Keep what people have under another identity, unless they have an account there."""
    theirs: dict[str, str] = {}
    for column in _BEGINNINGS:
        theirs |= _pairs_in(connection, column, pairs)
    there = dict.fromkeys(theirs.values(), "")
    taken = {one for column in _BEGINNINGS for one in _pairs_in(connection, column, there)}
    for table in _OF_PEOPLE:
        _move(connection, table.c.person_id, theirs, taken)


def move_subscriptions(connection: Connection, pairs: Mapping[str, str]) -> None:
    """The same of what was chosen about students."""
    column = subscriptions.c.student_id
    theirs = _pairs_in(connection, column, pairs)
    taken = set(_pairs_in(connection, column, dict.fromkeys(theirs.values(), "")))
    _move(connection, column, theirs, taken)


def _pairs_in(
    connection: Connection, column: Column[str], pairs: Mapping[str, str]
) -> dict[str, str]:
    """Those of *pairs* whose first half the table has."""
    found = connection.execute(select(column).where(one_of(connection, column, pairs)).distinct())
    return {was: pairs[was] for (was,) in found}


def _move(
    connection: Connection, column: Column[str], pairs: Mapping[str, str], taken: Collection[str]
) -> None:
    one_each = {becomes: was for was, becomes in sorted(pairs.items(), reverse=True)}
    moved = [
        {"was": was, "becomes": becomes}
        for becomes, was in one_each.items()
        if becomes not in taken
    ]
    if moved:
        connection.execute(
            update(column.table)
            .where(column == bindparam("was"))
            .values({column: bindparam("becomes")}),
            moved,
        )


def end_subscriptions(connection: Connection, students: Collection[str]) -> None:
    """Forget what anybody chose to hear about students who are gone."""
    connection.execute(
        delete(subscriptions).where(one_of(connection, subscriptions.c.student_id, students))
    )


def subscribe(
    connection: Connection,
    person: PersonId,
    student: StudentId,
    kind: Kind,
    *,
    enabled: bool = True,
    thresholds: Sequence[Decimal] = (),
) -> None:
    """Choose whether *person* hears of *kind* about *student*, and below which thresholds."""
    chosen = {"student_id": student, "person_id": person, "kind": kind}
    conditions = [subscriptions.c[name] == value for name, value in chosen.items()]
    connection.execute(delete(subscriptions).where(*conditions))
    connection.execute(
        subscriptions.insert().values(
            **chosen, enabled=enabled, thresholds=" ".join(f"{one:f}" for one in thresholds)
        )
    )
