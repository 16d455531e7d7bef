"""A broadcast to 100,000 people: how long ordinary news takes alone, and while it goes out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

import msgspec
from sqlalchemy import func, select

from engine.ports import Queue
from engine.runtime.clock import utc_now
from engine.services.actor import Actor
from engine.services.broadcasts import drafts, following, sending
from engine.services.broadcasts.drafts import Draft
from engine.services.broadcasts.selection import Part as Ticked
from engine.services.broadcasts.selection import Selection
from engine.sources.pages import EVERYTHING, Page
from engine.store.tables import decisions, notifications, outcomes
from rules.broadcasts import BroadcastId, BroadcastState
from rules.identity import first_id_at
from rules.outcomes import Verdict
from rules.tool_rights import EVERYWHERE, Tool
from rules.wording.broadcasts import UnitKind
from rules.wording.templates import Template
from tests.benchmarks.full_way import warm_up
from tests.benchmarks.processes import alone, command_line, descendants
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


@dataclass(frozen=True, slots=True)
class AtSize:
    """A broadcast that goes out alone, and what each process held most of, in bytes.

    *accepted* is after how many seconds staff were done, *expanded* after how many all recipients
    were known, *seconds* after how many all of them were told. *devices* were told, *pushes* were
    answered by a gateway, *twice* of them for a device that had one.
    """

    people: int
    devices: int
    pushes: int
    twice: int
    accepted: float
    expanded: float
    seconds: float
    peaks: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Pushes a second."""
        return self.pushes / self.seconds


def at_size(site: Site, students: int, within: float = 1_800.0) -> AtSize:
    """Write to the families of so many students, and to nobody else; nothing else happens."""
    known = site.count("outcomes")
    with site.running() as engine:
        site.wait_for(lambda: len(_peaks(engine.pid)) >= _PROCESSES, "the engine")
        sent = time.monotonic()
        name = send_to_all(site, students)
        accepted = time.monotonic() - sent
        database = site.district.database
        site.wait_for(lambda: drafts.one(database, name).expanded > 0, "its recipients", within)
        expanded = time.monotonic() - sent
        site.wait_for(lambda: not _is_under_way(site, name), "everybody's turn", within)
        devices = following.progress(database, name).phones.told
        site.wait_for(
            lambda: site.count("outcomes") >= known + devices, "an answer for each", within
        )
        seconds, peaks = time.monotonic() - sent, _peaks(engine.pid)
    with database.read() as connection:
        pushes, told = connection.execute(
            select(func.count(), func.count(outcomes.c.device_id.distinct()))
            .join(notifications, notifications.c.id == outcomes.c.origin_id)
            .where(notifications.c.record == name, outcomes.c.verdict == Verdict.ACCEPTED)
        ).one()
    people = following.progress(database, name).told
    return AtSize(
        people, devices, pushes, pushes - told, accepted, expanded, seconds, peaks
    )  # fmt: skip


_PROCESSES: Final = 6  # the supervisor and five stages


def _peaks(engine: int) -> Mapping[str, int]:
    """What each process held most of, by its stage."""
    return {
        " ".join(command_line(pid).split()[-2:]): alone(pid).peak for pid in descendants([engine])
    }


def measure(site: Site, rate: float = 50.0) -> Broadcast:
    """Commit changes one by one, *rate* a second; then a broadcast to all goes out as well."""
    with site.running():
        warm_up(site, 1)
        numbers = iter(range(11, 10_000_000))
        before = _commit(site, islice(numbers, 1_000), rate)
        began, sent = utc_now(), time.monotonic()
        name = send_to_all(site)
        accepted = time.monotonic() - sent
        while _is_under_way(site, name):
            _commit(site, islice(numbers, int(rate)), rate)
        seconds = time.monotonic() - sent
        ended = utc_now()
        site.wait_until_answered(site.changes())
    people = following.progress(site.district.database, name).told
    return Broadcast(_part(site, *before), _part(site, began, ended), people, accepted, seconds)


def _commit(site: Site, numbers: Iterator[int], rate: float) -> tuple[datetime, datetime]:
    """Commit one change for each number; when it began and ended."""
    began, at = utc_now(), time.monotonic()
    for number in numbers:
        site.touch_scores(number, number)
        at += 1 / rate
        time.sleep(max(0.0, at - time.monotonic()))
    return began, utc_now()


def send_to_all(site: Site, students: int | None = None) -> BroadcastId:
    """Write to the families of all students, or of some, as staff do."""
    by = Actor("a benchmark", utc_now())
    ids = sorted(site.district.source.pages.ids(Page.STUDENTS, EVERYTHING))[:students]
    chosen = Ticked(ids=tuple(ids)) if students else Ticked(matching=(EVERYTHING,))
    everybody = Selection(page=Tool.STUDENTS, parts={Page.STUDENTS: chosen})
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
