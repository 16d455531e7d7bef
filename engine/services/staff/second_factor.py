"""A second factor: an authenticator app, and the recovery codes that go with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.database import Database
from engine.errors import SchoolbellError
from engine.secrets import authenticator
from engine.secrets.keyring import Keyring
from engine.services.actor import Actor
from engine.services.staff import signing_in
from engine.services.staff.accounts import sign_out_everywhere
from engine.services.staff.signing_in import Began, Browser, Visit
from engine.store.staff import accounts


def new_secret() -> str:
    """A secret that an app may share with us; it holds once `begin_use` was shown a code of it."""
    return authenticator.new_secret()


def address(secret: str, visit: Visit, issuer: str) -> str:
    """What an app reads from a QR code."""
    return authenticator.address(secret, visit.account.username, issuer)


def begin_use(
    database: Database, keyring: Keyring, visit: Visit, secret: str, code: str,
    browser: Browser, now: datetime,
) -> tuple[Began, Sequence[str]]:  # fmt: skip
    """Use an app from now on; gives a session that has proved it, and new recovery codes.

    Every other session ends. Raises SchoolbellError for a code that is not the app's, and where
    there is an app already: only who shows a code of it may take it away.
    """
    step = authenticator.step_of(secret, code, now)
    if step is None:
        raise SchoolbellError(
            "This is not the code that the app shows now.",
            "Look again: it changes every 30 seconds. The clock of the phone must be right.",
        )
    codes = authenticator.new_recovery_codes()
    account = visit.account
    with database.write() as connection:
        if accounts.totp_secret(connection, keyring, account.id) and not visit.is_proved:
            raise SchoolbellError(
                "There is an authenticator app already.", "Sign in with it to change it."
            )
        accounts.set_totp_secret(connection, keyring, account.id, secret)
        accounts.take_totp_step(connection, account.id, step)
        accounts.set_recovery_codes(
            connection, account.id, [authenticator.recovery_hash(one) for one in codes]
        )
        sign_out_everywhere(connection, account.id)
        Actor(account.name, now, account.id).did(
            connection, "second-factor.begun", account.username, None, None
        )
        began = signing_in.begin(connection, account, browser, now, proved=True)
    return began, codes


def end_use(database: Database, visit: Visit, now: datetime) -> None:
    """Use no app any more; raises SchoolbellError unless the session showed a code of it."""
    if not visit.is_proved:
        raise SchoolbellError("This session showed no code.", "Sign in with a code first.")
    account = visit.account
    with database.write() as connection:
        accounts.change(connection, account.id, totp_sealed=None, totp_used=None)
        accounts.set_recovery_codes(connection, account.id, [])
        sign_out_everywhere(connection, account.id)
        Actor(account.name, now, account.id).did(
            connection, "second-factor.ended", account.username, None, None
        )


def recovery_codes_left(database: Database, visit: Visit) -> int:
    """How many recovery codes have not been used."""
    with database.read() as connection:
        return accounts.recovery_codes_left(connection, visit.account.id)
