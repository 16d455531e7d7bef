"""What a school writes while something is killed, and what the phones must show in the end.

Each round changes the same scores again, so each phone must show the newest points of each of
its scores, once: a lost push leaves an old text, an invented one adds another. No two scores of
a student have the same title, so a phone and a title are one place on a screen.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from sqlalchemy import select, text

from engine.errors import SchoolbellError
from engine.secrets import vapid
from engine.store.tables import devices, sessions, students
from engine.trial.phones.devices import Received
from engine.trial.phones.phones import Phones
from tests.site import Browsers, Site

IN_ONE_TRANSACTION = 50

T = TypeVar("T")


class Place(NamedTuple):
    """Where a score is shown: on which phone, under which title."""

    token: str
    title: str


@dataclass(frozen=True, slots=True)
class Score:
    """A score that its student may see, as the SIS has it now."""

    id: int
    place: Place
    points: float


Screens = Counter[tuple[Place, float]]


def change_scores_and(kill: Callable[[], None], changes: int, *sites: Site) -> Screens:
    """Write as schools do, in many transactions, and kill at a moment of chance.

    Returns what the phones must show in the end: for each place and points, how often.
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
        newest = insist(partial(scores, site, changes))
        expected.update((score.place, score.points) for score in newest)
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
    wait(lambda: not (expected - shown(phones)), "every push on its phone", sites)
    for site in sites:
        wait(partial(insist, partial(_is_quiet, site)), "quiet queues", sites)
    found = shown(phones)
    assert not expected - found, "lost"
    assert not found - expected, "invented, or shown twice"


def wait(is_so: Callable[[], object], what: str, sites: Sequence[Site] = ()) -> None:
    """Wait until *is_so*(); fail, with what one would look at first, when it never is."""
    limit = time.monotonic() + 120
    while not is_so():
        states = [_state(site) for site in sites] if time.monotonic() > limit else []
        assert time.monotonic() < limit, f"{what} did not come; {states}"
        time.sleep(0.3)


def browsers_of(phones: Phones) -> Browsers:
    """Browsers that subscribed for the key that the phones' own settings name."""
    key = vapid.private_key(Path(phones.settings["web_push"]["key_file"]))
    public = vapid.public_key(key)
    return lambda number: " ".join(phones.subscribe(public, number.to_bytes(12)))


def scores(site: Site, last: int) -> Sequence[Score]:
    """Asked of the SIS in its own words: this year's released scores of enrolled students.

    Those up to the number *last* that have points.
    """
    with site.district.source.database.read() as connection:
        found = connection.execute(
            text(
                "SELECT score_id, score.student_id, score.points,"
                " course.title AS course, assignment.title"
                " FROM score JOIN assignment USING (assignment_id)"
                " JOIN section USING (section_id) JOIN course USING (course_id)"
                " JOIN calendar ON calendar.calendar_id = course.calendar_id"
                " JOIN school_year USING (school_year_id)"
                " JOIN student ON student.student_id = score.student_id"
                " WHERE score_id <= :last AND assignment.released AND school_year.active"
                " AND student.status = 'enrolled' AND score.points IS NOT NULL"
                " ORDER BY score_id"
            ),
            {"last": last},
        ).all()
    tokens = _tokens(site)
    return [
        Score(
            row.score_id,
            Place(tokens[str(row.student_id)], f"{row.course}: {row.title}"),
            float(row.points),
        )
        for row in found
    ]


def read(shown: Received) -> tuple[Place, float]:
    """The place and the points of a text like "You scored 18/20 (was 17/20)."."""
    points = shown.body.split("scored ")[1].split("/")[0]
    return Place(shown.token, shown.title), float(points)


def shown(phones: Phones) -> Screens:
    """What is on all screens: for each place and points, how often."""
    found: Screens = Counter()
    after = 0
    while page := phones.devices.screens(after):
        found.update(read(one) for screen in page for one in screen.shown)
        after += len(page)
    return found


def _tokens(site: Site) -> dict[str, str]:
    with site.district.database.read() as connection:
        found = connection.execute(
            select(students.c.id, devices.c.id.label("device"), devices.c.kind)
            .join(sessions, sessions.c.person_id == students.c.person_id)
            .join(devices, devices.c.id == sessions.c.device_id)
        ).all()
    return {row.id: site.address(row.device, row.kind) for row in found}


def _state(site: Site) -> str:
    """What a person would look at first when a test fails."""
    counts = {
        "changes": site.changes(), "pushes": site.pushes(),
        "outcomes": site.count("outcomes"), "due": site.count("due"),
    }  # fmt: skip
    log = (site.folder / "engine.log").read_text("utf-8")
    return f"{counts}, {site.district.broker.depths()}, log: {log[-3000:]}"


def _is_quiet(site: Site) -> bool:
    waiting = any(depth.ready or depth.dead for depth in site.district.broker.depths().values())
    return not waiting and site.count("due") == 0
