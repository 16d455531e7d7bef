"""Access tokens: what a program of a staff user shows in place of a sign-in.

A token may do what its owner may at that moment, and nothing more. It is made in a session that has
shown a second factor, so it counts as one that has. It is kept as a hash, ends by itself, and ends
with the owner's password, second factor or account.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from engine.database import Database
from engine.errors import SchoolbellError
from engine.services.actor import Actor
from engine.services.signing.credentials import token_hash
from engine.services.staff.signing_in import Visit
from engine.store.staff import accounts, rights, tokens
from engine.store.staff.sessions import Session
from engine.store.staff.tokens import Token as Token  # the answer of tokens_of

LIVES: Final = (30, 90, 365)
"""For how many days a token may be made."""
MOST: Final = 20
PREFIX: Final = "schoolbell_"
"""What every token begins with, so that a scanner of source code finds one that was left there."""

_BYTES: Final = 32
_LONGEST_NAME: Final = 100
_USED_EVERY: Final = timedelta(minutes=1)


def make(database: Database, visit: Visit, name: str, days: int, now: datetime) -> str:
    """Make a token, which is shown this once.

    Raises SchoolbellError in a session that showed no second factor, and for a name or a life that
    is none.
    """
    name = " ".join(name.split())
    if not visit.is_proved:
        raise SchoolbellError(
            "A program may do what its owner may, so its token needs a second factor.",
            "Sign in with a second factor first.",
        )
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise SchoolbellError(
            "This can be no name.",
            "Write 1 to %(most)s characters on one line.",
            most=_LONGEST_NAME,
        )
    if days not in LIVES:
        raise SchoolbellError(
            "A token cannot be made for so long.",
            "Choose %(lives)s days.",
            lives=", ".join(map(str, LIVES)),
        )
    made = PREFIX + secrets.token_urlsafe(_BYTES)
    account = visit.account
    with database.write() as connection:
        if len(tokens.of(connection, account.id, now)) >= MOST:
            raise SchoolbellError(
                "There are %(most)s tokens already.",
                "End one that no program needs any more.",
                most=MOST,
            )
        ends = now + timedelta(days=days)
        tokens.add(connection, account.id, name, token_hash(made), now, ends)
        Actor(account.name, now, account.id).did(
            connection, "token.made", name, None, {"until": ends.isoformat()}
        )
    return made


def tokens_of(database: Database, visit: Visit, now: datetime) -> Sequence[Token]:
    """The tokens of who is signed in, the newest first."""
    with database.read() as connection:
        return tokens.of(connection, visit.account.id, now)


def end(database: Database, visit: Visit, token: int, now: datetime) -> None:
    """End one of one's own tokens, at once."""
    account = visit.account
    with database.write() as connection:
        if tokens.end(connection, account.id, token):
            Actor(account.name, now, account.id).did(
                connection, "token.ended", f"token {token}", None, None
            )


def visit_of(database: Database, shown: str, now: datetime) -> Visit | None:
    """Who shows this token; None for one that is unknown or over, or of a disabled account."""
    with database.read() as connection:
        token = tokens.find(connection, token_hash(shown))
        if token is None or token.expires_at <= now:
            return None
        account = accounts.by_id(connection, token.staff)
        if account is None or account.is_disabled:
            return None
        held = rights.of(connection, account.id)
    if token.used_at is None or now - token.used_at > _USED_EVERY:
        with database.write() as connection:
            tokens.used(connection, token.id, now)
    session = Session(
        token.token_hash, account.id, token.name, token.made_at, now, token.expires_at,
        is_pending=False, proved_at=token.made_at,
    )  # fmt: skip
    return Visit(account, held, session)
