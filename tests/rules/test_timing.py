"""How long a push is worth sending."""

from datetime import timedelta

import pytest

from rules.change import Kind
from rules.timing import WORTH_SENDING_FOR


@pytest.mark.parametrize("kind", Kind)
def test_news_of_every_kind_is_worth_sending_for_some_hours_and_no_longer_than_a_day(
    kind: Kind,
) -> None:
    assert timedelta(hours=1) <= WORTH_SENDING_FOR[kind] <= timedelta(days=1)
