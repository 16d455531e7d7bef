"""How long a push is worth sending."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.change import Kind
from rules.timing import OFFERED_FOR, WORTH_SENDING_FOR, offered_until
from tests.builders import NOW


@pytest.mark.parametrize("kind", Kind)
def test_news_of_every_kind_is_worth_sending_for_some_hours_and_no_longer_than_a_day(
    kind: Kind,
) -> None:
    assert timedelta(hours=1) <= WORTH_SENDING_FOR[kind] <= timedelta(days=1)


@given(st.sampled_from(Kind), st.timedeltas(timedelta(), timedelta(days=1)))
def test_what_is_offered_is_offered_now_and_never_beyond_its_own_deadline(
    kind: Kind, late: timedelta
) -> None:
    deadline = NOW + WORTH_SENDING_FOR[kind]
    now = NOW + late
    if now < deadline:
        assert now < offered_until(NOW, now) <= deadline


@given(st.timedeltas(timedelta(), timedelta(hours=5)))
def test_how_long_a_push_is_offered_says_nothing_but_when_it_was_made(late: timedelta) -> None:
    assert offered_until(NOW, NOW + late) == NOW + OFFERED_FOR
