"""The one question: what is decided for whom, and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.audience import Audience, Candidate
from rules.change import Kind, Subject
from rules.decide import CandidateKey, Decision, Texts
from rules.decide import decide as decide_all
from rules.gates import GATES, Case, Gate, refusal
from rules.notification import Hold
from rules.plan import AT_ONCE, NO_PREFERENCES, HoldUntil, plan
from rules.reasons import Reason
from rules.told import Memory
from rules.wording import Template, TemplateKey, Text, Wording
from tests.builders import (
    NOW,
    a_candidate,
    a_change_id,
    a_sign_in,
    a_student,
    a_subject,
    circumstances,
)
from tests.rules.worlds import World, cases, worlds

WORDING = Wording()


def decide(
    subjects: Sequence[Subject],
    *candidates: Candidate,
    wording: Wording = WORDING,
) -> list[Decision]:
    """Decide *subjects* for the candidates of each one's student."""
    by_key: dict[CandidateKey, list[Candidate]] = {
        (subject.student, subject.kind): [
            candidate for candidate in candidates if candidate.student == subject.student
        ]
        for subject in subjects
    }
    return list(decide_all(subjects, by_key, circumstances(), Texts(wording), Memory()))


def decide_world(world: World, wording: Wording = WORDING) -> list[Decision]:
    texts = Texts(wording)
    return list(decide_all(world.subjects, world.candidates, world.circumstances, texts, Memory()))


def text_of(decision: Decision, wording: Wording = WORDING) -> Text:
    """What the person of *decision* reads."""
    about = decision.subject
    text = Texts(wording).of(
        (about.change, about.student), about, decision.audience, decision.language
    )
    assert isinstance(text, Text)
    return text


def heard(decisions: Sequence[Decision]) -> Mapping[str, tuple[str, ...]]:
    """The devices on which each person is told."""
    return {one.person: one.devices for one in decisions if one.reason is Reason.TOLD}


# One thing at a time


def test_a_person_who_may_hear_is_told_on_every_live_device() -> None:
    (decision,) = decide([a_subject()], a_candidate(sign_ins=(a_sign_in("1"), a_sign_in("2"))))

    assert decision.reason is Reason.TOLD
    assert decision.devices == ("1", "2")


def test_a_person_who_is_told_gets_a_text_in_their_language() -> None:
    (decision,) = decide([a_subject()], a_candidate(language="es-MX"))

    assert text_of(decision).body == "Ada obtuvo 17/20."


def test_a_person_who_is_not_told_gets_no_devices() -> None:
    (decision,) = decide([a_subject(released=False)], a_candidate())

    assert (decision.reason, decision.devices) == (Reason.NOT_RELEASED, ())


def test_a_decision_names_its_change() -> None:
    (decision,) = decide([a_subject(change="c-1")], a_candidate())

    assert decision.change == "c-1"


def test_a_student_without_any_candidate_makes_no_decision() -> None:
    assert decide([a_subject()]) == []


def test_one_person_with_two_devices_hears_on_both() -> None:
    mother = a_candidate("34", sign_ins=(a_sign_in("1"), a_sign_in("2")))

    assert heard(decide([a_subject()], mother)) == {"34": ("1", "2")}


def test_a_parent_of_two_who_share_a_meal_account_hears_of_one_change_once() -> None:
    change = a_change_id()
    siblings = [
        a_subject(Kind.MEAL_BALANCE, change=change, student="41", student_name="Ada"),
        a_subject(Kind.MEAL_BALANCE, change=change, student="42", student_name="Ben"),
    ]

    decisions = decide(siblings, a_candidate("34", student="41"), a_candidate("34", student="42"))

    assert [one.reason for one in decisions] == [Reason.TOLD, Reason.DEVICE_ALREADY_TOLD]


def test_a_parent_of_two_whose_scores_are_released_together_hears_of_both() -> None:
    """One change, two records: the second has a notification of its own."""
    change = a_change_id()
    siblings = [
        a_subject(change=change, student="41", record="91"),
        a_subject(change=change, student="42", record="92"),
    ]

    decisions = decide(siblings, a_candidate("34", student="41"), a_candidate("34", student="42"))

    assert [one.reason for one in decisions] == [Reason.TOLD, Reason.TOLD]
    assert [one.apart for one in decisions] == [False, True]
    assert [plan(one, (), NO_PREFERENCES, NOW) for one in decisions] == [
        AT_ONCE, HoldUntil(NOW, Hold.APART)
    ]  # fmt: skip


def test_two_accounts_on_one_phone_make_one_push_that_names_the_child() -> None:
    ada, mother = a_student("31", sign_ins=(a_sign_in("1"),)), a_candidate("34")

    decisions = decide([a_subject()], ada, mother)

    assert {one.person: one.reason for one in decisions} == {
        "34": Reason.TOLD,
        "31": Reason.DEVICE_ALREADY_TOLD,
    }


def test_a_second_device_is_told_although_the_first_was_told_for_another_person() -> None:
    mother = a_candidate("34", sign_ins=(a_sign_in("1"),))
    father = a_candidate("35", sign_ins=(a_sign_in("1"), a_sign_in("2")))

    assert heard(decide([a_subject()], mother, father)) == {"34": ("1",), "35": ("2",)}


def test_two_changes_of_one_batch_are_both_told_on_one_device() -> None:
    decisions = decide([a_subject(record="91"), a_subject(record="92")], a_candidate())

    assert [one.reason for one in decisions] == [Reason.TOLD, Reason.TOLD]


def test_a_faulty_text_is_a_reason_and_names_its_template() -> None:
    key = TemplateKey("en", Kind.ASSIGNMENT, Audience.GUARDIAN)
    wording = Wording({key: Template("{{ course }}", "{{ nobody_knows }}")})

    (decision,) = decide([a_subject()], a_candidate(), wording=wording)

    assert decision.reason is Reason.TEMPLATE_INVALID
    assert decision.fault is not None
    assert decision.fault.template == "en.assignment.guardian"


def test_a_faulty_text_in_one_language_leaves_the_shared_phone_to_another() -> None:
    key = TemplateKey("es", Kind.ASSIGNMENT, Audience.GUARDIAN)
    wording = Wording({key: Template("{{ course }}", " ")})
    mother, father = a_candidate("34", language="es"), a_candidate("35", language="en")

    decisions = decide([a_subject()], mother, father, wording=wording)

    assert [one.reason for one in decisions] == [Reason.TEXT_BLANK, Reason.TOLD]


def test_siblings_texts_do_not_mix() -> None:
    change = a_change_id()
    siblings = [
        a_subject(Kind.RESPONSIVE_SCHEDULE, change=change, student="41", student_name="Ada"),
        a_subject(Kind.RESPONSIVE_SCHEDULE, change=change, student="42", student_name="Ben"),
    ]

    decisions = decide(
        siblings,
        a_candidate("34", student="41", sign_ins=(a_sign_in("1"),)),
        a_candidate("35", student="42", sign_ins=(a_sign_in("2"),)),
    )

    texts = Texts(WORDING)
    made = [
        texts.of((one.change, one.subject.student), one.subject, one.audience, one.language)
        for one in decisions
    ]
    assert [text.title for text in made if isinstance(text, Text)] == [
        "Schedule: Ada",
        "Schedule: Ben",
    ]


# What always holds


@given(worlds())
def test_the_same_question_has_the_same_answer(world: World) -> None:
    assert decide_world(world, Wording()) == decide_world(world, Wording())


@given(worlds())
def test_there_is_one_decision_for_every_subject_and_candidate(world: World) -> None:
    decided = Counter((one.change, one.subject.student, one.person) for one in decide_world(world))

    assert decided == Counter(
        (subject.change, subject.student, candidate.person)
        for subject in world.subjects
        for candidate in world.candidates[subject.student, subject.kind]
    )


@given(worlds())
def test_a_device_is_told_of_one_change_once(world: World) -> None:
    told = Counter((one.change, device) for one in decide_world(world) for device in one.devices)

    assert set(told.values()) <= {1}


@given(worlds())
def test_everybody_who_passes_the_gates_hears_or_shares_a_device_that_does(world: World) -> None:
    decisions = decide_world(world)
    told = {(one.change, device) for one in decisions for device in one.devices}

    assert all(
        (subject.change, device) in told
        for subject in world.subjects
        for candidate in world.candidates[subject.student, subject.kind]
        if refusal(Case(subject, candidate, world.circumstances)) is None
        for device in candidate.live_devices
    )


@given(worlds())
def test_who_is_told_has_a_text_and_a_device_and_nobody_else_has_a_device(world: World) -> None:
    for one in decide_world(world):
        assert bool(one.devices) is (one.reason is Reason.TOLD)
        assert one.reason is not Reason.TOLD or text_of(one).body


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_changes_nothing(world: World, chance: Random) -> None:
    shuffled = replace(
        world,
        candidates={
            key: chance.sample(candidates, len(candidates))
            for key, candidates in world.candidates.items()
        },
    )

    assert decide_world(shuffled) == decide_world(world)


@given(cases(), st.lists(st.sampled_from(GATES), unique=True))
def test_a_gate_more_only_silences(case: Case, some: list[Gate]) -> None:
    if refusal(case, GATES) is None:
        assert refusal(case, some) is None


@given(cases(), st.permutations(GATES))
def test_the_order_of_the_gates_changes_the_reason_and_not_who_is_told(
    case: Case, gates: list[Gate]
) -> None:
    assert (refusal(case, gates) is None) is (refusal(case) is None)


@given(cases())
def test_a_gate_says_only_what_it_declares(case: Case) -> None:
    for gate in GATES:
        assert gate.ask(case) in {None, *gate.says}


def test_the_worlds_of_these_tests_hold_most_reasons() -> None:
    """A property that only ever saw silence would prove nothing."""
    seen: set[Reason] = set()

    @settings(derandomize=True)
    @given(worlds())
    def look(world: World) -> None:
        seen.update(one.reason for one in decide_world(world))

    look()

    assert {Reason.TOLD, Reason.DEVICE_ALREADY_TOLD} <= seen
    assert len(seen) > 12
