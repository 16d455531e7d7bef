"""Odd command lines: each ends with a sentence, never with a traceback."""

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from engine.cli import complaints
from engine.errors import SchoolbellError
from engine.secrets import keyring
from tests.district import KEYS, build_sis
from tests.engine.cli.commands import CONFIG, Bell
from tests.engine.cli.odd import command_lines, leaves, run

NUMBER, PARTS = 500, 10
FEWEST = 4  # lines of each command
PROGRAM = (sys.executable, "-m", "engine.cli")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed district."""
    folder = tmp_path_factory.mktemp("bell")
    Bell.installed(folder).close()
    return folder


@pytest.fixture(scope="module")
def spoiled(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, in which everybody does as they like."""
    return Bell(folder).copy_to(tmp_path_factory.mktemp("odd")).folder


@pytest.mark.parametrize("part", range(PARTS))
def test_an_odd_command_line_is_answered(
    spoiled: Path, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spoiled)
    answered(command_lines(NUMBER // PARTS, seed=part))


def test_an_odd_command_line_is_answered_where_the_sis_is_in_postgresql(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_sis(postgres_url)
    (tmp_path / "schoolbell.toml").write_text(f'{CONFIG}[source]\nurl = "{postgres_url}"\n')
    keyring.write(tmp_path / "schoolbell.keys", KEYS)
    monkeypatch.chdir(tmp_path)
    assert run(["install"]).code == 0

    answered(command_lines(NUMBER // PARTS, seed=PARTS))


def test_every_command_is_among_the_odd_lines() -> None:
    """Also one that is added tomorrow."""
    lines = [line for part in range(PARTS) for line in command_lines(NUMBER // PARTS, seed=part)]

    for path, command in leaves():
        odd = [line for line in lines if tuple(line[: len(path)]) == path]
        assert len(odd) >= FEWEST, path
        assert not command.params or any(len(line) > len(path) for line in odd), path


def answered(lines: Iterable[Sequence[str]]) -> None:
    """Each ends with an answer that a person understands."""
    for line in lines:
        ended = run(["--config", "schoolbell.toml", *line])

        assert ended.unforeseen is None, line
        assert ended.code in (0, 1, 2), line
        assert "Traceback" not in ended.said, line
        if ended.code == 2:
            assert re.search("^(Error: .|Usage: )", ended.err, re.MULTILINE), line


@pytest.mark.parametrize(
    "words",
    [["\udcff"], ["inbox", "--person", "\udcff"], ["--config", "\udcff.toml", "status"]],
    ids=["as a command", "as an id", "as a path"],
)
def test_what_is_no_text_is_refused(words: Sequence[str]) -> None:
    ended = run(words)

    assert ended.code == 2
    assert re.fullmatch(
        r"Error: Argument \d is not readable as text.\nWhat to do: Write it in UTF-8.\n", ended.err
    )


def test_what_nobody_foresaw_is_kept_for_its_owner_and_not_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    complaints.complain(ZeroDivisionError("Ada scored 17"))

    said = capsys.readouterr().err
    (kept,) = tmp_path.iterdir()
    assert "(ZeroDivisionError)" in said
    assert "17" not in said
    assert str(kept) in said
    assert "Ada scored 17" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_a_known_error_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    complaints.complain(SchoolbellError("It is so.", "Do this."))

    assert capsys.readouterr().err == "Error: It is so.\nWhat to do: Do this.\n"


# As processes


def started(
    folder: Path, *words: str, before: Callable[[], None] | None = None, **how: object
) -> "subprocess.CompletedProcess[bytes]":
    """Run the program by itself; what it wrote to standard error is kept."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd()}
    environment |= how.pop("env", {})  # type: ignore[arg-type]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **how}
    return subprocess.run(
        [*PROGRAM, *words], cwd=folder, env=environment, preexec_fn=before, check=False,
        **options,  # type: ignore[call-overload]
    )  # fmt: skip


def close(number: int) -> Callable[[], None]:
    return lambda: os.close(number)


@pytest.mark.parametrize(
    ("words", "before", "how", "code"),
    [
        pytest.param(("--help",), close(1), {"stdout": None}, 0, id="standard output is closed"),
        pytest.param(("status",), close(2), {"stderr": None}, 0, id="standard error is closed"),
        pytest.param(
            ("capture", "remove"), close(0), {"stdin": None}, 1, id="standard input is closed"
        ),
        pytest.param(
            ("keys", "lost"), None, {"stdin": subprocess.DEVNULL}, 1, id="nobody answers"
        ),
        pytest.param(("--help",), None, {"env": {"LC_ALL": "xx_YY"}}, 0, id="an odd language"),
        pytest.param(
            ("capture", "check"), None, {"env": {"PYTHONIOENCODING": "ascii"}}, 0, id="in ASCII"
        ),
        pytest.param(
            ("inbox", "--person", "é"), None, {"env": {"LC_ALL": "C"}}, 0,
            id="with an accent in the C locale",
        ),
        pytest.param(("subscribe", "--help"), None, {"env": {"COLUMNS": "1"}}, 0, id="one column"),
        pytest.param(("status",), None, {"env": {"COLUMNS": "-1"}}, 0, id="odd columns"),
        pytest.param(("status",), None, {"env": {"HOME": ""}}, 0, id="no home"),
        pytest.param(("x" * 100_000,), None, {}, 2, id="a command of 100,000 letters"),
        pytest.param((), None, {}, 2, id="nothing"),
    ],
)  # fmt: skip
def test_odd_surroundings_are_borne(
    folder: Path,
    words: Sequence[str],
    before: Callable[[], None] | None,
    how: dict[str, object],
    code: int,
) -> None:
    ended = started(folder, *words, before=before, **how)

    assert ended.returncode == code
    assert b"Traceback" not in (ended.stderr or b"") + (ended.stdout or b"")


def test_a_reader_that_goes_away_is_no_fault(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    ended = started(folder, "--help", stdout=writing)

    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_a_full_disk_is_said(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended = started(folder, "status", stdout=full)

    assert ended.returncode == 2
    assert ended.stderr.startswith(
        b"Error: The system refuses what this command needs: No space left on device."
    )
    assert ended.stderr.count(b"\n") == 2


def test_what_is_no_utf_8_is_refused(folder: Path) -> None:
    ended = started(folder, "inbox", "--person", b"\xff")  # type: ignore[arg-type]

    assert ended.returncode == 2
    assert ended.stderr.startswith(b"Error: Argument 3 is not readable as text.")


def test_ctrl_c_is_no_fault(folder: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "capture", "remove"], cwd=folder, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.read(1)  # it asks
    process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=60)[0]

    assert process.returncode == 1
    assert said.endswith(b"Aborted!\n")
    assert b"Traceback" not in said


def test_a_disk_that_is_full_while_the_district_is_set_up_is_said(tmp_path: Path) -> None:
    Bell.with_sis_only(tmp_path)

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = (tmp_path / "bell.db").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8_192, size + 8_192))

    ended = started(tmp_path, "install", before=little_room)

    assert ended.returncode == 2
    assert b"full disk" in ended.stderr
    assert b"Traceback" not in ended.stderr
