"""Two lanes: what is told of broadcasts keeps to its own, and holds up nothing of the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import update

from engine.ports import Due
from engine.store import broadcasts
from engine.store.tables import due, notifications
from engine.wire.messages import Push
from rules.change import Kind
from rules.decide import Decision
from rules.lanes import Lane
from rules.notification import Hold, Origin
from rules.outcomes import Verdict
from rules.plan import NO_PREFERENCES, HoldUntil, Plan, SendNow, plan
from rules.wording.templates import Template
from tests.builders import NOW, an_outcome
from tests.district import ADA, LOST_AFTER, District, scored

MOMENT: Final = NOW + timedelta(minutes=10)


def held(one: Decision, *_: Any) -> Plan:
    """Whoever is to be told is told in ten minutes."""
    planned = plan(one, (), NO_PREFERENCES, NOW)
    return HoldUntil(MOMENT, Hold.APPROVAL) if isinstance(planned, SendNow) else planned


def three_wait(district: District, lane: Lane) -> None:
    """Three people are to be told in a lane; it is time."""
    district.evaluate(scored(9, 17), plan=held)
    with district.database.write() as connection:
        connection.execute(update(due).values(lane=lane))
    district.clock.now = MOMENT


def told_by_a_broadcast(district: District) -> Sequence[Push]:
    """The pushes to three people whom a message of staff has told."""
    three_wait(district, Lane.ORDINARY)
    pushes = district.due()
    with district.database.write() as connection:
        name = broadcasts.new_id(NOW)
        texts = {"en": Template("Snow", "School is closed.")}
        broadcasts.keep_texts(connection, name, 1, texts, NOW)
        connection.execute(
            update(notifications).values(
                origin=Origin.BROADCAST, kind=Kind.BROADCAST, record=name, position=1,
                facts=[False, [[ADA, {}]]],
            )
        )  # fmt: skip
    assert len(pushes) == 3
    return pushes


def planned(district: District, lane: Lane) -> set[tuple[str, int]]:
    """The pushes of which a try is due in a lane, and which try."""
    with district.ledger.releasing(lane) as releasing:
        return {_named(one) for one in releasing.due(district.clock(), 100)}


def _named(one: Due) -> tuple[str, int]:
    return f"{one.origin}.{one.device}", one.attempt


def second(pushes: Sequence[Push]) -> set[tuple[str, int]]:
    return {(push.id, 2) for push in pushes}


def deferred(district: District, pushes: Sequence[Push]) -> None:
    """A gateway has no room for them now, and a minute passes."""
    district.record(
        [an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE", at=MOMENT) for push in pushes]
    )
    district.clock.forward(timedelta(minutes=1))


@pytest.mark.parametrize("lane", Lane)
def test_each_lane_is_released_by_itself_and_into_its_own_queue(
    district: District, lane: Lane
) -> None:
    three_wait(district, lane)
    assert [len(district.due(one)) for one in Lane if one is not lane] == [0]
    assert len(district.due(lane)) == 3


def test_a_further_try_stays_in_the_lane_of_the_first(district: District) -> None:
    pushes = told_by_a_broadcast(district)
    deferred(district, pushes)
    assert planned(district, Lane.ORDINARY) == set()
    assert planned(district, Lane.BROADCASTS) == second(pushes)


def test_what_a_broker_lost_of_a_broadcast_goes_again_in_its_lane(district: District) -> None:
    pushes = told_by_a_broadcast(district)
    now = district.clock.forward(2 * LOST_AFTER)
    assert district.ledger.plan_lost(now - LOST_AFTER, now, Lane.ORDINARY) == 0
    assert district.ledger.plan_lost(now - LOST_AFTER, now, Lane.BROADCASTS) == 3
    assert planned(district, Lane.ORDINARY) == set()
    assert planned(district, Lane.BROADCASTS) == second(pushes)


def test_what_a_broker_lost_of_ordinary_news_goes_again_in_its_lane(district: District) -> None:
    pushes = district.evaluate(scored(9, 17))
    now = district.clock.forward(2 * LOST_AFTER)
    assert district.ledger.plan_lost(now - LOST_AFTER, now, Lane.BROADCASTS) == 0
    assert district.ledger.plan_lost(now - LOST_AFTER, now, Lane.ORDINARY) == len(pushes) == 3
    assert planned(district, Lane.BROADCASTS) == set()
    assert planned(district, Lane.ORDINARY) == second(pushes)


def test_a_further_try_that_is_lost_goes_again_as_the_same(district: District) -> None:
    pushes = told_by_a_broadcast(district)
    deferred(district, pushes)
    with district.ledger.releasing(Lane.BROADCASTS) as releasing:
        releasing.published(releasing.due(district.clock(), 100), district.clock())
    assert planned(district, Lane.BROADCASTS) == set()
    now = district.clock.forward(2 * LOST_AFTER)
    assert district.ledger.plan_lost(now - LOST_AFTER, now, Lane.ORDINARY) == 0
    assert district.ledger.plan_lost(now - LOST_AFTER, now, Lane.BROADCASTS) == 3
    assert planned(district, Lane.BROADCASTS) == second(pushes)


def test_while_broadcasts_are_released_ordinary_news_is_decided_and_told(
    postgres_district: District,
) -> None:
    """On SQLite there is one writer at a time, and portions are small instead."""
    three_wait(postgres_district, Lane.BROADCASTS)
    with postgres_district.ledger.releasing(Lane.BROADCASTS) as releasing:
        assert len(releasing.due(MOMENT, 10)) == 3
        assert len(postgres_district.evaluate(scored(11, 12, position=7))) == 3
        assert postgres_district.due(Lane.ORDINARY) == []
