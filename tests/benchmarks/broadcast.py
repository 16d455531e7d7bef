"""A broadcast to 100,000 people: how long ordinary news takes alone, and while it goes out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle, islice
from uuid import uuid4

from sqlalchemy import func, select, text

from engine.ports import Queue
from engine.runtime.clock import utc_now
from engine.store import due, notifications
from engine.store.tables import decisions, outcomes
from engine.store.tables import due as due_table
from rules.audience import Audience
from rules.change import Facts, Kind, PersonId, StudentId
from rules.identity import first_id_at
from rules.lanes import Lane
from rules.notification import Hold, Notification, NotificationId, Origin, State
from tests.benchmarks.full_way import warm_up
from tests.site import Site

_PORTION = 1_000  # notifications, as they are expanded


@dataclass(frozen=True, slots=True)
class Part:
    """Milliseconds from commit to the gateway's answer, of ordinary news in one part of the run."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Broadcast:
    """*accepted* is how long writing it took, and *seconds* how long until all were answered."""

    alone: Part
    beside: Part
    people: int
    seconds: float

    @property
    def rate(self) -> float:
        """Pushes a second."""
        return self.people / self.seconds


def measure(site: Site, people: int = 100_000, rate: float = 50.0) -> Broadcast:
    """Commit changes one by one, *rate* a second; then a broadcast to *people* goes out as well."""
    with site.running():
        warm_up(site, 1)
        numbers = iter(range(11, 10_000_000))
        alone = _commit(site, islice(numbers, 1_000), rate)
        _plan(site, people)
        began, sent = utc_now(), time.monotonic()
        while _is_under_way(site):
            _commit(site, islice(numbers, int(rate)), rate)
        seconds = time.monotonic() - sent
        ended = utc_now()
        site.wait_until_answered(site.changes())
    return Broadcast(_part(site, *alone), _part(site, began, ended), people, seconds)


def _commit(site: Site, numbers: Iterator[int], rate: float) -> tuple[datetime, datetime]:
    """Commit one change for each number; when it began and ended."""
    began, at = utc_now(), time.monotonic()
    for number in numbers:
        site.touch_scores(number, number)
        at += 1 / rate
        time.sleep(max(0.0, at - time.monotonic()))
    return began, utc_now()


def _plan(site: Site, people: int) -> None:
    """Write what expanding a broadcast writes: who is told what, and that it is due now."""
    with site.district.database.read() as connection:
        pairs = connection.execute(
            text("SELECT student_id, person_id FROM schoolbell_rights")
        ).all()
    now, every = utc_now(), islice(cycle(pairs), people)
    while rows := list(islice(every, _PORTION)):
        found = [_message(StudentId(student), PersonId(person), now) for student, person in rows]
        with site.district.database.write() as connection:
            notifications.hold(connection, found)
            due.plan_held(connection, {one.id: now for one in found}, Lane.BROADCASTS)


def _message(student: StudentId, person: PersonId, now: datetime) -> Notification:
    """A text of its own place, so that nobody's takes the place of another's."""
    name = str(uuid4())
    return Notification(
        NotificationId(name), Origin.BROADCAST, State.HELD, person, student, Audience.GUARDIAN,
        "en", f"broadcast:{name}", 0, Facts(Kind.GRADE, "Ada", None, "A", {}), (), (), now,
        Hold.APPROVAL,
    )  # fmt: skip


def _is_under_way(site: Site) -> bool:
    depths = site.district.broker.depths()
    with site.district.database.read() as connection:
        left = connection.execute(
            select(func.count()).select_from(due_table).where(due_table.c.lane == Lane.BROADCASTS)
        ).scalar_one()
    return bool(left or depths[Queue.BROADCASTS].ready)


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
