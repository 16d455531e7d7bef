"""What Schoolbell writes on this machine, and whether it can: a real try."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from engine.config import Config
from engine.database import readable_url
from engine.dialects import DIALECTS
from engine.errors import ConfigError

_BESIDE_SQLITE: Final = ("", "-wal", "-shm", ".lock")
_PROBE_BYTES: Final = 65_536
_PRIVATE: Final = 0o600

_CANNOT_WRITE: Final = {
    errno.EACCES: "This user may not write there.",
    errno.EPERM: "This user may not write there.",
    errno.EROFS: "The disk is mounted for reading only; a disk does that to itself after an error.",
    errno.ENOSPC: "The disk is full.",
    errno.EDQUOT: "This user's share of the disk is used up.",
    errno.EFBIG: "This process may not write files of a useful size (`ulimit -f`, or a quota).",
    errno.ENOENT: "The folder does not exist.",
    errno.ENOTDIR: "A file stands where a folder should be.",
    errno.EISDIR: "A folder stands where a file should be.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What cannot be written, what that means, and what to do."""

    problem: str
    meaning: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Disk:
    """The folders that can be written, up to the first *fault*."""

    folders: Sequence[Path]
    fault: Fault | None = None


def look_at_disk(config: Config) -> Disk:
    """Try to write where Schoolbell writes; no file is changed."""
    written: dict[Path, None] = {}
    for file in _files(config):
        folder = file.absolute().parent
        try:
            if folder not in written:
                _write_in(folder)
            _open_for_writing(file)
        except OSError as error:
            return Disk(list(written), _unwritable(Path(error.filename or folder), error))
        written[folder] = None
    return Disk(list(written))


def keep_private(config: Config) -> None:
    """Close our own SQLite file, and what stands beside it, to everybody but its owner.

    A file that is the SIS's too stays as it is: other users' programs write to it.
    """
    file = file_of(config.database.url)
    if file is None or config.database.url == config.source_url:
        return
    for beside in _BESIDE_SQLITE:
        with suppress(OSError):  # not there, or another user's to close
            file.with_name(file.name + beside).chmod(_PRIVATE)


def file_of(url: str) -> Path | None:
    """The file that a database is; None where it is on a server, in memory or cannot be read."""
    try:
        parsed = readable_url(url)
    except ConfigError:  # who opens it says so
        return None
    name = parsed.database or ""
    dialect = DIALECTS.get(parsed.get_backend_name())
    if not dialect or dialect.port or not name or name.startswith((":memory:", "file:")):
        return None
    return Path(name)


def _files(config: Config) -> Iterator[Path]:
    """The files that Schoolbell writes, made yet or not. A keyring that is there is only read."""
    for url in (config.database.url, config.source_url):
        if file := file_of(url):
            for beside in _BESIDE_SQLITE:
                yield file.with_name(file.name + beside)
    if not os.path.exists(config.keys.file):  # where Path's own raises for a closed folder
        yield config.keys.file


def _write_in(folder: Path) -> None:
    """Write something to the disk itself; it has no name there and is gone when it is closed."""
    with TemporaryFile(dir=folder) as file:
        file.write(bytes(_PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())


def _open_for_writing(file: Path) -> None:
    """Writes nothing. What another user made, as root in a trial, may be closed to this one."""
    with suppress(FileNotFoundError), file.open("r+b"):
        pass


def _unwritable(path: Path, error: OSError) -> Fault:
    reason = error.strerror or type(error).__name__
    return Fault(
        f"{path} cannot be written by user {os.geteuid()}: {reason}.",
        _CANNOT_WRITE.get(error.errno or 0, "The operating system refuses to write there."),
        "Make room, or make it writable for the user that Schoolbell runs as, or name another "
        "place as url in [database] or file in [keys].",
    )
