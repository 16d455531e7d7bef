"""What a school shows, term by term, with who chose it and how many people hear of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import pytest

from engine.errors import SchoolbellError
from engine.services import display_options
from engine.services.actor import Actor
from engine.services.display_options import InTerm, OfSchool
from engine.store.staff import audit
from rules.audience import Audience
from rules.change import Kind, SchoolId, TermId
from rules.display_options import ALL_TERMS, Tool
from tests.builders import NOW, TODAY
from tests.district import HIGH_SCHOOL, MIDDLE_SCHOOL, District

HERE: Final = SchoolId(HIGH_SCHOOL)
BOSS, LATER = Actor("Boss", NOW), Actor("Somebody else", NOW + timedelta(hours=1))
Q1, Q2, S1 = TermId("23"), TermId("22"), TermId("24")
GRADE: Final[Tool] = (Kind.GRADE, Audience.GUARDIAN)
TERMS: Final = (
    "INSERT INTO term VALUES (23, 12, 'Q1', '2026-08-24', '2026-10-23'),"
    " (24, 12, 'S1', '2026-08-24', '2027-01-15')"
)


@pytest.fixture(autouse=True)
def terms(district: District) -> None:
    district.sis(TERMS)
    district.directory.sync()


def of(district: District, school: str = HIGH_SCHOOL, today: date = TODAY) -> OfSchool:
    (found,) = display_options.of_schools(district.database, today, [SchoolId(school)])
    return found


def within(district: District, term: TermId) -> InTerm:
    found = of(district).within(term)
    assert found is not None
    return found


def choose(
    district: District, shown: bool | None, term: TermId = ALL_TERMS, by: Actor = BOSS
) -> None:
    display_options.choose(district.database, by, HERE, {GRADE: shown}, term)


def test_a_school_has_all_terms_first_and_then_those_of_this_year(district: District) -> None:
    found = of(district)

    assert [one.id for one in found.terms] == [ALL_TERMS, S1, Q1, Q2]
    assert [one.id for one in found.terms if one.is_now] == [S1, Q2]
    assert [one.id for one in of(district, MIDDLE_SCHOOL).terms] == [ALL_TERMS]


def test_terms_of_a_year_to_come_can_be_chosen_for(district: District) -> None:
    assert [one.id for one in of(district, today=date(2025, 1, 1)).terms] == [
        ALL_TERMS, TermId("21"), S1, Q1, Q2,
    ]  # fmt: skip


def test_all_schools_are_listed_by_their_names(district: District) -> None:
    found = display_options.of_schools(district.database, TODAY)

    assert [one.name for one in found] == ["Lincoln High School", "Oak Hill Middle School"]


def test_a_term_is_as_all_terms_until_something_is_chosen_for_it(district: District) -> None:
    choose(district, False)

    option = within(district, Q2).options[GRADE]
    assert (option.shown, option.own, option.by) == (False, None, ALL_TERMS)
    assert within(district, Q2).chosen == []
    assert within(district, Q2).hidden == [GRADE]


def test_what_is_chosen_for_a_term_counts_before(district: District) -> None:
    choose(district, False)
    choose(district, True, Q2)

    option = within(district, Q2).options[GRADE]
    assert (option.shown, option.own, option.by) == (True, True, Q2)
    assert within(district, Q2).inherited[GRADE].shown is False
    assert within(district, Q1).options[GRADE].shown is False


def test_a_quarter_follows_its_semester(district: District) -> None:
    choose(district, False, S1)

    option = within(district, Q2).options[GRADE]
    assert (option.shown, option.own, option.by) == (False, None, S1)
    assert of(district).called(option.by) == "S1"


def test_each_change_is_told_once_with_its_term(district: District) -> None:
    choose(district, False, Q2)
    choose(district, False, Q2, LATER)
    choose(district, None, Q2, LATER)
    choose(district, None, Q2)

    with district.database.read() as connection:
        entries = audit.newest(connection, act=display_options.ACT)
    assert [(one.who, one.subject, one.before, one.after) for one in reversed(entries)] == [
        ("Boss", "school 1: grade for the guardian in term 22 (Q2)",
         {"value": None}, {"value": False}),
        ("Somebody else", "school 1: grade for the guardian in term 22 (Q2)",
         {"value": False}, {"value": None}),
    ]  # fmt: skip


def test_who_changed_it_last_is_of_the_school(district: District) -> None:
    assert display_options.last_changed(district.database, HERE) is None
    choose(district, False, Q2)
    choose(district, False, by=LATER)

    last = display_options.last_changed(district.database, HERE)
    assert last is not None
    assert last.who == "Somebody else"
    assert display_options.last_changed(district.database, SchoolId(MIDDLE_SCHOOL)) is None
    assert display_options.last_changed(district.database, SchoolId("_")) is None


def test_nothing_is_chosen_for_what_there_is_not(district: District) -> None:
    with pytest.raises(SchoolbellError, match=r"no term 99.* 23 \(Q1\)"):
        choose(district, False, TermId("99"))
    with pytest.raises(SchoolbellError, match="knows no term of school 2"):
        display_options.choose(district.database, BOSS, SchoolId(MIDDLE_SCHOOL), {GRADE: False}, Q2)
    with pytest.raises(SchoolbellError, match="no school 9"):
        display_options.choose(district.database, BOSS, SchoolId("9"), {GRADE: False})
    with pytest.raises(SchoolbellError, match="switch messages off by themselves"):
        display_options.choose(
            district.database, BOSS, HERE, {(Kind.BROADCAST, Audience.GUARDIAN): False}
        )


def test_several_are_chosen_in_one_go_or_none_is(district: District) -> None:
    broken = {GRADE: False, (Kind.BROADCAST, Audience.GUARDIAN): False}
    with pytest.raises(SchoolbellError):
        display_options.choose(district.database, BOSS, HERE, broken)

    assert of(district).terms[0].hidden == []


def test_those_count_who_hear_of_it_now(district: District) -> None:
    """Mother, father and Ada herself asked for everything; the others may hear nothing of her."""
    found = display_options.hearing(district.database, HERE, NOW, TODAY)
    assert found == {
        (kind, audience): number
        for kind in (Kind.ASSIGNMENT, Kind.GRADE, Kind.ATTENDANCE, Kind.MEAL_BALANCE,
                     Kind.RESPONSIVE_SCHEDULE)
        for audience, number in ((Audience.GUARDIAN, 2), (Audience.STUDENT, 1))
    }  # fmt: skip


@pytest.mark.parametrize(
    "away",
    [
        "UPDATE schoolbell_sessions SET stay_logged_in = FALSE",
        "UPDATE schoolbell_devices SET retired_at = '2026-11-01 00:00:00'",
        "UPDATE schoolbell_subscriptions SET enabled = FALSE",
        "UPDATE schoolbell_students SET enrolled = FALSE",
        "UPDATE schoolbell_accounts SET disabled_at = '2026-11-01 00:00:00'",
    ],
)
def test_who_hears_nothing_is_not_counted(district: District, away: str) -> None:
    district.sis(away)

    assert display_options.hearing(district.database, HERE, NOW, TODAY) == {}


@pytest.mark.parametrize(
    "away",
    ["restricted = TRUE", "portal = FALSE", "ends = '2026-11-22'", "starts = '2026-11-24'"],
)
def test_guardians_without_a_right_are_not_counted(district: District, away: str) -> None:
    district.sis(f"UPDATE schoolbell_rights SET {away}")

    found = display_options.hearing(district.database, HERE, NOW, TODAY)
    assert {audience for _, audience in found} == {Audience.STUDENT}


def test_a_kind_that_is_withheld_from_a_guardian_is_not_counted(district: District) -> None:
    district.sis("UPDATE schoolbell_rights SET withheld = 'attendance grade'")

    found = display_options.hearing(district.database, HERE, NOW, TODAY)
    assert {kind for kind, audience in found if audience is Audience.GUARDIAN} == {
        Kind.ASSIGNMENT, Kind.MEAL_BALANCE, Kind.RESPONSIVE_SCHEDULE,
    }  # fmt: skip
