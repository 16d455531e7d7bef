"""What capture costs the SIS: one-row writes with triggers and without, in turn."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from sqlalchemy import text

from tests.site import Site

_ROUNDS = 5
_WRITES = 300


@dataclass(frozen=True, slots=True)
class CaptureCost:
    """Milliseconds for one committed one-row UPDATE, and the ratio of the pairs."""

    without: float
    with_capture: float
    ratio: float


def measure(site: Site) -> CaptureCost:
    """Time rounds of single-row updates, removing and installing capture between them."""
    pairs = []
    for _ in range(_ROUNDS):
        site.district.capture.remove()
        without = _median_write(site)
        site.district.capture.install()
        pairs.append((without, _median_write(site)))
    return CaptureCost(
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[1] / pair[0] for pair in pairs),
    )


def _median_write(site: Site) -> float:
    times = []
    statement = text("UPDATE score SET points = points + 1 WHERE score_id = :id")
    with site.district.source.database.engine.connect() as connection:
        for number in range(1, _WRITES + 1):
            began = time.perf_counter()
            connection.execute(statement, {"id": number})
            times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)
