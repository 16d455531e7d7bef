"""A push is worth sending from its commit on: after an outage no phone rings for last week."""

from datetime import timedelta
from typing import Final

import pytest

from engine.services import inbox, why
from engine.stages.reporting import PERSON_ALARM
from engine.wire.messages import Push
from rules.change import Change, Kind, PersonId, StudentId
from rules.reasons import Reason
from rules.wording import Wording
from tests.builders import NOW, a_change
from tests.district import ABSENCE, ADA, FATHER, MOTHER, District, scored, subscribe

THURSDAY: Final = NOW - timedelta(days=3)


def absence(hours: float) -> Change:
    """Ada was marked absent that long ago."""
    row = {"attendance_code_id": 2}
    return a_change("attendance", ABSENCE, None, row, at=NOW - timedelta(hours=hours))


def expiry(pushes: list[Push], district: District) -> timedelta:
    (mine,) = [push for push in pushes if push.device_id == district.devices()[MOTHER]]
    return mine.expires_at - NOW


def test_after_an_outage_an_absence_of_last_week_rings_no_phone(district: District) -> None:
    change = absence(hours=72)

    assert district.evaluate(change) == []
    assert district.reasons(change)[MOTHER] is Reason.TOO_LATE


def test_what_rang_no_phone_stands_in_the_inbox_as_unseen(district: District) -> None:
    district.evaluate(absence(hours=72))

    found = inbox.inbox(district.database, Wording(), PersonId(MOTHER), NOW)

    assert [entry.body for entry in found.entries] == [
        "Ada: ausente en Biology 9 (hora 3) el 2026-11-23."
    ]
    assert found.unseen == 1


def test_why_says_that_it_came_too_late(district: District) -> None:
    district.evaluate(absence(hours=72))

    (answer,) = why.decided(district.database, StudentId(ADA), PersonId(MOTHER), NOW)

    assert answer.reason is Reason.TOO_LATE
    assert [step.gate for step in answer.steps if step.answer == why.NO] == ["worth a push"]


@pytest.mark.parametrize(("hours", "told"), [(5.9, True), (6, False)])
def test_an_absence_is_worth_a_push_for_six_hours(
    district: District, hours: float, told: bool
) -> None:
    change = absence(hours)

    district.evaluate(change)

    assert (district.reasons(change)[MOTHER] is Reason.TOLD) is told


def test_a_push_ends_as_long_after_its_commit_as_it_is_worth_sending(district: District) -> None:
    late = scored(9, 17, at=NOW - timedelta(hours=20))

    assert expiry(list(district.evaluate(late)), district) == timedelta(hours=4)


def test_a_clock_of_the_sis_that_is_ahead_lengthens_no_life(district: District) -> None:
    early = scored(9, 17, at=NOW + timedelta(hours=3))

    assert expiry(list(district.evaluate(early)), district) == timedelta(hours=24)


def test_a_change_that_comes_again_is_as_late_as_the_first_time(district: District) -> None:
    change = scored(9, 17, at=NOW - timedelta(hours=20))
    first = district.evaluate(change)

    again = {push.id: push.expires_at for push in district.evaluate(change)}
    assert again == {push.id: push.expires_at for push in first}


def test_what_came_too_late_is_known_and_can_be_corrected(district: District) -> None:
    district.evaluate(absence(hours=72))
    district.sis("DELETE FROM attendance")
    gone = a_change("attendance", ABSENCE, {"attendance_code_id": 2}, None, position=5)

    bodies = {push.body for push in district.evaluate(gone)}

    assert (
        "Correction: Ada's mark, absent in Biology 9 (period 3) on 2026-11-23, was withdrawn."
    ) in bodies


# What is odd about one person


def test_one_persons_odd_threshold_is_that_persons_alone(district: District) -> None:
    subscribe(district, FATHER, Kind.ASSIGNMENT, below="70")
    district.sis(
        "UPDATE schoolbell_subscriptions SET thresholds = 'NaN' WHERE person_id = :who", who=FATHER
    )
    change = scored(9, 17)

    district.evaluate(change)

    reasons = district.reasons(change)
    assert (reasons[MOTHER], reasons[FATHER]) == (Reason.TOLD, Reason.UNDECIDABLE)
    assert district.parked() == []
    assert [(one.kind, one.subject) for one in district.alarms()] == [(PERSON_ALARM, FATHER)]
