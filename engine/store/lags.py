"""Lags: how long it takes from a commit in the SIS to each step of the way, as sums in the tallies.

A sum and a count are enough for an average over any time, and cost one row a minute each. Only
what is told at once counts: what was held until a later moment has an id of another kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from engine.store.tallies import Tallied
from engine.wire.messages import Outcome
from rules.identity import is_captured, moment_of

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
    return _tallied(Step.DECIDED, [(one, now) for one in changes])


def of_outcomes(new: Sequence[Outcome], now: datetime) -> Mapping[Tallied, int]:
    """What to tally of the answers of gateways to first tries, which are recorded *now*."""
    first = [one for one in new if one.attempt == 1 and one.gateway]
    return {
        **_tallied(Step.ANSWERED, [(one.push_id, one.at) for one in first]),
        **_tallied(Step.RECORDED, [(one.push_id, now) for one in first]),
    }


def passed(tallied: Mapping[Tallied, int]) -> Mapping[Step, Passed]:
    """Read the tallies again."""
    return {
        step: Passed(
            tallied.get(Tallied(step), 0), tallied.get(Tallied(step + _SUM), 0) * _MILLISECOND
        )
        for step in Step
    }


def _tallied(step: Step, found: Sequence[tuple[str, datetime]]) -> Mapping[Tallied, int]:
    """A clock that is behind that of the SIS makes nothing faster than at once."""
    took = [max(at - moment_of(one), timedelta()) for one, at in found if is_captured(one)]
    if not took:
        return {}
    return {
        Tallied(step): len(took),
        Tallied(step + _SUM): sum(took, timedelta()) // _MILLISECOND,
    }
