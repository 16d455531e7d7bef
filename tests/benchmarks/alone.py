"""Each stage alone: the others wait, so that its rate and its processor time are its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.ports import Queue
from engine.runtime.clock import utc_now
from tests.benchmarks.processes import usage_of
from tests.site import Site


@dataclass(frozen=True, slots=True)
class Alone:
    """What one stage did by itself: items a second, and its own processor time for each."""

    items: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds


def measure(site: Site, first: int, last: int) -> Mapping[str, Alone]:
    """Take one load of changes through the stages, one stage after the other."""
    changes = site.touch_scores(first, last).rows
    found = {"relay (changes)": _run(site, "relay", lambda: _outbox(site), changes)}
    known = site.pushes()
    found["evaluate (changes)"] = _run(site, "evaluate", lambda: _queue(site, "changes"), changes)
    pushes = site.pushes() - known
    found["deliver (pushes)"] = _run(site, "deliver", lambda: _queue(site, "pushes"), pushes)
    found["record (outcomes)"] = _run(site, "record", lambda: _queue(site, "outcomes"), pushes)
    return found


def deliver_with_faults(site: Site, first: int, last: int) -> Mapping[str, Alone]:
    """Deliver alone on the same load, with a gateway that answers UNAVAILABLE to a share of it."""
    found = {}
    for share, project in (("0 %", "bench"), ("1 %", "faulty-1"), ("10 %", "faulty-10")):
        changes = site.touch_scores(first, last).rows
        _run(site, "relay", lambda: _outbox(site), changes)
        known = site.pushes()
        _run(site, "evaluate", lambda: _queue(site, "changes"), changes)
        pushes = site.pushes() - known
        found[share] = _run(
            site, "deliver", lambda: _queue(site, "pushes"), pushes, FCM__PROJECT_ID=project
        )
        _run(site, "record", lambda: _queue(site, "outcomes"), pushes)
    return found


def _run(site: Site, stage: str, waiting: Callable[[], int], items: int, **settings: str) -> Alone:
    """Start the stage and time it from the last look that found all its work undone."""
    before = waiting()
    with site.running(stage, **settings) as process:
        while waiting() >= before:
            began, used = time.monotonic(), usage_of([process.pid]).cpu
        while waiting():
            time.sleep(0.02)
        seconds = time.monotonic() - began
        cpu = usage_of([process.pid]).cpu - used
    return Alone(items, seconds, cpu / items * 1e6)


def _outbox(site: Site) -> int:

    return site.district.outbox.backlog(utc_now())[0]


def _queue(site: Site, name: str) -> int:
    """Messages that nobody has taken yet.

    What a stage holds in its hands at the end is not waited for, up to 8,000 pushes: so the load
    must be many times as large.
    """
    return site.district.broker.depths()[Queue(name)].ready
