"""Odd configurations: each is used or refused with a sentence, never with a traceback."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.engine.cli.commands import Bell
from tests.engine.cli.odd import configurations, run

NUMBER, PARTS = 500, 10
SOURCE: Final = (
    *("source draft", "source try --last 1", "source change --records same"),
    "capture grants --role bell",
)
COMMANDS: Final = (
    "status",
    "enable",
    "keys show",
    "sync",
    "install",
    "parked list",
    "privacy",
    *SOURCE,
)
EXAMPLE: Final = Path(__file__).parents[3] / "config.example.toml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    Bell.installed(folder).close()
    return folder


@pytest.fixture(scope="module")
def right() -> bytes:
    text = EXAMPLE.read_text("utf-8")
    return text.replace("sqlite:///schoolbell.db", "sqlite:///bell.db").encode()


@pytest.mark.parametrize("part", range(PARTS))
def test_an_odd_configuration_is_used_or_refused(folder: Path, right: bytes, part: int) -> None:
    chance = random.Random(part)
    file = folder / f"odd-{part}.toml"
    for number, text in enumerate(configurations(right, NUMBER // PARTS, seed=part)):
        file.write_bytes(text)
        command = chance.choice(COMMANDS)
        ended = run(["--config", str(file), *command.split()])

        where = f"{command} with the configuration {number} of {part}"
        assert ended.unforeseen is None, where
        assert ended.code in (0, 1, 2), where
        assert "Traceback" not in ended.said, where
        if ended.code == 2:
            assert ended.err.startswith("Error: "), where
            assert "\nWhat to do: " in ended.err, where


def directory(file: Path) -> None:
    file.mkdir()


def loop(file: Path) -> None:
    file.symlink_to(file)


def dangling(file: Path) -> None:
    file.symlink_to("nowhere")


def huge(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(10**9)


def zeros(file: Path) -> None:
    file.symlink_to("/dev/zero")


def within_a_file(file: Path) -> None:
    file.symlink_to("/dev/null/x")


@pytest.mark.parametrize("make", [directory, loop, dangling, huge, zeros, within_a_file])
@pytest.mark.parametrize("command", ["status", "doctor", "install"])
def test_what_is_no_file_is_no_configuration(
    tmp_path: Path, make: Callable[[Path], None], command: str
) -> None:
    make(tmp_path / "odd.toml")

    ended = run(["--config", str(tmp_path / "odd.toml"), command])

    assert ended.unforeseen is None
    assert ended.code in (1, 2)
    assert "odd.toml" in ended.said


@pytest.mark.parametrize("make", [directory, loop, dangling, huge, within_a_file])
@pytest.mark.parametrize(
    ("setting", "commands"),
    [
        ("keys.file", ("sign-in --person 34 --kind apns --token " + "ab" * 32, "keys show")),
        ("keys.file", ("install", "doctor", "keys rotate")),
        ("wording.templates_file", ("inbox --person 34", "doctor")),
        ("source.definition", ("status", "doctor", "install")),
    ],
)
def test_what_is_no_file_is_nothing_else_either(
    folder: Path,
    tmp_path: Path,
    make: Callable[[Path], None],
    setting: str,
    commands: tuple[str, ...],
) -> None:
    bell = Bell(folder).copy_to(tmp_path)
    make(tmp_path / "other.toml")
    with bell.config_file.open("a") as file:
        section, key = setting.split(".")
        file.write(f'[{section}]\n{key} = "other.toml"\n')
    for command in commands:
        ended = run(["--config", str(bell.config_file), *command.split()])

        assert ended.unforeseen is None, command
        assert ended.code in (1, 2), command
        assert "other.toml" in ended.said, command


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SCHOOLBELL_BROKER__URL", "\udcff", "[broker] url: holds what is no character"),
        ("SCHOOLBELL_DELIVER__DISTRICTS", "[" * 5_000, "[deliver] districts: is longer than"),
        ("SCHOOLBELL_", "", "The environment variable SCHOOLBELL_ is no setting."),
        ("SCHOOLBELL_CONFIG", "/dev/null/x", "cannot be read: Not a directory"),
        ("SCHOOLBELL_RELAY__BATCH", "9" * 5_000, "[relay] batch"),
    ],
)
def test_an_odd_environment_is_refused(name: str, value: str, problem: str) -> None:
    ended = run(["status"], {name: value})

    assert (ended.code, ended.unforeseen) == (2, None)
    assert problem in ended.err
