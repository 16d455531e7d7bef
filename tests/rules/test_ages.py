"""Ages, by birthdays."""

from datetime import date

import pytest

from rules.ages import years


@pytest.mark.parametrize(
    ("born", "today", "expected"),
    [
        (date(2013, 11, 23), date(2026, 11, 22), 12),
        (date(2013, 11, 23), date(2026, 11, 23), 13),
        (date(2012, 2, 29), date(2025, 2, 28), 12),
        (date(2012, 2, 29), date(2025, 3, 1), 13),
        (date(2026, 11, 23), date(2026, 11, 23), 0),
        (date(2026, 11, 24), date(2026, 11, 23), -1),
    ],
)
def test_how_old_somebody_is(born: date, today: date, expected: int) -> None:
    assert years(born, today) == expected
