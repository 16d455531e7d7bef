"""kill -9 of any one process at any moment: every push arrives once, none is lost or invented.

Each round changes the same scores again, so each phone must show the newest points of each of
its scores, once: a lost push leaves an old text, an invented one adds another.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import select, text

from engine.errors import SchoolbellError
from engine.phones.phones import Behaviour, Phones
from engine.store.tables import devices, sessions, students
from tests.benchmarks.processes import command_line, descendants
from tests.servers.private import PrivateServer
from tests.site import Site, embedded_site, production_site

CHANGES = 5_000
IN_ONE_TRANSACTION = 50
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
    with production_site(STUDENTS, phones.settings, students_only=True) as site:
        yield site


@pytest.fixture
def embedded(phones: Phones) -> Iterator[Site]:
    with embedded_site(STUDENTS, phones.settings, students_only=True) as site:
        yield site


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_while_changes_pass_costs_no_push_and_adds_none(
    production: Site, phones: Phones, stage: str
) -> None:
    with production.running() as engine:
        expected = _change_scores_and(production, lambda: _kill_stage(engine, stage))
        _require_screens(production, phones, expected)


def test_the_supervisor_killed_while_changes_pass_costs_no_push_and_adds_none(
    production: Site, phones: Phones
) -> None:
    with production.running() as engine:
        _wait(lambda: _process_of(engine, "deliver"), "the engine")
        expected = _change_scores_and(production, lambda: os.kill(engine.pid, signal.SIGKILL))
    with production.running():
        _require_screens(production, phones, expected)


def test_the_broker_killed_while_changes_pass_costs_no_push_and_adds_none(
    production: Site, phones: Phones
) -> None:
    rabbit = production.rabbit
    assert rabbit is not None
    with production.running():
        expected = _change_scores_and(production, partial(_kill_and_start, rabbit))
        _require_screens(production, phones, expected)


def test_the_database_killed_while_changes_pass_costs_no_push_and_adds_none(
    production: Site, phones: Phones
) -> None:
    postgres = production.postgres
    assert postgres is not None
    with production.running():
        expected = _change_scores_and(production, partial(_kill_and_start, postgres))
        _require_screens(production, phones, expected)


def test_the_embedded_engine_killed_while_changes_pass_costs_no_push_and_adds_none(
    embedded: Site, phones: Phones
) -> None:
    phones.reset()
    with embedded.running() as engine:
        expected = _change_scores_and(embedded, lambda: os.kill(engine.pid, signal.SIGKILL))
    with embedded.running():
        _require_screens(embedded, phones, expected)


Screens = Counter[tuple[str, str]]
T = TypeVar("T")


def _change_scores_and(site: Site, kill: Callable[[], None]) -> Screens:
    """Write as a school does, in many transactions, and kill at a moment of chance.

    Returns what the phones must show in the end: for each token and body, how often.
    """
    transactions = range(1, CHANGES, IN_ONE_TRANSACTION)
    moment = random.choice(transactions[5:-5])
    with ThreadPoolExecutor(1) as assassin:
        killing: Future[None] | None = None
        for first in transactions:
            if first == moment:
                killing = assassin.submit(kill)
            _insist(partial(site.touch_scores, first, first + IN_ONE_TRANSACTION - 1))
            time.sleep(0.01)
        assert killing is not None
        killing.result()
    return _insist(partial(_expected, site))


def _insist(act: Callable[[], T]) -> T:
    """The school's program repeats what its database did not take."""
    limit = time.monotonic() + 60
    while True:
        try:
            return act()
        except SchoolbellError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


def _expected(site: Site) -> Screens:
    """Asked of the SIS in its own words: this year's released scores of enrolled students."""
    with site.engine.source.database.read() as connection:
        scores = connection.execute(
            text(
                "SELECT score.student_id, score.points, assignment.points_possible AS possible"
                " FROM score JOIN assignment USING (assignment_id)"
                " JOIN section USING (section_id) JOIN course USING (course_id)"
                " JOIN calendar ON calendar.calendar_id = course.calendar_id"
                " JOIN school_year USING (school_year_id)"
                " JOIN student ON student.student_id = score.student_id"
                " WHERE score_id <= :last AND assignment.released AND school_year.active"
                " AND student.status = 'enrolled' AND score.points IS NOT NULL"
            ),
            {"last": CHANGES},
        ).all()
    tokens = _tokens(site)
    return Counter(
        (tokens[str(row.student_id)], f"{float(row.points):g}/{float(row.possible):g}")
        for row in scores
    )


def _tokens(site: Site) -> dict[str, str]:
    with site.engine.database.read() as connection:
        found = connection.execute(
            select(students.c.id, devices.c.token)
            .join(sessions, sessions.c.person_id == students.c.person_id)
            .join(devices, devices.c.id == sessions.c.device_id)
        ).all()
    return {row.id: row.token for row in found}


def _process_of(engine: subprocess.Popen[bytes], stage: str) -> int | None:
    for pid in descendants([engine.pid]):
        if command_line(pid).split()[-1:] == [stage]:
            return pid
    return None


def _kill_stage(engine: subprocess.Popen[bytes], stage: str) -> None:
    _wait(lambda: _process_of(engine, stage), f"a process of the stage {stage}")
    os.kill(_process_of(engine, stage) or 0, signal.SIGKILL)


def _kill_and_start(server: PrivateServer) -> None:
    server.kill9()
    server.start()


def _require_screens(site: Site, phones: Phones, expected: Screens) -> None:
    """Wait until the phones show what they must, and no longer: nothing may come on top."""
    _wait(lambda: not (expected - _shown(phones)), "every push on its phone", site)
    _wait(partial(_insist, partial(_is_quiet, site)), "quiet queues", site)
    shown = _shown(phones)
    assert not expected - shown, "lost"
    assert not shown - expected, "invented, or shown twice"


def _wait(is_so: Callable[[], object], what: str, site: Site | None = None) -> None:
    limit = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < limit, f"{what} did not come; {_state(site)}"
        time.sleep(0.3)


def _state(site: Site | None) -> str:
    """What a person would look at first when a test of this file fails."""
    if site is None:
        return ""
    counts = {name: site.count(name) for name in ("changes", "pushes", "outcomes", "retries")}
    log = (site.folder / "engine.log").read_text("utf-8")
    return f"{counts}, {site.engine.broker.depths()}, log: {log[-3000:]}"


def _is_quiet(site: Site) -> bool:
    waiting = any(depth.ready or depth.dead for depth in site.engine.broker.depths().values())
    return not waiting and site.count("retries") == 0


def _shown(phones: Phones) -> Screens:
    """For each token and score in a body ("You scored 18/20 (was 17/20)."), how often."""
    found: Screens = Counter()
    after = 0
    while page := phones.devices.screens(after):
        found.update(
            (screen.token, shown.body.split("scored ")[1].split(" ")[0].rstrip("."))
            for screen in page
            for shown in screen.shown
        )
        after += len(page)
    return found
