"""Which term decides whether a tool is shown: the narrowest that a record is in, and that chose."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import gates
from rules.audience import Audience
from rules.change import CalendarId, Facts, Kind, SchoolId, TermId
from rules.display_options import (
    ALL_TERMS,
    DisplayOptions,
    OfTerms,
    Own,
    Term,
    Where,
    day_of,
)
from rules.gates import standing_case
from rules.reasons import Reason
from tests.builders import TODAY, a_candidate, a_case, a_student, a_subject, circumstances

HERE: Final = SchoolId("1")
CALENDAR: Final = CalendarId("12")
GRADE: Final = (Kind.GRADE, Audience.GUARDIAN)


def a_term(
    name: str, first: str | None, last: str | None, *, calendar: CalendarId = CALENDAR
) -> Term:
    days = (date.fromisoformat(one) if one else None for one in (first, last))
    return Term(TermId(name), HERE, name.upper(), *days, calendar)


Q1 = a_term("q1", "2026-08-24", "2026-10-23")
Q2 = a_term("q2", "2026-10-26", "2027-01-15")
S1 = a_term("s1", "2026-08-24", "2027-01-15")
YEAR = a_term("y", "2026-08-24", "2027-06-04")
TERMS = (YEAR, S1, Q1, Q2)
IN_Q1, IN_Q2, BETWEEN = date(2026, 9, 1), date(2026, 11, 23), date(2026, 10, 25)
SUMMER = date(2026, 7, 1)


def options(*, hidden: bool = False, terms: Sequence[Term] = TERMS, **own: bool) -> DisplayOptions:
    """What a school chose for grades, for guardians: in all terms, and in some."""
    chosen: Own = {(TermId(term), *GRADE): shown for term, shown in own.items()}
    return DisplayOptions(
        frozenset({(HERE, *GRADE)} if hidden else ()), {HERE: OfTerms(chosen, terms)}
    )


def hiding(
    chosen: DisplayOptions, *, term: str = "", day: date = IN_Q2, calendar: str = CALENDAR
) -> TermId | None:
    return chosen.hiding(Where(HERE, CalendarId(calendar), TermId(term), day), *GRADE)


def test_what_nobody_chose_is_shown() -> None:
    assert hiding(DisplayOptions()) is None
    assert hiding(options()) is None


def test_without_a_choice_of_its_own_a_term_is_as_all_terms() -> None:
    assert hiding(options(hidden=True), term="q2") == ALL_TERMS
    assert hiding(options(hidden=True, q1=False), term="q2") == ALL_TERMS


@pytest.mark.parametrize("term", ["q2", ""])
def test_a_term_s_own_choice_counts_before_the_one_for_all(term: str) -> None:
    assert hiding(options(q2=False), term=term) == "q2"
    assert hiding(options(hidden=True, q2=True), term=term) is None


def test_a_record_is_in_its_own_term_whatever_day_it_is() -> None:
    assert hiding(options(q1=False), term="q1", day=IN_Q2) == "q1"
    assert hiding(options(q2=False), term="q1", day=IN_Q2) is None


def test_a_record_without_a_term_is_in_the_one_of_its_day() -> None:
    assert hiding(options(q1=False), day=IN_Q1) == "q1"
    assert hiding(options(q1=False), day=IN_Q2) is None
    assert hiding(options(q1=False), day=BETWEEN) is None
    assert hiding(options(hidden=True, y=True), day=SUMMER) == ALL_TERMS


@pytest.mark.parametrize("day", [Q2.starts, Q2.ends])
def test_the_first_and_the_last_day_are_of_a_term(day: date) -> None:
    assert hiding(options(q2=False), day=day) == "q2"


def test_a_longer_term_around_it_decides_where_its_own_chose_nothing() -> None:
    assert hiding(options(s1=False), term="q2") == "s1"
    assert hiding(options(s1=False, q2=True), term="q2") is None
    assert hiding(options(y=False, s1=True), term="q2") is None
    assert hiding(options(y=False, s1=True), day=date(2027, 3, 1)) == "y"


def test_a_shorter_term_within_says_nothing_of_a_longer_one() -> None:
    assert hiding(options(q2=False), term="s1", day=IN_Q2) is None


def test_of_equally_narrow_terms_it_is_one_that_hides() -> None:
    twin = a_term("twin", "2026-10-26", "2027-01-15")
    assert hiding(options(terms=(*TERMS, twin), q2=True, twin=False)) == "twin"
    assert hiding(options(terms=(*TERMS, twin), q2=False, twin=True)) == "q2"


def test_the_days_of_another_calendar_are_not_a_record_s() -> None:
    summer = a_term("summer", "2026-11-01", "2026-11-30", calendar=CalendarId("99"))
    chosen = options(terms=(*TERMS, summer), summer=False)
    assert hiding(chosen) is None
    assert hiding(chosen, calendar="99") == "summer"
    assert hiding(chosen, calendar="") == "summer"  # nobody knows: what hides counts


def test_a_term_that_names_no_calendar_is_of_all() -> None:
    anywhere = a_term("any", "2026-11-01", "2026-11-30", calendar=CalendarId(""))
    assert hiding(options(terms=(anywhere,), any=False)) == "any"


def test_a_term_that_is_not_listed_decides_by_its_id_alone() -> None:
    assert hiding(options(terms=(), gone=False), term="gone") == "gone"
    assert hiding(options(q2=False), term="gone", day=IN_Q2) is None


def test_an_open_term_has_no_first_or_last_day_and_is_the_longest() -> None:
    since = a_term("since", "2026-10-26", None)
    assert hiding(options(terms=(since,), since=False), day=date(2040, 1, 1)) == "since"
    assert hiding(options(terms=(*TERMS, since), since=False, s1=True)) is None
    assert hiding(options(terms=(*TERMS, since), since=False, s1=True), term="since") == "since"


def test_another_school_chose_for_itself() -> None:
    elsewhere = Where(SchoolId("2"), CALENDAR, TermId("q2"), IN_Q2)
    assert options(hidden=True, q2=False).hiding(elsewhere, *GRADE) is None


days = st.dates(date(2026, 1, 1), date(2026, 2, 28))
wishes = st.dictionaries(st.sampled_from("abcd"), st.booleans())


@st.composite
def listed(draw: st.DrawFn) -> list[Term]:
    found = []
    for name in "abcd":
        first, last = sorted((draw(days), draw(days)))
        found.append(Term(TermId(name), HERE, name, first, last))
    return found


@given(listed(), wishes, st.booleans(), days)
def test_it_is_the_choice_of_the_shortest_term_of_the_day_that_has_one(
    terms: list[Term], own: dict[str, bool], hidden: bool, day: date
) -> None:
    around = [one for one in terms if one.first <= day <= one.last and one.id in own]
    shortest = min((one.last - one.first for one in around), default=timedelta())
    expected = [own[one.id] for one in around if one.last - one.first == shortest]

    found = hiding(options(hidden=hidden, terms=terms, **own), day=day, calendar="")

    assert (found is None) == (all(expected) if expected else not hidden)


@given(listed(), wishes, st.booleans(), days, st.sampled_from("abcd"))
def test_what_its_own_term_chose_always_holds(
    terms: list[Term], own: dict[str, bool], hidden: bool, day: date, term: str
) -> None:
    found = hiding(options(hidden=hidden, terms=terms, **own), term=term, day=day)

    if term in own:
        assert (found is None) == own[term]


# The gate


def test_the_gate_asks_for_the_term_of_the_record() -> None:
    holds = circumstances(of_terms=options(q1=False).of_terms)
    of_q1 = a_subject(Kind.GRADE)._replace(term=TermId("q1"))

    assert gates.display_option_on(a_case(of_q1, holds=holds)) is Reason.DISPLAY_OPTION_OFF
    assert gates.display_option_on(a_case(of_q1, a_student(), holds)) is None
    assert gates.display_option_on(a_case(a_subject(Kind.GRADE), holds=holds)) is None


@pytest.mark.parametrize(
    ("kind", "details", "expected"),
    [
        (Kind.ATTENDANCE, {"date": "2026-09-01"}, IN_Q1),
        (Kind.ATTENDANCE, {"date": "2026-09-01 08:00:00"}, IN_Q1),
        (Kind.RESPONSIVE_SCHEDULE, {"day": "2026-09-01"}, IN_Q1),
        (Kind.ATTENDANCE, {"date": "last Tuesday"}, TODAY),
        (Kind.ATTENDANCE, {}, TODAY),
        (Kind.MEAL_BALANCE, {"date": "2026-09-01"}, TODAY),
    ],
)
def test_the_day_of_a_record_is_what_its_words_say_or_today(
    kind: Kind, details: dict[str, str], expected: date
) -> None:
    assert day_of(kind, details, TODAY) == expected


def test_an_absence_belongs_to_the_term_of_its_day() -> None:
    tool = (Kind.ATTENDANCE, Audience.GUARDIAN)
    of_terms = {HERE: OfTerms({(TermId("q1"), *tool): False}, TERMS)}
    holds = circumstances(of_terms=of_terms)
    late = a_subject(Kind.ATTENDANCE, details={"date": "2026-10-23"})

    assert gates.display_option_on(a_case(late, holds=holds)) is Reason.DISPLAY_OPTION_OFF
    assert gates.display_option_on(a_case(a_subject(Kind.ATTENDANCE), holds=holds)) is None


def test_where_it_was_found_names_the_term_that_hides() -> None:
    holds = circumstances(of_terms=options(s1=False).of_terms)
    case = a_case(a_subject(Kind.GRADE)._replace(term=TermId("q2")), holds=holds)
    everywhere = circumstances(hidden=(("1", *GRADE),))

    assert gates.whereabouts(Reason.DISPLAY_OPTION_OFF, case) == (HERE, None, "s1")
    case = case._replace(circumstances=everywhere)
    assert gates.whereabouts(Reason.DISPLAY_OPTION_OFF, case) == (HERE, None, None)


def test_what_is_told_later_is_judged_by_the_term_of_its_record() -> None:
    holds = circumstances(of_terms=options(q1=False).of_terms)
    facts = Facts(Kind.GRADE, "Ada", None, "A", {}, term=TermId("q1"))

    def ask(known: Facts | None) -> Reason | None:
        case = standing_case(Kind.GRADE, HERE, a_candidate(), holds, known)
        return gates.display_option_on(case)

    assert ask(facts) is Reason.DISPLAY_OPTION_OFF
    assert ask(None) is None
