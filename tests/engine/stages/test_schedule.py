"""Schedule: nothing is thought lost too early."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from engine.ports import Queue
from engine.stages.schedule import plan_lost
from tests.builders import NOW
from tests.fakes import FakeBroker

AFTER = timedelta(minutes=15)


@dataclass
class SweptLedger:
    """A ledger with *lost* pushes, which notes when it was asked for them."""

    lost: int
    asked: tuple[datetime, datetime] | None = None

    def plan_lost(self, before: datetime, now: datetime) -> int:
        self.asked = before, now
        return self.lost


def test_pushes_without_an_outcome_are_lost_when_nothing_waits() -> None:
    ledger = SweptLedger(lost=7)

    assert plan_lost(ledger, FakeBroker(), AFTER, NOW) == 7
    assert ledger.asked == (NOW - AFTER, NOW)


@pytest.mark.parametrize("queue", [Queue.PUSHES, Queue.OUTCOMES])
def test_while_something_waits_a_push_is_late_and_not_lost(queue: Queue) -> None:
    ledger = SweptLedger(lost=7)

    assert plan_lost(ledger, FakeBroker({queue: 1}), AFTER, NOW) == 0
    assert ledger.asked is None


def test_changes_that_wait_are_no_reason_to_wait_for_pushes() -> None:
    broker = FakeBroker({Queue.CHANGES: 1_000})

    assert plan_lost(SweptLedger(lost=7), broker, AFTER, NOW) == 7
