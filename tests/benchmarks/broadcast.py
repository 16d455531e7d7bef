"""A broadcast to 100,000 people: how long ordinary news takes alone, and while it goes out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import msgspec
from sqlalchemy import select

from engine.ports import Queue
from engine.runtime.clock import utc_now
from engine.services.actor import Actor
from engine.services.broadcasts import drafts, following, sending
from engine.services.broadcasts.drafts import Draft
from engine.services.broadcasts.selection import Part as Ticked
from engine.services.broadcasts.selection import Selection
from engine.sources.pages import EVERYTHING, Page
from engine.store.tables import decisions, outcomes
from rules.broadcasts import BroadcastId, BroadcastState
from rules.identity import first_id_at
from rules.tool_rights import EVERYWHERE, Tool
from rules.wording.broadcasts import UnitKind
from rules.wording.templates import Template
from tests.benchmarks.full_way import warm_up
from tests.site import Site


@dataclass(frozen=True, slots=True)
class Part:
    """Milliseconds from commit to the gateway's answer, of ordinary news in one part of the run."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Broadcast:
    """*accepted* is after how many seconds staff were done, *seconds* after how many all was."""

    alone: Part
    beside: Part
    people: int
    accepted: float
    seconds: float

    @property
    def rate(self) -> float:
        """Pushes a second."""
        return self.people / self.seconds


def measure(site: Site, rate: float = 50.0) -> Broadcast:
    """Commit changes one by one, *rate* a second; then a broadcast to all goes out as well."""
    with site.running():
        warm_up(site, 1)
        numbers = iter(range(11, 10_000_000))
        alone = _commit(site, islice(numbers, 1_000), rate)
        began, sent = utc_now(), time.monotonic()
        name = _send(site)
        accepted = time.monotonic() - sent
        while _is_under_way(site, name):
            _commit(site, islice(numbers, int(rate)), rate)
        seconds = time.monotonic() - sent
        ended = utc_now()
        site.wait_until_answered(site.changes())
    people = following.progress(site.district.database, name).told
    return Broadcast(_part(site, *alone), _part(site, began, ended), people, accepted, seconds)


def _commit(site: Site, numbers: Iterator[int], rate: float) -> tuple[datetime, datetime]:
    """Commit one change for each number; when it began and ended."""
    began, at = utc_now(), time.monotonic()
    for number in numbers:
        site.touch_scores(number, number)
        at += 1 / rate
        time.sleep(max(0.0, at - time.monotonic()))
    return began, utc_now()


def _send(site: Site) -> BroadcastId:
    """Write to the families of all students, as staff do."""
    by = Actor("a benchmark", utc_now())
    everybody = Selection(page=Tool.STUDENTS, parts={Page.STUDENTS: Ticked(matching=(EVERYTHING,))})
    texts = {"en": Template("Snow day", "No school for {{ student_first_name }} today.")}
    name = drafts.new(
        site.district.database, by,
        Draft(Tool.STUDENTS, UnitKind.STUDENT, msgspec.to_builtins(everybody), texts),
    )  # fmt: skip
    sending.send(site.district.database, site.district.find_behind, by, name, 1, EVERYWHERE)
    return name


def _is_under_way(site: Site, name: BroadcastId) -> bool:
    is_sent = drafts.one(site.district.database, name).state is BroadcastState.SENT
    return not is_sent or bool(site.district.broker.depths()[Queue.BROADCASTS].ready)


def _part(site: Site, since: datetime, until: datetime) -> Part:
    times = _times(site, since, until)
    cuts = statistics.quantiles(times, n=100)
    return Part(cuts[49], cuts[98])


def _times(site: Site, since: datetime, until: datetime) -> Sequence[float]:
    """How long each push of ordinary news took, whose change was committed in that time."""
    with site.district.database.read() as connection:
        found = connection.execute(
            select(outcomes.c.at, decisions.c.committed_at)
            .join(decisions, decisions.c.change_id == outcomes.c.origin_id)
            .where(
                decisions.c.change_id >= first_id_at(since),
                decisions.c.change_id < first_id_at(until),
            )
        )
        return [(answered - committed).total_seconds() * 1e3 for answered, committed in found]
