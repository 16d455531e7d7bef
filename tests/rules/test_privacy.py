"""How much a phone may show: the district's word, and a person's for a phone of theirs."""

import pytest

from rules.privacy import Level, shown

GENERIC, NAMED, FULL = Level


@pytest.mark.parametrize(
    ("district", "chosen", "level"),
    [
        pytest.param(GENERIC, None, GENERIC, id="the district's, where nobody chose"),
        pytest.param(FULL, None, FULL, id="the district's, also where it is full"),
        pytest.param(FULL, NAMED, NAMED, id="a person may have less shown"),
        pytest.param(FULL, GENERIC, GENERIC, id="a person may have nothing shown"),
        pytest.param(GENERIC, FULL, GENERIC, id="but not more than the district allows"),
        pytest.param(NAMED, FULL, NAMED, id="nor a little more"),
    ],
)
def test_the_stricter_level_is_shown(district: Level, chosen: Level | None, level: Level) -> None:
    assert shown(district, chosen) is level
