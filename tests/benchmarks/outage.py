"""One gateway away for a while: the latency of the other one, and what becomes of the first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from engine.runtime.clock import utc_now
from engine.store.tables import decisions, devices, outcomes
from rules.identity import first_id_at
from rules.outcomes import Verdict
from tests.benchmarks.full_way import warm_up
from tests.servers import NginxSink
from tests.site import Site


@dataclass(frozen=True, slots=True)
class Part:
    """Milliseconds from commit to the other gateway's answer, in one part of the run."""

    name: str
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Outage:
    """*own* pushes went to the gateway that was away; all were accepted *after* so many seconds."""

    other: Sequence[Part]
    seconds: float
    own: int
    after: float


def measure(site: Site, away: NginxSink, count: int, rate: float) -> Outage:
    """Commit *count* changes, *rate* a second; FCM is away in the middle third of them."""
    third = count // 3
    with site.running():
        warm_up(site, 1)
        began = utc_now()
        moments: list[datetime] = []
        for number, act in enumerate((_nothing, away.kill9, away.start)):
            act()
            moments.append(utc_now())
            _commit(site, 1 + number * third, third, rate)
        site.wait_for(lambda: _all_accepted(site, began), "an accepted outcome for every push")
    ends = [*moments[1:], utc_now()]
    parts = [
        _part(site, name, since, until)
        for name, since, until in zip(("before", "while away", "after"), moments, ends, strict=True)
    ]
    own, last = _own(site, began)
    away_for = (moments[2] - moments[1]).total_seconds()
    return Outage(parts, away_for, own, (last - moments[2]).total_seconds())


def _nothing() -> None:
    """The first third is as ever."""


def _commit(site: Site, first: int, count: int, rate: float) -> None:
    due = time.monotonic()
    for number in range(first, first + count):
        site.touch_scores(number, number)
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))


def _all_accepted(site: Site, since: datetime) -> bool:
    accepted = select(func.count()).where(
        outcomes.c.origin_id >= first_id_at(since), outcomes.c.verdict == Verdict.ACCEPTED
    )
    told = select(func.coalesce(func.sum(decisions.c.pushes), 0)).where(
        decisions.c.change_id >= first_id_at(since)
    )
    depths = site.district.broker.depths()
    with site.district.database.read() as connection:
        owed = connection.execute(
            select(told.scalar_subquery() - accepted.scalar_subquery())
        ).scalar_one()
    return not owed and not any(depth.ready for depth in depths.values())


def _part(site: Site, name: str, since: datetime, until: datetime) -> Part:
    times = _times(site, since, until)["apns"]
    cuts = statistics.quantiles(times, n=100)
    return Part(name, cuts[49], cuts[98])


def _times(site: Site, since: datetime, until: datetime) -> Mapping[str, Sequence[float]]:
    """By kind of device, how long each push took from commit to acceptance, in milliseconds."""
    found: dict[str, list[float]] = {"apns": [], "fcm_token": []}
    with site.district.database.read() as connection:
        for kind, answered, committed in connection.execute(
            select(devices.c.kind, outcomes.c.at, decisions.c.committed_at)
            .join(devices, devices.c.id == outcomes.c.device_id)
            .join(decisions, decisions.c.change_id == outcomes.c.origin_id)
            .where(
                outcomes.c.verdict == Verdict.ACCEPTED,
                decisions.c.committed_at >= since,
                decisions.c.committed_at < until,
            )
        ):
            found[kind].append((answered - committed).total_seconds() * 1e3)
    return found


def _own(site: Site, since: datetime) -> tuple[int, datetime]:
    """How many pushes the gateway that was away has accepted, and when the last of them."""
    with site.district.database.read() as connection:
        row = connection.execute(
            select(func.count(), func.max(outcomes.c.at))
            .join(devices, devices.c.id == outcomes.c.device_id)
            .where(
                outcomes.c.verdict == Verdict.ACCEPTED,
                devices.c.kind == "fcm_token",
                outcomes.c.origin_id >= first_id_at(since),
            )
        ).one()
    return row[0], row[1]
