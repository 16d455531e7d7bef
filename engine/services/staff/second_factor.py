"""A second factor: an authenticator app, and the recovery codes that go with any factor.

Who has none yet needs a setup code of an administrator for the first one: a password that was
stolen must not be enough to set up the thief's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.secrets import authenticator
from engine.secrets.keyring import Keyring
from engine.services.actor import Actor
from engine.services.staff import signing_in
from engine.services.staff.accounts import required, sign_out_everywhere
from engine.services.staff.signing_in import Began, Browser, Visit
from engine.store.staff import accounts
from rules.tool_rights import StaffId


def new_secret() -> str:
    """A secret that an app may share with us; it holds once `begin_use` was shown a code of it."""
    return authenticator.new_secret()


def address(secret: str, visit: Visit, issuer: str) -> str:
    """What an app reads from a QR code."""
    return authenticator.address(secret, visit.account.username, issuer)


def begin_use(
    database: Database, keyring: Keyring, visit: Visit, secret: str, code: str,
    browser: Browser, now: datetime, setup_code: str = "",
) -> tuple[Began, Sequence[str]]:  # fmt: skip
    """Use an app from now on; gives a session that has proved it, and new recovery codes.

    Every other session ends. Raises SchoolbellError for a code that is not the app's, and for who
    may not, as `require_may_begin` says.
    """
    step = authenticator.step_of(secret, code, now)
    if step is None:
        raise SchoolbellError(
            "This is not the code that the app shows now.",
            "Look again: it changes every 30 seconds. The clock of the phone must be right.",
        )
    account = visit.account
    with database.write() as connection:
        require_may_begin(connection, visit, setup_code, now)
        accounts.set_totp_secret(connection, keyring, account.id, secret)
        accounts.take_totp_step(connection, account.id, step)
        codes = renew_recovery_codes(connection, account.id)
        sign_out_everywhere(connection, account.id)
        Actor(account.name, now, account.id).did(
            connection, "second-factor.begun", account.username, None, None
        )
        began = signing_in.begin(
            connection, account, browser, now, proved=True,
            provider_session=visit.session.provider_session,
        )  # fmt: skip
    return began, codes


def end_use(database: Database, visit: Visit, now: datetime) -> None:
    """Use no app any more; raises SchoolbellError unless the session showed a second factor."""
    require_proof(visit)
    account = visit.account
    with database.write() as connection:
        accounts.change(connection, account.id, totp_sealed=None, totp_used=None)
        forget_codes_of_nothing(connection, account.id)
        sign_out_everywhere(connection, account.id)
        Actor(account.name, now, account.id).did(
            connection, "second-factor.ended", account.username, None, None
        )


def require_may_begin(connection: Connection, visit: Visit, setup_code: str, now: datetime) -> None:
    """Raise SchoolbellError unless a session may set a second factor up: it has shown one, or there
    is none yet and it shows a setup code, which is used up by that."""
    if visit.is_proved:
        return
    who = visit.account.id
    if required(connection, who).has_second_factor:
        raise SchoolbellError(
            "There is a second factor already.", "Sign in with it to add or change one."
        )
    if not accounts.take_setup_code(connection, who, authenticator.code_hash(setup_code), now):
        raise SchoolbellError(
            "This is not the setup code of your account, or it is too old.",
            "An administrator makes a new one on the page of your account under Staff.",
        )


def require_proof(visit: Visit) -> None:
    """Raise SchoolbellError unless the session showed a second factor."""
    if not visit.is_proved:
        raise SchoolbellError("This session showed no second factor.", "Sign in with it first.")


def renew_recovery_codes(connection: Connection, who: StaffId) -> Sequence[str]:
    """Replace the recovery codes; the new ones are shown once."""
    codes = authenticator.new_recovery_codes()
    accounts.set_recovery_codes(connection, who, [authenticator.code_hash(one) for one in codes])
    return codes


def forget_codes_of_nothing(connection: Connection, who: StaffId) -> None:
    """Forget the recovery codes of who has no second factor any more."""
    if not required(connection, who).has_second_factor:
        accounts.set_recovery_codes(connection, who, [])


def needs_setup_code(visit: Visit) -> bool:
    """Whether a second factor can be set up with a setup code alone."""
    return not visit.is_proved and not visit.account.has_second_factor


def recovery_codes_left(database: Database, visit: Visit) -> int:
    """How many recovery codes have not been used."""
    with database.read() as connection:
        return accounts.recovery_codes_left(connection, visit.account.id)
