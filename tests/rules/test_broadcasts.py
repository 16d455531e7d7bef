"""The rules of broadcasts: whom they reach, what one person reads, and when two must agree."""

import pytest

from rules.audience import Audience, Candidate, Right, SignIn, Subscription
from rules.broadcasts import BroadcastId, Message, Unit, needs_approval
from rules.change import Kind, PersonId, StudentId
from rules.gates import (
    EVERY_SCHOOL,
    Circumstances,
    broadcast_gates,
    nearest,
    refusal,
    standing_case,
)
from rules.reasons import Reason
from rules.wording import Text, Wording
from rules.wording.templates import Template
from tests.builders import NOW

TODAY = Circumstances(NOW.date())
MOTHER = Candidate(
    PersonId("34"), StudentId("41"), Audience.GUARDIAN, "es-MX", Right(), sign_ins=(SignIn("1"),)
)
TEXTS = {"en": Template("To {{ student_first_name }}", "Hello"), "es": Template("Hola", "Hola")}


def asked(candidate: Candidate, today: Circumstances = TODAY, *, emergency: bool = False) -> object:
    case = standing_case(Kind.BROADCAST, EVERY_SCHOOL, candidate, today)
    return refusal(case, broadcast_gates(is_emergency=emergency))


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (MOTHER, None),
        (MOTHER._replace(subscription=Subscription(enabled=False)), Reason.BROADCASTS_OFF),
        (MOTHER._replace(subscription=Subscription(enabled=True)), None),
        (MOTHER._replace(right=None), Reason.NO_PORTAL_RIGHT),
        (MOTHER._replace(right=Right(restricted=True)), Reason.RESTRICTED),
        (MOTHER._replace(has_account=False, sign_ins=()), Reason.NO_ACCOUNT),
        (MOTHER._replace(sign_ins=(SignIn("1", stays=False),)), Reason.STAY_LOGGED_IN_OFF),
        (MOTHER._replace(sign_ins=(SignIn("1", ended=True),)), Reason.SESSION_ENDED),
        (MOTHER._replace(sign_ins=(SignIn("1", device_live=False),)), Reason.NO_DEVICE),
        (MOTHER._replace(enrolled=False), None),
    ],
)
def test_the_first_gate_that_says_no_is_the_reason(
    candidate: Candidate, reason: Reason | None
) -> None:
    assert asked(candidate) is reason


@pytest.mark.parametrize(
    ("reasons", "nearest_one"),
    [
        ([], None),
        ([Reason.RESTRICTED, Reason.NO_DEVICE], Reason.NO_DEVICE),
        ([Reason.NO_DEVICE, Reason.RESTRICTED], Reason.NO_DEVICE),
        ([Reason.BROADCASTS_OFF, Reason.NO_ACCOUNT, Reason.DISTRICT_OFF], Reason.BROADCASTS_OFF),
    ],
)
def test_of_several_reasons_that_counts_which_is_asked_last(
    reasons: list[Reason], nearest_one: Reason | None
) -> None:
    assert nearest(reasons) is nearest_one


def test_nobody_can_switch_an_emergency_off_and_nobody_hears_against_their_right() -> None:
    off = MOTHER._replace(subscription=Subscription(enabled=False))

    assert asked(off, emergency=True) is None
    assert asked(off._replace(right=None), emergency=True) is Reason.NO_PORTAL_RIGHT
    assert asked(off, Circumstances(NOW.date(), enabled=False), emergency=True) is (
        Reason.DISTRICT_OFF
    )


def test_one_person_reads_one_text_of_all_units_that_they_may_hear_of() -> None:
    units = tuple(
        Unit(StudentId(student), {"student_first_name": name})
        for student, name in (("41", "Ada"), ("42", "Ben"), ("41", "Ada"))
    )
    message = Message(BroadcastId("b"), TEXTS, units)

    assert Wording().render(message, Audience.GUARDIAN, "fr") == Text("To Ada, Ben", "Hello")
    assert Wording().render(message.about(["42"]), Audience.GUARDIAN, "en") == Text(
        "To Ben", "Hello"
    )
    assert Wording().render(message, Audience.GUARDIAN, "es-MX") == Text("Hola", "Hola")
    assert message.students == ("41", "42")


@pytest.mark.parametrize(
    ("recipients", "above", "needs"), [(5, 0, False), (5, 5, False), (6, 5, True), (0, 5, False)]
)
def test_what_is_large_needs_a_second_person(recipients: int, above: int, needs: bool) -> None:
    assert needs_approval(recipients, above) is needs
