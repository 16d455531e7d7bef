"""Accounts of families, as the school looks after them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.services.actor import Actor
from engine.services.families.logins import Login, is_over
from engine.services.families.standing import Barred, standing
from engine.services.families.whom import identity_of
from engine.store import app, directory
from engine.store.families import accounts, devices, invitations, logins, members
from engine.store.families.accounts import Account as Account  # the answer of every and of
from engine.store.families.devices import OwnDevice
from rules.change import PersonId, StudentId

_AT_ONCE: Final = 500


def every(database: Database, now: datetime) -> Iterator[Account]:
    """Who has an account or is invited, in the order of their identities."""
    after = ""
    while True:
        with database.read() as connection:
            some = accounts.every(connection, after, _AT_ONCE)
            known = accounts.some(connection, some, now)
        yield from (known[one] for one in some)
        if len(some) < _AT_ONCE:
            return
        after = some[-1]


def of(
    database: Database, people: Collection[PersonId], now: datetime
) -> Mapping[PersonId, Account]:
    """What is known of these people's accounts, by their ids in the directory."""
    with database.read() as connection:
        whose = {one: directory.identity_of(connection, one) for one in people}
        known = accounts.some(connection, set(whose.values()), now)
    return {one: known[identity] for one, identity in whose.items()}


class Looked(NamedTuple):
    """One person's account: where they are signed in, on which devices they hear, whom they see.

    *barred* is why they may not sign in now, or None.
    """

    account: Account
    logins: Sequence[Login]
    devices: Sequence[OwnDevice]
    sees: Collection[StudentId]
    barred: Barred | None


def look(database: Database, person: PersonId, now: datetime, today: date) -> Looked:
    """What there is to know of a person's account, by their id in the directory."""
    with database.read() as connection:
        identity = directory.identity_of(connection, person)
        member = members.find(connection, identity)
        found = standing(connection, identity, today)
        return Looked(
            accounts.some(connection, [identity], now)[identity],
            [one for one in logins.of(connection, identity, now) if not is_over(one, now)],
            devices.of(connection, identity, now),
            member.sees(today) if member else frozenset(),
            found if isinstance(found, Barred) else None,
        )


def disable(database: Database, by: Actor, person: PersonId) -> None:
    """Let somebody sign in no more: every login and every push ends at once."""
    with database.write() as connection:
        identity = identity_of(connection, person)
        accounts.set_disabled(connection, identity, by.at)
        invitations.drop(connection, identity)
        sign_out(connection, identity, by.at)
        by.did(connection, "family.disabled", f"person {person}", None, None)


def enable(database: Database, by: Actor, person: PersonId) -> None:
    """Let somebody sign in again."""
    with database.write() as connection:
        accounts.set_disabled(connection, identity_of(connection, person), None)
        by.did(connection, "family.enabled", f"person {person}", None, None)


def sign_out_everywhere(database: Database, by: Actor, person: PersonId) -> int:
    """End every login of somebody, with the pushes; on how many apps and browsers they were."""
    with database.write() as connection:
        count = sign_out(connection, identity_of(connection, person), by.at)
        by.did(connection, "family.signed-out", f"person {person}", None, {"logins": count})
    return count


def sign_out(connection: Connection, identity: PersonId, now: datetime) -> int:
    """End every login of an identity, and every push to it."""
    count = logins.end_all(connection, identity, now)
    app.sign_out_everywhere(connection, identity, now)
    return count
