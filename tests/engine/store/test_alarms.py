"""Alarms: a problem that comes again counts up, and one that is mended goes."""

from datetime import timedelta

from engine.store import alarms
from engine.store.alarms import Alarm
from tests.builders import NOW
from tests.district import District

LATER = NOW + timedelta(hours=1)


def report(
    district: District, subject: str, problem: str = "It is broken.", at: object = NOW
) -> None:
    district.app(alarms.report, "gateway", subject, problem, "Mend it.", at)


def test_a_problem_is_kept_with_its_remedy(district: District) -> None:
    report(district, "fcm")

    assert district.alarms() == [Alarm("gateway", "fcm", "It is broken.", "Mend it.", 1, NOW, NOW)]


def test_the_same_problem_again_counts_up_and_keeps_when_it_began(district: District) -> None:
    report(district, "fcm")
    report(district, "fcm", "It is still broken.", LATER)

    (alarm,) = district.alarms()
    assert (alarm.times, alarm.first_at, alarm.last_at) == (2, NOW, LATER)
    assert alarm.problem == "It is still broken."


def test_problems_of_two_subjects_are_two(district: District) -> None:
    report(district, "fcm")
    report(district, "apns")

    assert {alarm.subject for alarm in district.alarms()} == {"fcm", "apns"}


def test_the_newest_come_first_and_no_more_than_asked_for(district: District) -> None:
    for minutes, subject in enumerate(("first", "second", "third")):
        report(district, subject, at=NOW + timedelta(minutes=minutes))

    newest = district.read(alarms.current, LATER, 2)

    assert [alarm.subject for alarm in newest] == ["third", "second"]


def test_whether_a_problem_is_new_is_told(district: District) -> None:
    def tell() -> bool:
        found: bool = district.app(alarms.report, "gateway", "fcm", "Broken.", "Mend it.", NOW)
        return found

    assert [tell(), tell()] == [True, False]


def test_what_was_not_reported_for_a_day_is_over_and_forgotten(district: District) -> None:
    report(district, "fcm", at=NOW)
    report(district, "apns", at=LATER)

    shown = district.read(alarms.current, LATER + alarms.OVER_AFTER, 9)
    district.app(alarms.forget, LATER + alarms.OVER_AFTER)

    assert [alarm.subject for alarm in shown] == ["apns"]
    assert [alarm.subject for alarm in district.alarms()] == ["apns"]


def test_a_mended_problem_goes_and_the_others_stay(district: District) -> None:
    report(district, "fcm")
    report(district, "apns")

    district.app(alarms.resolve, "gateway", "fcm")

    assert [alarm.subject for alarm in district.alarms()] == ["apns"]


def test_what_was_never_reported_may_be_resolved(district: District) -> None:
    district.app(alarms.resolve, "gateway", "fcm")

    assert district.alarms() == []
