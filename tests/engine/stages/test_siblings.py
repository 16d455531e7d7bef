"""A parent of two whose scores are released together hears of both, each once."""

from datetime import timedelta

from engine.services import inbox, why
from engine.store import app
from engine.store.tables import due
from rules.change import Kind, PersonId, StudentId
from rules.outcomes import Verdict
from rules.reasons import Reason
from rules.wording import Wording
from tests.builders import an_outcome
from tests.district import (
    ADA,
    BEN,
    MOTHER,
    UNIT_TEST,
    District,
)


def of_mother(district: District, pushes: object) -> list[str]:
    device = district.devices()[MOTHER]
    return sorted(one.body for one in pushes if one.device_id == device)  # type: ignore[attr-defined]


def rung(district: District) -> list[str]:
    """All that the mother's phone hears of one release."""
    at_once = district.evaluate(district.release())
    district.clock.forward(timedelta(seconds=1))
    return of_mother(district, [*at_once, *district.due()])


def test_both_ring_and_each_once(district: District) -> None:
    assert len(set(rung(district))) == 2
    assert district.due() == []
    assert district.count(due) == 0


def test_both_stand_in_the_inbox_and_each_once(district: District) -> None:
    heard = rung(district)
    found = inbox.inbox(district.database, Wording(), PersonId(MOTHER), district.clock())
    assert sorted(one.body for one in found.entries) == heard


def test_why_says_that_both_were_told(district: District) -> None:
    rung(district)
    now = district.clock()
    reasons = {
        why.decided(district.database, StudentId(student), PersonId(MOTHER), now)[0].reason
        for student in (ADA, BEN)
    }
    assert reasons == {Reason.TOLD, Reason.TOLD_APART}


def test_hidden_and_released_again_nothing_rings(district: District) -> None:
    rung(district)
    district.sis(f"UPDATE assignment SET released = FALSE WHERE assignment_id = {UNIT_TEST}")
    assert rung(district) == []


def test_the_second_is_not_told_to_who_does_not_want_it(district: District) -> None:
    district.evaluate(district.release())
    for student in (ADA, BEN):
        district.app(
            app.subscribe, PersonId(MOTHER), StudentId(student), Kind.ASSIGNMENT, enabled=False
        )
    district.clock.forward(timedelta(seconds=1))
    assert of_mother(district, district.due()) == []


def test_the_second_is_tried_again_like_any_push(district: District) -> None:
    district.evaluate(district.release())
    district.clock.forward(timedelta(seconds=1))
    (second,) = [one for one in district.due() if one.device_id == district.devices()[MOTHER]]
    district.record(
        [an_outcome(second, Verdict.DEFERRED, reason="UNAVAILABLE", at=district.clock())]
    )
    district.clock.forward(timedelta(minutes=1))
    (again,) = [one for one in district.due() if one.id == second.id]
    assert (again.body, again.attempt) == (second.body, 2)
