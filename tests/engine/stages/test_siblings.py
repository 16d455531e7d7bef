"""A parent of two whose scores are released together hears of both, each once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Connection, select

from engine.services import inbox, why
from engine.sources.loading import load
from engine.store import app, notifications, tables
from engine.store.tables import due
from rules.change import Change, Kind, PersonId, StudentId
from rules.notification import Notification
from rules.outcomes import Verdict
from rules.reasons import Reason
from rules.wording import Wording
from tests.builders import a_change, an_outcome
from tests.district import (
    ADA,
    BEN,
    BENS_HIDDEN_SCORE,
    HIGH_SCHOOL,
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


def deleted(district: District) -> Change:
    """A teacher deletes the score of the sibling who is told of apart; that is news."""
    definition = load("reference")
    watches = tuple(
        msgspec.structs.replace(one, deleted="withdrawn") if one.name == "score" else one
        for one in definition.watch
    )
    district.speak(msgspec.structs.replace(definition, watch=watches))
    district.sis(f"DELETE FROM score WHERE score_id = {BENS_HIDDEN_SCORE}")
    return a_change("score", BENS_HIDDEN_SCORE, {"points": 55}, None, position=2)


def release(district: District) -> None:
    """With the rows named, so that their going is news."""
    deleted(district)
    district.sis(
        f"INSERT INTO score (score_id, assignment_id, student_id, points)"
        f" VALUES ({BENS_HIDDEN_SCORE}, {UNIT_TEST}, {BEN}, 55)"
    )
    change = district.release()
    change = a_change(change.watch, change.key, change.before, change.after, position=1)
    district.evaluate(change)
    assert district.reasons_by_student(change)[BEN, MOTHER] is Reason.TOLD_APART


def test_the_second_is_corrected_on_the_phones_that_heard_of_it_alone(district: District) -> None:
    release(district)
    district.clock.forward(timedelta(seconds=1))
    district.due()
    district.sign_in(MOTHER)  # on a phone that never showed it

    corrections = district.evaluate(deleted(district))

    assert [one.device_id for one in corrections] == [district.devices()[MOTHER]]


def test_the_second_that_is_gone_before_it_was_told_is_never_told(district: District) -> None:
    release(district)

    assert district.evaluate(deleted(district)) == []

    district.clock.forward(timedelta(seconds=1))
    assert district.due() == []


def test_the_second_that_could_not_be_told_is_news_when_it_comes_again(district: District) -> None:
    """Nobody knows of what was only planned."""
    release(district)
    app_ = PersonId(MOTHER), StudentId(BEN), Kind.ASSIGNMENT
    district.app(app.subscribe, *app_, enabled=False)
    district.clock.forward(timedelta(seconds=1))
    assert district.due() == []
    district.app(app.subscribe, *app_, enabled=True)

    for shown in ("FALSE", "TRUE"):
        district.sis(f"UPDATE assignment SET released = {shown} WHERE assignment_id = {UNIT_TEST}")
    again = district.release()

    assert len(of_mother(district, district.evaluate(again))) == 1
    assert district.reasons_by_student(again)[BEN, MOTHER] is Reason.TOLD


def notifications_of(connection: Connection) -> Sequence[Notification]:
    ids = [one for (one,) in connection.execute(select(tables.notifications.c.id))]
    return list(notifications.by_id(connection, ids).values())


def test_what_is_told_apart_keeps_its_school_and_when_it_closes(district: District) -> None:
    closes = datetime(2026, 12, 24, 12, tzinfo=UTC)
    definition = load("reference")
    query = definition.facts["assignment"].query.replace(
        "SELECT", f"SELECT '{closes.isoformat()}' AS visible_until,", 1
    )
    facts = {
        **definition.facts,
        "assignment": msgspec.structs.replace(definition.facts["assignment"], query=query),
    }
    district.speak(msgspec.structs.replace(definition, facts=facts))
    district.evaluate(district.release())

    [held] = district.read(notifications_of)

    assert (held.facts.closes, held.facts.school) == (closes, HIGH_SCHOOL)
