"""Rights are withdrawn while a school is busy: what is committed afterwards is told to nobody else.

Two evaluates share the partitions of a backlog, and every guardian's right is withdrawn once some
of them were told. The scores after that are above a thousand, so that a text says what it is of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.trial.phones.devices import Received
from engine.trial.phones.phones import Phones
from tests.acceptance.screens import IN_ONE_TRANSACTION, Place, scores, wait
from tests.site import Site, production_site

STUDENTS = 300
SCORES = 1_500
A_THOUSAND = 1_000

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def phones(tmp_path: Path) -> Iterator[Phones]:
    with Phones(tmp_path) as running:
        yield running


@pytest.fixture
def site(phones: Phones) -> Iterator[Site]:
    with production_site(STUDENTS, phones.settings) as site:
        yield site


def test_no_score_that_is_committed_after_a_right_was_withdrawn_is_told_to_its_holder(
    site: Site, phones: Phones
) -> None:
    students = {score.place.token for score in scores(site, SCORES)}

    def told_to_guardians() -> set[float]:
        return {points for place, points in texts(phones) if place.token not in students}

    add_to_scores(site, 1)
    with (
        site.running("relay"), site.running("evaluate"), site.running("evaluate"),
        site.running("deliver"), site.running("record"),
    ):  # fmt: skip
        wait(told_to_guardians, "the first scores at some guardian's", [site])
        withdraw_every_right(site)
        add_to_scores(site, A_THOUSAND)
        newest = {(score.place, score.points) for score in scores(site, SCORES)}
        wait(lambda: newest <= texts(phones), "every student's newest scores", [site])
        wait(lambda: is_quiet(site), "quiet queues", [site])

    assert max(told_to_guardians()) < A_THOUSAND


def texts(phones: Phones) -> set[tuple[Place, float]]:
    """What all phones show: "You scored 18/20", or "Ada scored 18/20"."""
    found: list[Received] = []
    after = 0
    while page := phones.devices.screens(after):
        found += (one for screen in page for one in screen.shown)
        after += len(page)
    return {
        (Place(one.token, one.title), float(re.findall(r"([\d.]+)/", one.body)[0])) for one in found
    }


def add_to_scores(site: Site, points: int) -> None:
    """A program of the teachers writes every score, some in a transaction."""
    for first in range(1, SCORES, IN_ONE_TRANSACTION):
        write(
            site,
            "UPDATE score SET points = points + :points"
            " WHERE score_id BETWEEN :first AND :last AND points IS NOT NULL",
            points=points,
            first=first,
            last=first + IN_ONE_TRANSACTION - 1,
        )


def withdraw_every_right(site: Site) -> None:
    """The office withdraws the right of every guardian."""
    write(site, "UPDATE guardian SET portal = FALSE")


def write(site: Site, statement: str, **values: int) -> None:
    with site.district.source.database.write() as connection:
        connection.execute(text(statement), values)


def is_quiet(site: Site) -> bool:
    depths = site.district.broker.depths().values()
    return not any(depth.ready or depth.dead for depth in depths)
