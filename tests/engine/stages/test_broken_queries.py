"""An upgrade of the SIS breaks a query: what that query does not concern goes on."""

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from engine.ports import PARKED_ALARM, SOURCE_ALARM, Queue
from engine.runtime.alarms import Alarms
from engine.runtime.jobs import check_source, retry_parked
from engine.sources.definition import Definition, Query
from engine.sources.loading import load
from engine.wire.messages import Changes, decode
from rules.change import Change
from rules.reasons import Reason
from tests.builders import a_change
from tests.district import FATHER, GRADE, District, marked, paid, scored
from tests.fakes import FakeBroker

REFERENCE = load("reference")
GONE = Query(query="SELECT no_such_column FROM score")
Break = Callable[[Definition], Definition]


def facts_of_scores(definition: Definition) -> Definition:
    return replace(definition, facts={**definition.facts, "assignment": GONE})


def labels_of_attendance(definition: Definition) -> Definition:
    return replace(definition, labels={**definition.labels, "attendance_code": GONE})


def rights(definition: Definition) -> Definition:
    return replace(definition, directory=replace(definition.directory, rights=GONE))


def guardian() -> Change:
    """A court order arrives."""
    row = {"student_id": 41, "person_id": 35, "restricted": False}
    return a_change("guardian", "3", row, {**row, "restricted": True})


def graded() -> Change:
    before = {"percent": 88, "mark": "B+", "posted": True}
    return a_change("grade", GRADE, before, {**before, "percent": 91.5, "mark": "A-"})


BROKEN = [
    pytest.param(facts_of_scores, scored(9, 17), "[facts.assignment]", id="facts"),
    pytest.param(labels_of_attendance, marked(), "[labels.attendance_code]", id="labels"),
    pytest.param(rights, guardian(), "[directory.rights]", id="directory"),
]


def alarms(district: District, kind: str) -> Sequence[str]:
    return [alarm.subject for alarm in district.alarms() if alarm.kind == kind]


@pytest.mark.parametrize(("breaks", "caught", "query"), BROKEN)
def test_the_changes_of_its_watch_are_parked_and_the_others_are_told(
    district: District, breaks: Break, caught: Change, query: str
) -> None:
    district.speak(breaks(REFERENCE))
    neighbours = [paid(), graded()]

    district.evaluate(neighbours[0], caught, neighbours[1])

    assert district.parked() == [caught.id]
    assert [district.reasons(one)[FATHER] for one in neighbours] == [Reason.TOLD, Reason.TOLD]
    assert alarms(district, SOURCE_ALARM) == [query]
    assert alarms(district, PARKED_ALARM) == [caught.watch]


@pytest.mark.parametrize(("breaks", "caught", "query"), BROKEN)
def test_once_it_is_mended_they_are_tried_again_and_the_alarm_is_over(
    district: District, breaks: Break, caught: Change, query: str
) -> None:
    district.speak(breaks(REFERENCE))
    district.evaluate(caught)
    assert alarms(district, SOURCE_ALARM) == [query]
    district.speak(REFERENCE)

    district.evaluate(*mended(district))

    assert district.parked() == []
    assert district.alarms() == []


@pytest.mark.parametrize(("breaks", "caught", "query"), BROKEN)
def test_nothing_is_tried_again_while_it_is_broken(
    district: District, breaks: Break, caught: Change, query: str
) -> None:
    district.speak(breaks(REFERENCE))
    district.evaluate(caught)

    assert mended(district) == []
    assert alarms(district, SOURCE_ALARM) == [query]


def test_a_query_that_nobody_needed_yet_is_an_alarm_too(district: District) -> None:
    district.speak(facts_of_scores(REFERENCE))

    mended(district)

    assert alarms(district, SOURCE_ALARM) == ["[facts.assignment]"]


def test_the_court_order_is_in_force_when_the_query_is_mended(district: District) -> None:
    district.speak(rights(REFERENCE))
    district.sis("UPDATE guardian SET restricted = TRUE WHERE guardian_id = 3")
    district.evaluate(guardian())
    district.speak(REFERENCE)
    district.evaluate(*mended(district))

    change = scored(9, 17)
    district.evaluate(change)

    assert district.reasons(change)[FATHER] is Reason.RESTRICTED


def mended(district: District) -> Sequence[Change]:
    """What is published again when schedule looks at the queries."""
    broker = FakeBroker()
    check_source(
        district.source,
        Alarms(district.database, district.clock),
        lambda: retry_parked(district.database, broker),
    )
    bodies = broker.made.bodies(Queue.CHANGES)
    return [change for body in bodies for change in decode(body, Changes).items]
