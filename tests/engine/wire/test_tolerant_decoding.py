"""Tolerant decoding: one bad outcome spoils no other; what can be recorded is in our spelling."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.wire.tolerant_decoding import (
    LONGEST_GATEWAY_ID,
    LONGEST_REASON,
    MOST_ATTEMPTS,
    Unusable,
    usable,
)
from rules.outcomes import Verdict
from tests.builders import NOW, an_outcome

PUSH = "01a208d0-5240-8000-8000-000000000001.1"
GOOD = an_outcome(PUSH, gateway="fcm", gateway_id="projects/x/messages/1")


def test_what_is_right_is_taken_as_it_is() -> None:
    good, refused = usable([GOOD], NOW)

    assert good[0] is GOOD
    assert refused == []


@pytest.mark.parametrize(
    "spelling", [PUSH.upper(), PUSH.replace("-", ""), f"{{{PUSH}}}", PUSH[:36], f"{PUSH}.1"]
)
def test_a_push_has_one_spelling(spelling: str) -> None:
    assert usable([an_outcome(spelling)], NOW) == ([], [Unusable.PUSH_ID])


def test_a_number_of_a_device_has_eight_bytes_at_most() -> None:
    beyond = an_outcome(f"{PUSH[:36]}.{2**63}")

    assert usable([beyond], NOW) == ([], [Unusable.DEVICE_ID])


def test_an_outcome_is_of_the_device_that_its_push_names() -> None:
    assert usable([an_outcome(PUSH, device_id="2")], NOW) == ([], [Unusable.DEVICE_ID])


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"push_id": "nonsense"}, Unusable.PUSH_ID),
        ({"push_id": ""}, Unusable.PUSH_ID),
        ({"attempt": 0}, Unusable.ATTEMPT),
        ({"attempt": MOST_ATTEMPTS + 1}, Unusable.ATTEMPT),
        ({"attempt": 10**400}, Unusable.ATTEMPT),
        ({"device_id": "x"}, Unusable.DEVICE_ID),
        ({"device_id": "-1"}, Unusable.DEVICE_ID),
        ({"device_id": "٣"}, Unusable.DEVICE_ID),
        ({"device_id": str(2**63)}, Unusable.DEVICE_ID),
        ({"device_id": "9" * 10_000}, Unusable.DEVICE_ID),
        ({"at": NOW.replace(tzinfo=None)}, Unusable.AT),
        ({"at": datetime(1, 1, 1, tzinfo=UTC)}, Unusable.AT),
        ({"dead_since": NOW.replace(tzinfo=None)}, Unusable.DEAD_SINCE),
        ({"dead_since": datetime(1, 1, 1, tzinfo=UTC)}, Unusable.DEAD_SINCE),
    ],
)
def test_what_cannot_be_recorded_is_refused_by_its_field_and_the_others_are_not(
    wrong: dict[str, Any], field: Unusable
) -> None:
    bad = an_outcome(**{"push": PUSH, "verdict": Verdict.UNREGISTERED} | _renamed(wrong))

    assert usable([bad, GOOD], NOW) == ([GOOD], [field])


def _renamed(wrong: dict[str, Any]) -> dict[str, Any]:
    """The builder calls the id of a push *push*."""
    return {"push" if name == "push_id" else name: value for name, value in wrong.items()}


def test_a_gateway_of_a_later_release_is_nobody_that_we_know() -> None:
    (one,), refused = usable([an_outcome(PUSH, gateway="hcm")], NOW)
    assert not refused
    assert one.gateway == ""


def test_words_of_a_gateway_are_cut_to_what_is_kept_of_them() -> None:
    wordy = an_outcome(PUSH, reason="R" * 100, gateway_id="i" * 10_000)

    (one,), _ = usable([wordy], NOW)

    assert (len(one.reason), len(one.gateway_id)) == (LONGEST_REASON, LONGEST_GATEWAY_ID)


@pytest.mark.parametrize("words", ["a\0b", "a\x1bb", "a\nb", "a\u202eb", "a\ud800b"])
def test_signs_that_are_no_letters_are_shown_as_unknown(words: str) -> None:
    (one,), _ = usable([an_outcome(PUSH, reason=words, gateway_id=words)], NOW)

    assert (one.reason, one.gateway_id) == ("a?b", "a?b")


@pytest.mark.parametrize(
    ("ahead", "believed"), [(timedelta(hours=1), True), (timedelta(days=400), False)]
)
def test_a_clock_that_is_far_ahead_is_not_believed(ahead: timedelta, believed: bool) -> None:
    (one,), _ = usable([an_outcome(PUSH, at=NOW + ahead)], NOW)

    assert one.at == (NOW + ahead if believed else NOW)


def test_a_death_in_the_future_is_as_old_as_its_answer() -> None:
    died = an_outcome(PUSH, Verdict.UNREGISTERED, dead_since=NOW + timedelta(days=9_000))

    (one,), _ = usable([died], NOW)

    assert one.dead_since is None
