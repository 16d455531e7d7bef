"""Lags: how long it takes from a commit in the SIS to each step of the way, as sums in the tallies.

A sum and a count are enough for an average over any time, and cost one row a minute each. Only
what is told at once counts: what was held until a later moment has an id of another kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from engine.store.tallies import Tallied
from engine.wire.messages import Outcome
from rules.identity import is_captured, milliseconds_of

_SUM: Final = " ms"
_MILLISECOND: Final = timedelta(milliseconds=1)


class Step(StrEnum):
    """A step of the way, and what has been done by then."""

    DECIDED = "decided"
    ANSWERED = "answered"
    RECORDED = "recorded"


class Passed(NamedTuple):
    """How many passed a step, and how long all of them together took from the commit to it."""

    number: int = 0
    took: timedelta = timedelta()

    @property
    def average(self) -> timedelta | None:
        """How long one took; None where there was none."""
        return self.took / self.number if self.number else None


def of_changes(changes: Iterable[str], now: datetime) -> Mapping[Tallied, int]:
    """What to tally of changes that are decided *now*, by their ids."""
    return _tallied(Step.DECIDED, list(changes), itertools.repeat(now))


def of_outcomes(new: Sequence[Outcome], now: datetime) -> Mapping[Tallied, int]:
    """What to tally of the answers of gateways to first tries, which are recorded *now*."""
    first = [one for one in new if one.attempt == 1 and one.gateway]
    pushes = [one.push_id for one in first]
    return {
        **_tallied(Step.ANSWERED, pushes, (one.at for one in first)),
        **_tallied(Step.RECORDED, pushes, itertools.repeat(now)),
    }


def passed(tallied: Mapping[Tallied, int]) -> Mapping[Step, Passed]:
    """Read the tallies again."""
    return {
        step: Passed(
            tallied.get(Tallied(step), 0), tallied.get(Tallied(step + _SUM), 0) * _MILLISECOND
        )
        for step in Step
    }


def _tallied(
    step: Step, ids: Sequence[str], passed_at: Iterable[datetime]
) -> Mapping[Tallied, int]:
    """A clock that is behind that of the SIS makes nothing faster than at once.

    There are three for each push, so numbers are summed and no durations.
    """
    took = [
        max(0.0, at.timestamp() * 1e3 - milliseconds_of(one))
        for one, at in zip(ids, passed_at, strict=False)
        if is_captured(one)
    ]
    if not took:
        return {}
    return {Tallied(step): len(took), Tallied(step + _SUM): round(sum(took))}
