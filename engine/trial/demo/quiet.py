"""Quiet: every committed row evaluated, every push with a final outcome, every queue empty."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select

from engine.runtime.district import District
from engine.store.tables import decisions, notifications, outcomes, parked_changes
from rules.notification import State
from rules.outcomes import Verdict

FINAL: Final = (Verdict.ACCEPTED, Verdict.UNREGISTERED, Verdict.REFUSED)
_ANSWERED: Final = (
    select(outcomes.c.origin_id, outcomes.c.device_id)
    .where(outcomes.c.verdict.in_(FINAL))
    .distinct()
    .subquery()
)
_LOOK_EVERY: Final = 0.03  # seconds


@dataclass(frozen=True, slots=True)
class Remaining:
    """What has not had all of its effect: rows to evaluate, pushes to answer, messages to take.

    Who is to be told a moment later counts as a push.
    """

    rows: int
    pushes: int
    messages: int

    @property
    def is_quiet(self) -> bool:
        """Nothing is under way."""
        return not (self.rows or self.pushes or self.messages)

    def __str__(self) -> str:
        return (
            f"{self.rows} captured rows are not evaluated, {self.pushes} pushes have no final "
            f"outcome, {self.messages} messages wait in queues"
        )


def remaining(district: District) -> Remaining:
    """Look once. Depths alone would not do: a message may be in somebody's hands."""
    captured = district.outbox.count()
    with district.database.read() as connection:
        evaluated, told, parked, answered = (
            connection.execute(select(count)).scalar_one() or 0
            for count in (
                func.count(decisions.c.change_id.distinct()),
                func.sum(decisions.c.pushes),
                func.count(parked_changes.c.id),
                select(func.count()).select_from(_ANSWERED).scalar_subquery(),
            )
        )
        own = connection.execute(select(notifications.c.state, notifications.c.devices)).all()
    told += sum(len(devices) for state, devices in own if state == State.TOLD)
    held = sum(state == State.HELD for state, _ in own)
    waiting = sum(depth.ready for depth in district.broker.depths().values())
    return Remaining(captured - evaluated - parked, told + held - answered, waiting)


def wait_until_quiet(
    district: District, limit: float, tick: Callable[[Remaining], None]
) -> Remaining:
    """Wait at most *limit* seconds; *tick* hears of every look, and the last look is the answer."""
    end = time.monotonic() + limit
    while True:
        left = remaining(district)
        tick(left)
        if left.is_quiet or time.monotonic() >= end:
            return left
        time.sleep(_LOOK_EVERY)
