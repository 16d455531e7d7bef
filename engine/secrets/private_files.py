"""Files that hold a secret, and files that are not ours to replace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from engine.errors import ConfigError
from engine.files import LARGEST

_PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700


def prepare_folder(folder: Path) -> None:
    """Make *folder* where it is missing, for our eyes only; raise ConfigError if it cannot be."""
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            "Name one that this user may write.",
        ) from None


def write_private(file: Path, content: bytes) -> None:
    """Write a file that this user alone can read; it is never there by half."""
    part = file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        with open(part, "xb", opener=lambda path, flags: os.open(path, flags, _PRIVATE)) as stream:
            stream.write(content)
        part.replace(file)
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be written: {error.strerror}.",
            "Name a folder that this user may write.",
        ) from None


def read_if_there(file: Path) -> bytes | None:
    """What a file holds, of a huge one its beginning; None where there is none."""
    try:
        with file.open("rb") as opened:
            return opened.read(LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}.", "Run this as the user who made it."
        ) from None


def is_free_for(file: Path, content: str) -> bool:
    """Whether the file is missing (True) or holds just that (False); ConfigError if another."""
    found = read_if_there(file)
    if found not in (None, content.encode()):
        raise ConfigError(
            f"{file} is there already and holds something else.",
            "Move it away, or name another folder with --out.",
        )
    return found is None
