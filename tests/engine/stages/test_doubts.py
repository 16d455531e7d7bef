"""Rights that nobody could read: nobody is told because of them, and nothing is lost."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from engine.errors import ConfigError
from engine.ports import DIRECTORY_ALARM, UNREAD, Queue
from engine.runtime.alarms import Alarms
from engine.runtime.directory import SisDirectory
from engine.runtime.jobs import parked_changes, retry_parked, sync_or_report
from engine.services import why
from engine.show.why import show_answers
from engine.sources.definition import Query
from engine.sources.loading import load
from engine.store.ledger import SqlLedger
from engine.store.tables import due
from engine.wire.messages import Changes, decode
from rules.change import Change, PersonId, StudentId
from rules.outcomes import Verdict
from rules.reasons import Reason
from tests.builders import TODAY, a_change, an_outcome
from tests.district import (
    ADA,
    BEN,
    CHENS_SCORE,
    FATHER,
    MIDDLE_SCHOOL,
    MOTHER,
    District,
    paid,
    scored,
)
from tests.fakes import FakeBroker

REFERENCE = load("reference")
GONE = Query(query="SELECT no_such_column FROM guardian")


def breaks(district: District, part: str = "rights") -> None:
    """An upgrade of the SIS renames a column."""
    parts = replace(REFERENCE.directory, **{part: GONE})
    district.speak(replace(REFERENCE, directory=parts))


def court_order(district: District) -> Change:
    district.sis("UPDATE guardian SET restricted = TRUE WHERE guardian_id = 3")
    row = {"student_id": 41, "person_id": 35, "restricted": False}
    return a_change("guardian", "3", row, {**row, "restricted": True})


def synced(district: District) -> Sequence[Change]:
    """What is published again when schedule reads the directory."""
    broker = FakeBroker()
    sync_or_report(
        district.directory,
        Alarms(district.database, district.clock),
        lambda: retry_parked(broker, parked_changes(district.database)),
    )
    bodies = broker.made.bodies(Queue.CHANGES)
    return [change for body in bodies for change in decode(body, Changes).items]


def unread(district: District) -> bool:
    return (DIRECTORY_ALARM, UNREAD) in {(one.kind, one.subject) for one in district.alarms()}


def test_nobody_hears_of_a_student_of_whom_a_court_order_could_not_be_read(
    district: District,
) -> None:
    breaks(district)
    order, score, neighbour = court_order(district), scored(9, 17), scored(5, 9, "93")
    district.sis("UPDATE assignment SET released = TRUE")

    district.evaluate(order, score, neighbour)

    assert set(district.parked()) == {order.id, score.id}
    assert district.reasons(neighbour)[MOTHER] is Reason.TOLD
    assert unread(district)


def test_a_later_batch_does_not_forget_it(district: District) -> None:
    breaks(district)
    district.evaluate(court_order(district))
    score = scored(9, 17)

    district.evaluate(score)

    assert score.id in district.parked()


def test_why_says_that_the_change_waits(district: District) -> None:
    breaks(district)
    score = scored(9, 17)
    district.evaluate(court_order(district), score)

    with pytest.raises(Exception, match="The change is parked: A change of the rights"):
        why.of_change(district.database, StudentId(ADA), PersonId(FATHER), score.id)


def test_why_says_that_whatever_comes_now_waits(
    district: District, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown(student: str) -> str:
        who, now = (StudentId(student), PersonId(MOTHER)), district.clock()
        answers = why.whole(district.database, *who, now, TODAY)
        show_answers(*answers, waits=why.waits(district.database, who[0], now, timedelta(days=1)))
        return capsys.readouterr().out

    breaks(district)
    district.evaluate(court_order(district))

    assert "Whatever changes about this student now waits" in shown(ADA)
    assert "waits" not in shown(BEN)

    district.speak(REFERENCE)
    synced(district)
    assert "waits" not in shown(ADA)


def test_when_it_can_be_read_the_order_is_in_force_and_the_others_hear(district: District) -> None:
    breaks(district)
    score = scored(9, 17)
    district.evaluate(court_order(district), score)
    assert synced(district) == []
    district.speak(REFERENCE)

    district.evaluate(*synced(district))

    assert district.parked() == []
    assert district.reasons(score)[FATHER] is Reason.RESTRICTED
    assert district.reasons(score)[MOTHER] is Reason.TOLD
    assert not unread(district)


def test_a_person_who_could_not_be_read_casts_doubt_on_their_students_alone(
    district: District,
) -> None:
    breaks(district, "people")
    row = {"first_name": "Mark", "last_name": "Reyes", "language": "en"}
    of_father, of_mother = scored(9, 12, CHENS_SCORE), scored(5, 9, "93")
    district.sis("UPDATE assignment SET released = TRUE")

    district.evaluate(a_change("person", FATHER, row, None), of_father, of_mother)

    assert of_father.id in district.parked()
    assert district.reasons(of_mother)[MOTHER] is Reason.TOLD


def test_a_calendar_that_could_not_be_read_casts_no_doubt_on_rights(district: District) -> None:
    breaks(district, "calendars")
    row = {"school_id": int(MIDDLE_SCHOOL), "school_year_id": 2}
    score = scored(9, 17)

    district.evaluate(a_change("calendar", "13", row, row), score)

    assert district.reasons(score)[FATHER] is Reason.TOLD


# What was decided before


def deferred(district: District) -> Sequence[str]:
    """The phones that a score is to be tried again on."""
    pushes = district.evaluate(scored(9, 17))
    now = district.clock()
    district.record(
        [an_outcome(one, Verdict.DEFERRED, reason="UNAVAILABLE", at=now) for one in pushes]
    )
    district.clock.forward(timedelta(minutes=2))
    return sorted(push.device_id for push in pushes)


def test_a_further_try_waits_until_the_order_can_be_read(district: District) -> None:
    phones = deferred(district)
    breaks(district)
    district.evaluate(court_order(district))

    assert district.due() == []
    assert unread(district)

    district.speak(REFERENCE)
    synced(district)
    district.clock.forward(timedelta(minutes=1))
    assert sorted(push.device_id for push in district.due()) == sorted(
        set(phones) - {district.devices()[FATHER]}
    )


def test_a_further_try_that_waited_for_too_long_ends(district: District) -> None:
    deferred(district)
    breaks(district)
    district.evaluate(court_order(district))
    district.due()
    district.clock.forward(timedelta(days=2))

    assert district.due() == []
    assert district.count(due) == 0


def test_what_is_told_apart_waits_too(district: District) -> None:
    district.evaluate(district.release())
    breaks(district, "people")
    row = {"first_name": "Lucía", "last_name": "Reyes", "language": "es-MX"}
    district.evaluate(a_change("person", MOTHER, row, row))
    district.clock.forward(timedelta(seconds=1))
    assert district.due() == []

    district.speak(REFERENCE)
    synced(district)
    district.clock.forward(timedelta(minutes=1))

    assert [push.device_id for push in district.due()] == [district.devices()[MOTHER]]


def test_a_change_that_comes_again_is_not_published_meanwhile(district: District) -> None:
    """Evaluate was killed before it published what it had stored."""
    score = scored(9, 17)
    assert district.evaluate(score)
    breaks(district)
    district.evaluate(court_order(district))

    assert district.evaluate(score) == []


def test_a_further_try_waits_for_a_directory_that_nobody_could_read_for_a_day(
    district: District,
) -> None:
    trusted = timedelta(hours=1)
    database, zone = district.database, district.settings.timezone
    district.ledger = SqlLedger(database, zone, trusted=trusted)
    district.directory = SisDirectory(database, district.source, district.clock, trusted=trusted)
    district.directory.sync()
    deferred(district)
    district.clock.forward(timedelta(hours=1))

    assert district.due() == []

    district.directory.sync()
    district.clock.forward(timedelta(minutes=1))
    assert district.due()


# For too long


def test_a_directory_that_could_not_be_read_for_a_day_is_not_believed(district: District) -> None:
    district.directory.sync()
    breaks(district)
    district.clock.forward(timedelta(hours=23))
    early = scored(9, 17)
    district.evaluate(early)
    district.clock.forward(timedelta(hours=2))
    late = [scored(17, 18), paid()]

    district.evaluate(*late)

    assert district.reasons(early)[FATHER] is Reason.TOLD
    assert set(district.parked()) == {one.id for one in late}
    assert unread(district)


def test_a_full_read_makes_good_what_waited(district: District) -> None:
    district.directory.sync()
    breaks(district)
    district.clock.forward(timedelta(hours=25))
    late = paid()
    district.evaluate(late)
    district.speak(REFERENCE)

    district.evaluate(*synced(district))

    assert district.reasons(late)[MOTHER] in {Reason.TOLD, Reason.TOO_LATE}
    assert not unread(district)


def test_after_a_weekend_without_an_answer_the_sis_is_asked_first(district: District) -> None:
    """Nothing is wrong with the queries: schedule was only not there to read the directory."""
    district.directory.sync()
    district.clock.forward(timedelta(hours=60))
    change = scored(9, 17, at=district.clock())

    district.evaluate(change)

    assert district.reasons(change)[FATHER] is Reason.TOLD


def test_a_full_read_that_failed_is_not_tried_with_each_batch(district: District) -> None:
    district.directory.sync()
    breaks(district)
    district.clock.forward(timedelta(hours=25))
    tries: list[int] = []
    whole = district.directory.sync

    def counted() -> None:
        tries.append(1)
        whole()

    district.directory.sync = counted  # type: ignore[method-assign, assignment]
    for _ in range(3):
        district.evaluate(paid())

    assert len(tries) == 1
    with pytest.raises(ConfigError):
        whole()
