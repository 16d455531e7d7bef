"""Release: what is held is told at its moment, if it may be told then."""

from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import select

from engine.services import why
from engine.show.why import told
from engine.store import district as settings
from engine.store.tables import due, notifications, outcomes
from rules.change import Change, Kind, PersonId, StudentId
from rules.decide import Decision
from rules.notification import Hold, State
from rules.outcomes import Verdict
from rules.plan import NO_PREFERENCES, Correct, FoldInto, HoldUntil, Plan, SendNow
from rules.reasons import Reason
from tests.builders import NOW, an_outcome
from tests.district import (
    ADA,
    FATHER,
    LOST_AFTER,
    MOTHER,
    District,
    marked,
    scored,
    subscribe,
)

MOMENT: Final = NOW + timedelta(minutes=10)


def held(one: Decision, *_: Any) -> Plan:
    """Whoever is to be told is told in ten minutes."""
    from rules.plan import plan

    planned = plan(one, (), NO_PREFERENCES, NOW)
    return HoldUntil(MOMENT, Hold.SETTLE) if isinstance(planned, SendNow) else planned


def hold(district: District, change: Change) -> Change:
    district.evaluate(change, plan=held)
    return change


def states(district: District) -> dict[str, str]:
    """The state of each person's notification with a row of its own."""
    return dict(district.rows(select(notifications.c.person_id, notifications.c.state)))


def later(district: District) -> list[str]:
    """The texts that are published at the moment."""
    district.clock.now = MOMENT
    return [push.body for push in district.due()]


def test_what_is_held_is_told_at_its_moment_and_not_before(district: District) -> None:
    change = hold(district, scored(9, 17))

    assert district.reasons(change)[MOTHER] is Reason.HELD
    assert district.due() == []
    assert sorted(later(district)) == [
        "Ada obtuvo 17/20 (antes 9/20).",
        "Ada scored 17/20 (was 9/20).",
        "You scored 17/20 (was 9/20).",
    ]
    assert set(states(district).values()) == {State.TOLD}


def test_what_was_told_is_not_told_again(district: District) -> None:
    hold(district, scored(9, 17))
    later(district)

    assert later(district) == []
    assert district.count(due) == 0


def test_who_may_not_be_told_at_the_moment_is_not(district: District) -> None:
    hold(district, scored(9, 17))
    district.sis("UPDATE schoolbell_rights SET restricted = TRUE WHERE person_id = '34'")
    subscribe(district, FATHER, Kind.ASSIGNMENT, on=False)

    assert later(district) == ["You scored 17/20 (was 9/20)."]
    assert states(district)[MOTHER] == states(district)[FATHER] == State.WITHDRAWN


def test_nobody_is_told_while_the_district_is_off(district: District) -> None:
    hold(district, scored(9, 17))
    district.app(settings.set_enabled, enabled=False)

    assert later(district) == []


def test_a_newer_text_takes_the_place_of_one_that_is_held(district: District) -> None:
    hold(district, scored(9, 17, position=1))
    district.evaluate(scored(17, 18, position=2))

    assert later(district) == []
    assert set(states(district).values()) == {State.REPLACED}


def test_the_push_of_what_was_held_is_tried_again_when_it_is_deferred(district: District) -> None:
    hold(district, scored(9, 17))
    district.clock.now = MOMENT
    first = district.due()
    district.record(
        [an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE", at=MOMENT) for push in first]
    )

    district.clock.forward(timedelta(minutes=1))

    again = sorted((push.id, push.attempt) for push in district.due())
    assert again == sorted((one.id, 2) for one in first)


def test_what_is_folded_into_what_is_held_is_told_once_in_the_latest_words(
    district: District,
) -> None:
    hold(district, scored(9, 17, position=1))
    ids = dict(district.rows(select(notifications.c.person_id, notifications.c.id)))

    def folded(one: Decision, *_: Any) -> Plan:
        return FoldInto(ids[one.person]) if one.reason is Reason.TOLD else held(one)

    district.evaluate(scored(17, 18, position=2), plan=folded)

    assert "Ada scored 18/20 (was 17/20)." in (texts := later(district))
    assert len(texts) == 3


def test_a_correction_goes_to_exactly_the_devices_that_are_named(district: District) -> None:
    wrong = district.devices()[FATHER]

    def corrected(one: Decision, *_: Any) -> Plan:
        return Correct((wrong,)) if one.person == PersonId(FATHER) else held(one)

    pushes = district.evaluate(marked(), plan=corrected)

    assert [push.device_id for push in pushes] == [wrong]


def test_a_held_push_that_a_broker_lost_is_sent_again(district: District) -> None:
    hold(district, scored(9, 17))
    district.clock.now = MOMENT
    first = district.due()
    district.clock.forward(2 * LOST_AFTER)

    assert district.plan_lost() == len(first) > 0
    assert {(push.id, push.attempt) for push in district.due()} == {(one.id, 2) for one in first}


def test_why_says_until_when_it_is_held_and_what_became_of_it(district: District) -> None:
    hold(district, scored(9, 17))
    (before,) = why.decided(district.database, StudentId(ADA), PersonId(MOTHER), NOW)
    later(district)
    (after,) = why.decided(district.database, StudentId(ADA), PersonId(MOTHER), MOMENT)

    assert told(before) == ["held until 2026-11-23 14:40:00: settle"]
    assert told(after) == [
        "told at 2026-11-23 14:40:00",
        f"device {district.devices()[MOTHER]}: no answer yet",
    ]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("UPDATE schoolbell_rights SET restricted = TRUE WHERE person_id = '34'", "RESTRICTED"),
        ("UPDATE schoolbell_rights SET portal = FALSE WHERE person_id = '34'", "NO_PORTAL_RIGHT"),
        ("DELETE FROM schoolbell_rights WHERE person_id = '34'", "NO_PORTAL_RIGHT"),
        (
            "UPDATE schoolbell_rights SET withheld = 'assignment' WHERE person_id = '34'",
            "KIND_WITHHELD",
        ),
        ("UPDATE schoolbell_district SET enabled = FALSE", "DISTRICT_OFF"),
    ],
)
def test_a_further_try_is_not_made_to_whom_may_not_be_told_any_more(
    district: District, what: str, reason: str
) -> None:
    push = district.push_of(scored(9, 17))
    district.record([an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE")])
    district.clock.forward(timedelta(minutes=1))
    district.sis(what)

    assert district.due() == []
    assert (2, "refused", reason) in district.rows(
        select(outcomes.c.attempt, outcomes.c.verdict, outcomes.c.reason)
    )
