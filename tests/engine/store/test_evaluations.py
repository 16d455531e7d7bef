"""What evaluate reads and writes, where the stage's own tests do not look."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from engine.ports import Verdicts
from engine.store.evaluations import SqlRecords
from engine.store.tables import changes, decisions, notifications, pushes
from tests.builders import NOW
from tests.district import MOTHER, District, scored


@pytest.mark.parametrize(
    ("now", "zone", "today"),
    [
        (datetime(2026, 11, 24, 4, 0, tzinfo=UTC), "UTC", date(2026, 11, 24)),
        (datetime(2026, 11, 24, 4, 0, tzinfo=UTC), "America/Chicago", date(2026, 11, 23)),
        (datetime(2026, 11, 23, 20, 0, tzinfo=UTC), "Pacific/Auckland", date(2026, 11, 24)),
    ],
)
def test_today_is_the_districts_day(
    district: District, now: datetime, zone: str, today: date
) -> None:
    district.clock.now = now
    records = SqlRecords(district.database, zone, district.screens, district.clock)

    with records.evaluation() as evaluation:
        assert evaluation.circumstances().today == today


def test_a_change_is_kept_as_it_came_with_its_two_moments(district: District) -> None:
    change = scored(9, 17)

    district.evaluate(change)

    assert district.rows(select(changes)) == [
        (change.id, "score", "update", "91", {"points": 9}, {"points": 17}, NOW, NOW)
    ]


def test_a_row_that_was_not_there_is_kept_as_nothing(district: District) -> None:
    change = replace(scored(9, 17), before=None)

    district.evaluate(change)

    assert district.rows(select(changes.c.id).where(changes.c.before.is_(None))) == [(change.id,)]


def test_a_decision_names_kind_and_audience(district: District) -> None:
    change = scored(9, 17)

    district.evaluate(change)

    found = select(decisions.c.kind, decisions.c.audience).where(decisions.c.person_id == MOTHER)
    assert district.rows(found) == [("assignment", "guardian")]


def test_a_push_and_its_notification_belong_together(district: District) -> None:
    push = district.push_of(scored(9, 17))

    found = (
        select(notifications.c.person_id, notifications.c.body, notifications.c.collapse_id)
        .join(pushes, pushes.c.notification_id == notifications.c.id)
        .where(pushes.c.id == push.id)
    )
    assert district.rows(found) == [(MOTHER, push.body, push.collapse_id)]


def test_nothing_is_kept_when_the_block_fails(district: District) -> None:
    def store_and_fail() -> None:
        with district.records.evaluation() as evaluation:
            evaluation.store(Verdicts([scored(9, 17)], [], []))
            raise KeyError

    with pytest.raises(KeyError):
        store_and_fail()

    assert district.count(changes) == 0
