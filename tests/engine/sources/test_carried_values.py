"""What a change carries of the JSON that an outbox holds."""

from datetime import UTC, datetime

import pytest

from engine.dialects.rows import Captured, change
from rules.change import ChangeId, Scalar

_LARGEST = 2**63 - 1
_DEEP = "[" * 2000 + "]" * 2000


def carried(words: str) -> Scalar:
    """A column's value, of *words* of JSON, with another that needs no care beside it."""
    row = Captured(
        ChangeId("0"), "score", "1", None, f'{{"a": {words}, "b": 1}}', datetime.now(UTC), 1
    )
    after = change("sis", 0, row).after
    assert after is not None
    assert after["b"] == 1
    return after["a"]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ('"A\\u00e9"', "Aé"), ("null", None), ("true", True), ("17", 17), ("17.50", 17.5),
        ("17.0", 17.0), (str(_LARGEST), _LARGEST), (str(-_LARGEST - 1), -_LARGEST - 1),
        (str(_LARGEST + 1), str(_LARGEST + 1)), (str(-_LARGEST - 2), str(-_LARGEST - 2)),
        ("1" + "0" * 400, "1" + "0" * 400), ("1e400", "1e400"),
        ("[1, 2]", "[1, 2]"), ('{"c": "}"}', '{"c": "}"}'), (_DEEP, _DEEP),
    ],
)  # fmt: skip
def test_a_value_is_carried_as_it_is_or_as_text(words: str, value: Scalar) -> None:
    found = carried(words)
    assert (type(found), found) == (type(value), value)
