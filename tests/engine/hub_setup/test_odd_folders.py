"""Files that somebody left where `schoolbell channel` writes: refused with a remedy."""

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.engine.cli.odd import run

LINES: Final = {
    "definitions": (
        "definitions.json",
        "north.toml",
        "hub.toml",
        "rabbitmq.conf",
        "enabled_plugins",
    ),
    "certificates": ("ca.pem", "ca.key.pem", "server.pem", "server.key.pem", "north.pem"),
}


def write(folder: Path, command: str) -> tuple[int, str]:
    """How the command ended, and what it said."""
    ended = run(
        ["channel", command, "--district", "north", "--host", "hub.example", "--out", str(folder)]
    )
    assert ended.unforeseen is None
    assert "Traceback" not in ended.said
    assert isinstance(ended.code, int)
    return ended.code, ended.said


def garbage(file: Path) -> None:
    file.write_bytes(random.Random(1).randbytes(3_000))


def empty(file: Path) -> None:
    file.write_bytes(b"")


def deep(file: Path) -> None:
    file.write_text('{"vhosts": ' + "[" * 5_000 if file.suffix == ".json" else "x = " + "[" * 5_000)


def odd_shape(file: Path) -> None:
    file.write_text('{"vhosts": [{"name": {}}]}' if file.suffix == ".json" else "[hub]\nurl = 5\n")


def huge(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(10**9)


def folder_instead(file: Path) -> None:
    file.mkdir()


def loop(file: Path) -> None:
    file.symlink_to(file)


def a_line_less(file: Path) -> None:
    """What the command itself wrote, cut."""
    if file.exists():
        file.write_text("\n".join(file.read_text().split("\n")[1:]))


MESSES: Final = (garbage, empty, deep, odd_shape, huge, folder_instead, loop)


@pytest.mark.parametrize("mess", MESSES)
@pytest.mark.parametrize(
    ("command", "name"),
    [(command, name) for command, names in LINES.items() for name in names],
)
def test_what_somebody_left_there_is_not_written_over(
    tmp_path: Path, mess: Callable[[Path], None], command: str, name: str
) -> None:
    mess(tmp_path / name)
    before = (tmp_path / name).lstat()

    code, said = write(tmp_path, command)

    if code == 0:  # a key beside nothing is made anew with its certificate
        assert name.endswith(".pem")
    else:
        assert code == 2
        assert "What to do: " in said
        assert (tmp_path / name).lstat().st_ino == before.st_ino


@pytest.mark.parametrize(
    ("command", "name"),
    list(itertools.chain(*([(c, n) for n in names] for c, names in LINES.items()))),
)
def test_what_was_written_and_is_cut_is_refused_or_made_whole(
    tmp_path: Path, command: str, name: str
) -> None:
    write(tmp_path, command)
    a_line_less(tmp_path / name)

    code, said = write(tmp_path, command)

    assert code in (0, 2)
    assert code == 0 or "What to do: " in said
