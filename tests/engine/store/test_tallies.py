"""Tallies: what was done in each minute is summed, whoever did it, and goes after a day."""

from datetime import timedelta

import pytest

from engine.store import tallies
from engine.store.tallies import CHANGES, Tallied
from tests.builders import NOW
from tests.district import District

HOUR = timedelta(hours=1)
TAKEN = Tallied("accepted", "fcm")


def test_counts_of_several_minutes_and_processes_are_summed(
    district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    district.app(tallies.add, {CHANGES: 2, TAKEN: 3}, NOW)
    district.app(tallies.add, {CHANGES: 5}, NOW)
    monkeypatch.setattr(tallies, "_SLOT", tallies._SLOT + 1)
    district.app(tallies.add, {CHANGES: 11}, NOW)
    district.app(tallies.add, {TAKEN: 17}, NOW + timedelta(minutes=1))

    assert district.read(tallies.since, NOW - HOUR) == {CHANGES: 18, TAKEN: 20}


def test_what_was_counted_before_is_left_out(district: District) -> None:
    district.app(tallies.add, {CHANGES: 2}, NOW)

    assert district.read(tallies.since, NOW + HOUR) == {}


def test_nothing_counts_as_nothing(district: District) -> None:
    district.app(tallies.add, {CHANGES: 0}, NOW)

    assert district.read(tallies.since, NOW - HOUR) == {}


def test_two_processes_that_count_at_once_do_not_wait_for_each_other(
    postgres_district: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds its own row until it commits: with one row the second would wait for ever.

    SQLite has one writer at a time anyway.
    """
    with postgres_district.database.write() as first:
        tallies.add(first, {CHANGES: 1}, NOW)
        monkeypatch.setattr(tallies, "_SLOT", tallies._SLOT + 1)
        with postgres_district.database.write() as second:
            tallies.add(second, {CHANGES: 1}, NOW)

    assert postgres_district.read(tallies.since, NOW - HOUR) == {CHANGES: 2}


def test_tallies_go_after_a_day(district: District) -> None:
    district.app(tallies.add, {CHANGES: 2}, NOW)

    district.app(tallies.forget, NOW + timedelta(hours=23))
    kept = district.read(tallies.since, NOW - HOUR)
    district.app(tallies.forget, NOW + timedelta(hours=25))

    assert (kept, district.read(tallies.since, NOW - HOUR)) == ({CHANGES: 2}, {})
