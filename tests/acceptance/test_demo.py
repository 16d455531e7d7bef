"""The demonstration as a user runs it, and the commands that it tells them to try."""

import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCHOOLBELL = [sys.executable, "-W", "error", "-m", "engine.cli"]
GOOD = "✓  Every phone shows what it should, each text once, and no more."


def schoolbell(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in *folder*."""
    return subprocess.run(
        [*SCHOOLBELL, *arguments],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=250,
    )  # fmt: skip


def environment() -> dict[str, str]:
    """Ours, with the project on the path: commands run in folders of their own."""
    return {**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONUTF8": "1"}


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that runs until SIGTERM; the block reads its output."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)


def lines_until(stream: Iterator[str] | None, words: str) -> str:
    """Everything up to the line that holds *words*."""
    assert stream is not None
    read = []
    for line in stream:
        read.append(line)
        if words in line:
            return "".join(read)
    raise AssertionError(f"{words!r} never came:\n{''.join(read)}")


def test_the_brief_demonstration_ends_by_itself_and_every_phone_shows_what_it_should(
    tmp_path: Path,
) -> None:
    run = schoolbell("demo", "--brief", "--students", "40", folder=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert GOOD in run.stdout
    assert "✓  The portal for staff: the administrator signed in" in run.stdout
    assert "13:15  A court order restricts Emeka from Chidi's records." in run.stdout
    assert "│ You scored 12/20 (was 13/20).     │" in run.stdout
    assert "RESTRICTED: A restriction stands between this person and the student." in run.stdout
    assert re.search(r"From commit to phone +half within \d+ ms", run.stdout)
    assert "\x1b" not in run.stdout
    assert not list(tmp_path.iterdir())


def test_the_commands_that_the_demonstration_names_work(tmp_path: Path) -> None:
    run = schoolbell(
        "demo", "--brief", "--students", "20", "--keep", str(tmp_path / "school"), folder=tmp_path
    )
    assert run.returncode == 0, run.stdout + run.stderr
    told = run.stdout.partition("What to try next")[2]
    phones, engine, teacher, status, why = (
        shlex.split(line) for line in told.splitlines() if line.startswith("  ")
    )
    with started(phones, tmp_path) as ringing:
        lines_until(ringing.stdout, "What arrives")
        with started(engine, tmp_path) as running:
            lines_until(running.stderr, "deliver")
            subprocess.run(teacher, check=True, timeout=30)
            lines_until(ringing.stdout, "Biology 9: Homework 5 · You scored 9.5/10 (was 9/10).")
            for question in (status, why):
                asked = subprocess.run(
                    question, cwd=tmp_path, env=environment(), capture_output=True, text=True
                )
                assert asked.returncode == 0, asked.stdout + asked.stderr


def test_it_plays_in_processes_of_their_own_on_postgresql_and_rabbitmq(
    tmp_path: Path, postgres_url: str, amqps_url: str, amqp_ca_file: Path
) -> None:
    file = tmp_path / "production.toml"
    file.write_text(
        f'[database]\nurl = "{postgres_url}"\n'
        f'[broker]\nurl = "{amqps_url}"\nca_file = "{amqp_ca_file}"\n'
    )
    run = schoolbell(
        "demo", "--brief", "--students", "20", "--config", str(file), "--keep", "kept",
        folder=tmp_path,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    assert GOOD in run.stdout


def test_a_database_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    real = tmp_path / "real.db"
    with sqlite3.connect(real) as connection:
        connection.execute("CREATE TABLE student (name text)")
    connection.close()
    file = tmp_path / "real.toml"
    file.write_text(f'[database]\nurl = "sqlite:///{tmp_path}/own.db"\n'
                    f'[source]\nurl = "sqlite:///{real}"\n')  # fmt: skip
    run = schoolbell("demo", "--brief", "--config", str(file), folder=tmp_path)
    assert run.returncode == 2
    assert "real.db is not empty." in run.stderr
    assert "What to do: The demonstration fills a school of its own" in run.stderr


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear all")
    run = schoolbell("demo", "--brief", "--keep", str(tmp_path), folder=tmp_path)
    assert run.returncode == 2
    assert f"The folder {tmp_path} is not empty." in run.stderr


def test_the_phones_print_a_configuration_to_paste_and_stop_on_sigterm(tmp_path: Path) -> None:
    ports = ["--fcm-port", "0", "--apns-port", "0", "--control-port", "0"]
    with started([*SCHOOLBELL, "phones", *ports], tmp_path) as phones:
        said = tomllib.loads(lines_until(phones.stdout, "What arrives"))
        assert said["fcm"]["endpoint"].startswith("https://localhost:")
        assert Path(said["apns"]["key_file"]).is_file()
    assert phones.returncode == 0


def test_phones_without_a_free_port_say_which_and_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = schoolbell(
            "phones", "--fcm-port", "0", "--apns-port", "0", "--control-port", port,
            folder=tmp_path,
        )  # fmt: skip
    assert run.returncode == 2
    assert f"Port {port}, meant for the page of the phones, is in use" in run.stderr
    assert "What to do: Stop that program, or give the phones another port" in run.stderr
    assert run.stdout == ""


def test_a_demonstration_that_is_ended_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [*SCHOOLBELL, "demo", "--students", "20"]
    with started(command, tmp_path) as playing:
        lines_until(playing.stdout, "08:05")
        playing.send_signal(signal.SIGTERM)
        playing.communicate(timeout=40)
        assert playing.returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())


def test_a_reference_sis_can_be_created_once(tmp_path: Path) -> None:
    create = ["sis", "create", "--url", f"sqlite:///{tmp_path}/sis.db", "--students", "12"]
    made = schoolbell(*create, folder=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    with sqlite3.connect(tmp_path / "sis.db") as connection:
        count = "SELECT count(*) FROM student WHERE status = 'enrolled'"
        assert connection.execute(count).fetchone() == (12,)
    connection.close()
    again = schoolbell(*create, folder=tmp_path)
    assert again.returncode == 2
    assert "is not empty" in again.stderr
