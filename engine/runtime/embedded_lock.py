"""The lock of the embedded engine: its queues live in one process, so only one may run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from engine.errors import ConfigError


class EmbeddedLock:
    """A file lock beside the database file; it ends with the process that holds it."""

    def __init__(self, database_file: str) -> None:
        self._file = Path(f"{database_file}.lock")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold it for the block; raises ConfigError that names the process that holds it."""
        with self._file.open("a+") as file:
            _lock(file, self._file)
            yield

    @property
    def is_held(self) -> bool:
        """Whether a process holds it now."""
        try:
            with self._file.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False


def _lock(file: IO[str], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        raise ConfigError(
            f"Another engine (process {file.read().strip() or 'unknown'}) runs on {path.stem}.",
            "Stop it first, or give this one a database of its own.",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
