"""A further try is not made of what families may not see any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from engine.wire.messages import Push
from rules.outcomes import Verdict
from rules.reasons import Reason
from tests.builders import NOW, a_change, an_outcome
from tests.district import GRADE, HIDDEN_SCORE, MOTHER, UNIT_TEST, District, scored
from tests.engine.stages.test_opening import opening
from tests.engine.stages.test_order import refused
from tests.engine.stages.test_told import hide


def deferred(district: District, pushes: Sequence[Push]) -> None:
    """No gateway takes them for now."""
    district.record(
        [an_outcome(one, Verdict.DEFERRED, reason="UNAVAILABLE", at=NOW) for one in pushes]
    )


def after(district: District, **time: float) -> Sequence[Push]:
    """The further tries that are made then."""
    district.clock.forward(timedelta(**time))
    return district.due()


def ends(district: District) -> set[str]:
    return {reason for _, reason in refused(district)}


def test_a_record_that_has_closed_is_not_tried_again(district: District) -> None:
    closes = NOW + timedelta(hours=1)
    opening(district, "2026-11-01", closes.isoformat())
    pushes = district.evaluate(scored(50, 60, HIDDEN_SCORE))
    assert {push.expires_at for push in pushes} == {closes}

    deferred(district, pushes)

    assert after(district, hours=2) == []
    assert ends(district) == {"EXPIRED"}


def test_before_it_closes_it_is_tried_again(district: District) -> None:
    opening(district, "2026-11-01", "2026-11-30")
    pushes = district.evaluate(scored(50, 60, HIDDEN_SCORE))

    deferred(district, pushes)

    assert len(after(district, minutes=5)) == len(pushes) == 3


def test_a_score_of_an_assignment_that_is_hidden_again_is_not_tried_again(
    district: District,
) -> None:
    pushes = district.evaluate(replace(district.release(), position=1))
    deferred(district, pushes)
    hiding = replace(hide(district), position=2)

    assert district.evaluate(hiding) == []

    assert district.reasons(hiding)[MOTHER] is Reason.NOT_RELEASED
    assert after(district, minutes=5) == []
    assert ends(district) == {"NOT_RELEASED"}


def test_what_is_hidden_and_shown_again_is_tried_again(district: District) -> None:
    at_once = district.evaluate(replace(district.release(), position=1))
    pushes = [*at_once, *district.due()]  # the mother's second child has a push of its own
    deferred(district, pushes)
    district.evaluate(replace(hide(district), position=2))
    assert district.evaluate(replace(district.release(), position=3)) == []

    assert {push.id for push in after(district, minutes=5)} == {push.id for push in pushes}


def test_a_hiding_that_is_decided_after_the_next_release_tells_nobody(district: District) -> None:
    hiding = hide(district)
    district.release()

    assert district.evaluate(hiding) == []


def test_a_grade_that_is_unposted_is_not_tried_again(district: District) -> None:
    row = {"percent": 91.5, "mark": "A-"}
    posted, hidden = {**row, "posted": True}, {**row, "posted": False}
    pushes = district.evaluate(a_change("grade", GRADE, hidden, posted, position=1))
    deferred(district, pushes)
    district.sis("UPDATE posted_grade SET posted = FALSE")

    assert district.evaluate(a_change("grade", GRADE, posted, hidden, position=2)) == []

    assert len(pushes) == 3
    assert after(district, minutes=5) == []
    assert ends(district) == {"NOT_RELEASED"}


def test_an_assignment_that_was_never_released_hides_nothing(district: District) -> None:
    never = a_change("assignment-release", UNIT_TEST, None, {"released": False})

    assert district.evaluate(never) == []
    assert district.reasons(never) == {}
