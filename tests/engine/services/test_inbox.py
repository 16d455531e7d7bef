"""The inbox: what a person was told; unseen and unread are two things."""

from datetime import timedelta

import pytest

from engine.errors import SchoolbellError
from engine.services import inbox as service
from engine.services.inbox import Inbox
from engine.store.tables import inbox_reads
from rules.change import Kind, PersonId
from rules.notification import NotificationId
from rules.wording import Wording
from tests.builders import NOW
from tests.district import (
    ADA_HERSELF,
    FATHER,
    GRANDMOTHER,
    MOTHER,
    District,
    marked,
    paid,
    scored,
    subscribe,
)
from tests.engine.stages.test_release import hold, later


def inbox(district: District, person: str = MOTHER, limit: int = 50) -> Inbox:
    return service.inbox(district.database, Wording(), PersonId(person), district.clock.now, limit)


def titles(found: Inbox) -> list[str]:
    return [entry.title for entry in found.entries]


def test_what_a_person_was_told_is_there_newest_first(district: District) -> None:
    for change in (scored(9, 17), marked(), paid()):
        district.evaluate(change)
        district.clock.forward(timedelta(minutes=1))

    assert [entry.kind for entry in inbox(district).entries] == [
        Kind.MEAL_BALANCE,
        Kind.ATTENDANCE,
        Kind.ASSIGNMENT,
    ]
    assert len(inbox(district, limit=2).entries) == 2


def test_it_is_in_the_language_that_the_person_reads_now(district: District) -> None:
    district.evaluate(marked())
    in_spanish = titles(inbox(district))
    district.sis("UPDATE schoolbell_people SET language = 'en' WHERE id = '34'")

    assert (in_spanish, titles(inbox(district))) == (["Asistencia: Ada"], ["Attendance: Ada"])


def test_who_was_not_told_has_nothing(district: District) -> None:
    district.evaluate(scored(9, 17))

    assert inbox(district, GRANDMOTHER) == Inbox([], 0)


def test_a_person_finds_what_they_were_told_although_the_relation_ended(
    district: District,
) -> None:
    district.evaluate(scored(9, 17))
    district.sis("DELETE FROM schoolbell_rights WHERE person_id = '34'")

    assert titles(inbox(district)) == ["Biology 9: Quiz 1"]


def test_what_was_held_is_there_once_it_is_told(district: District) -> None:
    hold(district, scored(9, 17))
    before = titles(inbox(district))
    later(district)

    assert (before, titles(inbox(district))) == ([], ["Biology 9: Quiz 1"])


def test_looking_marks_nothing(district: District) -> None:
    district.evaluate(scored(9, 17))
    inbox(district)

    assert inbox(district).unseen == 1


def test_what_was_there_when_the_list_was_seen_is_seen_and_what_comes_is_new(
    district: District,
) -> None:
    district.evaluate(scored(9, 17))
    service.mark_seen(district.database, PersonId(MOTHER), district.clock.now)
    district.clock.forward(timedelta(minutes=1))
    district.evaluate(marked())

    assert [entry.seen for entry in inbox(district).entries] == [False, True]
    assert inbox(district).unseen == 1
    assert inbox(district, ADA_HERSELF).unseen == 2


def test_what_is_seen_is_not_read(district: District) -> None:
    district.evaluate(scored(9, 17), marked())
    service.mark_seen(district.database, PersonId(MOTHER), district.clock.now)
    (first, _) = inbox(district).entries
    for _ in range(2):
        service.mark_read(district.database, PersonId(MOTHER), [NotificationId(first.id)], NOW)

    assert [entry.read for entry in inbox(district).entries] == [True, False]


def test_where_the_words_are_gone_the_entry_says_so(district: District) -> None:
    district.evaluate(scored(9, 17))
    district.sis("DELETE FROM schoolbell_facts")

    assert titles(inbox(district)) == [service.NO_WORDS]


@pytest.mark.parametrize("limit", [0, -1, 1_001, 10**30])
def test_as_many_entries_as_nobody_reads_are_not_shown(district: District, limit: int) -> None:
    with pytest.raises(SchoolbellError, match="cannot be shown"):
        inbox(district, limit=limit)


def test_only_what_a_person_was_told_is_noted_as_read(district: District) -> None:
    district.evaluate(scored(9, 17))
    (entry,) = inbox(district).entries
    before = district.count(inbox_reads)

    for person, which in (
        (GRANDMOTHER, entry.id),
        (MOTHER, NotificationId(f"{entry.id}0")),
        (MOTHER, NotificationId("what\ud800ever")),
        (MOTHER, NotificationId("")),
        (MOTHER, NotificationId("00000000-0000-0000-0000-000000000000.41")),
    ):
        with pytest.raises(SchoolbellError, match="was not told"):
            service.mark_read(district.database, PersonId(person), [which], NOW)

    assert district.count(inbox_reads) == before
    service.mark_read(district.database, PersonId(MOTHER), [entry.id], NOW)
    assert [one.read for one in inbox(district).entries] == [True]


def test_an_entry_says_below_which_threshold_the_value_fell(district: District) -> None:
    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="80 70 50")
    district.evaluate(scored(16, 11.4))

    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="95")  # what is chosen later changes nothing
    (hers,), (his,) = (inbox(district, one).entries for one in (MOTHER, FATHER))

    assert (hers.because, his.because) == ("below 70 %: 57 %", "")


def test_an_amount_of_money_is_written_as_one(district: District) -> None:
    subscribe(district, MOTHER, Kind.MEAL_BALANCE, below="5")
    district.evaluate(paid(before=6, after=-1.5))

    assert inbox(district).entries[0].because == "below $5.00: -$1.50"


def test_what_was_held_says_below_which_threshold_it_fell(district: District) -> None:
    subscribe(district, MOTHER, Kind.ASSIGNMENT, below="70")
    hold(district, scored(16, 11))
    later(district)

    assert inbox(district).entries[0].because == "below 70 %: 55 %"
