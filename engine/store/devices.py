"""Devices: phones, by addresses that only the keyring can read.

A token is stored twice over: sealed, for sending, and as a keyed hash, for being found again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, func, literal_column, select, text, update

from engine.database import Database
from engine.errors import ConfigError, SchoolbellError, Unprocessable
from engine.secrets import keyring as keyrings
from engine.secrets.keyring import Keyring, key_of
from engine.store.tables import devices, sessions
from engine.wire.messages import DeviceKind, Token
from rules.audience import DeviceId
from rules.privacy import Level

KEY_LOST: Final = "KEY_LOST"
REPLACED: Final = "REPLACED"
_AT_ONCE: Final = 1_000


class Device(NamedTuple):
    """A phone as it is stored; *level* is how much its owner lets it show, if they chose."""

    id: DeviceId
    kind: DeviceKind
    token_sealed: bytes
    push_key_sealed: bytes | None
    level: Level | None


class Opened(NamedTuple):
    """What is secret of a phone: its address, and the key that it opens envelopes with."""

    token: Token
    push_key: bytes | None

    def __repr__(self) -> str:
        return f"Opened({self.token!r})"


class Rotation(NamedTuple):
    """What a rotation came to. *resumed* is true where it went on with an earlier one.

    *older* are the ids of the keys that are still there besides the newest.
    """

    newest: str
    sealed: int
    unreadable: int
    resumed: bool
    older: Sequence[str]


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


def opened(keyring: Keyring, device: Device) -> Opened:
    """Read what is sealed; raises what Keyring.open raises."""
    token = keyring.open(device.token_sealed, f"token {device.id}").decode()
    sealed = device.push_key_sealed
    key = None if sealed is None else keyring.open(sealed, f"push key {device.id}")
    return Opened(Token(device.kind, token), key)


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


def fits(connection: Connection, keyring: Keyring) -> bool:
    """Whether the keyring can read any device."""
    ours = [bytes.fromhex(key) for key in keyring.ids]
    query = select(devices.c.id).where(_KEY_ID.in_(ours)).limit(1)
    return connection.execute(query).first() is not None


def make_keyring(database: Database, file: Path, now: datetime) -> None:
    """Make the keyring unless it is there; then see that it can be read.

    Raises ConfigError when there are devices that only a keyring of before can read.
    """
    with database.write() as connection:
        _hold(connection, _CHANGING_KEYS)
        if file.exists():
            keyrings.read(file)
            return
        known = sum(uses(connection).values())
        if known:
            raise ConfigError(
                f"There is no keyring {file}, and {known} devices are encrypted with its keys.",
                "Put its copy back. Where there is none, `schoolbell keys lost` makes a new one; "
                "people then hear of nothing until they open the app again.",
            )
        keyrings.write(file, [keyrings.new_key(now)])


def give_up_lost(database: Database, file: Path, now: datetime) -> int:
    """Retire all devices whose key is in the keyring in *file* no more; return how many lived.

    Where there is no such file, it is made. Should a key be found again, so are its devices.
    """
    with database.write() as connection:
        _hold(connection, _CHANGING_KEYS)
        if not file.exists():
            keyrings.write(file, [keyrings.new_key(now)])
        kept = [bytes.fromhex(key.id) for key in keyrings.read(file)]
        return connection.execute(
            update(devices)
            .where(devices.c.retired_at.is_(None), _KEY_ID.not_in(kept))
            .values(retired_at=now, retired_reason=KEY_LOST)
        ).rowcount


def rotate(database: Database, file: Path, now: datetime) -> Rotation:
    """Give the keyring in *file* a new key, and seal everything with it.

    The engine may run, and each step may be the last: what is done is kept, and another rotation
    goes on from there. The older key stays, because a machine that has a copy of the file of
    before seals with it until it gets the new one; `finish_rotation` drops it.
    """
    resumed = _add_key(database, file, now)
    return _rotated(database, file, now, resumed)


def finish_rotation(database: Database, file: Path, now: datetime) -> Rotation:
    """Seal with the newest key what was sealed with an older one meanwhile, and drop those."""
    done = _rotated(database, file, now, resumed=True)
    _drop_old_keys(database, file)
    return done._replace(older=keyrings.in_file(file).ids[1:])


def _rotated(database: Database, file: Path, now: datetime, resumed: bool) -> Rotation:
    keyring = keyrings.in_file(file)
    sealed = unreadable = 0
    for fresh, lost in _seal_all(database, keyring, now):
        sealed, unreadable = sealed + fresh, unreadable + lost
    newest, *older = keyring.ids
    return Rotation(newest, sealed, unreadable, resumed, older)


def _add_key(database: Database, file: Path, now: datetime) -> bool:
    """Who registers meanwhile waits, so that afterwards nobody uses an older key any more."""
    with database.write() as connection:
        _hold(connection, _CHANGING_KEYS)
        keys = keyrings.read(file)
        resumed = len(keys) > 1
        if not resumed:
            keyrings.write(file, [keyrings.new_key(now), *keys])
        return resumed


def _seal_all(database: Database, keyring: Keyring, now: datetime) -> Iterator[tuple[int, int]]:
    """A slice at a time: how many were sealed anew, and how many could not be read."""
    last = 0
    while True:
        with database.write() as connection:
            rows = connection.execute(
                select(*COLUMNS)
                .where(devices.c.id > last)
                .order_by(devices.c.id)
                .limit(_AT_ONCE)
                .with_for_update()
            ).all()
            older = set(keyring.ids[1:])
            stale = [device(*row) for row in rows if key_of(row.token_sealed) in older]
            done = [_seal_again(connection, keyring, one, now) for one in stale]
        if not rows:
            return
        last = rows[-1].device_id
        yield done.count(True), done.count(False)


def _seal_again(
    connection: Connection, keyring: Keyring, one: Device, now: datetime
) -> bool | None:
    """Whether it could be read; None where another row is this device now."""
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


def _drop_old_keys(database: Database, file: Path) -> None:
    with database.write() as connection:
        _hold(connection, _CHANGING_KEYS)
        newest, *older = keyrings.read(file)
        used = uses(connection)
        keyrings.write(file, [newest, *(key for key in older if key.id in used)])


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
    return list(keyring.hashes(f"{token.kind}\0{token.value}"))


def _hold(connection: Connection, mode: str) -> None:
    """Keep registrations and the change of a keyring apart; SQLite has one writer anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(text(f"LOCK TABLE {devices.name} IN {mode} MODE"))
