"""Accounts of families, as the school looks after them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from engine.database import Database
from engine.services.actor import Actor
from engine.services.families.whom import identity_of
from engine.store import app, directory
from engine.store.families import accounts, invitations, logins
from engine.store.families.accounts import Account as Account  # the answer of every and of
from rules.change import PersonId

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
