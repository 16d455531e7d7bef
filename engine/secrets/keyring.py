"""The keyring: the keys that encrypt device tokens at rest, in a file beside the configuration.

Each key has an id, and from its secret two are derived (HKDF, RFC 5869): one seals, by AES-256 in
Galois/Counter Mode, one makes what a token is looked up by, HMAC-SHA-256. The newest key is used
for whatever is written; older ones are there until `schoolbell keys rotate --finish` drops them.

What is sealed reads: 4 bytes key id | 12 bytes nonce | ciphertext and tag. It belongs to one
column of one row: moved elsewhere it cannot be opened.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.errors import ConfigError, Misconfigured, Unprocessable
from engine.files import LARGEST

_SECRET: Final = 32  # bytes, as all keys here
_ID: Final = 4
_NONCE: Final = 12
_OTHERS: Final = 0o077
_PUT_BACK: Final = "Put its copy back."


class Key(msgspec.Struct, frozen=True):
    """One key: 8 hex digits name it. Its secret never shows in a log, an error or a traceback."""

    id: str
    created: datetime
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id})"


class _File(msgspec.Struct):
    keys: list[Key]


class _Derived(NamedTuple):
    seal: AESGCM
    look_up: bytes


class Keyring:
    """Seals and opens with the keys that *read* gives, the newest first."""

    def __init__(self, read: Callable[[], Sequence[Key]]) -> None:
        self._read = read
        self._derived: dict[bytes, _Derived] = {}
        self._current: list[bytes] = []
        self.refresh()

    def refresh(self) -> None:
        """Read the keys again. One that is gone can still open what a slow query has fetched."""
        keys = self._read()
        self._current = [bytes.fromhex(key.id) for key in keys]
        for key in keys:
            self._derived.setdefault(bytes.fromhex(key.id), _derive(key.secret))

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the keys, the newest first."""
        return [each.hex() for each in self._current]

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt what stands at *place*, a column and the id of its row."""
        newest, nonce = self._current[0], os.urandom(_NONCE)
        sealed = self._derived[newest].seal.encrypt(nonce, plain, place.encode())
        return newest + nonce + sealed

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt what stands at *place*.

        Raises Misconfigured when no key fits, also not after reading the file again, and
        Unprocessable when it is not what was sealed for this place.
        """
        derived = self._derived.get(sealed[:_ID]) or self._looked_for(sealed[:_ID])
        try:
            return derived.seal.decrypt(
                sealed[_ID : _ID + _NONCE], sealed[_ID + _NONCE :], place.encode()
            )
        except (InvalidTag, ValueError):
            raise Unprocessable(
                f"What the database holds as {place} is not what was encrypted for it.",
                "Restore the table of devices, or let the person open the app again.",
            ) from None

    def hashes(self, words: str) -> Sequence[bytes]:
        """What *words* are looked up by, under each key, the newest first."""
        return [
            hmac.digest(self._derived[each].look_up, words.encode(), "sha256")
            for each in self._current
        ]

    def _looked_for(self, name: bytes) -> _Derived:
        self.refresh()
        if name not in self._derived:
            raise Misconfigured(
                f"Device tokens are encrypted with the key {name.hex()}, which the keyring lacks.",
                "Put back the keyring of this database, or copy it here from where "
                "`schoolbell keys rotate` ran; if it is lost, see `schoolbell keys lost --help`.",
            )
        return self._derived[name]


def key_of(sealed: bytes) -> str:
    """The id of the key that sealed this."""
    return sealed[:_ID].hex()


def in_file(file: Path) -> Keyring:
    """The keyring in *file*; raises what `read` raises, also when it is read again."""
    return Keyring(lambda: read(file))


def read(file: Path) -> Sequence[Key]:
    """The keys in *file*, the newest first.

    Raises ConfigError when it is missing or unreadable, and when others than its owner may read
    it.
    """
    try:
        with file.open("rb") as opened:
            open_to = os.fstat(opened.fileno()).st_mode & _OTHERS
            words = opened.read(LARGEST)
    except FileNotFoundError:
        raise ConfigError(
            f"There is no keyring {file}.",
            f"{_PUT_BACK} For a new district `schoolbell install` makes one.",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"The keyring {file} cannot be read: {error.strerror}.",
            "Let it belong to the user who runs Schoolbell.",
        ) from None
    if open_to:
        raise ConfigError(
            f"The keyring {file} may be read or written by other users.",
            f"Run `chmod 600 {file}`; if others had access, `schoolbell keys rotate` afterwards.",
        )
    return _checked(words, file)


def write(file: Path, keys: Sequence[Key]) -> None:
    """Put *keys* into *file*, whole or not at all, for its owner's eyes; raises ConfigError."""
    draft = file.with_name(f".{file.name}.new")
    try:
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            if file.exists():  # root may write what another user runs with
                owner = file.stat()
                os.fchown(opened.fileno(), owner.st_uid, owner.st_gid)
            opened.write(msgspec.json.format(msgspec.json.encode(_File(list(keys)))) + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
    except OSError as error:
        raise ConfigError(
            f"The keyring {file} cannot be written: {error.strerror}.",
            "Let this user write to its folder.",
        ) from None
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def new_key(now: datetime) -> Key:
    """A key that nobody had before."""
    return Key(os.urandom(_ID).hex(), now, os.urandom(_SECRET))


def _checked(words: bytes, file: Path) -> Sequence[Key]:
    try:
        keys = msgspec.json.decode(words, type=_File).keys
        sizes = {(len(bytes.fromhex(key.id)), len(key.secret)) for key in keys}
    except ValueError:  # whose words may quote what was read
        keys, sizes = [], set()
    if sizes != {(_ID, _SECRET)}:
        raise ConfigError(f"The file {file} is no keyring.", _PUT_BACK)
    return keys


def _derive(secret: bytes) -> _Derived:
    return _Derived(
        AESGCM(_expand(secret, b"schoolbell: seal device tokens")),
        _expand(secret, b"schoolbell: look device tokens up"),
    )


def _expand(secret: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_SECRET, salt=None, info=use).derive(secret)
