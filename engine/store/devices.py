"""Devices: phones, by addresses that only the keyring can read.

A token is stored twice over: sealed, for sending, and as a keyed hash, for being found again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, delete, func, literal_column, select, update

from engine.dialects import dialect_of
from engine.errors import SchoolbellError, Unprocessable
from engine.secrets.addresses import Device, found_by, opened
from engine.store.bulk import one_of
from engine.store.tables import devices, sessions
from engine.wire.messages import DeviceKind, Token
from rules.audience import DeviceId
from rules.privacy import Level

if TYPE_CHECKING:
    from engine.secrets.keyring import Keyring

KEY_LOST: Final = "KEY_LOST"
REPLACED: Final = "REPLACED"


_KEY_ID: Final = func.substr(devices.c.token_sealed, literal_column("1"), literal_column("4"))
_REGISTERING: Final = "ROW EXCLUSIVE"
_CHANGING_KEYS: Final = "SHARE ROW EXCLUSIVE"  # stands against registering, and against itself

# The columns of a Device, for who joins the table.
COLUMNS: Final = (
    devices.c.id.label("device_id"),
    devices.c.kind.label("device_kind"),
    devices.c.token_sealed,
    devices.c.push_key_sealed,
    devices.c.privacy,
)


def device(
    number: int, kind: DeviceKind, token: bytes, push_key: bytes | None, level: str | None
) -> Device:
    """A Device of the values of COLUMNS."""
    return Device(DeviceId(str(number)), kind, token, push_key, Level(level) if level else None)


def register(
    connection: Connection, keyring: Keyring, token: Token, push_key: bytes | None, now: datetime
) -> DeviceId:
    """Keep a device that its app has just named, whether it is new or known.

    One that was retired lives again: the app on it just proved so. Its level stays as chosen; its
    key is the one that the app holds now.
    """
    _hold(connection, _REGISTERING)
    keyring.refresh()
    found = _only_row(connection, keyring, token, now)
    if found is None:
        hashed = _hashes(keyring, token)[0]
        found = connection.execute(
            devices.insert()
            .values(kind=token.kind, token_hash=hashed, token_sealed=b"", registered_at=now)
            .returning(devices.c.id)
        ).scalar_one()
    connection.execute(
        update(devices)
        .where(devices.c.id == found)
        .values(
            **_sealed(keyring, found, token, push_key), registered_at=now, retired_at=None,
            retired_reason="",
        )
    )  # fmt: skip
    return DeviceId(str(found))


def _only_row(connection: Connection, keyring: Keyring, token: Token, now: datetime) -> int | None:
    """The row of the device with this token, if there is any; its newest, if there are several.

    While a key was lost its devices could not be found, and those whose app was opened got a row
    under the next key. When it is found again, the older row is let go.
    """
    rows = connection.execute(
        select(devices.c.id)
        .where(devices.c.kind == token.kind, devices.c.token_hash.in_(_hashes(keyring, token)))
        .order_by(devices.c.registered_at.desc(), devices.c.id.desc())
    )
    found: list[int] = [row.id for row in rows]
    for older in found[1:]:
        _replace(connection, older, found[0], now)
    return found[0] if found else None


def _replace(connection: Connection, older: int, by: int, now: datetime) -> None:
    """Let go of a row, and have who is signed in on it be signed in on the other."""
    there = select(sessions.c.person_id).where(sessions.c.device_id == by)
    connection.execute(
        update(sessions)
        .where(sessions.c.device_id == older, sessions.c.person_id.not_in(there))
        .values(device_id=by)
    )
    connection.execute(delete(sessions).where(sessions.c.device_id == older))
    connection.execute(
        update(devices)
        .where(devices.c.id == older)
        .values(
            token_hash=f"device {older}".encode(), token_sealed=b"", push_key_sealed=None,
            retired_at=now, retired_reason=REPLACED,
        )
    )  # fmt: skip


def new_row(keyring: Keyring, number: int, token: Token, now: datetime) -> tuple[Any, ...]:
    """A row for every column of the table, of a device that is the *number*th by its id."""
    row = {
        "id": number, "kind": token.kind, "registered_at": now, "retired_at": None,
        "retired_reason": "", "privacy": None, **_sealed(keyring, number, token, None),
    }  # fmt: skip
    return tuple(row[column.name] for column in devices.columns)


def set_level(connection: Connection, which: DeviceId, level: Level | None) -> None:
    """Let a phone show at most *level*; None leaves it to the district."""
    changed = connection.execute(
        update(devices).where(devices.c.id == int(which)).values(privacy=level)
    )
    if not changed.rowcount:
        raise SchoolbellError(
            f"There is no device {which}.", "`schoolbell sign-in` names the device of a person."
        )


def uses(connection: Connection) -> Mapping[str, int]:
    """How many devices are sealed with each key, by its id."""
    found = connection.execute(select(_KEY_ID, func.count()).group_by(_KEY_ID))
    return {bytes(name).hex(): count for name, count in found if name}


def sealed_with(connection: Connection, keys: Sequence[str]) -> bool:
    """Whether any device is sealed with one of the keys of these ids."""
    query = select(devices.c.id).where(_KEY_ID.in_([bytes.fromhex(key) for key in keys])).limit(1)
    return connection.execute(query).first() is not None


def live(connection: Connection, wanted: Collection[DeviceId]) -> dict[DeviceId, Device]:
    """Those *wanted* that are not retired."""
    found = connection.execute(
        select(*COLUMNS).where(
            one_of(connection, devices.c.id, {int(one) for one in wanted}),
            devices.c.retired_at.is_(None),
        )
    )
    return {one.id: one for one in (device(*row) for row in found)}


def seen_since(
    connection: Connection, wanted: Collection[DeviceId], since: datetime
) -> set[DeviceId]:
    """Those *wanted* whose app was opened since then."""
    found = connection.execute(
        select(devices.c.id).where(
            one_of(connection, devices.c.id, {int(one) for one in wanted}),
            devices.c.registered_at >= since,
        )
    )
    return {DeviceId(str(number)) for number in found.scalars()}


def hold_registrations(connection: Connection) -> None:
    """Let nobody register a device, nor change keys, until the transaction ends."""
    _hold(connection, _CHANGING_KEYS)


def retire_lost(connection: Connection, kept: Sequence[str], now: datetime) -> int:
    """Retire all devices that are sealed with another key than those *kept*; how many lived."""
    ours = [bytes.fromhex(key) for key in kept]
    return connection.execute(
        update(devices)
        .where(devices.c.retired_at.is_(None), _KEY_ID.not_in(ours))
        .values(retired_at=now, retired_reason=KEY_LOST)
    ).rowcount


def locked_after(connection: Connection, number: int, limit: int) -> Sequence[Device]:
    """The next devices by their id, locked until the transaction ends."""
    rows = connection.execute(
        select(*COLUMNS)
        .where(devices.c.id > number)
        .order_by(devices.c.id)
        .limit(limit)
        .with_for_update()
    )
    return [device(*row) for row in rows]


def seal_again(connection: Connection, keyring: Keyring, one: Device, now: datetime) -> bool | None:
    """Seal a device with the newest key, or retire one that cannot be read.

    Return whether it could be read; None where another row is this device now.
    """
    this = update(devices).where(devices.c.id == int(one.id))
    try:
        token, push_key = opened(keyring, one)
    except Unprocessable:
        connection.execute(
            this.values(token_sealed=b"", push_key_sealed=None, retired_at=now,
                        retired_reason=KEY_LOST)
        )  # fmt: skip
        return False
    if _only_row(connection, keyring, token, now) not in (None, int(one.id)):
        return None
    connection.execute(this.values(**_sealed(keyring, int(one.id), token, push_key)))
    return True


def _sealed(
    keyring: Keyring, number: int, token: Token, push_key: bytes | None
) -> dict[str, bytes | None]:
    return {
        "token_hash": _hashes(keyring, token)[0],
        "token_sealed": keyring.seal(token.value.encode(), f"token {number}"),
        "push_key_sealed": (
            None if push_key is None else keyring.seal(push_key, f"push key {number}")
        ),
    }


def _hashes(keyring: Keyring, token: Token) -> list[bytes]:
    return list(keyring.hashes(f"{token.kind}\0{found_by(token)}"))


def _hold(connection: Connection, mode: str) -> None:
    """Keep registrations and the change of a keyring apart; SQLite has one writer anyway."""
    dialect_of(connection).lock(connection, devices, mode)
