"""Logins: what an app or a browser shows, how it is renewed, and how it ends.

A refresh token stands for a login, and an access token for ten minutes of it. Every refresh gives
the successor of the token that was shown: it is made of that token by a seed that stands in our
database alone, of which only a hash of the newest is kept. So whoever shows the same token gets the
same successor, whoever has read the database has none, and an old token shows that it once was one,
however old. `rules.refreshing` says what is done with it.

An access token is signed with the keyring. At each request the login is looked up, and whoever it
is of: what ended is over at once.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.secrets.keyring import Keyring
from engine.services.families.standing import Barred, Member, standing
from engine.services.signing.credentials import token_hash
from engine.store.families import accounts, logins
from engine.store.families.logins import Chain, Kept
from engine.store.families.logins import Login as Login  # parts of the answers
from engine.store.families.logins import LoginId as LoginId
from engine.telemetry import Event, emit
from rules.change import PersonId
from rules.refreshing import GRACE, Newest, Turn, turn

STAYS: Final = timedelta(days=180)
"""How long a login lasts that stays, whatever happens."""
LONGEST: Final = timedelta(hours=12)
IDLE: Final = timedelta(minutes=30)
ACCESS: Final = timedelta(minutes=10)
_SEEN_EVERY: Final = timedelta(minutes=1)
_SECRET: Final = 32  # bytes
_LONGEST_NAME: Final = 100
_MOST_BEHIND: Final = 100_000  # generations: 180 days have 26,000 of ten minutes
_REFRESH: Final = re.compile(r"sbrefresh_([1-9]\d{0,17})_(\d{1,9})_([0-9a-f]{64})", re.ASCII)
_ACCESS: Final = re.compile(
    r"sbaccess_([1-9]\d{0,17})_(\d{1,9})_(\d{1,12})_([0-9a-f]{64})", re.ASCII
)


class Given(NamedTuple):
    """What an app keeps: *access_token* for ACCESS, and then *refresh_token* for the next."""

    access_token: str
    refresh_token: str
    login: Login

    def __repr__(self) -> str:
        return f"Given({self.login!r})"


class Visit(NamedTuple):
    """Who is signed in, and where."""

    member: Member
    login: Login

    @property
    def person(self) -> PersonId:
        """Their id in the directory now."""
        return self.member.id

    @property
    def identity(self) -> PersonId:
        """Their identity in the directory: what their choices are kept under."""
        return self.member.person

    @property
    def name(self) -> str:
        """What they are called."""
        return self.member.name

    @property
    def language(self) -> str:
        """The language that the SIS says they read."""
        return self.member.language

    @property
    def is_student(self) -> bool:
        """Whether they are a student themselves."""
        return bool(self.member.themselves)


class Over(StrEnum):
    """Why a refresh token gives no successor."""

    UNKNOWN = "unknown"
    REVOKED = "revoked"


def begin(
    connection: Connection, keyring: Keyring, person: PersonId, name: str, now: datetime,
    *, stay_logged_in: bool,
) -> Given:  # fmt: skip
    """Begin a login of somebody who has proved who they are, on what calls itself *name*."""
    secret = secrets.token_bytes(_SECRET)
    seed = secrets.token_bytes(_SECRET)
    chain = Chain(seed, 0, _hash(secret), Newest(now, None))
    accounts.begin(connection, person, now)
    login = logins.begin(
        connection, person, _shown(name), chain, now, now + (STAYS if stay_logged_in else LONGEST),
        stay_logged_in=stay_logged_in,
    )  # fmt: skip
    return _given(keyring, Kept(login, chain), 0, secret, now)


def refresh(
    database: Database, keyring: Keyring, shown: str, now: datetime, today: date
) -> Given | Over | Barred:
    """Give the successor of a refresh token, or the same while it is younger than GRACE.

    One whose successor is in use was stolen, or the successor was: the login ends for both.
    """
    found = _refreshed(database, keyring, shown, now, today, GRACE, is_use=True)
    return found[0] if isinstance(found, tuple) else found


def visit(
    database: Database, keyring: Keyring, shown: str, now: datetime, today: date,
    *, is_use: bool = True,
) -> Visit | None:  # fmt: skip
    """Who shows this access token; None for one that is over, or whose login or owner is.

    What is no use of the login, because nobody did it, does not keep it from becoming idle.
    """
    read = _ACCESS.fullmatch(shown)
    if read is None:
        return None
    which, generation, until = LoginId(int(read[1])), int(read[2]), int(read[3])
    if until <= now.timestamp():
        return None
    with database.read() as connection:
        kept = alive(connection, which, now)
        if kept is None or not _is_signed(keyring, kept, generation, until, read[4]):
            return None
        member = standing(connection, kept.login.person, today)
    if isinstance(member, Barred):
        return None
    if is_use:
        _note_use(database, kept, generation, now)
    return Visit(member, kept.login)


def browsing(
    database: Database, keyring: Keyring, shown: str, now: datetime, today: date,
    *, is_use: bool = True,
) -> tuple[Visit, str] | None:  # fmt: skip
    """Who shows a refresh token as the cookie of a browser, and the one that it is to keep.

    That is mostly the same: it is renewed when it is as old as an access token may become.
    """
    found = _refreshed(database, keyring, shown, now, today, ACCESS, is_use=is_use)
    if not isinstance(found, tuple):
        return None
    given, member = found
    return Visit(member, given.login), given.refresh_token


def of(database: Database, person: PersonId, now: datetime) -> Sequence[Login]:
    """Where somebody is signed in, the newest first."""
    with database.read() as connection:
        found = logins.of(connection, person, now)
    return [one for one in found if not is_over(one, now)]


def end(database: Database, visit_: Visit, which: LoginId, now: datetime) -> bool:
    """End one of one's own logins, with the pushes to its devices; whether there was one."""
    with database.write() as connection:
        return logins.end(connection, visit_.identity, which, now)


def end_others(database: Database, visit_: Visit, now: datetime) -> int:
    """End every login of one's own but this; how many there were."""
    with database.write() as connection:
        return logins.end_all(connection, visit_.identity, now, but=visit_.login.id)


def sign_out(database: Database, shown: str, now: datetime) -> None:
    """End the login of a refresh token, whichever of its tokens that is."""
    token = _Shown.read(shown)
    if token is None:
        return
    with database.write() as connection:
        kept = logins.find(connection, token.login)
        if kept is not None and token.behind(kept.chain) is not None:
            logins.end(connection, kept.login.person, token.login, now)


def alive(connection: Connection, which: LoginId, now: datetime) -> Kept | None:
    """A login, unless it is over or idle."""
    kept = logins.find(connection, which)
    return None if kept is None or is_over(kept.login, now) else kept


class _Shown(NamedTuple):
    """A refresh token that somebody shows."""

    login: LoginId
    generation: int
    secret: bytes

    def __repr__(self) -> str:
        return f"_Shown({self.login}, {self.generation})"

    @classmethod
    def read(cls, words: str) -> _Shown | None:
        """None for what is no refresh token."""
        read = _REFRESH.fullmatch(words)
        return read and cls(LoginId(int(read[1])), int(read[2]), bytes.fromhex(read[3]))

    def behind(self, chain: Chain) -> int | None:
        """By how many generations it is older than the newest; None where it is none of these."""
        behind = chain.generation - self.generation
        if not 0 <= behind <= _MOST_BEHIND:
            return None
        secret = self.secret
        for _ in range(behind):
            secret = _successor(chain.seed, secret)
        return behind if hmac.compare_digest(_hash(secret), chain.token_hash) else None


def _refreshed(
    database: Database, keyring: Keyring, shown: str, now: datetime, today: date,
    renew_after: timedelta, *, is_use: bool,
) -> tuple[Given, Member] | Over | Barred:  # fmt: skip
    token = _Shown.read(shown)
    while token is not None:
        with database.read() as connection:
            kept = alive(connection, token.login, now)
            behind = token.behind(kept.chain) if kept else None
            if kept is None or behind is None:
                break
            member = standing(connection, kept.login.person, today)
        if isinstance(member, Barred):
            return member
        generation, secret = token.generation, token.secret
        match turn(behind, kept.chain.newest, now, renew_after):
            case Turn.REVOKE:
                _revoke(database, kept.login, now)
                return Over.REVOKED
            case Turn.RENEW:
                generation, secret = generation + 1, _successor(kept.chain.seed, secret)
                if not _renew(database, kept, secret, now):
                    continue  # somebody else did meanwhile: what they made is repeated
            case Turn.REPEAT:
                generation, secret = generation + 1, _successor(kept.chain.seed, secret)
            case Turn.KEEP:
                if is_use:
                    _note_use(database, kept, generation, now)
        return _given(keyring, kept, generation, secret, now), member
    return Over.UNKNOWN


def _successor(seed: bytes, secret: bytes) -> bytes:
    return hmac.digest(seed, secret, "sha256")


def _hash(secret: bytes) -> bytes:
    return token_hash(secret.hex())


def _given(keyring: Keyring, kept: Kept, generation: int, secret: bytes, now: datetime) -> Given:
    login = kept.login
    until = int((now + ACCESS).timestamp())
    signed = keyring.hashes(_words(kept, generation, until))[0].hex()
    return Given(
        f"sbaccess_{login.id}_{generation}_{until}_{signed}",
        f"sbrefresh_{login.id}_{generation}_{secret.hex()}",
        login,
    )


def _is_signed(keyring: Keyring, kept: Kept, generation: int, until: int, signed: str) -> bool:
    """Whether we gave this, also by a key that another process has made since we looked."""
    for _ in range(2):
        made = keyring.hashes(_words(kept, generation, until))
        if any(hmac.compare_digest(one.hex(), signed) for one in made):
            return True
        keyring.refresh()
    return False


def _words(kept: Kept, generation: int, until: int) -> str:
    """What an access token says. Its login is named by the seed, too: an id may come again when a
    copy of the database is put back."""
    return f"access {kept.login.id} {generation} {until} {kept.chain.seed.hex()}"


def _renew(database: Database, kept: Kept, successor: bytes, now: datetime) -> bool:
    with database.write() as connection:
        return logins.renew(connection, kept.login.id, kept.chain.generation, _hash(successor), now)


def _note_use(database: Database, kept: Kept, generation: int, now: datetime) -> None:
    """Take note that a login is in use, and that its newest token has arrived there."""
    arrived = kept.chain.newest.used_at is None and generation == kept.chain.generation
    if arrived or now - kept.login.seen_at > _SEEN_EVERY:
        with database.write() as connection:
            logins.seen(connection, kept.login.id, now)
            if arrived:
                logins.used(connection, kept.login.id, generation, now)


def _revoke(database: Database, login: Login, now: datetime) -> None:
    with database.write() as connection:
        logins.end(connection, login.person, login.id, now)
    emit(
        Event.LOGIN_REVOKED, level=logging.WARNING,
        problem=f"A refresh token of login {login.id} was shown after its successor was in use.",
        remedy="Nothing: the login has ended, and its owner signs in again.",
    )  # fmt: skip


def is_over(login: Login, now: datetime) -> bool:
    """Whether a login came to its end, or was left alone without Stay Logged In."""
    is_idle = not login.stay_logged_in and now - login.seen_at > IDLE
    return login.expires_at <= now or is_idle


def _shown(name: str) -> str:
    """What a login is called, on one line."""
    plain = " ".join("".join(one if one.isprintable() else " " for one in name).split())
    return plain[:_LONGEST_NAME]
