"""Terms: listed by the SIS, chosen for by a school, asked for each record; on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import msgspec
import pytest
from sqlalchemy import select

from engine.runtime.clock import utc_now
from engine.runtime.rehearsal import rehearsal
from engine.services import display_options, why
from engine.services.actor import Actor
from engine.sources.definition import Definition, Query
from engine.sources.loading import load
from engine.store import district as store
from engine.store.tables import terms
from rules.audience import Audience
from rules.change import Change, Kind, PersonId, SchoolId, StudentId, TermId
from rules.display_options import ALL_TERMS
from rules.outcomes import Verdict
from rules.reasons import Reason
from rules.wording import Wording
from tests.builders import NOW, TODAY, a_change, an_outcome
from tests.district import (
    ADA,
    FATHER,
    HIGH_SCHOOL,
    LAST_YEARS_SCORE,
    MIDDLE_SCHOOL,
    MOTHER,
    District,
    marked,
    paid,
    scored,
)

HERE: Final = SchoolId(HIGH_SCHOOL)
LAST_Q1, Q1, Q2, S1 = (TermId(one) for one in ("21", "23", "22", "24"))
BOSS: Final = Actor("Boss", NOW)
THIS_YEARS_Q1: Final = "INSERT INTO term VALUES (23, 12, 'Q1', '2026-08-24', '2026-10-23')"
SEMESTER: Final = "INSERT INTO term VALUES (24, 12, 'S1', '2026-08-24', '2027-01-15')"


@pytest.fixture(autouse=True)
def quarters(district: District) -> None:
    district.sis(THIS_YEARS_Q1)
    district.directory.sync()


def choose(
    district: District,
    shown: bool | None,
    term: TermId = ALL_TERMS,
    kind: Kind = Kind.ASSIGNMENT,
    school: SchoolId = HERE,
) -> None:
    wished = {(kind, Audience.GUARDIAN): shown}
    display_options.choose(district.database, BOSS, school, wished, term)


def reason(district: District, change: Change) -> Reason:
    """Why the father is told of Ada's record, or not."""
    district.evaluate(change)
    return district.reasons_by_student(change)[ADA, FATHER]


def listed(district: District) -> dict[str, str]:
    with district.database.read() as connection:
        rows = connection.execute(select(terms.c.id, terms.c.name)).all()
    return {one.id: one.name for one in rows}


def asking(query: str | None) -> Definition:
    """The reference SIS with another query for its terms, or with none."""
    definition = load("reference")
    asked = Query(query=query) if query else None
    directory = msgspec.structs.replace(definition.directory, terms=asked)
    watches = tuple(one for one in definition.directory_watch if query or one.refreshes != "terms")
    return msgspec.structs.replace(definition, directory=directory, directory_watch=watches)


# What a school chose for a term


def test_a_tool_that_is_hidden_in_a_term_is_not_pushed_of_its_records(district: District) -> None:
    choose(district, False, Q2)

    assert reason(district, scored(16, 17)) is Reason.DISPLAY_OPTION_OFF


def test_in_another_term_it_is_told(district: District) -> None:
    choose(district, False, Q1)

    assert reason(district, scored(16, 17)) is Reason.TOLD


def test_a_term_may_show_what_all_others_hide(district: District) -> None:
    choose(district, False)
    choose(district, True, Q2)

    assert reason(district, scored(16, 17)) is Reason.TOLD


def test_a_term_is_as_all_others_again(district: District) -> None:
    choose(district, False)
    choose(district, True, Q2)
    choose(district, None, Q2)

    assert reason(district, scored(16, 17)) is Reason.DISPLAY_OPTION_OFF


def test_a_term_that_is_over_rings_as_long_as_it_is_shown(district: District) -> None:
    """A teacher corrects a score of the first quarter in the second."""
    district.sis("UPDATE assignment SET term_id = 23 WHERE assignment_id = 81")
    assert reason(district, scored(15, 16)) is Reason.TOLD

    choose(district, False, Q1)
    assert reason(district, scored(16, 17)) is Reason.DISPLAY_OPTION_OFF


def test_an_absence_belongs_to_the_term_of_its_day(district: District) -> None:
    choose(district, False, Q1, Kind.ATTENDANCE)
    assert reason(district, marked()) is Reason.TOLD

    district.sis("UPDATE attendance SET day = '2026-10-01'")
    assert reason(district, marked(2, 1)) is Reason.DISPLAY_OPTION_OFF


def test_a_balance_belongs_to_the_term_of_today(district: District) -> None:
    choose(district, False, Q2, Kind.MEAL_BALANCE)

    assert reason(district, paid()) is Reason.DISPLAY_OPTION_OFF


def test_a_semester_decides_where_its_quarter_chose_nothing(district: District) -> None:
    district.sis(SEMESTER)
    district.directory.sync()
    choose(district, False, S1)
    assert reason(district, scored(15, 16)) is Reason.DISPLAY_OPTION_OFF

    choose(district, True, Q2)
    assert reason(district, scored(16, 17)) is Reason.TOLD


def test_what_is_tried_again_later_is_judged_by_the_term_of_its_record(district: District) -> None:
    district.sis("UPDATE assignment SET term_id = 23 WHERE assignment_id = 81")
    pushes = district.evaluate(scored(16, 17))
    district.record(
        [an_outcome(one, Verdict.DEFERRED, reason="UNAVAILABLE", at=NOW) for one in pushes]
    )
    choose(district, False, Q1)
    choose(district, True, Q2)
    district.clock.forward(timedelta(minutes=2))

    assert len(pushes) == 3
    assert len(district.due()) == 1  # the student's own


# Why


def test_why_names_the_term(district: District) -> None:
    choose(district, False, Q2)
    change = scored(16, 17)
    district.evaluate(change)

    answer = why.of_change(district.database, StudentId(ADA), PersonId(FATHER), change.id)

    assert answer.at == (HERE, None, Q2)
    assert answer.term == "Q2"


def test_why_names_no_term_where_all_of_them_hide_it(district: District) -> None:
    choose(district, False)
    change = scored(16, 17)
    district.evaluate(change)

    answer = why.of_change(district.database, StudentId(ADA), PersonId(FATHER), change.id)

    assert answer.at == (HERE, None, None)
    assert answer.term == ""


def test_why_says_of_news_that_came_now_which_term_hides_it(district: District) -> None:
    choose(district, False, Q2)

    found = why.standing(district.database, StudentId(ADA), PersonId(FATHER), NOW, TODAY)

    assert {one.kind: one.term for one in found if one.reason is not Reason.TOLD} == {
        Kind.ASSIGNMENT: "Q2"
    }


def test_a_term_that_is_listed_no_more_is_named_by_its_id(district: District) -> None:
    choose(district, False, Q2)
    change = scored(16, 17)
    district.evaluate(change)
    district.speak(asking("SELECT 23 AS id, 1 AS school_id, 'Q1' AS name, NULL AS starts, "
                          "NULL AS ends"))  # fmt: skip
    district.directory.sync()

    answer = why.of_change(district.database, StudentId(ADA), PersonId(FATHER), change.id)

    assert answer.term == Q2


# The directory


def test_the_terms_of_the_sis_are_known(district: District) -> None:
    assert listed(district) == {"21": "Q1", "22": "Q2", "23": "Q1"}


def test_a_change_of_a_term_is_followed_at_once(district: District) -> None:
    district.sis("UPDATE term SET name = 'Quarter 2' WHERE term_id = 22")
    before = {"calendar_id": 12, "name": "Q2", "starts": "2026-10-26", "ends": "2027-01-15"}
    district.evaluate(a_change("term", 22, before, {**before, "name": "Quarter 2"}))

    assert listed(district)["22"] == "Quarter 2"


def test_a_definition_without_terms_forgets_them_and_tells_as_ever(district: District) -> None:
    choose(district, False, Q1)
    district.speak(asking(None))
    district.source.check()
    synced = district.directory.sync()

    assert "terms" not in synced.listed
    assert listed(district) == {}
    assert reason(district, scored(16, 17)) is Reason.TOLD


def test_many_terms_may_go_when_the_definition_leaves_them_out(district: District) -> None:
    """Nobody takes that for a SIS that is half loaded."""
    for number in range(100, 130):
        district.sis(
            f"INSERT INTO term VALUES ({number}, 12, 'T{number}', '2026-09-01', '2026-09-02')"
        )
    district.directory.sync()
    district.speak(asking(None))
    district.directory.sync()

    assert listed(district) == {}


@pytest.mark.parametrize(
    ("columns", "starts", "ends"),
    [
        ("'soon' AS starts, '2027-01-15' AS ends", None, "2027-01-15"),
        ("'2026-10-26' AS starts, '0000-00-00' AS ends", "2026-10-26", None),
        ("NULL AS starts, 'infinity' AS ends", None, None),
        ("'20261026' AS starts, '2027-01-15 23:59:59' AS ends", "2026-10-26", "2027-01-15"),
    ],
)
def test_a_term_whose_day_is_none_is_open_there(
    district: District, columns: str, starts: str | None, ends: str | None
) -> None:
    """What it hides stays hidden, whatever day it is."""
    district.speak(asking(f"SELECT 22 AS id, 1 AS school_id, 'Q2' AS name, {columns}"))
    synced = district.directory.sync()
    choose(district, False, Q2, Kind.MEAL_BALANCE)

    with district.database.read() as connection:
        (found,) = store.terms_of(connection, [HERE])[HERE]
    assert (found.starts, found.ends) == tuple(
        one and date.fromisoformat(one) for one in (starts, ends)
    )
    assert bool(synced.faults) == ("soon" in columns or "0000" in columns)
    assert reason(district, paid()) is Reason.DISPLAY_OPTION_OFF


def test_of_two_rows_of_a_term_both_days_are_its_own(district: District) -> None:
    district.speak(asking(
        "SELECT 22 AS id, 1 AS school_id, 'Q2' AS name, '2026-10-26' AS starts,"
        " '2026-11-01' AS ends"
        " UNION ALL SELECT 22, 1, 'Q2', '2026-11-20', '2027-01-15'"
    ))  # fmt: skip
    synced = district.directory.sync()

    with district.database.read() as connection:
        (found,) = store.terms_of(connection, [HERE])[HERE]
    assert (str(found.starts), str(found.ends)) == ("2026-10-26", "2027-01-15")
    assert [str(one.trouble) for one in synced.faults] == ["twice"]


def test_a_term_of_no_school_is_of_every_school(district: District) -> None:
    district.speak(asking(
        "SELECT 22 AS id, NULL AS school_id, 'Q2' AS name, NULL AS starts, NULL AS ends"
    ))  # fmt: skip
    district.directory.sync()
    for school in (HERE, SchoolId(MIDDLE_SCHOOL)):
        choose(district, False, Q2, school=school)

    assert reason(district, scored(16, 17)) is Reason.DISPLAY_OPTION_OFF


def test_last_years_records_are_silent_by_their_year_whatever_the_term_shows(
    district: District,
) -> None:
    choose(district, True, LAST_Q1)

    assert reason(district, scored(9, 10, LAST_YEARS_SCORE)) is Reason.YEAR_NOT_ACTIVE


def test_a_trial_knows_the_terms(district: District) -> None:
    with rehearsal(district.source, Wording(), "UTC") as rehearse:
        change = scored(16, 17, at=utc_now())
        decided = rehearse([change]).decided[change.id]

    assert Reason.TOLD in {person.reason for row in decided for person in row.people}
    assert MOTHER in {person.person for row in decided for person in row.people}
