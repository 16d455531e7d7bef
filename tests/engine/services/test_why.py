"""Why: the exact answer, for what was decided and for what would be."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from engine.errors import SchoolbellError
from engine.services import why
from engine.services.why import BY_CHANGE, NO, NOT_ASKED, YES, Answer
from engine.show.why import told
from engine.store import app
from engine.store import district as settings
from rules.change import KINDS_OF_CHANGE, Change, ChangeId, Kind, PersonId, StudentId
from rules.gates import GATES
from rules.outcomes import Verdict
from rules.reasons import Reason
from tests.builders import NOW, TODAY, a_change, a_change_id, an_outcome
from tests.district import (
    ADA,
    CHEN,
    FATHER,
    GRANDMOTHER,
    MOTHER,
    TOKENS,
    UNCLE,
    District,
    marked,
    scored,
    subscribe,
)


def decided(district: District, person: str = MOTHER, student: str = ADA) -> list[Answer]:
    found: list[Answer] = why.decided(
        district.database, StudentId(student), PersonId(person), NOW + timedelta(minutes=1)
    )
    return found


def of_change(district: District, change: str, person: str = MOTHER) -> Answer:
    who = StudentId(ADA), PersonId(person)
    return why.of_change(district.database, *who, ChangeId(change))


def standing(district: District, person: str, student: str = ADA) -> dict[Kind, Answer]:
    found = why.standing(
        district.database, StudentId(student), PersonId(person), district.clock.now, TODAY
    )
    return {answer.kind: answer for answer in found}


def answers(answer: Answer) -> dict[str, str]:
    return {step.gate: step.answer for step in answer.steps}


def asked_until(answer: Answer) -> tuple[Sequence[str], str, Sequence[str]]:
    """The gates that said yes, the one that said no, and those not asked any more."""
    found = answers(answer)
    (no,) = [gate for gate, said in found.items() if said == NO]
    return (
        [gate for gate, said in found.items() if said == YES],
        no,
        [gate for gate, said in found.items() if said == NOT_ASKED],
    )


# What was decided


def test_a_person_who_was_told_passed_every_gate(district: District) -> None:
    district.evaluate(scored(9, 17))

    (answer,) = decided(district)

    assert answer.reason is Reason.TOLD
    assert set(answers(answer).values()) == {YES}
    assert len(answer.steps) == len(GATES) + 2


def test_the_gate_that_said_no_is_named_and_those_after_it_were_not_asked(
    district: District,
) -> None:
    district.evaluate(scored(9, 17))

    (answer,) = decided(district, UNCLE)

    passed, refused, not_asked = asked_until(answer)
    assert answer.reason is Reason.RESTRICTED
    assert refused == "right to the student"
    assert passed == [gate.title for gate in GATES[: len(passed)]]
    assert len(passed) + 1 + len(not_asked) == len(GATES) + 2


def test_whose_right_does_not_reach_to_a_kind_hears_of_the_others(district: District) -> None:
    district.sis("UPDATE schoolbell_rights SET withheld = 'assignment' WHERE person_id = '34'")

    score, mark = scored(9, 17), marked()
    district.evaluate(score, mark)

    answer = of_change(district, score.id)
    assert (answer.reason, asked_until(answer)[1]) == (
        Reason.KIND_WITHHELD, "right to the student",
    )  # fmt: skip
    assert of_change(district, mark.id).reason is Reason.TOLD
    now = standing(district, MOTHER)
    assert now[Kind.ASSIGNMENT].reason is Reason.KIND_WITHHELD
    assert now[Kind.GRADE].reason is Reason.TOLD


def test_a_phone_that_was_told_already_passed_every_gate_before(district: District) -> None:
    his_own = district.devices()[FATHER]
    district.sign_in(FATHER, TOKENS[MOTHER])
    district.app(app.sign_out, PersonId(FATHER), his_own, NOW)
    district.evaluate(scored(9, 17))

    (answer,) = decided(district, FATHER)

    passed, refused, not_asked = asked_until(answer)
    assert (refused, not_asked) == ("device not told yet", ["text complete"])
    assert len(passed) == len(GATES)


def test_the_newest_decision_comes_first_and_no_more_than_asked_for(district: District) -> None:
    first, second, third = (
        scored(points, points + 1, at=NOW + timedelta(seconds=points)) for points in range(3)
    )
    district.evaluate(first, second, third)

    found = why.decided(district.database, StudentId(ADA), PersonId(MOTHER), NOW, 2)

    assert [answer.change for answer in found] == [third.id, second.id]


def test_a_decision_says_which_change_when_and_of_what_kind(district: District) -> None:
    change = scored(9, 17)
    district.evaluate(change)

    (answer,) = decided(district)

    assert (answer.change, answer.committed_at) == (change.id, NOW)
    assert (answer.watch, answer.kind) == ("score", Kind.ASSIGNMENT)


def test_decisions_about_other_students_are_not_shown(district: District) -> None:
    district.evaluate(scored(9, 17))

    assert decided(district, FATHER, CHEN) == []


def test_a_push_without_an_answer_says_so(district: District) -> None:
    push = district.push_of(scored(9, 17))

    (answer,) = decided(district)

    assert told(answer) == [f"device {push.device_id}: no answer yet"]


def test_every_try_of_a_push_is_shown_with_its_outcome(district: District) -> None:
    push = district.push_of(scored(9, 17))
    district.record([an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE")])
    district.record([an_outcome(push, attempt=2)])

    (answer,) = decided(district)

    assert told(answer) == [
        f"device {push.device_id}: try 1 deferred, UNAVAILABLE",
        f"device {push.device_id}: try 2 accepted",
    ]


def test_a_text_that_was_shortened_is_shown_in_words(district: District) -> None:
    push = district.push_of(scored(9, 17))
    district.record([an_outcome(push, shortened=True)])

    (answer,) = decided(district)

    assert told(answer) == [f"device {push.device_id}: try 1 accepted, its text shortened to fit"]


def test_who_was_not_told_has_no_pushes(district: District) -> None:
    district.evaluate(scored(9, 17))

    (answer,) = decided(district, GRANDMOTHER)

    assert told(answer) == []


# One change


def test_the_decision_on_one_change_is_found(district: District) -> None:
    one, other = scored(9, 17), marked()
    district.evaluate(one, other)

    assert of_change(district, one.id).watch == "score"
    assert of_change(district, other.id).watch == "attendance"


def test_an_id_may_be_written_in_capitals(district: District) -> None:
    change = scored(9, 17)
    district.evaluate(change)

    assert of_change(district, change.id.upper()).change == change.id


def complaint(district: District, change: str, person: str = MOTHER) -> SchoolbellError:
    with pytest.raises(SchoolbellError) as refused:
        of_change(district, change, person)
    return refused.value


def test_what_is_no_id_is_refused_with_what_one_looks_like(district: District) -> None:
    refused = complaint(district, "yesterday's quiz")

    assert "is not the id of a change" in refused.problem


def test_a_change_that_nobody_knows_is_said_to_be_so(district: District) -> None:
    refused = complaint(district, a_change_id())

    assert "not known here" in refused.problem
    assert "schoolbell status" in refused.remedy


def test_a_change_that_did_not_concern_the_person_is_said_to_be_so(district: District) -> None:
    change = scored(9, 17)
    district.evaluate(change)

    assert "did not concern this person" in complaint(district, change.id, "39").problem


def test_a_parked_change_is_said_to_be_so_with_its_remedy(district: District) -> None:
    change: Change = a_change("cafeteria", after={})
    district.evaluate(change)

    refused = complaint(district, change.id)

    assert refused.problem.startswith("The change is parked: No watch")
    assert "schoolbell capture install" in refused.remedy


# How things stand


def test_who_would_be_told_is_told_so_for_every_kind(district: District) -> None:
    found = standing(district, MOTHER)

    assert set(found) == set(KINDS_OF_CHANGE)
    assert {answer.reason for answer in found.values()} == {Reason.TOLD}


def test_what_depends_on_the_change_is_marked_as_such(district: District) -> None:
    answer = standing(district, MOTHER)[Kind.GRADE]

    assert {gate for gate, said in answers(answer).items() if said == BY_CHANGE} == {
        gate.title for gate in GATES if gate.of_change
    }


def test_how_things_stand_is_known_where_nothing_was_ever_decided(district: District) -> None:
    assert decided(district, GRANDMOTHER) == []
    assert standing(district, GRANDMOTHER)[Kind.GRADE].reason is Reason.NO_PORTAL_RIGHT


def test_the_first_gate_that_would_say_no_is_the_reason(district: District) -> None:
    district.app(settings.set_enabled, enabled=False)

    answer = standing(district, GRANDMOTHER)[Kind.GRADE]

    assert answer.reason is Reason.DISTRICT_OFF
    assert set(answers(answer).values()) == {NO, NOT_ASKED}


def test_each_kind_has_its_own_answer(district: District) -> None:
    subscribe(district, MOTHER, Kind.GRADE, on=False)
    district.app(settings.set_food_service, food_service=False)

    found = standing(district, MOTHER)

    assert found[Kind.GRADE].reason is Reason.NOT_SUBSCRIBED
    assert found[Kind.MEAL_BALANCE].reason is Reason.KIND_NOT_SUPPORTED
    assert found[Kind.ASSIGNMENT].reason is Reason.TOLD


def test_a_threshold_is_no_reason_before_there_is_a_change(district: District) -> None:
    district.app(
        app.subscribe,
        PersonId(MOTHER),
        StudentId(ADA),
        Kind.ATTENDANCE,
        thresholds=(Decimal(70),),
    )

    answer = standing(district, MOTHER)[Kind.ATTENDANCE]
    assert (answer.reason, answer.below) == (Reason.TOLD, (Decimal(70),))


def test_a_student_who_has_left_is_the_reason(district: District) -> None:
    assert standing(district, FATHER, CHEN)[Kind.GRADE].reason is Reason.NOT_ENROLLED


@pytest.mark.parametrize(
    ("person", "student"), [("39", ADA), ("999", ADA), (MOTHER, "999"), (MOTHER, CHEN)]
)
def test_who_has_nothing_to_do_with_the_student_is_told_so(
    district: District, person: str, student: str
) -> None:
    with pytest.raises(SchoolbellError) as refused:
        standing(district, person, student)

    assert refused.value.problem == (
        f"The directory knows no relation of person {person} to student {student}."
    )
    assert "schoolbell sync" in refused.value.remedy


def test_how_things_stand_is_what_happens_to_the_next_change(district: District) -> None:
    before = standing(district, UNCLE)[Kind.ASSIGNMENT].reason
    change = scored(9, 17)

    district.evaluate(change)

    assert district.reasons(change)[UNCLE] is before
