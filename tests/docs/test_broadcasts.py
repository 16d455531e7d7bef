"""The life of a broadcast and its gates are written down as they are."""

import re
from pathlib import Path
from typing import Final

from rules.broadcasts import STATES_AFTER
from rules.gates import BROADCAST_GATES, EMERGENCY_GATES

PAGE: Final = (Path(__file__).parents[2] / "docs" / "broadcasts.md").read_text("utf-8")


def test_the_states_of_a_broadcast_are_those_of_the_rules() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+):", PAGE, re.MULTILINE))

    assert drawn == {
        (state.value, after.value) for state, those in STATES_AFTER.items() for after in those
    }


def test_the_gates_of_a_broadcast_are_those_of_the_rules() -> None:
    written = re.findall(r"^\| ([a-z ]+) \| (`.+`) \| ([a-z ]+) \|$", PAGE, re.MULTILINE)

    assert written == [
        (
            gate.title,
            " ".join(f"`{reason}`" for reason in gate.says),
            "asked" if gate in EMERGENCY_GATES else "not asked",
        )
        for gate in BROADCAST_GATES
    ]
