"""Decisions: one row for each change and student, with what became of it for everybody."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from engine.ports import Decided, DecidedFor
from engine.store import decisions as store
from engine.store.ledger import SqlLedger
from engine.store.tables import decisions, facts, listeners
from rules.audience import Audience
from rules.change import Change, Kind, PersonId, Place, StudentId
from rules.reasons import Reason
from tests.builders import NOW, a_change
from tests.district import ADA, GRANDMOTHER, MOTHER, District, marked, scored

PLACE = Place(StudentId(ADA), Kind.ASSIGNMENT, "91")


def at(position: int, change: Change) -> Change:
    return a_change(
        change.watch, change.key, change.before, change.after, position=position, at=change.at
    )


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
    with SqlLedger(district.database, zone).deciding() as deciding:
        assert deciding.circumstances(now).today == today


def test_a_row_comes_back_as_it_went(district: District) -> None:
    change = at(7, scored(9, 17))

    district.evaluate(change)

    (row,) = district.decided(change)
    assert row[:6] == (change.id, PLACE, 7, "score", NOW, NOW)
    assert row.facts is not None
    assert (row.facts.student_name, row.facts.before, row.facts.after) == ("Ada", "9/20", "17/20")
    assert row.facts.details["title"] == "Quiz 1"


def test_who_is_told_has_language_and_devices_and_who_is_not_has_the_reason(
    district: District,
) -> None:
    change = scored(9, 17)
    district.evaluate(change)

    people = {one.person: one for one in district.decided(change)[0].people}

    mother, grandmother = people[PersonId(MOTHER)], people[PersonId(GRANDMOTHER)]
    devices = (district.devices()[MOTHER],)
    of_mother = (Audience.GUARDIAN, Reason.TOLD, "es-MX", devices, None, None, None)
    assert mother[1:] == of_mother
    assert grandmother[1:] == (Audience.GUARDIAN, Reason.NO_PORTAL_RIGHT, "", (), None, None, None)


def test_a_row_counts_its_pushes(district: District) -> None:
    district.evaluate(scored(9, 17))

    assert district.rows(select(decisions.c.pushes)) == [(3,)]


def test_words_are_kept_only_where_somebody_is_told(district: District) -> None:
    district.evaluate(scored(17, 17.0), told := marked())

    assert district.rows(select(facts.c.change_id)) == [(told.id,)]


def test_a_change_that_concerns_nobody_has_a_row_without_a_place(district: District) -> None:
    change = a_change("score", "999", {"points": 1}, {"points": 2})

    district.evaluate(change)

    assert [(row.change, row.place) for row in district.decided()] == [(change.id, None)]


def test_the_newest_rows_of_a_student_are_found_over_weeks_and_gaps(district: District) -> None:
    weeks = [
        scored(points, points + 1, at=NOW - timedelta(weeks=7 * points)) for points in range(4)
    ]
    district.evaluate(*weeks)

    def find(limit: int) -> list[str]:
        found: list[Decided] = district.read(
            store.newest_of, StudentId(ADA), NOW, limit, lambda _: True
        )
        return [row.change for row in found]

    assert find(10) == [change.id for change in weeks]
    assert find(2) == [change.id for change in weeks[:2]]


def test_a_history_that_begins_long_ago_is_looked_through(district: District) -> None:
    old = scored(9, 17, at=NOW - timedelta(days=40 * 365))
    district.evaluate(old)

    found: list[Decided] = district.read(store.newest_of, StudentId(ADA), NOW, 5, lambda _: True)

    assert [row.change for row in found] == [old.id]


def test_nothing_is_kept_when_the_block_fails(district: District) -> None:
    def store_and_fail() -> None:
        with district.ledger.deciding() as deciding:
            deciding.note([scored(9, 17)], NOW)
            raise KeyError

    with pytest.raises(KeyError):
        store_and_fail()

    assert district.count(decisions) == 0


def test_who_was_told_about_whom_may_be_remembered_by_several_at_once(district: District) -> None:
    pairs = {(PersonId(MOTHER), StudentId(ADA)), (PersonId(GRANDMOTHER), StudentId(ADA))}
    district.app(store.add_listeners, {(PersonId(MOTHER), StudentId(ADA))})

    district.app(store.add_listeners, pairs)

    assert district.count(listeners) == 2


def test_a_directory_change_may_be_noted_by_several_at_once(district: District) -> None:
    change = scored(9, 17)
    for _ in range(2):
        with district.ledger.deciding() as deciding:
            deciding.note([change], NOW)

    assert district.count(decisions) == 1


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_kept_as_itself(district: District, reason: Reason) -> None:
    """Some have one letter."""
    change = at(1, scored(9, 17))
    person = DecidedFor(PersonId(MOTHER), Audience.GUARDIAN, reason)
    row = Decided(change.id, PLACE, 1, "score", NOW, NOW, (person,))
    with district.ledger.deciding() as deciding:
        deciding.store([row], [], NOW)

    [kept] = district.decided(change)

    assert [one.reason for one in kept.people] == [reason]
