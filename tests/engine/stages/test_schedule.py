"""Schedule: nothing is thought lost too early."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from engine.ports import LANES, Looked, Queue
from engine.stages.schedule import LostChanges, plan_lost
from rules.change import Change
from rules.lanes import Lane
from tests.builders import NOW, a_change
from tests.fakes import FakeBroker

AFTER = timedelta(minutes=15)


@dataclass
class SweptLedger:
    """A ledger with *lost* pushes in each lane, which notes when it was asked for which."""

    lost: int
    asked: list[tuple[datetime, datetime, Lane]] = field(default_factory=list)

    def plan_lost(self, before: datetime, now: datetime, lane: Lane) -> int:
        self.asked.append((before, now, lane))
        return self.lost


def test_pushes_without_an_outcome_are_lost_when_nothing_waits() -> None:
    ledger = SweptLedger(lost=7)

    assert plan_lost(ledger, FakeBroker(), AFTER, NOW) == 14
    assert ledger.asked == [(NOW - AFTER, NOW, lane) for lane in Lane]


def test_while_outcomes_wait_a_push_is_late_and_not_lost() -> None:
    ledger = SweptLedger(lost=7)

    assert plan_lost(ledger, FakeBroker({Queue.OUTCOMES: 1}), AFTER, NOW) == 0
    assert ledger.asked == []


@pytest.mark.parametrize("lane", Lane)
def test_while_pushes_wait_those_of_their_lane_are_late_and_the_others_are_looked_for(
    lane: Lane,
) -> None:
    ledger = SweptLedger(lost=7)

    assert plan_lost(ledger, FakeBroker({LANES[lane]: 1}), AFTER, NOW) == 7
    assert [asked for _, _, asked in ledger.asked] == [one for one in Lane if one is not lane]


def test_changes_that_wait_are_no_reason_to_wait_for_pushes() -> None:
    broker = FakeBroker({Queue.CHANGES: 1_000})

    assert plan_lost(SweptLedger(lost=7), broker, AFTER, NOW) == 14


@dataclass
class School:
    """An outbox of which all was relayed, and a ledger that has *missing* of it."""

    relayed_changes: list[Change]
    missing_keys: set[str]
    published: list[Change] = field(default_factory=list)
    asked: list[datetime] = field(default_factory=list)
    page: int = 2

    def relayed(self, after: int, before: datetime, limit: int) -> Looked:
        del limit
        self.asked.append(before)
        found = [one for one in self.relayed_changes if one.position > after][: self.page]
        return found, found[-1].position if len(found) == self.page else None

    def missing(self, changes: Sequence[Change]) -> Sequence[Change]:
        return [one for one in changes if one.key in self.missing_keys]

    def looking(self, broker: FakeBroker | None = None) -> LostChanges:
        return LostChanges(
            self, self, broker or FakeBroker(), self.published.extend, AFTER, lambda: NOW
        )


def a_school(count: int, *missing: str) -> School:
    changes = [a_change(key=number, position=number) for number in range(1, count + 1)]
    return School(changes, set(missing))


def test_changes_that_were_relayed_and_never_evaluated_are_published_again() -> None:
    school = a_school(7, "2", "5", "7")

    assert school.looking()() == 3
    assert [one.key for one in school.published] == ["2", "5", "7"]


def test_what_was_relayed_just_now_is_not_looked_for() -> None:
    school = a_school(1)
    school.looking()()

    assert school.asked == [NOW - AFTER]


def test_while_changes_wait_none_is_lost() -> None:
    school = a_school(3, "2")

    assert school.looking(FakeBroker({Queue.CHANGES: 1}))() == 0
    assert school.asked == []


def test_each_change_is_looked_for_once() -> None:
    school = a_school(5, "2")
    looking = school.looking()

    assert [looking(), looking()] == [1, 0]


def test_what_a_long_transaction_wrote_below_is_looked_for_within_an_hour() -> None:
    school = a_school(5, "1")
    late = school.relayed_changes.pop(0)
    now = [NOW]
    looking = LostChanges(
        school, school, FakeBroker(), school.published.extend, AFTER, lambda: now[0]
    )
    looking()
    school.relayed_changes.insert(0, late)
    assert looking() == 0

    now[0] += timedelta(hours=1)

    assert looking() == 1
    assert school.published == [late]


def test_what_was_relayed_since_is_looked_for_next() -> None:
    school = a_school(5, "2", "6")
    looking = school.looking()
    looking()
    school.relayed_changes.append(a_change(key="6", position=6))

    assert looking() == 1
