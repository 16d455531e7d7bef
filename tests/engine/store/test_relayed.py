"""How far the outbox was relayed, as our own database remembers it."""

import pytest

from engine.store.relayed import SqlRelayedMark
from tests.district import District


@pytest.fixture
def mark(district: District) -> SqlRelayedMark:
    """The mark of a district, once on each kind of database."""
    return SqlRelayedMark(district.database)


def test_before_the_first_change_it_is_nothing(mark: SqlRelayedMark) -> None:
    assert mark.read() == 0


def test_it_is_the_highest_position_that_was_relayed(mark: SqlRelayedMark) -> None:
    for position in (1_796_000_000_000_007, 1_796_000_000_000_009, 1_796_000_000_000_008):
        mark.raise_to(position)
    assert mark.read() == 1_796_000_000_000_009
