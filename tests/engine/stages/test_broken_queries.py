"""A query breaks, or becomes very slow: what that query does not concern goes on."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, event, text

from engine.errors import SlowQuery
from engine.ports import PARKED_ALARM, SOURCE_ALARM, Queue
from engine.runtime.alarms import Alarms
from engine.runtime.jobs import check_source, parked_changes, retry_parked
from engine.sources.definition import Definition, Query
from engine.sources.loading import load
from engine.sources.patience import Patience
from engine.wire.messages import Changes, decode
from rules.change import Change
from rules.reasons import Reason
from tests.builders import a_change
from tests.district import BENS_HIDDEN_SCORE, FATHER, GRADE, MOTHER, District, marked, paid, scored
from tests.fakes import FakeBroker

REFERENCE = load("reference")
GONE = Query(query="SELECT no_such_column FROM score")
Break = Callable[[Definition], Definition]
# Minutes on either database, and nothing where no row is asked for.
MINUTES = (
    "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000)"
    " SELECT count(*) FROM n) > 0"
)


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


@pytest.mark.parametrize(("breaks", "caught", "query"), BROKEN[:2])
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
        lambda: parked_changes(district.database),
        lambda changes: retry_parked(broker, changes),
    )
    bodies = broker.made.bodies(Queue.CHANGES)
    return [change for body in bodies for change in decode(body, Changes).items]


# Slow ones


def slow(query: Query) -> Query:
    return replace(query, query=f"SELECT * FROM ({query.query}) s WHERE {MINUTES}", timeout=0.2)


def slow_facts(definition: Definition) -> Definition:
    facts = definition.facts
    return replace(definition, facts={**facts, "assignment": slow(facts["assignment"])})


def slow_labels(definition: Definition) -> Definition:
    labels = definition.labels
    return replace(
        definition, labels={**labels, "attendance_code": slow(labels["attendance_code"])}
    )


def slow_rights(definition: Definition) -> Definition:
    parts = definition.directory
    return replace(definition, directory=replace(parts, rights=slow(parts.rights)))


SLOW = [
    pytest.param(slow_facts, scored(9, 17), "[facts.assignment]", id="facts"),
    pytest.param(slow_labels, marked(), "[labels.attendance_code]", id="labels"),
    pytest.param(slow_rights, guardian(), "[directory.rights]", id="directory"),
]


@pytest.mark.parametrize("part", [rights, slow_rights])
def test_of_rights_that_cannot_be_read_other_students_know_nothing(
    district: District, part: Break
) -> None:
    district.sis("UPDATE assignment SET released = TRUE")
    district.speak(part(REFERENCE))
    caught, of_ben = guardian(), scored(40, 55, BENS_HIDDEN_SCORE)

    district.evaluate(caught, of_ben)

    assert district.parked() == [caught.id]
    assert district.reasons(of_ben)[MOTHER] is Reason.TOLD
    assert alarms(district, SOURCE_ALARM) == ["[directory.rights]"]


@pytest.mark.parametrize(("slows", "caught", "query"), SLOW[:2])
def test_a_slow_query_holds_up_its_own_changes_alone(
    district: District, slows: Break, caught: Change, query: str
) -> None:
    district.speak(slows(REFERENCE))
    neighbours = [paid(), graded()]

    district.evaluate(neighbours[0], caught, neighbours[1])

    assert district.parked() == [caught.id]
    assert [district.reasons(one)[FATHER] for one in neighbours] == [Reason.TOLD, Reason.TOLD]
    assert alarms(district, SOURCE_ALARM) == [query]


@pytest.mark.parametrize(("slows", "caught", "query"), SLOW)
def test_once_it_is_quick_again_they_are_tried_again(
    district: District, slows: Break, caught: Change, query: str
) -> None:
    district.speak(slows(REFERENCE))
    district.evaluate(caught)
    assert mended(district) == []
    assert alarms(district, SOURCE_ALARM) == [query]
    district.speak(REFERENCE)

    district.evaluate(*mended(district))

    assert district.parked() == []
    assert district.alarms() == []


def test_a_query_that_was_slow_is_not_asked_again_with_each_batch(district: District) -> None:
    district.speak(slow_facts(REFERENCE))
    district.evaluate(scored(9, 17))
    asked: list[str] = []

    @event.listens_for(district.database.engine, "before_cursor_execute")
    def note(*of: object) -> None:
        asked.append(str(of[2]))

    district.evaluate(scored(17, 18))

    assert len(district.parked()) == 2
    assert not any("RECURSIVE" in statement for statement in asked)


def test_a_slow_query_is_left_alone_for_longer_and_longer(district: District) -> None:
    clock = [0.0]
    patience = Patience(lambda: clock[0])
    query = slow(REFERENCE.facts["assignment"])
    asked: list[float] = []

    def ask(connection: Connection) -> None:
        with patience.asking(district.database, connection, "[facts.assignment]", query):
            asked.append(clock[0])
            connection.execute(text(query.query)).all()

    while clock[0] < 1000:
        with district.database.limited() as connection, suppress(SlowQuery):
            ask(connection)
        clock[0] += 20

    assert asked == [0, 60, 180, 420, 720]


def test_a_limit_ends_with_the_query(district: District) -> None:
    """The next program of ours that has the connection may take its time."""
    dialect = district.database.dialect
    with district.database.limited() as connection:
        dialect.limit(connection, 0.05)
    with district.database.read() as connection:
        much = MINUTES.replace("300000000", "200000")
        assert connection.execute(text(f"SELECT {much}")).scalar_one()
