"""What was written before a change that was decided, and committed after it.

The order of the log is the order of commits for one row. A release is a row elsewhere: no lock
keeps it and a score apart, so either may be written first and committed last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from engine.errors import Unavailable
from engine.ports import Source
from engine.sources.capture import Capture
from engine.wire.messages import Push
from rules.change import Change, ChangeId, Subject
from rules.outcomes import Verdict
from rules.reasons import Reason
from tests.builders import a_change, an_outcome
from tests.district import HIDDEN_SCORE, MOTHER, UNIT_TEST, District, build, scored
from tests.engine.sources.sis import OWNER, Mark, Program, connect

SHOW = f"UPDATE assignment SET released = TRUE WHERE assignment_id = {UNIT_TEST}"
HIDE = f"UPDATE assignment SET released = FALSE WHERE assignment_id = {UNIT_TEST}"
DELETE = f"DELETE FROM score WHERE score_id = {HIDDEN_SCORE}"


def score(points: int) -> str:
    return f"UPDATE score SET points = {points} WHERE score_id = {HIDDEN_SCORE}"


@dataclass
class School:
    """A district whose SIS is captured, and two programs that write to it at once."""

    district: District
    outbox: Any
    first: Program
    second: Program

    def relayed(self) -> list[Change]:
        """What was committed since, as the relay hands it on."""
        found: list[Change] = []
        while some := self.outbox.read(100):
            found += some
            self.outbox.mark_relayed(some)
        return found

    def told(self) -> list[str]:
        """What the mother's phone shows of what was committed since, in the order of its texts."""
        return to_mother(self.district, self.district.evaluate(*self.relayed()))


@pytest.fixture
def school(postgres_url: str) -> Iterator[School]:
    build(postgres_url)
    district = District(postgres_url)
    district.sis("DELETE FROM score WHERE score_id = 93")  # of a sibling with the same phone
    district.clock.now = datetime.now(UTC)
    database = district.database
    Capture(database, district.source.definition, OWNER).install()
    outbox = database.dialect.outbox(database, OWNER, "reference", Mark())
    assert outbox.acquire()
    first, second = Program(connect(postgres_url)), Program(connect(postgres_url))
    yield School(district, outbox, first, second)
    first.connection.close()
    second.connection.close()
    outbox.release()
    database.close()


def to_mother(district: District, pushes: Sequence[Push]) -> list[str]:
    return [push.body for push in pushes if push.device_id == district.devices()[MOTHER]]


def test_a_score_that_is_committed_after_its_release_was_told_is_told(school: School) -> None:
    school.first.begin()
    school.first.write(score(70))
    school.second.write(SHOW)
    assert school.told() == ["Ada obtuvo 60/100."]

    school.first.commit()

    assert school.told() == ["Ada obtuvo 70/100 (antes 60/100)."]


def test_a_release_that_is_committed_after_its_score_was_decided_is_told(school: School) -> None:
    """Nobody was told of the score, for nobody could see it."""
    school.first.begin()
    school.first.write(SHOW)
    school.second.write(score(70))
    assert school.told() == []

    school.first.commit()

    assert school.told() == ["Ada obtuvo 70/100."]


def test_a_score_that_is_deleted_while_its_release_is_told_is_withdrawn(school: School) -> None:
    definition = school.district.source.definition
    watches = tuple(
        msgspec.structs.replace(one, deleted="withdrawn") if one.name == "score" else one
        for one in definition.watch
    )
    school.district.speak(msgspec.structs.replace(definition, watch=watches))
    school.first.begin()
    school.first.write(DELETE)
    school.second.write(SHOW)
    assert school.told() == ["Ada obtuvo 60/100."]

    school.first.commit()

    [withdrawn] = school.told()
    assert withdrawn.startswith("Corrección")


def test_a_release_that_is_taken_back_after_its_score_was_told_hides_it(school: School) -> None:
    """What was told is not tried again while families may not see it."""
    school.second.write(SHOW)
    school.told()
    school.first.begin()
    school.first.write(HIDE)
    school.second.write(score(70))
    told = school.district.evaluate(*school.relayed())
    assert to_mother(school.district, told) == ["Ada obtuvo 70/100 (antes 60/100)."]
    defer(school.district, told)

    school.first.commit()

    assert school.told() == []
    assert school.district.due() == []


def test_a_score_that_comes_late_and_was_told_by_its_release_says_nothing_new(
    school: School,
) -> None:
    """It was committed first: only its way through another partition was longer."""
    school.first.write(score(70))
    school.second.write(SHOW)
    entered, release = school.relayed()
    assert to_mother(school.district, school.district.evaluate(release)) == ["Ada obtuvo 70/100."]

    assert school.district.evaluate(entered) == []
    assert school.district.reasons(entered)[MOTHER] is Reason.SUPERSEDED


def test_what_the_release_told_is_not_tried_again_after_a_score_that_came_later(
    school: School,
) -> None:
    school.first.begin()
    school.first.write(score(70))
    school.second.write(SHOW)
    first = school.district.evaluate(*school.relayed())
    school.first.commit()
    second = school.district.evaluate(*school.relayed())
    assert min(push.position for push in second) > max(push.position for push in first)

    defer(school.district, first)

    assert school.district.due() == []


def defer(district: District, pushes: Sequence[Push]) -> None:
    now = district.clock()
    district.record(
        [an_outcome(one, Verdict.DEFERRED, reason="UNAVAILABLE", at=now) for one in pushes]
    )
    district.clock.forward(timedelta(minutes=2))


# Two evaluates, of which one has asked the SIS before the other decides


@dataclass
class Meanwhile:
    """A source that lets something happen once, between what it said and what is made of it."""

    real: Source
    happens: list[Callable[[], object]]

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    def find(
        self, changes: Sequence[Change], as_now: Collection[ChangeId] = ()
    ) -> Sequence[Subject]:
        found = self.real.find(changes, as_now)
        if self.happens:
            self.happens.pop()()
        return found


def test_a_release_that_asked_the_sis_before_a_later_score_was_told_does_not_tell_the_older(
    district: District,
) -> None:
    district.sis("DELETE FROM score WHERE score_id = 93")
    release = replaced(district.release(), 2)
    entered = scored(60, 70, HIDDEN_SCORE, position=1)
    told: list[str] = []

    def another_evaluate() -> None:
        district.sis(score(70))
        told.extend(to_mother(district, district.evaluate(entered)))

    source = Meanwhile(district.source, [another_evaluate])

    pushes = district.evaluate(release, source=source)  # type: ignore[arg-type]

    assert told == ["Ada obtuvo 70/100 (antes 60/100)."]
    assert to_mother(district, pushes) == []
    assert district.reasons(release)[MOTHER] is Reason.ALREADY_TOLD


def test_a_sis_of_which_others_decide_each_time_is_given_up_for_now(district: District) -> None:
    """Nothing is stored, so the broker delivers it again."""
    release = replaced(district.release(), 1_000)
    points = iter(range(20, 90))

    def another_evaluate() -> None:
        before = next(points)
        district.sis(score(before + 1))
        district.evaluate(scored(before, before + 1, HIDDEN_SCORE, position=before))

    source = Meanwhile(district.source, [another_evaluate] * 60)

    with pytest.raises(Unavailable):
        district.evaluate(release, source=source)  # type: ignore[arg-type]

    assert district.reasons(release) == {}


def replaced(change: Change, position: int) -> Change:
    """The same at a position of its own."""
    return a_change(change.watch, change.key, change.before, change.after, position=position)


def test_a_change_at_the_position_to_which_another_was_raised_is_above_it(
    district: District,
) -> None:
    """On SQLite positions are counted one by one."""
    district.sis("DELETE FROM score WHERE score_id = 93")
    release = replaced(district.release(), 5)
    district.evaluate(scored(50, 60, HIDDEN_SCORE, position=6))
    district.sis(score(70))
    first = district.evaluate(release)
    district.sis(score(80))

    second = district.evaluate(scored(70, 80, HIDDEN_SCORE, position=7))
    third = district.evaluate(scored(80, 90, HIDDEN_SCORE, position=8))

    positions = [{push.position for push in pushes} for pushes in (first, second, third)]
    assert positions == [{7}, {8}, {9}]
