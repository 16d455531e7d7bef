"""Accounts of staff: made, changed and taken away by an administrator or at the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from engine.config import OidcSettings
from engine.database import Database
from engine.errors import SchoolbellError
from engine.secrets import authenticator
from engine.services.actor import Actor
from engine.services.signing import credentials
from engine.store import exports
from engine.store.staff import accounts, identities, passkeys, rights, sessions, tokens
from engine.store.staff.accounts import Account as Account  # the answer of add, every and named
from rules.tool_rights import EVERYTHING, GroupId, Right, StaffId, Tool

LANGUAGES: Final = ("en", "es")
SETUP_CODES_LAST: Final = timedelta(days=14)
ADMINISTRATORS: Final = GroupId("administrators")
_ADMINISTRATORS_NAME: Final = "Administrators"
_LONGEST_NAME: Final = 200


def add(
    database: Database,
    by: Actor,
    username: str,
    name: str,
    password: str | None,
    *,
    admin: bool = False,
    language: str = "en",
) -> Account:
    """Make an account; an *admin*'s is in the group of administrators, made when missing.

    Without a *password* it signs in by the district's provider, which knows it by the username.
    Raises SchoolbellError for a username that is taken or none, and for a weak password.
    """
    username, name = credentials.username(username), _name(name)
    kept = None if password is None else credentials.hashed(password, username)
    with database.write() as connection:
        who = accounts.add(connection, username, name, _language(language), kept, by.at)
        if who is None:
            raise SchoolbellError(
                "There is an account %(username)s already.",
                "Choose another username.",
                username=username,
            )
        if admin:
            _make_administrators(connection)
            rights.join(connection, who, ADMINISTRATORS)
        by.did(
            connection, "staff.added", username, None,
            {"name": name, "administrator": admin, "by_provider": password is None},
        )  # fmt: skip
        return required(connection, who)


def every(database: Database) -> Sequence[Account]:
    """All accounts, by username."""
    with database.read() as connection:
        return accounts.every(connection)


def named(database: Database, username: str) -> Account:
    """The account of a username; raises SchoolbellError where there is none."""
    with database.read() as connection:
        found = accounts.by_username(connection, username)
    if found is None:
        raise SchoolbellError(
            "There is no such account.", "`schoolbell staff list` shows all of them."
        )
    return found


def exist(database: Database) -> bool:
    """Whether there is any account yet."""
    with database.read() as connection:
        return bool(accounts.count(connection))


def set_language(database: Database, who: StaffId, language: str) -> None:
    """Choose the language of one's own pages."""
    with database.write() as connection:
        accounts.change(connection, who, language=_language(language))


def set_password(database: Database, by: Actor, who: StaffId, password: str) -> None:
    """Set a new password, and end every session; the provider's sign-in holds no more.

    Raises SchoolbellError for one that is too weak.
    """
    with database.write() as connection:
        account = required(connection, who)
        kept = credentials.hashed(password, account.username)
        accounts.change(connection, who, password_hash=kept)
        identities.forget(connection, who)
        sign_out_everywhere(connection, who)
        by.did(connection, "staff.password-set", account.username, None, None)


def sign_in_by_provider(database: Database, by: Actor, who: StaffId) -> None:
    """Let somebody sign in by the provider alone, bound to whoever does next under the username.

    The password holds no more, and every session ends.
    """
    with database.write() as connection:
        account = required(connection, who)
        accounts.change(connection, who, password_hash=None)
        identities.forget(connection, who)
        sign_out_everywhere(connection, who)
        by.did(connection, "staff.signs-in-by-provider", account.username, None, None)


def require_provider(settings: OidcSettings) -> None:
    """Raise SchoolbellError where there is no provider to sign in by."""
    if not settings.issuer:
        raise SchoolbellError(
            "This portal has no provider to sign in by.",
            "Whoever runs it describes one in [portal.oidc]; until then choose a password.",
        )


def disable(database: Database, by: Actor, who: StaffId) -> None:
    """Let somebody sign in no more, end their sessions at once, and erase what they exported.

    Raises SchoolbellError for the last one who can give rights.
    """
    with database.write() as connection:
        account = required(connection, who)
        accounts.change(connection, who, disabled_at=by.at)
        sign_out_everywhere(connection, who)
        exports.erase_those_of(connection, who)
        require_an_administrator(connection)
        by.did(connection, "staff.disabled", account.username, None, None)


def enable(database: Database, by: Actor, who: StaffId) -> None:
    """Let somebody sign in again."""
    with database.write() as connection:
        account = required(connection, who)
        accounts.change(connection, who, disabled_at=None)
        by.did(connection, "staff.enabled", account.username, None, None)


def forget_second_factor(database: Database, by: Actor, who: StaffId) -> None:
    """Take the app and the passkeys away from somebody who lost them and every recovery code."""
    with database.write() as connection:
        account = required(connection, who)
        accounts.change(connection, who, totp_sealed=None, totp_used=None)
        passkeys.remove_all(connection, who)
        accounts.set_recovery_codes(connection, who, [])
        sign_out_everywhere(connection, who)
        by.did(connection, "staff.second-factor-forgotten", account.username, None, None)


def new_setup_code(database: Database, by: Actor, who: StaffId) -> str:
    """A code by which somebody sets up their first second factor, once and within two weeks.

    Whoever stole the password has none, so that they cannot set up theirs before its owner does.
    """
    code = authenticator.new_code()
    with database.write() as connection:
        account = required(connection, who)
        accounts.set_setup_code(
            connection, who, authenticator.code_hash(code), by.at + SETUP_CODES_LAST
        )
        by.did(connection, "staff.setup-code", account.username, None, None)
    return code


def sign_out_everywhere(connection: Connection, who: StaffId) -> None:
    """End every session of an account, and every access token of its programs."""
    sessions.end_all(connection, who)
    tokens.end_all(connection, who)


def require_an_administrator(connection: Connection) -> None:
    """Raise SchoolbellError unless somebody who can sign in may give rights."""
    for account in accounts.every(connection):
        held = rights.of(connection, account.id)
        if not account.is_disabled and held.may(Tool.STAFF, Right.WRITE):
            return
    raise SchoolbellError(
        "Nobody could give rights any more.",
        "Let another account write Staff for the whole district first.",
    )


def _make_administrators(connection: Connection) -> None:
    if rights.add_group(connection, ADMINISTRATORS, _ADMINISTRATORS_NAME):
        rights.set_group(connection, ADMINISTRATORS, EVERYTHING)


def required(connection: Connection, who: StaffId) -> Account:
    """The account; raises SchoolbellError where there is none."""
    account = accounts.by_id(connection, who)
    if account is None:
        raise SchoolbellError("There is no such account.", "It may have been taken away.")
    return account


def _name(words: str) -> str:
    name = " ".join(words.split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise SchoolbellError(
            "This can be no name.",
            "Write 1 to %(most)s characters on one line.",
            most=_LONGEST_NAME,
        )
    return name


def _language(language: str) -> str:
    if language not in LANGUAGES:
        raise SchoolbellError(
            "The pages are not in this language.",
            "Choose one of %(languages)s.",
            languages=", ".join(LANGUAGES),
        )
    return language
