"""The closed set of reasons."""

import re
from collections import Counter

import pytest

from rules.gates import BROADCAST_GATES, GATES
from rules.reasons import Reason

# Said after the gates, when a text is made and devices are counted; or instead of any answer.
SAID_BY_NO_GATE = {
    Reason.TOLD,
    Reason.HELD,
    Reason.TOLD_APART,
    Reason.UNDECIDABLE,
    Reason.DEVICE_ALREADY_TOLD,
    Reason.TEXT_BLANK,
    Reason.TEMPLATE_INVALID,
    Reason.CANCELLED,
}
# Said of broadcasts alone.
SAID_OF_BROADCASTS = {Reason.BROADCASTS_OFF}


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_a_sentence_for_staff_and_one_for_families(reason: Reason) -> None:
    for sentence in (reason.for_staff, reason.for_families):
        assert re.fullmatch(r"[A-Z].{9,}\.", sentence)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_stored_under_its_name(reason: Reason) -> None:
    assert reason.value == reason.name


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_fits_the_column_that_holds_it(reason: Reason) -> None:
    assert len(reason) <= 32


def test_every_reason_of_a_gate_is_said_by_exactly_one() -> None:
    said = Counter(reason for gate in GATES for reason in gate.says)

    assert said == Counter(set(Reason) - SAID_BY_NO_GATE - SAID_OF_BROADCASTS)


def test_the_gates_of_a_broadcast_say_what_others_say_and_that_it_is_switched_off() -> None:
    said = Counter(reason for gate in BROADCAST_GATES for reason in gate.says)

    others = {reason for gate in GATES for reason in gate.says}
    assert set(said) - others == SAID_OF_BROADCASTS
    assert set(said.values()) == {1}


@pytest.mark.parametrize(
    "reason", [Reason.NO_PORTAL_RIGHT, Reason.RIGHT_NOT_IN_FORCE, Reason.RESTRICTED]
)
def test_families_cannot_tell_a_restriction_from_a_missing_right(reason: Reason) -> None:
    assert reason.for_families == Reason.NO_PORTAL_RIGHT.for_families
