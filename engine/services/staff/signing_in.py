"""Signing in: a password, a second factor where there is one, and the session that comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.secrets import authenticator, passwords
from engine.secrets.keyring import Keyring
from engine.services.actor import Actor
from engine.services.signing.credentials import new_token, token_hash
from engine.services.signing.tries import Tries, tries
from engine.services.staff.accounts import set_password
from engine.store.signing.usernames import folded
from engine.store.staff import accounts, rights, sessions
from engine.store.staff.accounts import Account
from engine.store.staff.sessions import Session
from rules.tool_rights import Grant, StaffId, ToolRights

LONGEST: Final = timedelta(hours=12)
IDLE: Final = timedelta(hours=1)
PENDING: Final = timedelta(minutes=5)
_SEEN_EVERY: Final = timedelta(minutes=1)
_MOST_OF_AN_ADDRESS: Final = 50
_LONGEST_BROWSER: Final = 200


class Browser(NamedTuple):
    """Who asks: the address that the request came from, and what the browser calls itself."""

    address: str
    agent: str


class Visit(NamedTuple):
    """Who is signed in, what they may do, and the session."""

    account: Account
    rights: ToolRights
    session: Session

    @property
    def is_proved(self) -> bool:
        """Whether a second factor was shown."""
        return self.session.proved_at is not None

    def may(self, grant: Grant) -> bool:
        """Whether a right is in force in this session: some need a second factor."""
        return self.rights.may(*grant) and (self.is_proved or not grant.needs_second_factor)

    def may_somewhere(self, grant: Grant) -> bool:
        """Whether the right is in force for the district or at any school."""
        held = self.rights.may_somewhere(grant.tool, grant.right)
        return held and (self.is_proved or not grant.needs_second_factor)


class Refused(NamedTuple):
    """Nobody was signed in. *wait* is true where there were too many tries."""

    wait: bool = False


class Began(NamedTuple):
    """A session began. The browser keeps *token*; while it *is_pending* a code is to be shown."""

    token: str
    is_pending: bool


def sign_in(
    database: Database, keyring: Keyring, username: str, password: str, browser: Browser,
    now: datetime,
) -> Began | Refused:  # fmt: skip
    """Begin a session of who has this password; too many failures are refused unasked."""
    account = _who_has(database, keyring, username, password, browser, now)
    if isinstance(account, Refused):
        return account
    with database.write() as connection:
        _tell(connection, account, "sign-in.password", now)
        return begin(connection, account, browser, now, is_pending=account.has_second_factor)


def _who_has(
    database: Database, keyring: Keyring, username: str, password: str, browser: Browser,
    now: datetime,
) -> Account | Refused:  # fmt: skip
    """Whose password this is. A failure is counted, for the name and for the address."""
    counted = _tries(keyring, folded(username), browser)
    with database.read() as connection:
        if counted.are_too_many(connection, now):
            return Refused(wait=True)
        account = accounts.by_username(connection, username)
        kept = accounts.password_hash(connection, account.id) if account else None
    is_right = passwords.matches(password, kept)
    with database.write() as connection:
        if account is None or kept is None or not is_right or account.is_disabled:
            counted.failed(connection, now)
            _tell(connection, account, "sign-in.refused", now)
            return Refused()
        counted.succeeded(connection)
        if passwords.is_outdated(kept):
            accounts.change(connection, account.id, password_hash=passwords.hashed(password))
    return account


def begin(
    connection: Connection,
    account: Account,
    browser: Browser,
    now: datetime,
    *,
    is_pending: bool = False,
    proved: bool = False,
    provider_session: bytes | None = None,
) -> Began:
    """Begin a session of somebody who has proved who they are, under a new token."""
    token = new_token()
    life = PENDING if is_pending else LONGEST
    sessions.begin(
        connection,
        Session(
            token_hash(token), account.id, browser.agent[:_LONGEST_BROWSER], now, now, now + life,
            is_pending, now if proved else None, provider_session,
        ),
    )  # fmt: skip
    return Began(token, is_pending)


def change_password(
    database: Database, keyring: Keyring, username: str, password: str, new: str,
    browser: Browser, now: datetime,
) -> Began | Refused:  # fmt: skip
    """Choose another password, by showing the one of now; every session ends, and one begins.

    Raises SchoolbellError for a new one that is too weak.
    """
    account = _who_has(database, keyring, username, password, browser, now)
    if isinstance(account, Refused):
        return account
    set_password(database, Actor(account.name, now, account.id), account.id, new)
    with database.write() as connection:
        return begin(connection, account, browser, now, is_pending=account.has_second_factor)


def show_second_factor(
    database: Database, keyring: Keyring, token: str, code: str, browser: Browser, now: datetime
) -> Began | Refused:
    """Turn a pending session into a whole one, by the code of an app or a recovery code.

    The session begins anew under another token, so that one who knew the old one has nothing.
    """
    with database.write() as connection:
        session = alive(connection, token, now)
        account = accounts.by_id(connection, session.staff) if session else None
        if session is None or account is None or account.is_disabled:
            return Refused()
        counted = _tries(keyring, f"\0code {account.id}", browser)
        if counted.are_too_many(connection, now):
            sessions.end(connection, session.token_hash)
            return Refused(wait=True)
        if not _takes(connection, keyring, account.id, code, now):
            counted.failed(connection, now)
            _tell(connection, account, "sign-in.code-refused", now)
            return Refused()
        counted.succeeded(connection)
        sessions.end(connection, session.token_hash)
        _tell(connection, account, "sign-in.second-factor", now)
        return begin(
            connection, account, browser, now, proved=True,
            provider_session=session.provider_session,
        )  # fmt: skip


def visit(database: Database, token: str, now: datetime, *, is_use: bool = True) -> Visit | None:
    """Who shows this token; None for a session that is unknown, over, idle or pending.

    What is no use of the session, because nobody did it, does not keep it from becoming idle.
    """
    with database.read() as connection:
        session, account = sessions.with_account(connection, token_hash(token)) or (None, None)
        if session is None or account is None or not _is_alive(session, now):
            return None
        if session.is_pending or account.is_disabled:
            return None
        held = rights.of(connection, account.id)
    if is_use and now - session.seen_at > _SEEN_EVERY:
        with database.write() as connection:
            sessions.seen(connection, session.token_hash, now)
    return Visit(account, held, session)


def is_pending(database: Database, token: str, now: datetime) -> bool:
    """Whether a second factor is still to be shown."""
    return pending_account(database, token, now) is not None


def pending_account(database: Database, token: str, now: datetime) -> Account | None:
    """Who still has to show a second factor; None where nobody has."""
    with database.read() as connection:
        session = alive(connection, token, now)
        if session is None or not session.is_pending:
            return None
        return accounts.by_id(connection, session.staff)


def sign_out(database: Database, token: str) -> Account | None:
    """End the session of a token; whose it was."""
    with database.write() as connection:
        session = sessions.find(connection, token_hash(token))
        if session is None:
            return None
        sessions.end(connection, session.token_hash)
        return accounts.by_id(connection, session.staff)


def sessions_of(database: Database, who: StaffId, now: datetime) -> Sequence[Session]:
    """Where somebody is signed in, the newest first."""
    with database.read() as connection:
        return sessions.of(connection, who, now)


def end_session(database: Database, who: StaffId, name: str, now: datetime) -> bool:
    """End one of somebody's own sessions, by the name that `name_of` gives it."""
    with database.write() as connection:
        for one in sessions.of(connection, who, now):
            if name_of(one) == name:
                return sessions.end(connection, one.token_hash)
    return False


def end_others(database: Database, visit: Visit) -> int:
    """End every session but this one; how many there were."""
    with database.write() as connection:
        return sessions.end_all(connection, visit.account.id, but=visit.session.token_hash)


def name_of(session: Session) -> str:
    """What names a session on a page: nothing that opens it."""
    return session.token_hash.hex()[:16]


def alive(connection: Connection, token: str, now: datetime) -> Session | None:
    """The session of a token, unless it is over or idle; it may be pending."""
    session = sessions.find(connection, token_hash(token))
    return session if session and _is_alive(session, now) else None


def _is_alive(session: Session, now: datetime) -> bool:
    return session.expires_at > now and now - session.seen_at <= IDLE


def _takes(
    connection: Connection, keyring: Keyring, who: StaffId, code: str, now: datetime
) -> bool:
    secret = accounts.totp_secret(connection, keyring, who)
    step = authenticator.step_of(secret, code, now) if secret else None
    if step is not None:
        return accounts.take_totp_step(connection, who, step)
    return accounts.take_recovery_code(connection, who, authenticator.code_hash(code), now)


def _tries(keyring: Keyring, name: str, browser: Browser) -> Tries:
    return tries(keyring, "sign-in", name, browser.address, _MOST_OF_AN_ADDRESS)


def _tell(connection: Connection, account: Account | None, act: str, now: datetime) -> None:
    """An unknown username is not written down: it may be a password."""
    if account is None:
        Actor("somebody", now).did(connection, act, "an unknown username", None, None)
        return
    Actor(account.name, now, account.id).did(connection, act, account.username, None, None)
