"""What runs a stage: restart, report, drain, signals, and processes that end together."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest
import structlog

from engine.config import LogSettings
from engine.errors import Unavailable
from engine.runtime.stage import Stage
from engine.runtime.worker import run_stage, run_threads, stage_command
from engine.telemetry import configure
from tests.fakes import FakeStage, Reports

ROOT = Path(__file__).parents[3]
SECRET = "Ada Reyes scored 3/20"


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, as JSON lines."""
    file = io.StringIO()
    configure(LogSettings(format="json", level="debug"), file)
    yield file
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runtime.worker._FIRST_PAUSE", 0.0)


def events(log: io.StringIO, name: str = "") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == name or not name]


def trouble() -> Unavailable:
    return Unavailable("The broker does not answer.", "Wait.")


def surprise() -> ValueError:
    return ValueError(SECRET)


def in_turn(*stages: FakeStage | Exception) -> Callable[[], Stage]:
    """Make one stage after the other; an error is raised by the making itself."""
    waiting = list(stages)

    def make() -> Stage:
        stage = waiting.pop(0)
        if isinstance(stage, Exception):
            raise stage
        return stage

    return make


def going(*script: Exception | None) -> FakeStage:
    return FakeStage(list(script))


class Failing(FakeStage):
    """Fails, and does not stop the worker by it."""

    def __init__(self, *script: Exception | None) -> None:
        super().__init__([*script, None])


def run(*stages: FakeStage | Exception) -> Reports:
    """Run until the last stage has done all of its script."""
    reports = Reports()
    run_stage("relay", in_turn(*stages), Flag(), reports)
    return reports


def test_a_stage_steps_until_it_is_stopped_and_drains_before_it_is_closed() -> None:
    stage = going(None, None, None)

    run(stage)

    assert stage.moments == ["step", "step", "step", "drain", "close"]


def test_a_stage_that_goes_well_reports_so_once_for_what_an_earlier_run_left() -> None:
    assert run(going(None, None)).problems == [None]


def test_a_stage_whose_neighbour_fails_goes_on_with_what_it_has_in_hand() -> None:
    stage = going(trouble(), None)

    reports = run(stage)

    assert stage.moments == ["step", "step", "drain", "close"]
    assert reports.problems == ["The broker does not answer.", None]


def test_a_stage_that_meets_the_unexpected_is_closed_without_draining_and_made_anew() -> None:
    first, second = Failing(surprise()), going(None)

    run(first, second)

    assert first.moments == ["step", "close"]
    assert second.moments == ["step", "drain", "close"]


def test_a_stage_that_meets_the_unexpected_is_closed_before_the_worker_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.runtime.worker._FIRST_PAUSE", 60.0)
    stage, stop = Failing(surprise()), WatchedFlag()
    stop.on_wait = lambda: stage.moments.append("wait")

    run_stage("relay", in_turn(stage), stop, Reports())

    assert stage.moments == ["step", "close", "wait"]


class WatchedFlag(Flag):
    """A flag on which nobody waits: who would, is told to stop."""

    on_wait: Callable[[], None] = staticmethod(lambda: None)

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses = [*getattr(self, "pauses", []), timeout]
        self.on_wait()
        self.set()
        return True


class PatientFlag(WatchedFlag):
    """Lets a worker wait some times, in no time, and then stops it."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        super().wait(timeout)
        if self.left:
            self.clear()
        return True


def test_the_pause_between_failures_doubles_up_to_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.runtime.worker._FIRST_PAUSE", 0.2)
    stop = PatientFlag(7)

    run_stage("relay", in_turn(*(trouble() for _ in range(7))), stop, Reports())

    assert stop.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_row_of_failures_is_reported_once() -> None:
    reports = run(trouble(), trouble(), going(trouble(), trouble(), None))

    assert reports.problems == ["The broker does not answer.", None]


def test_a_row_of_failures_is_reported_again_every_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runtime.worker._REPORTED_EVERY", 0.0)

    reports = run(going(trouble(), trouble(), None))

    assert reports.problems == [*["The broker does not answer."] * 2, None]


def test_a_recovery_is_reported_and_the_next_failure_again() -> None:
    reports = run(going(trouble(), None, trouble(), None))

    assert reports.problems == [
        "The broker does not answer.",
        None,
        "The broker does not answer.",
        None,
    ]


def test_a_stage_that_cannot_be_made_is_reported_and_made_again() -> None:
    stage = going(None)

    reports = run(trouble(), stage)

    assert reports.problems == ["The broker does not answer.", None]
    assert stage.moments == ["step", "drain", "close"]


def test_a_stage_that_cannot_be_closed_does_not_hinder_its_successor() -> None:
    first, second = Failing(surprise()), going(None)
    first.closing = ValueError(SECRET)

    run(first, second)

    assert second.moments == ["step", "drain", "close"]


def test_a_worker_that_is_stopped_already_makes_no_stage(log: io.StringIO) -> None:
    stop = Flag()
    stop.set()

    run_stage("relay", in_turn(), stop, Reports())

    assert [line["event"] for line in events(log)] == ["stage.started", "stage.stopped"]


def test_a_known_failure_is_logged_with_its_problem_and_remedy(log: io.StringIO) -> None:
    run(going(trouble(), None))

    (line,) = events(log, "stage.failed")
    assert (line["stage"], line["problem"], line["remedy"]) == (
        "relay",
        "The broker does not answer.",
        "Wait.",
    )


def test_an_unexpected_failure_is_logged_by_its_type_and_never_by_its_words(
    log: io.StringIO,
) -> None:
    first = Failing(ValueError(SECRET))
    first.closing = KeyError(SECRET)

    reports = run(first, going(None))

    (line,) = events(log, "stage.failed")
    assert line["problem"] == "The stage relay met an unexpected ValueError."
    assert SECRET not in log.getvalue()
    assert SECRET not in str(reports.problems)


def test_an_unexpected_failure_is_logged_with_where_it_happened(log: io.StringIO) -> None:
    run(Failing(ValueError(SECRET)), going(None))

    (line,) = events(log, "stage.failed")
    assert "in step" in line["trace"]


def test_an_error_that_caused_an_unexpected_one_keeps_its_words_too(log: io.StringIO) -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as cause:
        error = ValueError("of no interest")
        error.__cause__ = cause

    run(Failing(error), going(None))

    assert SECRET not in log.getvalue()


def test_a_recovery_is_logged(log: io.StringIO) -> None:
    run(going(trouble(), None))

    assert len(events(log, "stage.recovered")) == 1


def test_each_stage_runs_in_a_thread_of_its_own_until_all_are_stopped() -> None:
    stop = Flag()
    met = {name: Flag() for name in ("relay", "evaluate")}

    class Meeting(FakeStage):
        """Ends only when every stage has come so far: one after the other never would."""

        def __init__(self, name: str) -> None:
            super().__init__([])
            self.name = name

        def step(self, stop: Flag) -> None:
            met[self.name].set()
            if all(flag.wait(30) for flag in met.values()):
                stop.set()

    stages = {name: Meeting(name) for name in met}

    run_threads({name: in_turn(stage) for name, stage in stages.items()}, stop, Reports())

    assert [stage.moments for stage in stages.values()] == [["drain", "close"]] * 2


# Processes


CHILD = """
import os
from engine.runtime.worker import stop_on_signals
stop = stop_on_signals()
print("running", os.getpid(), flush=True)
stop.wait()
print("drained", os.getpid(), flush=True)
"""
PARENT = f"""
import sys
from engine.config import LogSettings
from engine.telemetry import configure
from engine.runtime.worker import stop_on_signals, supervise
configure(LogSettings())
stop = stop_on_signals()
print("supervising", flush=True)
supervise({{"relay": [sys.executable, "-c", {CHILD!r}]}}, stop)
"""


@contextmanager
def supervisor() -> Iterator[subprocess.Popen[str]]:
    """A supervisor with one child; reading its output ends when both have ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert said(process) == ["supervising"]
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> list[str]:
    """The next line."""
    assert process.stdout is not None
    return process.stdout.readline().split()


def child_of(process: subprocess.Popen[str]) -> int:
    """The process that says next that it runs."""
    word, pid = said(process)
    assert word == "running"
    return int(pid)


def test_a_killed_child_is_started_again() -> None:
    with supervisor() as process:
        first = child_of(process)
        os.kill(first, signal.SIGKILL)

        assert child_of(process) != first


def test_a_supervisor_that_is_stopped_lets_its_child_drain() -> None:
    with supervisor() as process:
        child = child_of(process)
        process.terminate()

        assert said(process) == ["drained", str(child)]


def test_a_child_ends_with_its_supervisor_even_when_that_is_killed() -> None:
    with supervisor() as process:
        child = child_of(process)
        process.kill()

        assert said(process) == ["drained", str(child)]
        assert said(process) == []  # nobody holds the other end


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, ["-m", "engine.cli", "run", "relay"]),
        (Path("my.toml"), ["-m", "engine.cli", "--config", "my.toml", "run", "relay"]),
    ],
)
def test_a_stage_is_run_by_the_command_that_people_use(
    config: Path | None, expected: list[str]
) -> None:
    assert stage_command("relay", config) == [sys.executable, *expected]
