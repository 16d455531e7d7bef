"""The engine and the portal at work: in threads where all is embedded, else as `schoolbell run`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.config import ENV_PREFIX, LogSettings
from engine.errors import Unavailable
from engine.runtime.district_stages import makers
from engine.runtime.stage import PORTAL, Stage
from engine.runtime.worker import PARENT_PIPE, run_threads
from engine.telemetry import configure
from engine.trial.demo.world import World

_PATIENCE: Final = 40  # seconds in which the engine's processes end; they allow themselves 30
_LAST_LINES: Final = 6


Check = Callable[[], None]


@contextmanager
def running(world: World) -> Iterator[Check]:
    """Run every stage until the block ends; the value raises Unavailable once it ended earlier."""
    if world.district.lock:
        with world.district.lock.hold(), _in_threads(world) as is_alive:
            yield lambda: _require(is_alive(), world.log)
    else:
        with _in_processes(world.config_file, world.log) as is_alive:
            yield lambda: _require(is_alive(), world.log)


def last_words(log: Path) -> str:
    """The end of the log, for who cannot look: it may be gone soon."""
    return "\n".join(log.read_text("utf-8").splitlines()[-_LAST_LINES:])


def _require(is_alive: bool, log: Path) -> None:
    if not is_alive:
        raise Unavailable("The engine has ended.", f"Its last words were:\n{last_words(log)}")


@contextmanager
def logging_to(file: Path) -> Iterator[None]:
    """Log into *file* what this process would say on the terminal."""
    settings = LogSettings()
    with file.open("a", encoding="utf-8") as log:
        configure(settings, log)
        try:
            yield
        finally:
            configure(settings)


@contextmanager
def _in_threads(world: World) -> Iterator[Callable[[], bool]]:
    stop, district = threading.Event(), world.district

    def portal() -> Stage:
        from engine.portal.server import PortalStage

        return PortalStage(district, world.config_file)

    arguments = ({**makers(district), PORTAL: portal}, stop, district.alarms.of_stage)
    thread = threading.Thread(target=run_threads, args=arguments, name="engine")
    thread.start()
    try:
        yield thread.is_alive
    finally:
        stop.set()
        thread.join()


@contextmanager
def _in_processes(config_file: Path, log: Path) -> Iterator[Callable[[], bool]]:
    """The file holds all settings, so none may come from the environment; the pipe ends with us."""
    reading, writing = os.pipe()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)
    }
    command = [sys.executable, "-m", "engine.cli", "--config", str(config_file), "run"]
    with log.open("ab") as file:
        child = subprocess.Popen(  # noqa: S603 - our own command line
            command,
            env=environment | {PARENT_PIPE: str(reading)},
            pass_fds=(reading,),
            stdout=file,
            stderr=file,
        )
    try:
        yield lambda: child.poll() is None
    finally:
        os.close(writing)
        os.close(reading)
        child.terminate()
        _wait(child)


def _wait(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
