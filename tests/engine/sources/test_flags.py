"""What is not understood gives no right and lifts no restriction."""

from typing import Any

import pytest

from engine.sources.flags import allows, forbids


@pytest.mark.parametrize("flag", [True, 1, "1", "t", "True", " YES ", "y", b"\x01"])
def test_a_flag_that_is_set_allows_and_forbids(flag: Any) -> None:
    assert allows(flag)
    assert forbids(flag)


@pytest.mark.parametrize("flag", [False, 0, None, "", "0", "f", "FALSE", "no", " N ", b"\x00"])
def test_a_flag_that_is_not_set_does_neither(flag: Any) -> None:
    assert not allows(flag)
    assert not forbids(flag)


@pytest.mark.parametrize("flag", ["X", "on request", "2", "ja"])
def test_a_word_that_nobody_knows_forbids_and_does_not_allow(flag: str) -> None:
    assert not allows(flag)
    assert forbids(flag)
