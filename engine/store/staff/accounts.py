"""Accounts of staff: who may sign in, and how they prove who they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, delete, func, select, update

from engine.secrets.keyring import Keyring, key_of
from engine.store.signing.usernames import folded
from engine.store.staff.tables import staff, staff_passkeys, staff_recovery_codes
from rules.tool_rights import StaffId


class Account(NamedTuple):
    """One member of staff. *username* is in small letters.

    Who has no password signs in by the district's provider.
    """

    id: StaffId
    username: str
    name: str
    language: str
    has_password: bool
    has_authenticator: bool
    passkeys: int
    added_at: datetime
    disabled_at: datetime | None

    @property
    def is_disabled(self) -> bool:
        """Whether they cannot sign in."""
        return self.disabled_at is not None

    @property
    def has_second_factor(self) -> bool:
        """Whether signing in asks for more than a password."""
        return self.has_authenticator or bool(self.passkeys)


SELECTED: Final = select(
    staff.c.id, staff.c.username, staff.c.name, staff.c.language,
    staff.c.password_hash.is_not(None).label("has_password"),
    staff.c.totp_sealed.is_not(None).label("has_authenticator"),
    select(func.count())
    .select_from(staff_passkeys)
    .where(staff_passkeys.c.staff_id == staff.c.id)
    .scalar_subquery()
    .label("passkeys"),
    staff.c.added_at, staff.c.disabled_at,
)  # fmt: skip


def add(
    connection: Connection, username: str, name: str, language: str, password_hash: str | None,
    now: datetime,
) -> StaffId | None:  # fmt: skip
    """Make an account, without a password for the provider's; None where the username is taken."""
    if by_username(connection, username):
        return None
    made = connection.execute(
        staff.insert().values(
            username=folded(username),
            name=name,
            language=language,
            password_hash=password_hash,
            added_at=now,
        )
    ).inserted_primary_key
    return StaffId(int(made[0])) if made else None


def by_username(connection: Connection, username: str) -> Account | None:
    """The account of a username, however it is capitalised."""
    return _one(connection.execute(SELECTED.where(staff.c.username == folded(username))).first())


def by_id(connection: Connection, who: StaffId) -> Account | None:
    """The account with this id."""
    return _one(connection.execute(SELECTED.where(staff.c.id == who)).first())


def lock(connection: Connection, who: StaffId) -> None:
    """Let nobody else change an account until this transaction ends."""
    connection.execute(select(staff.c.id).where(staff.c.id == who).with_for_update())


def every(connection: Connection) -> Sequence[Account]:
    """All accounts, by username."""
    return [account(row) for row in connection.execute(SELECTED.order_by(staff.c.username))]


def count(connection: Connection) -> int:
    """How many accounts there are."""
    return int(connection.execute(select(func.count()).select_from(staff)).scalar_one())


def change(connection: Connection, who: StaffId, **values: Any) -> None:
    """Set columns of an account."""
    connection.execute(update(staff).where(staff.c.id == who).values(**values))


def password_hash(connection: Connection, who: StaffId) -> str | None:
    """The hash of the password; None for who has none."""
    found: str | None = connection.execute(
        select(staff.c.password_hash).where(staff.c.id == who)
    ).scalar()
    return found


def totp_secret(connection: Connection, keyring: Keyring, who: StaffId) -> str | None:
    """The secret that an authenticator app shares with us, in base 32; None without one."""
    sealed = connection.execute(select(staff.c.totp_sealed).where(staff.c.id == who)).scalar()
    return keyring.open(bytes(sealed), _place(who)).decode() if sealed else None


def set_totp_secret(
    connection: Connection, keyring: Keyring, who: StaffId, secret: str | None
) -> None:
    """Keep the secret of an authenticator app, or forget it."""
    sealed = keyring.seal(secret.encode(), _place(who)) if secret else None
    change(connection, who, totp_sealed=sealed, totp_used=None)


def take_totp_step(connection: Connection, who: StaffId, step: int) -> bool:
    """Use up a time step; False where it, or a later one, was used before."""
    used = connection.execute(
        update(staff)
        .where(staff.c.id == who, func.coalesce(staff.c.totp_used, 0) < step)
        .values(totp_used=step)
    )
    return bool(used.rowcount)


def set_setup_code(connection: Connection, who: StaffId, code_hash: bytes, until: datetime) -> None:
    """Let a code of this hash set up a second factor, once; an older one does no more."""
    change(connection, who, setup_hash=code_hash, setup_until=until)


def take_setup_code(connection: Connection, who: StaffId, code_hash: bytes, now: datetime) -> bool:
    """Use up the setup code; False where it is another one, or too old."""
    used = connection.execute(
        update(staff)
        .where(staff.c.id == who, staff.c.setup_hash == code_hash, staff.c.setup_until > now)
        .values(setup_hash=None, setup_until=None)
    )
    return bool(used.rowcount)


def set_recovery_codes(connection: Connection, who: StaffId, hashes: Sequence[bytes]) -> None:
    """Replace the recovery codes by new ones."""
    connection.execute(delete(staff_recovery_codes).where(staff_recovery_codes.c.staff_id == who))
    if hashes:
        rows = [{"staff_id": who, "code_hash": one} for one in hashes]
        connection.execute(staff_recovery_codes.insert(), rows)


def take_recovery_code(
    connection: Connection, who: StaffId, code_hash: bytes, now: datetime
) -> bool:
    """Use up a recovery code; False where there is none such, or it was used before."""
    used = connection.execute(
        update(staff_recovery_codes)
        .where(
            staff_recovery_codes.c.staff_id == who,
            staff_recovery_codes.c.code_hash == code_hash,
            staff_recovery_codes.c.used_at.is_(None),
        )
        .values(used_at=now)
    )
    return bool(used.rowcount)


def recovery_codes_left(connection: Connection, who: StaffId) -> int:
    """How many recovery codes have not been used."""
    return int(
        connection.execute(
            select(func.count())
            .select_from(staff_recovery_codes)
            .where(staff_recovery_codes.c.staff_id == who, staff_recovery_codes.c.used_at.is_(None))
        ).scalar_one()
    )


def _place(who: StaffId) -> str:
    return f"staff.totp/{who}"


def _one(row: Row[Any] | None) -> Account | None:
    return account(row) if row else None


def account(row: Row[Any]) -> Account:
    """The account of a row that has the columns SELECTED."""
    return Account(
        StaffId(row.id), row.username, row.name, row.language,
        bool(row.has_password), bool(row.has_authenticator), row.passkeys,
        row.added_at, row.disabled_at,
    )  # fmt: skip


def keys_in_use(connection: Connection) -> Collection[str]:
    """The ids of the keys that seal the secrets of authenticators."""
    return {key_of(sealed) for sealed in _sealed(connection).values()}


def seal_again(connection: Connection, keyring: Keyring) -> int:
    """Seal with the newest key what an older one of the keyring sealed; how many there were."""
    older = set(keyring.ids[1:])
    stale = {who: one for who, one in _sealed(connection).items() if key_of(one) in older}
    for who, sealed in stale.items():
        secret = keyring.open(sealed, _place(who))
        change(connection, who, totp_sealed=keyring.seal(secret, _place(who)))
    return len(stale)


def forget_lost(connection: Connection, kept: Collection[str]) -> int:
    """Forget the authenticators whose key is lost: their owners use a recovery code."""
    lost = [who for who, one in _sealed(connection).items() if key_of(one) not in kept]
    for who in lost:
        change(connection, who, totp_sealed=None)
    return len(lost)


def _sealed(connection: Connection) -> Mapping[StaffId, bytes]:
    rows = connection.execute(
        select(staff.c.id, staff.c.totp_sealed).where(staff.c.totp_sealed.is_not(None))
    )
    return {StaffId(who): bytes(sealed) for who, sealed in rows}
