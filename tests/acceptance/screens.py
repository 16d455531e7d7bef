"""What a school writes while something is killed, and what the phones must show in the end.

Each round changes the same scores again, so each phone must show the newest points of each of
its scores, once: a lost push leaves an old text, an invented one adds another.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from sqlalchemy import select, text

from engine.errors import SchoolbellError
from engine.store.tables import devices, sessions, students
from engine.trial.phones.phones import Phones
from tests.site import Site, token_of

IN_ONE_TRANSACTION = 50

Screens = Counter[tuple[str, str]]
T = TypeVar("T")


def change_scores_and(kill: Callable[[], None], changes: int, *sites: Site) -> Screens:
    """Write as schools do, in many transactions, and kill at a moment of chance.

    Returns what the phones must show in the end: for each token and body, how often.
    """
    transactions = range(1, changes, IN_ONE_TRANSACTION)
    moment = random.choice(transactions[5:-5])
    with ThreadPoolExecutor(1) as assassin:
        killing: Future[None] | None = None
        for first in transactions:
            if first == moment:
                killing = assassin.submit(kill)
            for site in sites:
                insist(partial(site.touch_scores, first, first + IN_ONE_TRANSACTION - 1))
            time.sleep(0.01)
        assert killing is not None
        killing.result()
    expected: Screens = Counter()
    for site in sites:
        expected += insist(partial(_expected, site, changes))
    return expected


def insist(act: Callable[[], T]) -> T:
    """The school's program repeats what its database did not take."""
    limit = time.monotonic() + 60
    while True:
        try:
            return act()
        except SchoolbellError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)


def require_screens(phones: Phones, expected: Screens, *sites: Site) -> None:
    """Wait until the phones show what they must, and no longer: nothing may come on top."""
    wait(lambda: not (expected - _shown(phones)), "every push on its phone", sites)
    for site in sites:
        wait(partial(insist, partial(_is_quiet, site)), "quiet queues", sites)
    shown = _shown(phones)
    assert not expected - shown, "lost"
    assert not shown - expected, "invented, or shown twice"


def wait(is_so: Callable[[], object], what: str, sites: Sequence[Site] = ()) -> None:
    """Wait until *is_so*(); fail, with what one would look at first, when it never is."""
    limit = time.monotonic() + 120
    while not is_so():
        states = [_state(site) for site in sites] if time.monotonic() > limit else []
        assert time.monotonic() < limit, f"{what} did not come; {states}"
        time.sleep(0.3)


def _expected(site: Site, changes: int) -> Screens:
    """Asked of the SIS in its own words: this year's released scores of enrolled students."""
    with site.district.source.database.read() as connection:
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
            {"last": changes},
        ).all()
    tokens = _tokens(site)
    return Counter(
        (tokens[str(row.student_id)], f"{float(row.points):g}/{float(row.possible):g}")
        for row in scores
    )


def _tokens(site: Site) -> dict[str, str]:
    with site.district.database.read() as connection:
        found = connection.execute(
            select(students.c.id, devices.c.id.label("device"), devices.c.kind)
            .join(sessions, sessions.c.person_id == students.c.person_id)
            .join(devices, devices.c.id == sessions.c.device_id)
        ).all()
    return {row.id: token_of(row.device, row.kind) for row in found}


def _state(site: Site) -> str:
    """What a person would look at first when a test fails."""
    counts = {name: site.count(name) for name in ("changes", "pushes", "outcomes", "retries")}
    log = (site.folder / "engine.log").read_text("utf-8")
    return f"{counts}, {site.district.broker.depths()}, log: {log[-3000:]}"


def _is_quiet(site: Site) -> bool:
    waiting = any(depth.ready or depth.dead for depth in site.district.broker.depths().values())
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
