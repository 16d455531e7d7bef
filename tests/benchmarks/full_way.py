"""The whole way: from committed rows to gateway answers, and the same on ten times the rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from engine.runtime.clock import utc_now
from engine.store.tables import decisions, outcomes
from rules.identity import first_id_at
from tests.benchmarks.processes import Usage, alone, command_line, descendants, usage_of
from tests.site import Site


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run. *cpu* is microseconds of processor time for each push, by process."""

    changes: int
    pushes: int
    seconds: float
    cpu: Mapping[str, float]
    peak: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Pushes a second."""
        return self.pushes / self.seconds


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from commit to gateway answer."""

    p50: float
    p95: float
    p99: float


def measure(site: Site, servers: Mapping[str, int], first: int, last: int) -> Run:
    """Change the scores *first* to *last* in one commit, with the engine running and warm."""
    with site.running() as engine:
        warm = warm_up(site, first)
        before = _usages(servers, engine.pid)
        known = site.pushes()
        touched = site.touch_scores(first + 10, last)
        site.wait_until_answered(warm + touched.rows)
        after = _usages(servers, engine.pid)
        made = site.pushes() - known
        seconds = _last_answer(site) - touched.committed
    return Run(
        touched.rows,
        made,
        seconds,
        {name: (after[name].cpu - before[name].cpu) / made * 1e6 for name in after},
        {name: usage.peak for name, usage in after.items()},
    )


def latency(site: Site, first: int, count: int, rate: float) -> Latency:
    """Commit *count* changes one by one, *rate* a second, and ask the ledger how long each took."""
    with site.running():
        warm = warm_up(site, first)
        began = utc_now()
        due = time.monotonic()
        rows = 0
        for number in range(first + 10, first + 10 + count):
            rows += site.touch_scores(number, number).rows
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))
        site.wait_until_answered(warm + rows)
    with site.district.database.read() as connection:
        found = connection.execute(
            select(outcomes.c.at, decisions.c.committed_at)
            .join(decisions, decisions.c.change_id == outcomes.c.origin_id)
            .where(decisions.c.change_id >= first_id_at(began))
        )
        times = [(answered - committed).total_seconds() * 1e3 for answered, committed in found]
    cuts = statistics.quantiles(times, n=100)
    return Latency(cuts[49], cuts[94], cuts[98])


def warm_up(site: Site, first: int) -> int:
    """Ten changes go the whole way before anything is measured; how many there were by then."""
    known = site.changes()
    touched = site.touch_scores(first, first + 9)
    site.wait_until_answered(known + touched.rows)
    return known + touched.rows


def _last_answer(site: Site) -> float:
    with site.district.database.read() as connection:
        found: datetime = connection.execute(select(func.max(outcomes.c.at))).scalar_one()
    return found.timestamp()


def _usages(servers: Mapping[str, int], engine: int) -> Mapping[str, Usage]:
    """Processor time and memory of each server, and of each process of the engine."""
    found = {name: usage_of([pid]) for name, pid in servers.items()}
    for pid in sorted(descendants([engine])):
        words = command_line(pid).split()
        stage = words[-1] if words and words[-1] != "run" else "the engine itself"
        found[stage] = alone(pid)
    return found
