"""kill -9 of any one process at any moment: every push arrives once, none is lost or invented."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial

import pytest

from engine.trial.phones.phones import Behaviour, Phones
from tests.acceptance.screens import browsers_of, change_scores_and, require_screens, wait
from tests.benchmarks.processes import command_line, descendants
from tests.servers.private import PrivateServer
from tests.site import Site, embedded_site, production_site

CHANGES = 3_000
STUDENTS = 1_000
STAGES = ("relay", "evaluate", "deliver", "record", "schedule")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    folder = tmp_path_factory.mktemp("phones")
    with Phones(folder, behaviour=Behaviour(remembered=1_000)) as running:
        yield running


@pytest.fixture(scope="module")
def production(phones: Phones) -> Iterator[Site]:
    with production_site(
        STUDENTS, phones.settings, students_only=True, browsers=browsers_of(phones)
    ) as site:
        yield site


@pytest.fixture
def embedded(phones: Phones) -> Iterator[Site]:
    with embedded_site(
        STUDENTS, phones.settings, students_only=True, browsers=browsers_of(phones)
    ) as site:
        yield site


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_while_changes_pass_costs_no_push_and_adds_none(
    production: Site, phones: Phones, stage: str
) -> None:
    with production.running() as engine:
        expected = change_scores_and(lambda: _kill_stage(engine, stage), CHANGES, production)
        require_screens(phones, expected, production)


def test_the_supervisor_killed_while_changes_pass_costs_no_push_and_adds_none(
    production: Site, phones: Phones
) -> None:
    with production.running() as engine:
        wait(lambda: _process_of(engine, "deliver"), "the engine")
        expected = change_scores_and(
            lambda: os.kill(engine.pid, signal.SIGKILL), CHANGES, production
        )
    with production.running():
        require_screens(phones, expected, production)


def test_the_broker_killed_while_changes_pass_costs_no_push_and_adds_none(
    production: Site, phones: Phones
) -> None:
    rabbit = production.rabbit
    assert rabbit is not None
    with production.running():
        expected = change_scores_and(partial(_kill_and_start, rabbit), CHANGES, production)
        require_screens(phones, expected, production)


def test_the_database_killed_while_changes_pass_costs_no_push_and_adds_none(
    production: Site, phones: Phones
) -> None:
    postgres = production.postgres
    assert postgres is not None
    with production.running():
        expected = change_scores_and(partial(_kill_and_start, postgres), CHANGES, production)
        require_screens(phones, expected, production)


def test_the_embedded_engine_killed_while_changes_pass_costs_no_push_and_adds_none(
    embedded: Site, phones: Phones
) -> None:
    phones.reset()
    with embedded.running() as engine:
        expected = change_scores_and(lambda: os.kill(engine.pid, signal.SIGKILL), CHANGES, embedded)
    with embedded.running():
        require_screens(phones, expected, embedded)


def _process_of(engine: subprocess.Popen[bytes], stage: str) -> int | None:
    for pid in descendants([engine.pid]):
        if command_line(pid).split()[-1:] == [stage]:
            return pid
    return None


def _kill_stage(engine: subprocess.Popen[bytes], stage: str) -> None:
    wait(lambda: _process_of(engine, stage), f"a process of the stage {stage}")
    os.kill(_process_of(engine, stage) or 0, signal.SIGKILL)


def _kill_and_start(server: PrivateServer) -> None:
    server.kill9()
    server.start()
