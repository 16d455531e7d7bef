"""What families may see from a moment on is told at that moment, by itself, and once."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest
from msgspec.structs import replace

from engine.ports import Queue
from engine.services import why
from engine.show.why import told
from engine.sources.definition import Query, Watch
from engine.sources.loading import load
from engine.stages.opening import LookAgain
from engine.store.tables import decisions, openings
from engine.wire.messages import Changes, Push, decode
from rules.change import Change, Kind, PersonId, StudentId
from rules.reasons import Reason
from tests.builders import NOW, a_change
from tests.district import (
    ADA,
    FATHER,
    HIDDEN_SCORE,
    LOST_AFTER,
    MOTHER,
    UNIT_TEST,
    District,
    scored,
)
from tests.fakes import FakePublisher

OPENS: Final = NOW + timedelta(hours=2)


def opening(district: District, opens: str, until: str = "") -> None:
    """Whether families see an assignment is a matter of dates, in a table of their own."""
    district.sis(
        "CREATE TABLE IF NOT EXISTS seen (assignment_id integer, open_from text, open_until text)"
    )
    district.sis("DELETE FROM seen")
    district.sis(
        "INSERT INTO seen SELECT assignment_id, :opens, :until FROM assignment",
        opens=opens, until=until,
    )  # fmt: skip
    definition = load("reference")
    query = (
        definition.facts["assignment"]
        .query.replace(
            "assignment.released,",
            "TRUE AS released, seen.open_from AS visible_from, seen.open_until AS visible_until,",
        )
        .replace(
            "JOIN term", "JOIN seen ON seen.assignment_id = assignment.assignment_id JOIN term"
        )
    )
    dates = Watch(
        name="assignment-dates", kind=Kind.ASSIGNMENT, table="seen", key="assignment_id",
        columns=("open_from",), looks_again=True, facts="assignment", by="assignment_id",
    )  # fmt: skip
    district.speak(
        replace(
            definition,
            watch=(*definition.watch, dates),
            facts={**definition.facts, "assignment": Query(query=query)},
        )
    )


def moved(district: District, to: str) -> Change:
    """Staff set another date."""
    district.sis("UPDATE seen SET open_from = :to", to=to)
    return a_change("assignment-dates", UNIT_TEST, {"open_from": "x"}, {"open_from": to})


def opened(district: District) -> Sequence[Change]:
    """What is published at this moment, to be looked at again."""
    publisher = FakePublisher()
    look = LookAgain(district.ledger, publisher, district.clock, LOST_AFTER)
    while look():
        pass
    return [one for body in publisher.bodies(Queue.CHANGES) for one in decode(body, Changes).items]


def at_its_moment(district: District) -> Sequence[Push]:
    district.clock.now = OPENS
    return district.evaluate(*opened(district))


def before_it_opens(district: District) -> Change:
    opening(district, OPENS.isoformat())
    change = scored(50, 60, HIDDEN_SCORE)
    assert district.evaluate(change) == []
    return change


def test_a_score_is_told_when_it_opens_as_if_there_had_been_none(district: District) -> None:
    change = before_it_opens(district)

    assert district.reasons(change)[MOTHER] is Reason.OPENS_LATER
    assert opened(district) == []
    assert {push.body for push in at_its_moment(district)} == {
        "Ada obtuvo 60/100.",
        "Ada scored 60/100.",
        "You scored 60/100.",
    }


def test_why_says_when_it_opens(district: District) -> None:
    before_it_opens(district)

    (answer,) = why.decided(district.database, StudentId(ADA), PersonId(MOTHER), NOW)

    assert told(answer) == ["opens at 2026-11-23 16:30:00"]


def test_it_is_told_once_however_often_it_is_published(district: District) -> None:
    """Whoever published died before noting so, and the broker delivered all of it."""
    before_it_opens(district)
    district.clock.now = OPENS
    first = opened(district)
    assert len(district.evaluate(*first)) == 3

    again = district.evaluate(*first)

    assert {push.id[:36] for push in again} == {first[0].id}
    assert district.count(decisions) == 2


def test_what_was_looked_at_is_forgotten(district: District) -> None:
    before_it_opens(district)
    at_its_moment(district)

    assert opened(district) == []
    assert district.count(openings) == 0


def test_what_a_broker_lost_is_published_again(district: District) -> None:
    before_it_opens(district)
    district.clock.now = OPENS
    lost = opened(district)
    assert opened(district) == []
    district.clock.forward(2 * LOST_AFTER)

    assert opened(district) == lost


def test_a_change_that_comes_again_before_it_opens_plans_nothing_more(district: District) -> None:
    change = before_it_opens(district)
    district.evaluate(change)

    assert district.count(openings) == 1


def test_of_two_changes_before_it_opens_the_last_is_told(district: District) -> None:
    opening(district, OPENS.isoformat())
    district.evaluate(scored(40, 50, HIDDEN_SCORE, position=1))
    district.evaluate(scored(50, 60, HIDDEN_SCORE, position=2))

    assert {push.body for push in at_its_moment(district)} == {
        "Ada obtuvo 60/100.",
        "Ada scored 60/100.",
        "You scored 60/100.",
    }


def test_a_date_that_is_moved_to_earlier_tells_at_once_and_not_again(district: District) -> None:
    before_it_opens(district)

    told = district.evaluate(moved(district, (NOW - timedelta(hours=1)).isoformat()))

    assert "Ada scored 60/100." in {push.body for push in told}
    assert at_its_moment(district) == []


def test_a_date_that_is_moved_to_later_tells_then(district: District) -> None:
    before_it_opens(district)
    later = OPENS + timedelta(hours=1)
    district.sis("UPDATE seen SET open_from = :to", to=later.isoformat())

    assert at_its_moment(district) == []
    district.clock.now = later
    assert len(district.evaluate(*opened(district))) == 3


def test_a_score_that_changes_after_it_opened_says_what_was_told(district: District) -> None:
    before_it_opens(district)
    at_its_moment(district)

    pushes = district.evaluate(scored(60, 70, HIDDEN_SCORE, at=OPENS))

    assert "Ada scored 70/100 (was 60/100)." in {push.body for push in pushes}


def test_the_life_of_a_push_counts_from_the_opening(district: District) -> None:
    before_it_opens(district)

    assert {push.expires_at for push in at_its_moment(district)} == {OPENS + timedelta(hours=24)}


def test_after_its_end_nothing_is_told(district: District) -> None:
    opening(district, "2026-11-01", "2026-11-22")
    change = scored(50, 60, HIDDEN_SCORE)

    assert district.evaluate(change) == []
    assert district.reasons(change)[MOTHER] is Reason.CLOSED


@pytest.mark.parametrize("until", ["2026-11-23", "infinity", ""])
def test_a_day_counts_to_its_end(district: District, until: str) -> None:
    opening(district, "2026-11-23", until)
    change = scored(50, 60, HIDDEN_SCORE)

    district.evaluate(change)

    assert district.reasons(change)[FATHER] is Reason.TOLD


def test_a_date_that_cannot_be_read_shows_nothing(district: District) -> None:
    opening(district, "next week")
    change = scored(50, 60, HIDDEN_SCORE)

    district.evaluate(change)

    assert district.reasons(change)[MOTHER] is Reason.NOT_RELEASED


def test_many_scores_open_in_portions_and_each_once(district: District) -> None:
    opening(district, OPENS.isoformat())
    district.evaluate(*(scored(None, n, HIDDEN_SCORE, position=n) for n in range(1, 2_501)))
    district.clock.now = OPENS

    portions, pushes = [], 0
    while found := opened(district):
        portions.append(found)
        pushes += len(district.evaluate(*found))

    assert [len(found) for found in portions] == [1_000, 1_000, 500]
    assert len({one.id for found in portions for one in found}) == 2_500
    assert district.count(openings) == 0
    assert pushes == 3


def test_a_portion_that_is_not_decided_holds_up_the_next_for_a_while(district: District) -> None:
    opening(district, OPENS.isoformat())
    district.evaluate(*(scored(None, n, HIDDEN_SCORE, position=n) for n in range(1, 1_502)))
    district.clock.now = OPENS
    assert len(opened(district)) == 1_000

    assert opened(district) == []
    district.clock.forward(timedelta(seconds=10))

    assert len(opened(district)) == 501


# What nobody watches is not promised


def test_a_release_that_nothing_watches_is_not_promised(district: District) -> None:
    definition = load("reference")
    watches = tuple(one for one in definition.watch if one.name != "assignment-release")
    district.speak(replace(definition, watch=watches))
    change = scored(50, 60, HIDDEN_SCORE)

    district.evaluate(change)

    assert district.reasons(change)[MOTHER] is Reason.HIDDEN


def test_a_release_is_told_in_the_words_of_the_records_own_watch(district: District) -> None:
    """The grade is a mark beside a number, and shown by a column of another table."""
    definition = load("reference")
    facts = definition.facts["grade"].query.replace(
        "posted_grade.percent AS value,",
        "posted_grade.percent AS value, posted_grade.mark AS text, section.section_id,",
    )
    own = [
        replace(one, released_by="", columns=("percent", "mark"))
        for one in definition.watch
        if one.name == "grade"
    ]
    done = Watch(
        name="section-done", kind=Kind.GRADE, table="section", key="section_id",
        columns=("room",), looks_again=True, facts="grade", by="section_id",
    )  # fmt: skip
    others = [one for one in definition.watch if one.name != "grade"]
    query = {**definition.facts, "grade": Query(query=facts)}
    district.speak(replace(definition, watch=(*others, *own, done), facts=query))

    pushes = district.evaluate(a_change("section-done", "71", {"room": "a"}, {"room": "b"}))

    assert "Ada's Q2 grade is A-." in {push.body for push in pushes}
