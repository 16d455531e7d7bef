"""The gates, one table each, and the order in which they are asked."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given

from rules import gates
from rules.audience import Audience, Right, SignIn, Subscription
from rules.change import KINDS_OF_CHANGE, CalendarId, Kind, Value
from rules.display_options import DisplayOptions
from rules.gates import GATES, Case, Gate, refusal
from rules.reasons import Reason
from rules.told import Shown
from tests.builders import (
    NOW,
    TODAY,
    TOMORROW,
    YESTERDAY,
    a_candidate,
    a_case,
    a_sign_in,
    a_student,
    a_subject,
    circumstances,
    shown,
)
from tests.rules.worlds import cases

Ask = Callable[[Case], Reason | None]

ABSENT: Final = Value("absent")
PRESENT: Final = Value("present")


def score(points: str) -> Value:
    """A score out of a hundred points."""
    return Value(f"{points}/100", Decimal(points))


def told_below(limit: str, before: Value | None, after: Value | None) -> Case:
    """A person with a threshold, and a value that changes."""
    return a_case(
        a_subject(before=before, after=after),
        a_candidate(subscription=Subscription(thresholds=tuple(map(Decimal, limit.split())))),
    )


def as_guardian(right: Right | None, today: date = TODAY) -> Case:
    return a_case(candidate=a_candidate(right=right), holds=circumstances(today=today))


def attendance(before: Value | None, after: Value | None) -> Case:
    return a_case(a_subject(Kind.ATTENDANCE, before=before, after=after))


def assignment(before: Value | None, after: Value | None) -> Case:
    return a_case(a_subject(before=before, after=after))


def withdrawn(told: Shown | None) -> Case:
    gone = a_subject(Kind.ATTENDANCE, after=None)._replace(withdrawn=True)
    return a_case(gone)._replace(shown=told)


def signed_in(*sign_ins: SignIn) -> Case:
    return a_case(candidate=a_candidate(sign_ins=sign_ins))


# Each row: the gate, the case in words, the case, and what the gate says to it.
Row = tuple[Ask, str, Case, Reason | None]

TABLE: Final[tuple[Row, ...]] = (
    (gates.district_enabled, "a district that is on", a_case(), None),
    (
        gates.district_enabled,
        "a district that is off",
        a_case(holds=circumstances(enabled=False)),
        Reason.DISTRICT_OFF,
    ),
    (
        gates.kind_supported,
        "a meal balance, with food service",
        a_case(a_subject(Kind.MEAL_BALANCE)),
        None,
    ),
    (
        gates.kind_supported,
        "a meal balance, without food service",
        a_case(a_subject(Kind.MEAL_BALANCE), holds=circumstances(food_service=False)),
        Reason.KIND_NOT_SUPPORTED,
    ),
    (
        gates.kind_supported,
        "a grade, without food service",
        a_case(a_subject(Kind.GRADE), holds=circumstances(food_service=False)),
        None,
    ),
    (gates.newest_of_its_record, "a change that is the newest of its record", a_case(), None),
    (
        gates.newest_of_its_record,
        "a change that comes after a later one of its record",
        a_case(a_subject(superseded=True)),
        Reason.SUPERSEDED,
    ),
    (gates.something_to_tell, "a first score", assignment(None, score("90")), None),
    (gates.something_to_tell, "another score", assignment(score("90"), score("70")), None),
    (
        gates.something_to_tell,
        "a score that reads as before",
        assignment(score("90"), score("90")),
        Reason.NOTHING_TO_TELL,
    ),
    (
        gates.something_to_tell,
        "a score that is cleared",
        assignment(score("90"), None),
        Reason.NOTHING_TO_TELL,
    ),
    (
        gates.something_to_tell,
        "nothing before and nothing after",
        assignment(None, None),
        Reason.NOTHING_TO_TELL,
    ),
    (
        gates.something_to_tell,
        "the same number in other words",
        assignment(Value("B", Decimal(85)), Value("B+", Decimal(85))),
        None,
    ),
    (
        gates.something_to_tell,
        "an absence that is withdrawn, for who was told of it",
        withdrawn(shown("absent")),
        None,
    ),
    (
        gates.something_to_tell,
        "an absence that is withdrawn, for who was not told of it",
        withdrawn(None),
        Reason.NEVER_TOLD,
    ),
    (
        gates.something_to_tell,
        "an absence that is withdrawn again",
        withdrawn(shown(None)),
        Reason.NOTHING_TO_TELL,
    ),
    (gates.something_to_tell, "an absence", attendance(None, ABSENT), None),
    (
        gates.something_to_tell,
        "a first mark of presence",
        attendance(None, PRESENT),
        Reason.NOTHING_TO_TELL,
    ),
    (
        gates.something_to_tell,
        "a first mark of presence, for who was told of an absence",
        attendance(None, PRESENT)._replace(shown=shown("absent")),
        None,
    ),
    (
        gates.something_to_tell,
        "a presence that corrects an absence",
        attendance(ABSENT, PRESENT),
        None,
    ),
    (
        gates.something_to_tell,
        "a session that is named present",
        a_case(a_subject(Kind.RESPONSIVE_SCHEDULE, after=PRESENT)),
        None,
    ),
    (gates.released, "a record that families see", a_case(), None),
    (
        gates.released,
        "a record that families do not see",
        a_case(a_subject(released=False)),
        Reason.NOT_RELEASED,
    ),
    (gates.year_active, "a calendar of the active year", a_case(), None),
    (
        gates.year_active,
        "a calendar of another year",
        a_case(a_subject(calendar="11")),
        Reason.YEAR_NOT_ACTIVE,
    ),
    (
        gates.year_active,
        "no active year at all",
        a_case(holds=circumstances(active_calendars=())),
        Reason.YEAR_NOT_ACTIVE,
    ),
    (
        gates.display_option_on,
        "a tool that is hidden from guardians, for a guardian",
        a_case(holds=circumstances(hidden=(("1", Kind.ASSIGNMENT, Audience.GUARDIAN),))),
        Reason.DISPLAY_OPTION_OFF,
    ),
    (
        gates.display_option_on,
        "a tool that is hidden from guardians, for the student",
        a_case(
            candidate=a_student(),
            holds=circumstances(hidden=(("1", Kind.ASSIGNMENT, Audience.GUARDIAN),)),
        ),
        None,
    ),
    (
        gates.display_option_on,
        "a tool that another school hides",
        a_case(holds=circumstances(hidden=(("2", Kind.ASSIGNMENT, Audience.GUARDIAN),))),
        None,
    ),
    (
        gates.display_option_on,
        "a student of another school than the one that hides the tool",
        a_case(
            a_subject(school="2"),
            holds=circumstances(hidden=(("1", Kind.ASSIGNMENT, Audience.GUARDIAN),)),
        ),
        None,
    ),
    (
        gates.display_option_on,
        "another tool that the school hides",
        a_case(holds=circumstances(hidden=(("1", Kind.GRADE, Audience.GUARDIAN),))),
        None,
    ),
    (gates.student_enrolled, "a student who is enrolled", a_case(), None),
    (
        gates.student_enrolled,
        "a student who has left",
        a_case(candidate=a_candidate(enrolled=False)),
        Reason.NOT_ENROLLED,
    ),
    (gates.right_effective, "a right without dates", as_guardian(Right()), None),
    (
        gates.right_effective,
        "a guardian without a right",
        as_guardian(None),
        Reason.NO_PORTAL_RIGHT,
    ),
    (
        gates.right_effective,
        "a right without the portal",
        as_guardian(Right(portal=False)),
        Reason.NO_PORTAL_RIGHT,
    ),
    (gates.right_effective, "the first day of a right", as_guardian(Right(starts=TODAY)), None),
    (
        gates.right_effective,
        "the day before a right begins",
        as_guardian(Right(starts=TOMORROW)),
        Reason.RIGHT_NOT_IN_FORCE,
    ),
    (gates.right_effective, "the last day of a right", as_guardian(Right(ends=TODAY)), None),
    (
        gates.right_effective,
        "the day after a right ended",
        as_guardian(Right(ends=YESTERDAY)),
        Reason.RIGHT_NOT_IN_FORCE,
    ),
    (
        gates.right_effective,
        "the only day of a right",
        as_guardian(Right(starts=TODAY, ends=TODAY)),
        None,
    ),
    (
        gates.right_effective,
        "a restriction on a right in force",
        as_guardian(Right(restricted=True)),
        Reason.RESTRICTED,
    ),
    (
        gates.right_effective,
        "a restriction on a right that has ended",
        as_guardian(Right(ends=YESTERDAY, restricted=True)),
        Reason.RESTRICTED,
    ),
    (
        gates.right_effective,
        "a kind that is withheld",
        as_guardian(Right(withheld=frozenset({Kind.ASSIGNMENT}))),
        Reason.KIND_WITHHELD,
    ),
    (
        gates.right_effective,
        "another kind than those that are withheld",
        as_guardian(Right(withheld=frozenset(KINDS_OF_CHANGE) - {Kind.ASSIGNMENT})),
        None,
    ),
    (
        gates.right_effective,
        "a kind that is withheld behind a restriction",
        as_guardian(Right(restricted=True, withheld=frozenset(KINDS_OF_CHANGE))),
        Reason.RESTRICTED,
    ),
    (gates.right_effective, "the student, who needs no right", a_case(candidate=a_student()), None),
    (gates.stays_logged_in, "a session that stays", signed_in(a_sign_in()), None),
    (
        gates.stays_logged_in,
        "a person without an account",
        a_case(candidate=a_candidate(has_account=False)),
        Reason.NO_ACCOUNT,
    ),
    (
        gates.stays_logged_in,
        "an account that never signed in",
        signed_in(),
        Reason.STAY_LOGGED_IN_OFF,
    ),
    (
        gates.stays_logged_in,
        "a session without Stay Logged In",
        signed_in(a_sign_in(stays=False)),
        Reason.STAY_LOGGED_IN_OFF,
    ),
    (
        gates.stays_logged_in,
        "a session that has ended",
        signed_in(a_sign_in(ended=True)),
        Reason.SESSION_ENDED,
    ),
    (
        gates.stays_logged_in,
        "one session that ended and one that stays",
        signed_in(a_sign_in("1", ended=True), a_sign_in("2")),
        None,
    ),
    (
        gates.stays_logged_in,
        "a session that stayed and ended, and one that does not stay",
        signed_in(a_sign_in("1", ended=True), a_sign_in("2", stays=False)),
        Reason.SESSION_ENDED,
    ),
    (gates.not_told_yet, "who was told nothing", assignment(None, score("90")), None),
    (
        gates.not_told_yet,
        "who was told another score",
        assignment(None, score("90"))._replace(shown=shown("70/100", "70")),
        None,
    ),
    (
        gates.not_told_yet,
        "who was told the same",
        assignment(None, score("90"))._replace(shown=shown("90/100", "90")),
        Reason.ALREADY_TOLD,
    ),
    (
        gates.not_told_yet,
        "who was told the same of another title",
        assignment(None, score("90"))._replace(shown=shown("90/100", "90", {"title": "Quiz"})),
        None,
    ),
    (
        gates.released,
        "a record that is not shown, and nothing would tell when it is",
        a_case(a_subject(released=False)._replace(release_is_watched=False)),
        Reason.HIDDEN,
    ),
    (
        gates.released,
        "a record that opens later",
        a_case(a_subject()._replace(opens=NOW)),
        Reason.OPENS_LATER,
    ),
    (
        gates.released,
        "a record that is closed",
        a_case(a_subject()._replace(closed=True)),
        Reason.CLOSED,
    ),
    (gates.worth_a_push, "what was committed lately", a_case(), None),
    (
        gates.worth_a_push,
        "what was committed too long ago",
        a_case(a_subject()._replace(late=True)),
        Reason.TOO_LATE,
    ),
    (gates.subscribed, "a person who switched the kind on", a_case(), None),
    (
        gates.subscribed,
        "a person who never chose",
        a_case(candidate=a_candidate(subscription=None)),
        Reason.NOT_SUBSCRIBED,
    ),
    (
        gates.subscribed,
        "a person who switched the kind off",
        a_case(candidate=a_candidate(subscription=Subscription(enabled=False))),
        Reason.NOT_SUBSCRIBED,
    ),
    (gates.threshold_crossed, "no threshold", assignment(score("10"), score("20")), None),
    (
        gates.threshold_crossed,
        "no threshold and no number",
        assignment(None, Value("excused")),
        None,
    ),
    (
        gates.threshold_crossed,
        "a fall from above to below",
        told_below("70", score("80"), score("60")),
        None,
    ),
    (
        gates.threshold_crossed,
        "a fall from exactly on the limit",
        told_below("70", score("70"), score("69.99")),
        None,
    ),
    (
        gates.threshold_crossed,
        "a first value below, for who was told of one below",
        told_below("70", None, score("60"))._replace(shown=shown("65/100", "65")),
        Reason.THRESHOLD_NOT_CROSSED,
    ),
    (
        gates.threshold_crossed,
        "a first value below, for who was told of one above",
        told_below("70", None, score("60"))._replace(shown=shown("75/100", "75")),
        None,
    ),
    (
        gates.threshold_crossed,
        "a fall that stops exactly on the limit",
        told_below("70", score("80"), score("70")),
        Reason.THRESHOLD_NOT_CROSSED,
    ),
    (
        gates.threshold_crossed,
        "a first value below",
        told_below("70", None, score("60")),
        None,
    ),
    (
        gates.threshold_crossed,
        "a first value exactly on the limit",
        told_below("70", None, score("70")),
        Reason.THRESHOLD_NOT_CROSSED,
    ),
    (
        gates.threshold_crossed,
        "a first value above",
        told_below("70", None, score("80")),
        Reason.THRESHOLD_NOT_CROSSED,
    ),
    (
        gates.threshold_crossed,
        "a value that stays below",
        told_below("70", score("60"), score("50")),
        Reason.THRESHOLD_NOT_CROSSED,
    ),
    (
        gates.threshold_crossed,
        "a value that rises from below",
        told_below("70", score("60"), score("80")),
        Reason.THRESHOLD_NOT_CROSSED,
    ),
    (
        gates.threshold_crossed,
        "a value that had no number before",
        told_below("70", Value("excused"), score("60")),
        None,
    ),
    *(
        (
            gates.threshold_crossed,
            f"two thresholds, and from {before} to {after}",
            told_below("70 60", score(before), score(after)),
            said,
        )
        for before, after, said in (
            ("75", "65", None),
            ("65", "55", None),
            ("75", "55", None),
            ("69", "61", Reason.THRESHOLD_NOT_CROSSED),
            ("59", "50", Reason.THRESHOLD_NOT_CROSSED),
            ("55", "65", Reason.THRESHOLD_NOT_CROSSED),
        )
    ),
    (
        gates.threshold_crossed,
        "a score of a zero-point assignment",
        told_below("70", None, Value("3/0", None)),
        Reason.NO_NUMBER,
    ),
    (
        gates.threshold_crossed,
        "an absence, which has no number",
        a_case(
            a_subject(Kind.ATTENDANCE, after=ABSENT),
            a_candidate(subscription=Subscription(thresholds=(Decimal(70),))),
        ),
        Reason.NO_NUMBER,
    ),
    (
        gates.threshold_crossed,
        "a balance that falls under zero",
        told_below("0", Value("$0.00", Decimal(0)), Value("-$0.01", Decimal("-0.01"))),
        None,
    ),
    (gates.device_live, "a live device", a_case(), None),
    (
        gates.device_live,
        "a device that is retired",
        signed_in(a_sign_in(device_live=False)),
        Reason.NO_DEVICE,
    ),
    (
        gates.device_live,
        "a live device without Stay Logged In, and a retired one with it",
        signed_in(a_sign_in("1", stays=False), a_sign_in("2", device_live=False)),
        Reason.NO_DEVICE,
    ),
    (
        gates.device_live,
        "a live device whose session ended, and a retired one that stays",
        signed_in(a_sign_in("1", ended=True), a_sign_in("2", device_live=False)),
        Reason.NO_DEVICE,
    ),
)


@pytest.mark.parametrize(
    ("ask", "case", "said"),
    [
        pytest.param(ask, case, said, id=f"{ask.__name__}: {words}")
        for ask, words, case, said in TABLE
    ],
)
def test_a_gate_says_of(ask: Ask, case: Case, said: Reason | None) -> None:
    assert ask(case) is said


def test_every_gate_has_a_table_with_a_yes_and_every_no_that_it_may_say() -> None:
    said = {ask: {answer for gate, _, _, answer in TABLE if gate is ask} for ask, *_ in TABLE}

    assert said == {gate.ask: {None, *gate.says} for gate in GATES}


def test_nothing_stands_in_the_way_of_an_ordinary_case() -> None:
    assert refusal(a_case()) is None


# For each gate a case that it alone refuses, in the order of the gates.
REFUSED_BY_ONE: Final[tuple[tuple[Reason, Case], ...]] = (
    (Reason.DISTRICT_OFF, a_case(holds=circumstances(enabled=False))),
    (
        Reason.KIND_NOT_SUPPORTED,
        a_case(a_subject(Kind.MEAL_BALANCE), holds=circumstances(food_service=False)),
    ),
    (Reason.NOTHING_TO_TELL, assignment(score("90"), score("90"))),
    (Reason.NOT_RELEASED, a_case(a_subject(released=False))),
    (Reason.YEAR_NOT_ACTIVE, a_case(a_subject(calendar="11"))),
    (
        Reason.DISPLAY_OPTION_OFF,
        a_case(holds=circumstances(hidden=(("1", Kind.ASSIGNMENT, Audience.GUARDIAN),))),
    ),
    (Reason.NOT_ENROLLED, a_case(candidate=a_candidate(enrolled=False))),
    (Reason.RESTRICTED, as_guardian(Right(restricted=True))),
    (Reason.SESSION_ENDED, signed_in(a_sign_in(ended=True))),
    (Reason.NOT_SUBSCRIBED, a_case(candidate=a_candidate(subscription=None))),
    (Reason.ALREADY_TOLD, assignment(None, score("90"))._replace(shown=shown("90/100"))),
    (Reason.THRESHOLD_NOT_CROSSED, told_below("70", score("60"), score("50"))),
    (Reason.NO_DEVICE, signed_in(a_sign_in(device_live=False))),
    (Reason.TOO_LATE, a_case(a_subject()._replace(late=True))),
)


@pytest.mark.parametrize(("reason", "case"), REFUSED_BY_ONE, ids=[r for r, _ in REFUSED_BY_ONE])
def test_the_gate_that_says_no_is_the_reason(reason: Reason, case: Case) -> None:
    assert refusal(case) is reason


def test_the_first_gate_that_says_no_is_the_reason() -> None:
    # Everything is wrong at once; then one thing after another is put right.
    case = a_case(
        a_subject(Kind.MEAL_BALANCE, released=False, calendar="11", before=None, after=None),
        a_candidate(
            enrolled=False,
            right=Right(portal=False),
            has_account=False,
            sign_ins=(),
            subscription=None,
        ),
        circumstances(
            enabled=False,
            food_service=False,
            hidden=(("1", Kind.MEAL_BALANCE, Audience.GUARDIAN),),
        ),
    )
    heard = [refusal(case)]
    for mend in MENDING:
        case = mend(case)
        heard.append(refusal(case))

    assert heard == [
        Reason.DISTRICT_OFF,
        Reason.KIND_NOT_SUPPORTED,
        Reason.NOTHING_TO_TELL,
        Reason.NOT_RELEASED,
        Reason.YEAR_NOT_ACTIVE,
        Reason.DISPLAY_OPTION_OFF,
        Reason.NOT_ENROLLED,
        Reason.NO_PORTAL_RIGHT,
        Reason.NO_ACCOUNT,
        Reason.NOT_SUBSCRIBED,
        Reason.THRESHOLD_NOT_CROSSED,
        Reason.NO_DEVICE,
        None,
    ]


def _holds(case: Case, **differences: Any) -> Case:
    return case._replace(circumstances=replace(case.circumstances, **differences))


def _subject(case: Case, **differences: Any) -> Case:
    return case._replace(subject=case.subject._replace(**differences))


def _candidate(case: Case, **differences: Any) -> Case:
    return case._replace(candidate=case.candidate._replace(**differences))


LIMITED: Final = Subscription(thresholds=(Decimal(5),))
RETIRED: Final = (a_sign_in(device_live=False),)

MENDING: Final[tuple[Callable[[Case], Case], ...]] = (
    lambda case: _holds(case, enabled=True),
    lambda case: _holds(case, food_service=True),
    lambda case: _subject(case, after=Value("$9.00", Decimal(9))),
    lambda case: _subject(case, released=True),
    lambda case: _subject(case, calendar=CalendarId("12")),
    lambda case: _holds(case, options=DisplayOptions()),
    lambda case: _candidate(case, enrolled=True),
    lambda case: _candidate(case, right=Right()),
    lambda case: _candidate(case, has_account=True, sign_ins=RETIRED),
    lambda case: _candidate(case, subscription=LIMITED),
    lambda case: _subject(case, after=Value("$4.00", Decimal(4))),
    lambda case: _candidate(case, sign_ins=(a_sign_in(),)),
)


def test_a_restriction_is_the_reason_even_where_the_right_has_ended_too() -> None:
    right = Right(starts=TODAY - timedelta(days=9), ends=YESTERDAY, restricted=True)

    assert refusal(as_guardian(right)) is Reason.RESTRICTED


def test_a_person_without_portal_right_is_not_told_that_there_is_a_restriction() -> None:
    assert refusal(as_guardian(Right(portal=False, restricted=True))) is Reason.NO_PORTAL_RIGHT


def test_gates_have_titles_of_their_own() -> None:
    assert len({gate.title for gate in GATES}) == len(GATES)


@pytest.mark.parametrize(
    "gate", [gate for gate in GATES if not gate.of_change], ids=lambda gate: gate.title
)
def test_a_gate_that_is_not_about_the_change_looks_at_no_value_of_it(gate: Gate) -> None:
    """`why` asks these gates without a change: what they say must not depend on one."""
    bare = a_subject(before=None, after=None, calendar="", released=False)

    assert gate.ask(a_case(bare)) is gate.ask(a_case())


@given(cases())
def test_gates_that_say_the_same_to_everybody_need_no_candidate(case: Case) -> None:
    nobody = a_candidate(right=None, has_account=False, sign_ins=(), enrolled=False)

    for gate in gates.ALIKE:
        assert gate.ask(case) is gate.ask(case._replace(candidate=nobody, shown=None))


@given(cases())
def test_who_is_asked_only_what_is_their_own_is_refused_for_the_same_reason(case: Case) -> None:
    assert refusal(case, gates.gates_for(case)) is refusal(case)
