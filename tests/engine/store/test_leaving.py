"""Who leaves the directory is signed out, and a number that comes back is nobody's session."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from engine.errors import Unprocessable
from engine.ports import DIRECTORY_ALARM
from engine.services import inbox as inboxes
from engine.services import people, why
from engine.sources.definition import Query
from engine.sources.loading import load
from engine.store import app, missing
from engine.store.directory import is_in_step
from engine.store.tables import accounts, sessions, subscriptions
from engine.wire.messages import Token
from rules.change import Change, Kind, PersonId, StudentId
from rules.reasons import Reason
from rules.wording import Wording
from tests.builders import a_change
from tests.district import (
    ADA,
    ADA_HERSELF,
    BEN,
    BENS_HIDDEN_SCORE,
    CHEN,
    FATHER,
    KEYRING,
    MOTHER,
    TOKENS,
    District,
    scored,
)

PEOPLE = "first_name, last_name, language"
LEAVE = "UPDATE guardian SET person_id = 39 WHERE person_id = 35"
CROWD = 60


def leaves(district: District, person: str = FATHER) -> None:
    """The school deletes the person, and every relation of theirs."""
    district.sis(f"DELETE FROM guardian WHERE person_id = {person}")
    district.sis(f"DELETE FROM person WHERE person_id = {person}")


def comes(district: District, person: str = FATHER, name: str = "Olga") -> None:
    """The school gives the number to somebody else, who is a guardian of the same student."""
    district.sis(
        f"INSERT INTO person (person_id, {PEOPLE}) VALUES ({person}, '{name}', 'Novak', 'en')"
    )
    district.sis(
        "INSERT INTO guardian VALUES"
        f" (50, 41, {person}, 'guardian', TRUE, '2024-08-01', NULL, FALSE)"
    )


def a_person(key: str, *, gone: bool = False) -> Change:
    row = {"first_name": "Mark", "last_name": "Reyes", "language": "en"}
    return a_change("person", key, row if gone else None, None if gone else row)


def a_guardian(person: str) -> Change:
    return a_change("guardian", "50", None, {"student_id": 41, "person_id": int(person)})


def by_sync(district: District) -> None:
    leaves(district)
    district.directory.sync()
    comes(district)
    district.directory.sync()


def by_changes(district: District) -> None:
    leaves(district)
    district.directory.follow([a_person(FATHER, gone=True)])
    comes(district)
    district.directory.follow([a_person(FATHER), a_guardian(FATHER)])


def unseen(district: District) -> None:
    """Between two readings: nobody saw the number without a person."""
    leaves(district)
    comes(district)
    district.directory.sync()


WAYS = pytest.mark.parametrize("way", [by_sync, by_changes, unseen])


def inbox(district: District, person: str) -> list[str]:
    found = inboxes.inbox(district.database, Wording(), PersonId(person), district.clock.now)
    return [entry.title for entry in found.entries]


@WAYS
def test_the_phone_of_who_had_the_number_before_rings_no_more(district: District, way) -> None:  # type: ignore[no-untyped-def]
    first, second = scored(9, 17), scored(17, 18)
    district.evaluate(first)
    assert district.reasons(first)[FATHER] is Reason.TOLD

    way(district)
    pushes = district.evaluate(second)

    assert district.reasons(second)[FATHER] is Reason.NO_ACCOUNT
    assert len(pushes) == 2  # of the mother and Ada
    assert district.rows(select(sessions).where(sessions.c.person_id == FATHER)) == []
    assert district.rows(select(subscriptions).where(subscriptions.c.person_id == FATHER)) == []


@WAYS
def test_who_gets_the_number_has_an_inbox_of_their_own(district: District, way) -> None:  # type: ignore[no-untyped-def]
    district.evaluate(scored(9, 17))
    assert len(inbox(district, FATHER)) == 1
    way(district)
    assert inbox(district, FATHER) == []

    district.clock.forward(timedelta(minutes=5))
    token = Token("fcm_token", "token-of-olga:" + "x" * 140)
    people.sign_in(district.database, KEYRING, PersonId(FATHER), token, district.clock.now)
    people.subscribe(district.database, PersonId(FATHER), StudentId(ADA), Kind.ASSIGNMENT)
    district.evaluate(scored(17, 18))

    assert len(inbox(district, FATHER)) == 1


def test_a_retry_to_somebody_who_left_is_not_sent(district: District) -> None:
    change = scored(9, 17)
    district.evaluate(change)
    leaves(district)
    district.directory.sync()
    district.clock.forward(timedelta(minutes=20))
    district.plan_lost()

    assert {push.device_id for push in district.due()} == {
        device for person, device in district.devices().items() if person != FATHER
    }


def test_a_person_whose_name_changes_in_part_stays(district: District) -> None:
    district.sis("UPDATE person SET last_name = 'Berg' WHERE person_id = 35")
    district.directory.sync()
    district.sis("UPDATE person SET first_name = 'Berg', last_name = 'Mark' WHERE person_id = 35")
    district.directory.sync()

    assert district.count(accounts) == len(TOKENS)


def test_names_that_are_spelled_otherwise_everywhere_sign_nobody_out(district: District) -> None:
    numbers = range(100, 100 + CROWD)
    rows = ", ".join(f"({one}, 'A{one}', 'B{one}', 'en')" for one in numbers)
    district.sis(f"INSERT INTO person (person_id, {PEOPLE}) VALUES {rows}")
    district.directory.sync()
    district.sis("UPDATE person SET first_name = 'X' || first_name, last_name = 'Y' || last_name")

    district.directory.sync()

    assert district.count(accounts) == len(TOKENS)


def test_a_short_answer_signs_nobody_out(district: District) -> None:
    numbers = range(100, 100 + CROWD)
    rows = ", ".join(f"({one}, 'A{one}', 'B{one}', 'en')" for one in numbers)
    district.sis(f"INSERT INTO person (person_id, {PEOPLE}) VALUES {rows}")
    district.directory.sync()
    before = district.source.definition
    nobody = "SELECT person_id AS id, first_name, last_name, language FROM person WHERE 1 = 0"
    parts = replace(before.directory, people=Query(query=nobody))
    watches = tuple(
        replace(one, by=()) if one.name == "person" else one for one in before.directory_watch
    )
    district.speak(replace(before, directory=parts, directory_watch=watches))

    for read in (district.directory.sync, lambda: district.directory.follow([a_person(FATHER)])):
        with pytest.raises(Unprocessable):
            read()

    assert district.count(accounts) == len(TOKENS)


def student_leaves(district: District) -> None:
    for table in ("placement", "attendance", "posted_grade", "score", "guardian"):
        district.sis(f"DELETE FROM {table} WHERE student_id = 42")
    district.sis("DELETE FROM student WHERE student_id = 42")


def chosen(district: District) -> set[str]:
    rows = district.rows(select(subscriptions.c.student_id).distinct())
    return {student for (student,) in rows}


def later(district: District, days: float = 8) -> None:
    """Schedule forgets, after a full read."""
    district.clock.forward(timedelta(days=days))
    district.directory.sync()
    district.app(missing.forget, district.clock() - timedelta(days=7))


def test_what_was_chosen_about_a_student_goes_with_the_student(district: District) -> None:
    student_leaves(district)
    district.directory.sync()
    later(district)

    assert chosen(district) == {ADA, CHEN}


# A SIS that is half loaded


def half_loaded(district: District) -> None:
    """Some of the people are hidden."""
    leaves(district)
    district.directory.sync()


def loaded(district: District, name: str = "Mark", family: str = "Reyes") -> None:
    district.sis(
        f"INSERT INTO person (person_id, {PEOPLE}) VALUES (35, '{name}', '{family}', 'en')"
    )
    district.sis(
        "INSERT INTO guardian VALUES (3, 41, 35, 'father', TRUE, '2024-08-01', NULL, FALSE)"
    )
    district.directory.sync()


def test_who_is_hidden_for_a_while_is_told_nothing_and_stays_signed_in(district: District) -> None:
    first, hidden = scored(1, 9), scored(9, 17)
    district.evaluate(first)
    half_loaded(district)
    district.evaluate(hidden)
    assert FATHER not in district.reasons(hidden)
    assert inbox(district, FATHER) == []
    later(district, 6)

    loaded(district)
    after = scored(17, 18, at=district.clock())
    district.evaluate(after)

    assert district.reasons(after)[FATHER] is Reason.TOLD
    assert len(inbox(district, FATHER)) == 2


def test_who_is_missing_for_long_is_forgotten(district: District) -> None:
    half_loaded(district)
    later(district)
    assert district.rows(select(sessions).where(sessions.c.person_id == FATHER)) == []

    loaded(district)
    change = scored(9, 17)
    district.evaluate(change)

    assert district.reasons(change)[FATHER] is Reason.NO_ACCOUNT


@pytest.mark.parametrize(("name", "family"), [("Olga", "Reyes"), ("Mark", "Novak"), ("", "")])
def test_who_comes_with_another_name_has_nothing_of_it(
    district: District, name: str, family: str
) -> None:
    """A brother may get the number too: half a name is not enough."""
    half_loaded(district)
    loaded(district, name, family)

    assert district.rows(select(sessions).where(sessions.c.person_id == FATHER)) == []
    assert district.rows(select(subscriptions).where(subscriptions.c.person_id == FATHER)) == []


def test_nobody_is_forgotten_while_the_directory_cannot_be_read(district: District) -> None:
    half_loaded(district)
    district.clock.forward(timedelta(days=8))
    assert not district.read(is_in_step, district.clock())
    district.directory.sync()
    assert district.read(is_in_step, district.clock())


def test_many_who_are_missing_are_an_alarm_until_they_are_back(district: District) -> None:
    numbers = range(100, 100 + CROWD)
    rows = ", ".join(f"({one}, 'A{one}', 'B{one}', 'en')" for one in numbers)
    district.sis(f"INSERT INTO person (person_id, {PEOPLE}) VALUES {rows}")
    district.directory.sync()
    assert district.alarms() == []

    district.sis("DELETE FROM person WHERE person_id BETWEEN 100 AND 120")
    district.directory.sync()
    [alarm] = district.alarms()
    assert (alarm.kind, alarm.subject) == (DIRECTORY_ALARM, "missing")
    assert "Of 69 people the SIS does not list 21 any more" in alarm.problem

    back = ", ".join(f"({one}, 'A{one}', 'B{one}', 'en')" for one in range(100, 121))
    district.sis(f"INSERT INTO person (person_id, {PEOPLE}) VALUES {back}")
    district.directory.sync()
    assert district.alarms() == []


# A student's number that passes to another


def with_names(district: District) -> None:
    definition = load("reference")
    students = (
        "SELECT student.student_id AS id, CAST(NULL AS text) AS person_id, calendar.school_id,"
        " student.status = 'enrolled' AS enrolled, person.first_name, person.last_name FROM student"
        " JOIN calendar ON calendar.calendar_id = student.calendar_id"
        " JOIN person ON person.person_id = student.person_id"
    )
    parts = replace(definition.directory, students=Query(query=students))
    district.speak(replace(definition, directory=parts))
    district.directory.sync()


def account_renamed(district: District) -> None:
    district.sis("UPDATE person SET first_name = 'Tom', last_name = 'Hill' WHERE person_id = 32")
    district.directory.sync()


def another_account(district: District) -> None:
    district.sis("UPDATE student SET person_id = 39 WHERE student_id = 42")
    district.directory.sync()


def student_renamed(district: District) -> None:
    with_names(district)
    account_renamed(district)


@pytest.mark.parametrize("passes", [account_renamed, another_account, student_renamed])
def test_a_number_that_passes_to_another_student_keeps_no_choice(
    district: District, passes: Callable[[District], None]
) -> None:
    assert BEN in chosen(district)

    passes(district)

    assert chosen(district) == {ADA, CHEN}


def test_a_student_who_takes_another_family_name_keeps_what_was_chosen(
    district: District,
) -> None:
    district.sis("UPDATE person SET last_name = 'Hill' WHERE person_id = 32")
    district.directory.sync()

    assert chosen(district) == {ADA, BEN, CHEN}


def test_a_student_who_is_hidden_for_a_while_keeps_what_was_chosen(district: District) -> None:
    before = chosen(district)
    student_leaves(district)
    district.directory.sync()
    district.sis("INSERT INTO student VALUES (42, 32, 13, 51, 7, 'enrolled')")
    district.directory.sync()
    assert chosen(district) == before

    student_leaves(district)
    district.directory.sync()
    district.sis("INSERT INTO student VALUES (42, 39, 13, 51, 7, 'enrolled')")
    district.directory.sync()
    assert chosen(district) == {ADA, CHEN}


# The same person under another number


def with_stable_ids(district: District, people_: str, students: str) -> None:
    definition = load("reference")
    parts = replace(
        definition.directory,
        people=Query(query=f"SELECT person_id AS id, {PEOPLE}, {people_} AS stable_id FROM person"),
        students=Query(
            query="SELECT student.student_id AS id, student.person_id, calendar.school_id,"
            f" student.status = 'enrolled' AS enrolled, {students} AS stable_id FROM student"
            " JOIN calendar ON calendar.calendar_id = student.calendar_id"
        ),
    )
    district.speak(replace(definition, directory=parts))
    district.directory.sync()


def next_year(district: District) -> None:
    """The father and Ada get other numbers; the father's goes to the grandmother's neighbour."""
    district.sis(f"INSERT INTO person (person_id, {PEOPLE}) VALUES (1035, 'Mark', 'Reyes', 'en')")
    district.sis("UPDATE guardian SET person_id = 1035 WHERE person_id = 35")
    district.sis("UPDATE person SET first_name = 'Olga', last_name = 'Novak' WHERE person_id = 35")
    district.sis(
        "INSERT INTO guardian VALUES (50, 41, 35, 'aunt', TRUE, '2024-08-01', NULL, FALSE)"
    )


STABLE = "CASE WHEN first_name = 'Mark' THEN 'S-mark' ELSE 'S-' || first_name END"


def test_settings_devices_and_the_inbox_stay_with_the_person(district: District) -> None:
    with_stable_ids(district, STABLE, "'T-' || student.student_id")
    token = Token("apns", "ab" * 32)
    people.sign_in(district.database, KEYRING, PersonId(FATHER), token, district.clock.now)
    people.subscribe(
        district.database,
        PersonId(FATHER),
        StudentId(ADA),
        Kind.ASSIGNMENT,
        thresholds=(Decimal(99),),
    )
    first, second = scored(20, 17), scored(19.9, 18)
    district.evaluate(first)
    assert district.reasons(first)[FATHER] is Reason.TOLD

    district.clock.forward(timedelta(minutes=5))
    next_year(district)
    district.directory.sync()
    district.clock.forward(timedelta(minutes=5))
    district.evaluate(second)

    assert district.reasons(second)["1035"] is Reason.TOLD
    assert district.reasons(second)[FATHER] is Reason.NO_ACCOUNT
    assert len(inbox(district, "1035")) == 2  # also what was told under the number of before
    assert inbox(district, FATHER) == []


def test_settings_stay_where_the_definition_begins_to_give_stable_ids(district: District) -> None:
    with_stable_ids(district, STABLE, "'T-' || student.student_id")
    first = scored(9, 17)
    district.evaluate(first)
    assert district.reasons(first)[FATHER] is Reason.TOLD

    next_year(district)
    district.directory.sync()
    second = scored(17, 18)
    district.evaluate(second)

    assert district.reasons(second)["1035"] is Reason.TOLD
    assert district.reasons(second)[FATHER] is Reason.NO_ACCOUNT


def test_a_stable_id_that_people_of_different_names_have_is_none(district: District) -> None:
    """`0` or `n/a` in that column must not let everybody's news reach everybody's phones."""
    with_stable_ids(district, "'n/a'", "CAST(NULL AS text)")
    district.directory.follow([a_person(FATHER)])
    assert [one.count for one in district.directory.sync().faults] == [9]
    change = scored(9, 17)

    pushes = district.evaluate(change)

    told = {person for person, why_ in district.reasons(change).items() if why_ is Reason.TOLD}
    assert told == {MOTHER, FATHER, ADA_HERSELF}
    assert len(pushes) == 3


def test_a_stable_id_is_never_somebody_elses_plain_id(district: District) -> None:
    """The uncle's stable id is spelled like what the father's settings would be kept under."""
    with_stable_ids(district, "CASE WHEN person_id = 38 THEN '35' END", "CAST(NULL AS text)")

    change = scored(9, 17)
    district.evaluate(change)

    assert district.reasons(change)[FATHER] is Reason.TOLD
    assert district.reasons(change)["38"] is not Reason.TOLD


def test_who_leaves_with_a_stable_id_finds_their_settings_again(district: District) -> None:
    with_stable_ids(district, STABLE, "CAST(NULL AS text)")
    token = Token("apns", "ab" * 32)
    people.sign_in(district.database, KEYRING, PersonId(FATHER), token, district.clock.now)
    people.subscribe(district.database, PersonId(FATHER), StudentId(ADA), Kind.ASSIGNMENT)
    district.evaluate(scored(1, 9))
    leaves(district)
    district.directory.sync()
    comes(district, "1035", "Mark")
    district.directory.sync()

    people.subscribe(district.database, PersonId("1035"), StudentId(ADA), Kind.ASSIGNMENT)
    change = scored(9, 17)
    district.evaluate(change)

    assert district.reasons(change)["1035"] is Reason.TOLD
    assert len(inbox(district, "1035")) == 2


# Restrictions and relations that are gone


def test_what_was_told_about_a_student_is_hidden_from_who_is_restricted(
    district: District,
) -> None:
    change = scored(9, 17)
    district.evaluate(change)
    (entry,) = inboxes.inbox(
        district.database, Wording(), PersonId(FATHER), district.clock.now
    ).entries
    district.sis("UPDATE guardian SET restricted = TRUE WHERE person_id = 35 AND student_id = 41")
    district.directory.sync()

    assert inbox(district, FATHER) == []
    assert len(inbox(district, MOTHER)) == 1
    with pytest.raises(Exception, match="was not told"):
        inboxes.mark_read(district.database, PersonId(FATHER), [entry.id], district.clock.now)

    district.sis("UPDATE guardian SET restricted = FALSE WHERE person_id = 35")
    district.directory.sync()
    assert len(inbox(district, FATHER)) == 1


def test_a_retry_is_not_sent_to_who_was_restricted_meanwhile(district: District) -> None:
    district.evaluate(scored(9, 17))
    district.sis("UPDATE guardian SET restricted = TRUE WHERE person_id = 35")
    district.directory.sync()
    district.clock.forward(timedelta(minutes=20))
    district.plan_lost()

    assert district.devices()[FATHER] not in {push.device_id for push in district.due()}


def test_why_tells_what_was_decided_although_the_relation_is_gone(district: District) -> None:
    change = scored(9, 17)
    district.evaluate(change)
    leaves(district)
    district.directory.sync()

    decided, standing = why.whole(
        district.database, StudentId(ADA), PersonId(FATHER), district.clock.now,
        district.clock.now.date(),
    )  # fmt: skip

    assert [answer.reason for answer in decided] == [Reason.TOLD]
    assert standing == []


def test_an_account_begins_anew_for_who_signs_in_with_a_number_that_came_back(
    district: District,
) -> None:
    by_sync(district)
    district.clock.forward(timedelta(days=1))
    token = Token("fcm_token", "token-of-olga:" + "x" * 140)
    people.sign_in(district.database, KEYRING, PersonId(FATHER), token, district.clock.now)

    assert district.read(app.account_since, PersonId(FATHER)) == district.clock.now


def numbers_exchanged(district: District) -> None:
    """A new year numbers everybody anew: the mother gets the father's number, and he gets hers."""
    district.sis(
        "UPDATE person SET first_name = CASE person_id WHEN 34 THEN 'Mark' ELSE 'Lucía' END,"
        " language = CASE person_id WHEN 34 THEN 'en' ELSE 'es-MX' END WHERE person_id IN (34, 35)"
    )
    district.directory.sync()


def told(district: District, person: str) -> set[str]:
    now = district.clock.now
    return {
        one.id for one in inboxes.inbox(district.database, Wording(), PersonId(person), now).entries
    }


def test_who_exchange_their_numbers_keep_their_inboxes(district: District) -> None:
    """What was told under a number is read by who had it then."""
    with_stable_ids(district, STABLE, "'T-' || student.student_id")
    district.evaluate(scored(9, 17))
    district.clock.forward(timedelta(minutes=1))
    district.sis("UPDATE assignment SET released = TRUE")
    district.evaluate(scored(5, 9, BENS_HIDDEN_SCORE))  # which is the mother's news alone
    mother, father = told(district, MOTHER), told(district, FATHER)
    assert (len(mother), len(father)) == (2, 1)
    district.clock.forward(timedelta(minutes=1))

    numbers_exchanged(district)

    assert told(district, MOTHER) == father
    assert told(district, FATHER) == mother
    district.clock.forward(timedelta(minutes=1))
    district.evaluate(scored(17, 18))
    assert (len(told(district, MOTHER)), len(told(district, FATHER))) == (2, 3)

    back = {34: ("Lucía", "es-MX"), 35: ("Mark", "en")}
    for number, (name, language) in back.items():
        district.sis(
            f"UPDATE person SET first_name = '{name}', language = '{language}'"
            f" WHERE person_id = {number}"
        )
    district.clock.forward(timedelta(minutes=1))
    district.directory.sync()
    assert (len(told(district, MOTHER)), len(told(district, FATHER))) == (3, 2)
