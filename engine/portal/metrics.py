"""Metrics for Prometheus: what the monitor sees, each number under a name with its help.

Labels take few values: gateways, outcomes, codes that are known, queues, steps. No label names a
person, a phone or a school.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from engine.ports import Depth
from engine.services.monitor import Monitor
from rules.gateway_state import GatewayState

_PREFIX: Final = "schoolbell_"

GAUGE: Final = "gauge"
COUNTER: Final = "counter"

Samples = Callable[[Monitor], Iterable[tuple[Sequence[str], float | None]]]


class Metered(NamedTuple):
    """One metric: its name without the prefix, what it says, and how to find it.

    A sample is the values of the labels and a number; None where it cannot be seen now.
    """

    name: str
    help: str
    samples: Samples
    labels: Sequence[str] = ()
    kind: str = GAUGE

    @property
    def full_name(self) -> str:
        """What Prometheus calls it."""
        return _PREFIX + self.name + ("_total" if self.kind == COUNTER else "")

    def family(self, seen: Monitor) -> Metric:
        """The metric with its numbers."""
        make = CounterMetricFamily if self.kind == COUNTER else GaugeMetricFamily
        made = make(_PREFIX + self.name, self.help, labels=self.labels)
        for labels, value in self.samples(seen):
            if value is not None:
                made.add_metric(list(labels), float(value))
        return made


def _one(value: Callable[[Monitor], float | None]) -> Samples:
    return lambda seen: [((), value(seen))]


def _by_queue(value: Callable[[Depth], float | None]) -> Samples:
    return lambda seen: [((queue,), value(depth)) for queue, depth in seen.queues.items()]


def _seconds(found: timedelta) -> float:
    return max(0.0, found.total_seconds())


DATABASE_UP: Final = Metered(
    "database_up",
    "Whether Schoolbell's own database answers; while it does not, nothing else is told.",
    _one(lambda _: True),
)

NUMBERS: Final = (
    Metered(
        "changes",
        "Changes of the SIS that were decided.",
        _one(lambda seen: seen.changes_ever),
        kind=COUNTER,
    ),
    Metered(
        "outcomes",
        "What became of tries of pushes: accepted, deferred, refused, unregistered, or why it was "
        "not needed any more; with the gateway and its code.",
        lambda seen: [
            ((one.gateway, one.what, one.reason), count) for one, count in seen.answers_ever.items()
        ],
        ("gateway", "outcome", "reason"),
        COUNTER,
    ),
    Metered(
        "enabled",
        "Whether the district has push notifications on.",
        _one(lambda seen: seen.enabled),
    ),
    Metered(
        "broker_up",
        "Whether the broker tells what waits in its queues.",
        _one(lambda seen: bool(seen.queues)),
    ),
    Metered(
        "sis_up",
        "Whether the database of the SIS answers.",
        _one(lambda seen: seen.outbox is not None),
    ),
    Metered(
        "disk_writable",
        "Whether Schoolbell can write where it must.",
        _one(lambda seen: seen.is_disk_well),
    ),
    Metered(
        "outbox_rows",
        "Captured rows that are not relayed yet, counted up to 100,000.",
        _one(lambda seen: seen.outbox.rows if seen.outbox else None),
    ),
    Metered(
        "outbox_oldest_seconds",
        "Age of the oldest captured row that is not relayed yet.",
        _one(lambda seen: _seconds(seen.outbox.lag) if seen.outbox else None),
    ),
    Metered(
        "capture_broken",
        "Triggers in the SIS that are missing or not as they should be.",
        _one(lambda seen: None if seen.broken_capture is None else len(seen.broken_capture)),
    ),
    Metered(
        "queue_messages",
        "Messages that wait in a queue.",
        _by_queue(lambda depth: depth.ready),
        ("queue",),
    ),
    Metered(
        "queue_dead_messages",
        "Messages of a queue that were set aside as dead letters.",
        _by_queue(lambda depth: depth.dead),
        ("queue",),
    ),
    Metered(
        "queue_consumers",
        "Processes that share a queue; the embedded broker does not tell.",
        _by_queue(lambda depth: depth.consumers),
        ("queue",),
    ),
    Metered(
        "standing_still",
        "Whether work waits and nobody takes it.",
        _one(lambda seen: bool(seen.stalled)),
    ),
    Metered(
        "planned_tries",
        "Pushes that are tried again later, or held until they are due.",
        _one(lambda seen: seen.retries),
    ),
    Metered("parked_changes", "Changes that could not be decided.", _one(lambda seen: seen.parked)),
    Metered("alarms", "Alarms that are not over.", _one(lambda seen: len(seen.alarms))),
    Metered(
        "devices",
        "Registered devices, live or dead.",
        lambda seen: [
            ((one.name, state), count)
            for one in seen.gateways
            for state, count in one.phones._asdict().items()
        ],
        ("gateway", "state"),
    ),
    Metered(
        "gateway_state",
        "1 for the state that a gateway is in (open, pausing, stopped), as its answers tell it.",
        lambda seen: [
            ((one.name, state), one.state is state)
            for one in seen.gateways
            for state in GatewayState
        ],
        ("gateway", "state"),
    ),
)

LAG: Final = Metered(
    "lag_seconds",
    "How long after the commit in the SIS changes were decided, their pushes answered by a gateway "
    "at the first try, and the answers recorded: a sum and a count, for averages.",
    lambda seen: [((step,), one.took.total_seconds()) for step, one in seen.lags_ever.items()],
    ("step",),
    "summary",
)

METRICS: Final = (DATABASE_UP, *NUMBERS, LAG)


def exposition(seen: Monitor | None) -> bytes:
    """The text that Prometheus reads; None says that the database is away."""
    registry = CollectorRegistry()
    registry.register(_Look(seen))
    return generate_latest(registry)


class _Look(Collector):
    """One look, as metrics."""

    def __init__(self, seen: Monitor | None) -> None:
        self._seen = seen

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        if self._seen is None:
            yield GaugeMetricFamily(DATABASE_UP.full_name, DATABASE_UP.help, 0.0)
            return
        for one in (DATABASE_UP, *NUMBERS):
            yield one.family(self._seen)
        lag = SummaryMetricFamily(LAG.full_name, LAG.help, labels=LAG.labels)
        for step, passed in self._seen.lags_ever.items():
            lag.add_metric([step], passed.number, passed.took.total_seconds())
        yield lag
