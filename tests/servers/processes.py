"""Processes that tests start: found, started, waited for, and never left behind.

A `Sandbox` is a temporary folder and the processes that live in it. Its guard is a small shell
that waits for the end of a pipe which only we hold open. When we end, by `close`, by Ctrl-C or
by kill -9, the pipe ends too; the guard then ends the processes and removes the folder.
"""

import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Self, TypedDict

HOST = "127.0.0.1"

WHAT_TO_INSTALL = (
    "Install the servers with `make servers` as root, or with "
    "`sudo apt-get install postgresql pgbouncer rabbitmq-server nginx-light chromium npm` "
    "and `make servers` afterwards, which fetches the rest from npm."
)

_FIRST_PORT = 15_000  # above what well-known services listen on
_DEFAULT_EPHEMERAL_START = 32_768
_LOG_TAIL = 3_000
_handed_out: set[int] = set()

_GUARD = r"""
while read -r _; do :; done     # ends with the one who started us, whatever ended it
cd /
notes="$1/running"
for note in "$notes"/*; do
    [ -e "$note" ] && kill -s "$(cat "$note")" -- "-${note##*/}"
done
for note in "$notes"/*; do
    [ -e "$note" ] || continue
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kill -0 -- "-${note##*/}" && sleep 0.1
    done
    kill -KILL -- "-${note##*/}"
done
rm -rf -- "$1"
"""


class MissingServerError(Exception):
    """A server that the tests need is not installed."""

    def __init__(self, program: str, folders: Sequence[str]) -> None:
        super().__init__(
            f"The program `{program}` is not in {', '.join(folders)}. {WHAT_TO_INSTALL}"
        )


class ServerError(Exception):
    """A server did not do what it was asked to in the time it had."""


def find_program(name: str, folders: Sequence[str]) -> Path:
    """The program *name* from the first of *folders* that has it; a folder may be a glob.

    Of the several matches of one glob the highest version wins: 15 before 9.6.
    """
    for folder in folders:
        matches = [path for path in glob.glob(f"{folder}/{name}") if os.access(path, os.X_OK)]
        if matches:
            return Path(max(matches, key=_numbers))
    raise MissingServerError(name, folders)


def _numbers(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def free_port() -> int:
    """A port of 127.0.0.1 that nothing uses and that nobody was given before.

    It lies below the ports that the kernel gives to outgoing connections. So a server that is
    down for a moment finds its port free again, and a client that knocks meanwhile can not be
    connected to itself. Workers of pytest-xdist take turns at the ports, so that no worker is
    given the port of a server of another one that is down for a moment.
    """
    ours = _our_ports()
    for port in SystemRandom().sample(ours, k=min(200, len(ours))):
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port
    raise ServerError("No free port was found in 200 tries.")


def _our_ports() -> range:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(_FIRST_PORT + worker, _ephemeral_start(), workers)


def _ephemeral_start() -> int:
    try:
        start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return _DEFAULT_EPHEMERAL_START
    return start if start >= _FIRST_PORT + 1_000 else _DEFAULT_EPHEMERAL_START


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def wait_until(ready: Callable[[], object], *, within: float, what: str) -> None:
    """Ask *ready* again and again until it says yes; give up after *within* seconds."""
    deadline = time.monotonic() + within
    while not ready():
        if time.monotonic() > deadline:
            raise ServerError(f"Not within {within:g} seconds: {what}.")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """True when something accepts connections on *port*."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


class Child:
    """A program in a process group of its own."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        log: Path,
        note: Path,
        last_resort: signal.Signals,
    ) -> None:
        self.log = log
        self._process = process
        self._note = note  # for the guard: that we run, and how to end us
        self._last_resort = last_resort
        note.write_text(last_resort.name.removeprefix("SIG"))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], object], *, within: float, what: str) -> None:
        """Like `wait_until`, but a program that ended is not waited for, and its log is shown."""

        def ready_or_ended() -> bool:
            return bool(ready()) or not self.is_alive

        try:
            wait_until(ready_or_ended, within=within, what=what)
        except ServerError as error:
            raise ServerError(f"{error}\n{self._last_words()}") from error
        if not self.is_alive:
            raise ServerError(
                f"Ended with code {self._process.returncode} before: {what}.\n{self._last_words()}"
            )

    def stop(self, farewell: signal.Signals = signal.SIGTERM, *, within: float = 30) -> None:
        """Ask the program to end and wait until it did; kill it when it takes too long."""
        if self.is_alive:
            self._process.send_signal(farewell)
        try:
            self._process.wait(timeout=within)
        except subprocess.TimeoutExpired:
            self.kill9()
        self._note.unlink(missing_ok=True)

    def end(self) -> None:
        """End the program quickly, in the way that was chosen for it."""
        if self._last_resort is signal.SIGKILL:
            self.kill9()
        else:
            self.stop(self._last_resort)

    def kill9(self) -> None:
        """End the program and all that it started, at once, as a power cut would."""
        if self.is_alive:
            self._process.send_signal(signal.SIGSTOP)  # so that it starts nothing more
            doomed = [self.pid, *_descendants(self.pid)]
            for pid in doomed:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()
            wait_until(
                lambda: not any(map(is_running, doomed)), within=10, what=f"{doomed} have ended"
            )
        self._process.wait()
        self._note.unlink(missing_ok=True)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-_LOG_TAIL:]


class Sandbox:
    """A temporary folder and the processes that live in it. Neither outlives us."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"schoolbell-{name}-"))
        self.folder.chmod(0o711)  # another user's server finds its way to its own data
        self._running = self.folder / "running"
        self._running.mkdir()
        self._children: list[Child] = []
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, not for the guard
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def folder_for(self, name: str, *, user: str | None = None) -> Path:
        """A folder for *user* alone (by default for us)."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        if user is not None:
            shutil.chown(folder, user)
        return folder

    def start(
        self,
        command: Sequence[str | Path],
        *,
        log: str,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        last_resort: signal.Signals = signal.SIGKILL,
    ) -> Child:
        """Start *command* as *user* (by default as us).

        *last_resort* is the signal that ends it when the sandbox is closed or we are killed.
        """
        path = self.folder / log
        with path.open("ab") as output:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env=dict(env if env is not None else os.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_as_user(user),
            )
        note = self._running / str(process.pid)
        child = Child(process, log=path, note=note, last_resort=last_resort)
        self._children.append(child)
        return child

    def run(
        self, command: Sequence[str | Path], *, env: Mapping[str, str], user: str | None = None
    ) -> None:
        """Run *command* to its end; an error shows what it wrote."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **_as_user(user),
        )
        if done.returncode != 0:
            raise ServerError(f"{command[0]} ended with code {done.returncode}:\n{done.stdout}")

    def close(self) -> None:
        """End what still runs, the newest first, and remove the folder."""
        while self._children:
            self._children.pop().end()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(timeout=30)


class _Account(TypedDict, total=False):
    """What `subprocess` wants to know of the user that a program runs as."""

    user: int
    group: int
    extra_groups: list[int]


def _as_user(name: str | None) -> _Account:
    if name is None:
        return {}
    account = pwd.getpwnam(name)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _descendants(ancestor: int) -> list[int]:
    """The processes below *ancestor*, also those that made a process group of their own."""
    children: dict[int, list[int]] = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        with suppress(OSError):  # it ended while we looked
            parent = _state_and_parent(Path(path))[1]
            children.setdefault(parent, []).append(int(path.split("/")[2]))
    found = [ancestor]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found[1:]


def is_running(pid: int) -> bool:
    """True when *pid* is a process that has not ended, whether or not it was reaped."""
    try:
        return _state_and_parent(Path(f"/proc/{pid}/stat"))[0] != "Z"
    except OSError:
        return False


def _state_and_parent(stat: Path) -> tuple[str, int]:
    state, parent, *_ = stat.read_text().rpartition(")")[2].split()
    return state, int(parent)
