"""The keys of device tokens: make them, list them, change them, give up what is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from engine.database import Database
from engine.errors import ConfigError
from engine.secrets import keyring as keyrings
from engine.secrets.keyring import Keyring, key_of
from engine.store import devices
from engine.store.staff import accounts

_AT_ONCE: Final = 1_000


class KeyUse(NamedTuple):
    """A key, and how many devices are sealed with it. *made* is None where the keyring lacks it."""

    id: str
    made: datetime | None
    devices: int


class Rotation(NamedTuple):
    """What a rotation came to. *resumed* is true where it went on with an earlier one.

    *older* are the ids of the keys that are still there besides the newest.
    """

    newest: str
    sealed: int
    unreadable: int
    resumed: bool
    older: Sequence[str]


def listed(database: Database, file: Path) -> Sequence[KeyUse]:
    """The keys of the keyring in *file*, and those that it lacks though devices are sealed."""
    with database.read() as connection:
        used = dict(devices.uses(connection))
    ours = [KeyUse(key.id, key.created, used.pop(key.id, 0)) for key in keyrings.read(file)]
    return [*ours, *(KeyUse(lost, None, count) for lost, count in used.items())]


def make(database: Database, file: Path, now: datetime) -> None:
    """Make the keyring unless it is there; then see that it can be read.

    Raises ConfigError when there are devices that only a keyring of before can read.
    """
    with database.write() as connection:
        devices.hold_registrations(connection)
        if file.exists():
            keyrings.read(file)
            return
        known = sum(devices.uses(connection).values())
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
        devices.hold_registrations(connection)
        if not file.exists():
            keyrings.write(file, [keyrings.new_key(now)])
        kept = [key.id for key in keyrings.read(file)]
        accounts.forget_lost(connection, kept)
        return devices.retire_lost(connection, kept, now)


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
        devices.hold_registrations(connection)
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
            found = devices.locked_after(connection, last, _AT_ONCE)
            older = set(keyring.ids[1:])
            stale = [one for one in found if key_of(one.token_sealed) in older]
            done = [devices.seal_again(connection, keyring, one, now) for one in stale]
            if not found:
                accounts.seal_again(connection, keyring)
                return
        last = int(found[-1].id)
        yield done.count(True), done.count(False)


def _drop_old_keys(database: Database, file: Path) -> None:
    with database.write() as connection:
        devices.hold_registrations(connection)
        newest, *older = keyrings.read(file)
        used = {*devices.uses(connection), *accounts.keys_in_use(connection)}
        keyrings.write(file, [newest, *(key for key in older if key.id in used)])
