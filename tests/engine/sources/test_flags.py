"""What is not understood gives no right and lifts no restriction."""

from decimal import Decimal
from typing import Any

import pytest

from engine.sources.flags import allows, forbids, understood

YES = [
    True, 1, 1.0, Decimal(1), Decimal("1.00"), "1", "t", "TRUE", " YES ", "y", "Y  ", "on",
    b"\x01", b"\x00\x01", b"Y", b"1", memoryview(b"true "), bytearray(b"T"),
]  # fmt: skip
NO = [
    False, 0, 0.0, Decimal(0), None, "", "  ", "0", "f", "FALSE", "no", " N ", "off",
    b"\x00", b"\x00\x00", b"", b"N ", b"0",
]  # fmt: skip
UNCLEAR = [
    "X", "on request", "2", "ja", "oui", "\ufffd", "1.0", "N/A", "-", 2, -1, 0.5, float("nan"),
    Decimal("NaN"), b"\x02", b"\xff", b"ja", [True], {"yes": 1}, object(),
]  # fmt: skip


@pytest.mark.parametrize("flag", YES)
def test_a_flag_that_is_set_allows_and_forbids(flag: Any) -> None:
    assert understood(flag) is True
    assert allows(flag)
    assert forbids(flag)


@pytest.mark.parametrize("flag", NO)
def test_a_flag_that_is_not_set_does_neither(flag: Any) -> None:
    assert understood(flag) is False
    assert not allows(flag)
    assert not forbids(flag)


@pytest.mark.parametrize("flag", UNCLEAR)
def test_what_nobody_knows_forbids_and_does_not_allow(flag: Any) -> None:
    assert understood(flag) is None
    assert not allows(flag)
    assert forbids(flag)
