"""Passkeys: a second factor, and the whole sign-in where the authenticator has verified the user.

WebAuthn Level 3. A passkey belongs to a host's name, so it cannot be asked for by another site.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import Connection
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from engine.database import Database
from engine.errors import SchoolbellError
from engine.services.actor import Actor
from engine.services.signing.credentials import new_token, token_hash
from engine.services.staff import second_factor, signing_in
from engine.services.staff.accounts import sign_out_everywhere
from engine.services.staff.signing_in import Began, Browser, Visit
from engine.store.signing import attempts
from engine.store.signing.attempts import Attempt
from engine.store.staff import accounts, passkeys, sessions
from engine.store.staff.accounts import Account
from engine.store.staff.passkeys import Passkey as Passkey  # the answer of of

LIFE: Final = timedelta(minutes=5)
_CHALLENGE: Final = 32  # bytes
_LONGEST_NAME: Final = 100
_NEW: Final = "passkey.new"
_SECOND: Final = "passkey.second"
_WHOLE: Final = "passkey.whole"
# What the library, and those that it reads with, say of what is none of theirs.
_UNREADABLE: Final = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError)


class Trouble(StrEnum):
    """Why a passkey did not sign in."""

    STALE = "stale"
    UNKNOWN = "unknown"
    NOT_VERIFIED = "not-verified"
    SUSPECT = "suspect"
    BY_PROVIDER = "by-provider"
    DISABLED = "disabled"


class Place(NamedTuple):
    """Where passkeys hold: the host's name, and what browsers say that they are at."""

    host: str
    origin: str


class Asked(NamedTuple):
    """What a browser's authenticator is asked, as JSON; the browser keeps *token* meanwhile."""

    options: str
    token: str


class Added(NamedTuple):
    """A passkey is there. The session began anew; *recovery_codes* are new ones, or none."""

    began: Began
    recovery_codes: Sequence[str]


def place(address: str) -> Place | None:
    """Where passkeys of a portal at *address* hold; None for one without a name."""
    parts = urlsplit(address)
    try:
        ip_address(parts.hostname or "")
    except ValueError:
        return Place(parts.hostname or "", f"{parts.scheme}://{parts.netloc}")
    return None


def required_place(address: str) -> Place:
    """As `place`; raises SchoolbellError where there is none."""
    found = place(address)
    if found is None:
        raise SchoolbellError(
            "Passkeys need a name, and this address is a number.",
            "Open the portal by its name; administrators set it as public_url in [portal].",
        )
    return found


def exist(database: Database) -> bool:
    """Whether anybody has one."""
    with database.read() as connection:
        return bool(passkeys.count(connection))


def of(database: Database, visit: Visit) -> Sequence[Passkey]:
    """Those of who is signed in, the oldest first."""
    with database.read() as connection:
        return passkeys.of(connection, visit.account.id)


def name_of(passkey: Passkey) -> str:
    """What names one on a page."""
    return passkey.credential_id.hex()


def offer(database: Database, place: Place, visit: Visit, now: datetime) -> str:
    """What an authenticator needs to know to make a passkey, as JSON."""
    account = visit.account
    with database.write() as connection:
        challenge = _challenge(connection, visit.session.token_hash, _NEW, now)
        have = passkeys.of(connection, account.id)
    options = webauthn.generate_registration_options(
        rp_id=place.host, rp_name="Schoolbell", user_name=account.username,
        user_display_name=account.name, user_id=str(account.id).encode(), challenge=challenge,
        exclude_credentials=_descriptors(have),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
    )  # fmt: skip
    return webauthn.options_to_json(options)


def add(
    database: Database, place: Place, visit: Visit, credential: str, name: str,
    browser: Browser, now: datetime, setup_code: str = "",
) -> Added:  # fmt: skip
    """Keep the passkey that an authenticator has made, and begin a session that has proved it.

    The first factor of an account ends its other sessions and gives recovery codes. Raises
    SchoolbellError for what is no passkey of this offer, for a bad name, and for who may not, as
    `second_factor.require_may_begin` says.
    """
    name, account = _name(name), visit.account
    with database.write() as connection:
        second_factor.require_may_begin(connection, visit, setup_code, now)
        made = _made(connection, place, visit, credential, name, now)
        if not passkeys.add(connection, made):
            raise SchoolbellError("This passkey is there already.", "Use another one.")
        codes = _end_what_was_before(connection, visit)
        Actor(account.name, now, account.id).did(
            connection, "passkey.added", account.username, None, {"name": name}
        )
        began = signing_in.begin(
            connection, account, browser, now, proved=True,
            provider_session=visit.session.provider_session,
        )  # fmt: skip
    return Added(began, codes)


def remove(database: Database, visit: Visit, name: str, now: datetime) -> None:
    """Take one of one's own away, by the name that `name_of` gives it; other sessions end.

    Raises SchoolbellError unless the session showed a second factor.
    """
    second_factor.require_proof(visit)
    account = visit.account
    with database.write() as connection:
        for one in passkeys.of(connection, account.id):
            if name_of(one) == name:
                passkeys.remove(connection, account.id, one.credential_id)
                Actor(account.name, now, account.id).did(
                    connection, "passkey.removed", account.username, {"name": one.name}, None
                )
        second_factor.forget_codes_of_nothing(connection, account.id)
        sessions.end_all(connection, account.id, but=visit.session.token_hash)


def ask(database: Database, place: Place, token: str, now: datetime) -> Asked:
    """Ask for any passkey, as the whole sign-in. *token* is what the browser keeps, or empty."""
    token = token or new_token()
    with database.write() as connection:
        challenge = _challenge(connection, token_hash(token), _WHOLE, now)
    options = webauthn.generate_authentication_options(
        rp_id=place.host, challenge=challenge,
        user_verification=UserVerificationRequirement.REQUIRED,
    )  # fmt: skip
    return Asked(webauthn.options_to_json(options), token)


def ask_second(database: Database, place: Place, token: str, now: datetime) -> str | None:
    """Ask for a passkey of who has shown a password; None without such a pending session."""
    with database.write() as connection:
        session = signing_in.alive(connection, token, now)
        if session is None or not session.is_pending:
            return None
        have = passkeys.of(connection, session.staff)
        challenge = _challenge(connection, session.token_hash, _SECOND, now)
    options = webauthn.generate_authentication_options(
        rp_id=place.host, challenge=challenge, allow_credentials=_descriptors(have)
    )
    return webauthn.options_to_json(options)


def sign_in(
    database: Database, place: Place, token: str, credential: str, browser: Browser, now: datetime
) -> Began | Trouble:
    """Begin a session of who showed a passkey and was verified by its authenticator.

    An account of the district's provider signs in there first, whatever passkeys it has.
    """
    with database.write() as connection:
        shown = _shown(connection, place, token_hash(token), _WHOLE, credential, now)
        account = accounts.by_id(connection, shown.staff) if isinstance(shown, Passkey) else None
        if isinstance(shown, Trouble) or account is None:
            return _refused(
                connection, shown if isinstance(shown, Trouble) else Trouble.UNKNOWN, now
            )
        if account.is_disabled or not account.has_password:
            trouble = Trouble.DISABLED if account.is_disabled else Trouble.BY_PROVIDER
            return _refused(connection, trouble, now, account)
        Actor(account.name, now, account.id).did(
            connection, "sign-in.passkey", account.username, None, {"name": shown.name}
        )
        return signing_in.begin(connection, account, browser, now, proved=True)


def show_second(
    database: Database, place: Place, token: str, credential: str, browser: Browser, now: datetime
) -> Began | Trouble:
    """Turn a pending session into a whole one, by a passkey of its account, under a new token."""
    with database.write() as connection:
        session = signing_in.alive(connection, token, now)
        account = accounts.by_id(connection, session.staff) if session else None
        if session is None or account is None or account.is_disabled or not session.is_pending:
            return Trouble.STALE
        shown = _shown(connection, place, session.token_hash, _SECOND, credential, now)
        if isinstance(shown, Passkey) and shown.staff != account.id:
            shown = Trouble.UNKNOWN
        if isinstance(shown, Trouble):
            return _refused(connection, shown, now, account)
        sessions.end(connection, session.token_hash)
        Actor(account.name, now, account.id).did(
            connection, "sign-in.second-factor", account.username, None, {"passkey": shown.name}
        )
        return signing_in.begin(
            connection, account, browser, now, proved=True,
            provider_session=session.provider_session,
        )  # fmt: skip


def _challenge(connection: Connection, browser_hash: bytes, purpose: str, now: datetime) -> bytes:
    challenge = secrets.token_bytes(_CHALLENGE)
    attempt = Attempt(_key(challenge), browser_hash, purpose, {}, now + LIFE)
    attempts.begin(connection, attempt, now)
    return challenge


def _key(challenge: bytes) -> bytes:
    return token_hash(challenge.hex())


def _made(
    connection: Connection, place: Place, visit: Visit, credential: str, name: str, now: datetime
) -> Passkey:
    """The passkey that an authenticator answered with; raises SchoolbellError for none."""
    refused = SchoolbellError("This is no passkey that was just asked for.", "Begin anew.")
    try:
        parsed = parse_registration_credential_json(credential)
        challenge = _answered(parsed)
    except _UNREADABLE:
        raise refused from None
    owner = visit.session.token_hash
    if attempts.take(connection, _key(challenge), owner, _NEW, now) is None:
        raise refused
    try:
        made = webauthn.verify_registration_response(
            credential=parsed, expected_challenge=challenge, expected_rp_id=place.host,
            expected_origin=place.origin,
        )  # fmt: skip
    except _UNREADABLE:
        raise refused from None
    return Passkey(
        made.credential_id, visit.account.id, name, made.credential_public_key, made.sign_count, now
    )


def _shown(
    connection: Connection, place: Place, browser_hash: bytes, purpose: str, credential: str,
    now: datetime,
) -> Passkey | Trouble:  # fmt: skip
    """The passkey that was shown, for a challenge of ours that is used up by that."""
    try:
        parsed = parse_authentication_credential_json(credential)
        challenge = _answered(parsed)
    except _UNREADABLE:
        return Trouble.STALE
    if attempts.take(connection, _key(challenge), browser_hash, purpose, now) is None:
        return Trouble.STALE
    passkey = passkeys.find(connection, parsed.raw_id)
    if passkey is None or passkey.is_suspect:
        return Trouble.UNKNOWN if passkey is None else Trouble.SUSPECT
    try:
        shown = webauthn.verify_authentication_response(
            credential=parsed, expected_challenge=challenge, expected_rp_id=place.host,
            expected_origin=place.origin, credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
        )  # fmt: skip
    except _UNREADABLE:
        return Trouble.UNKNOWN
    if purpose == _WHOLE and not shown.user_verified:
        return Trouble.NOT_VERIFIED
    return _counted(connection, passkey, shown.new_sign_count, now)


def _counted(
    connection: Connection, passkey: Passkey, count: int, now: datetime
) -> Passkey | Trouble:
    """One whose authenticator counts must count on: two that count apart are copies."""
    if (count or passkey.sign_count) and count <= passkey.sign_count:
        passkeys.suspect(connection, passkey.credential_id, now)
        Actor("somebody", now).did(
            connection, "passkey.suspect", passkey.name, {"count": passkey.sign_count},
            {"count": count},
        )  # fmt: skip
        return Trouble.SUSPECT
    return passkey if passkeys.use(connection, passkey, count, now) else Trouble.STALE


def _answered(parsed: AuthenticationCredential | RegistrationCredential) -> bytes:
    """The challenge that an answer is to."""
    return parse_client_data_json(parsed.response.client_data_json).challenge


def _end_what_was_before(connection: Connection, visit: Visit) -> Sequence[str]:
    """End this session, or with a first factor all there are; gives codes where there are none."""
    who = visit.account.id
    if visit.account.has_second_factor:
        sessions.end(connection, visit.session.token_hash)
    else:
        sign_out_everywhere(connection, who)
    if accounts.recovery_codes_left(connection, who):
        return ()
    return second_factor.renew_recovery_codes(connection, who)


def _refused(
    connection: Connection, trouble: Trouble, now: datetime, account: Account | None = None
) -> Trouble:
    by = Actor(account.name, now, account.id) if account else Actor("somebody", now)
    whose = account.username if account else "a passkey"
    by.did(connection, "sign-in.refused", whose, None, {"why": trouble.value})
    return trouble


def _descriptors(have: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=one.credential_id) for one in have]


def _name(words: str) -> str:
    name = " ".join(words.split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise SchoolbellError(
            "This can be no name of a passkey.",
            "Write 1 to %(most)s characters.",
            most=_LONGEST_NAME,
        )
    return name
