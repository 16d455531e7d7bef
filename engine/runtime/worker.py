"""The worker: what runs a stage, written once. Loop, restart, signals, drain."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from threading import Event as Flag
from typing import Final

from engine.errors import SchoolbellError
from engine.runtime.stage import Makers, Stage
from engine.telemetry import Event, emit, frames

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_DRAIN_LIMIT: Final = 30.0
_REPORTED_EVERY: Final = 3600.0
# Not SCHOOLBELL_…: those are settings.
PARENT_PIPE: Final = "_SCHOOLBELL_PARENT_PIPE"

Report = Callable[[str, SchoolbellError | None], None]


def run_stage(name: str, make: Callable[[], Stage], stop: Flag, report: Report) -> None:
    """Run a stage until *stop*, with a pause after each failure.

    A neighbour's trouble leaves the stage as it is: it goes on with what it has in hand. Giving
    that back would count against it, and a broker sets aside what was given back too often. An
    unexpected error closes the stage and makes it anew. *report* hears of the first of a row of
    failures, of every further hour of it, and of the first success, with None.
    """
    emit(Event.STAGE_STARTED, stage=name)
    trouble = _Trouble(name, report)
    stage: Stage | None = None
    while not stop.is_set():
        try:
            stage = stage or make()
            while not stop.is_set():
                stage.step(stop)
                trouble.is_over()
            stage.drain()
        except SchoolbellError as error:
            stop.wait(trouble.pause_after(error))
        except Exception as error:
            pause = trouble.pause_after(error)
            if stage is not None:
                _close(stage)
            stage = None
            stop.wait(pause)
    if stage is not None:
        _close(stage)
    emit(Event.STAGE_STOPPED, stage=name)


class _Trouble:
    """A row of failures of one stage, with longer and longer pauses between them."""

    def __init__(self, stage: str, report: Report) -> None:
        self._stage = stage
        self._report = report
        self._is_well = False  # not known yet
        self._reported_at: float | None = None
        self._pause = _FIRST_PAUSE

    def pause_after(self, error: Exception) -> float:
        """Take note of a failure; return the seconds to wait."""
        if self._is_news():
            known = _known(self._stage, error)
            emit(
                Event.STAGE_FAILED, level=logging.ERROR, stage=self._stage,
                problem=known.problem, remedy=known.remedy, **_trace(error),
            )  # fmt: skip
            self._report(self._stage, known)
        self._is_well = False
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
        return pause

    def is_over(self) -> None:
        """Take note of a success."""
        if self._is_well:
            return
        if self._reported_at is not None:
            emit(Event.STAGE_RECOVERED, stage=self._stage)
        self._report(self._stage, None)
        self._is_well, self._reported_at, self._pause = True, None, _FIRST_PAUSE

    def _is_news(self) -> bool:
        """Whether a failure is the first of its row, or the row has lasted for another hour."""
        now = time.monotonic()
        if self._reported_at is not None and now - self._reported_at < _REPORTED_EVERY:
            return False
        self._reported_at = now
        return True


def spare_the_collector() -> None:
    """Look for garbage among new objects alone, and not after every few hundred of them.

    Everything imported stays for good; scanning it again and again took a third of evaluate's
    processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run_threads(makers: Makers, stop: Flag, report: Report) -> None:
    """Run each stage in a thread of its own until *stop*."""
    threads = [
        threading.Thread(target=run_stage, args=(name, make, stop, report), name=name)
        for name, make in makers.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def supervise(commands: Mapping[str, Sequence[str]], stop: Flag) -> None:
    """Run each command as a child process until *stop*; start again one that ends by itself.

    A child ends with its parent, however that ends: it holds the reading end of a pipe.
    """
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    environment = {**os.environ, PARENT_PIPE: str(reading)}
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        while not stop.is_set():
            for name, command in commands.items():
                child = children.get(name)
                if child is not None and child.poll() is not None:
                    emit(
                        Event.STAGE_FAILED, level=logging.ERROR, stage=name,
                        exit_code=child.returncode, problem="The process ended.",
                        remedy="It is started again.",
                    )  # fmt: skip
                    child = None
                if child is None:
                    children[name] = subprocess.Popen(  # noqa: S603 - our own command line
                        command, env=environment, pass_fds=(reading,)
                    )
            stop.wait(1.0)
    finally:
        os.close(writing)
        os.close(reading)
        _end(children.values())


def stop_on_signals() -> Flag:
    """A flag that SIGINT, SIGTERM and the end of a supervising parent set."""
    stop = Flag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    pipe = os.environ.pop(PARENT_PIPE, "")
    if pipe:
        threading.Thread(target=_watch_parent, args=(int(pipe), stop), daemon=True).start()
    return stop


def stage_command(stage: str, config: Path | None) -> list[str]:
    """The command line that runs one stage in a process of its own."""
    chosen = ["--config", str(config)] if config else []
    return [sys.executable, "-m", "engine.cli", *chosen, "run", stage]


def _known(name: str, error: Exception) -> SchoolbellError:
    """A foreign error's words may hold a row or a secret: only its type is told."""
    if isinstance(error, SchoolbellError):
        return error
    return SchoolbellError(
        f"The stage {name} met an unexpected {type(error).__name__}.",
        "It goes on trying; report the trace in the log to the makers of Schoolbell.",
    )


def _trace(error: Exception) -> dict[str, str]:
    """The frames of an unexpected error; one of ours says by itself what is wrong."""
    return {} if isinstance(error, SchoolbellError) else {"trace": frames(error)}


def _close(stage: Stage) -> None:
    try:
        stage.close()
    except Exception as error:  # closing what is broken may fail; its successor is what counts
        logging.getLogger(__name__).debug("closing failed", exc_info=error)


def _watch_parent(pipe: int, stop: Flag) -> None:
    os.read(pipe, 1)
    stop.set()


def _end(children: Collection[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    limit = time.monotonic() + _DRAIN_LIMIT
    for child in children:
        try:
            child.wait(max(0.0, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
