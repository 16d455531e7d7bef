"""Candidates: everyone who has any relation to a student, with the facts that decide."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import event

from engine.store import app, candidates
from engine.store.devices import opened
from engine.wire.messages import Token
from rules.audience import Audience, Candidate, DeviceId, Right, SignIn, Subscription
from rules.change import KINDS_OF_CHANGE, Kind, PersonId, StudentId
from tests.builders import NOW
from tests.district import (
    ADA,
    ADA_HERSELF,
    BEN,
    CHEN,
    FATHER,
    GRANDMOTHER,
    KEYRING,
    MOTHER,
    STEPFATHER,
    TOKENS,
    UNCLE,
    District,
    subscribe,
)


def of(district: District, student: str, kind: Kind = Kind.GRADE) -> Sequence[Candidate]:
    """The candidates for one student and kind."""
    key = StudentId(student), kind
    found: Sequence[Candidate] = district.read(candidates.fetch, {key}, NOW).candidates[key]
    return found


def one(district: District, person: str, student: str = ADA, **how: Any) -> Candidate:
    (found,) = [c for c in of(district, student, **how) if c.person == person]
    return found


def test_everybody_with_a_relation_is_a_candidate_whether_it_is_in_force_or_not(
    district: District,
) -> None:
    assert {candidate.person for candidate in of(district, ADA)} == {
        *(ADA_HERSELF, MOTHER, FATHER, GRANDMOTHER, UNCLE, STEPFATHER)
    }


def test_a_student_is_a_candidate_without_a_right(district: District) -> None:
    ada = one(district, ADA_HERSELF)

    assert (ada.audience, ada.right) == (Audience.STUDENT, None)


def test_a_right_comes_with_its_days_and_flags(district: District) -> None:
    starts = date(2024, 8, 1)

    assert one(district, MOTHER).right == Right(True, starts)
    assert one(district, GRANDMOTHER).right == Right(False, starts)
    assert one(district, UNCLE).right == Right(True, starts, None, restricted=True)
    assert one(district, STEPFATHER).right == Right(True, starts, date(2026, 11, 22))


def test_a_right_comes_with_the_kinds_that_are_withheld(district: District) -> None:
    district.sis(
        "UPDATE schoolbell_rights SET withheld = 'grade meal_balance' WHERE person_id = '34'"
    )

    held = one(district, MOTHER).right

    assert held is not None
    assert held.withheld == {Kind.GRADE, Kind.MEAL_BALANCE}
    assert one(district, FATHER).right == Right(True, date(2024, 8, 1))


def test_a_person_has_their_own_language(district: District) -> None:
    assert (one(district, MOTHER).language, one(district, FATHER).language) == ("es-MX", "en")


def test_whether_the_student_is_enrolled_is_a_fact_of_the_student(district: District) -> None:
    assert one(district, FATHER, ADA).enrolled is True
    assert one(district, FATHER, CHEN).enrolled is False


def test_who_never_signed_in_has_no_account(district: District) -> None:
    assert one(district, GRANDMOTHER).has_account is False


def test_a_sign_in_comes_with_its_device(district: District) -> None:
    device = DeviceId(district.devices()[MOTHER])

    assert one(district, MOTHER).sign_ins == (SignIn(device),)


def test_a_session_ends_at_the_moment_when_it_runs_out(district: District) -> None:
    later = NOW + timedelta(seconds=1)
    district.sign_in(MOTHER, TOKENS[MOTHER], expires_at=NOW)
    district.sign_in(FATHER, TOKENS[FATHER], expires_at=later)

    ended = [one(district, person).sign_ins[0].ended for person in (MOTHER, FATHER)]

    assert ended == [True, False]


def test_a_session_that_was_ended_is_known_as_such(district: District) -> None:
    district.app(app.sign_out, PersonId(MOTHER), district.devices()[MOTHER], NOW)

    assert one(district, MOTHER).sign_ins[0].ended is True


def test_a_subscription_is_the_one_for_the_student_and_kind_at_hand(district: District) -> None:
    subscribe(district, MOTHER, Kind.GRADE, below="70")

    assert one(district, MOTHER).subscription == Subscription(True, (Decimal(70),))
    assert one(district, MOTHER, kind=Kind.ATTENDANCE).subscription == Subscription()
    assert one(district, MOTHER, BEN).subscription == Subscription()


def test_who_never_chose_has_no_subscription(district: District) -> None:
    assert one(district, GRANDMOTHER).subscription is None


def test_the_addresses_of_all_devices_come_along(district: District) -> None:
    tablet = district.sign_in(MOTHER, Token("apns", "her-tablet"))
    key = StudentId(ADA), Kind.GRADE

    found = district.read(candidates.fetch, {key}, NOW).devices

    assert opened(KEYRING, found[tablet]).token == Token("apns", "her-tablet")
    assert opened(KEYRING, found[district.devices()[FATHER]]).token == TOKENS[FATHER]


def test_a_student_whom_nobody_knows_has_no_candidates(district: District) -> None:
    assert list(of(district, "999")) == []


def test_a_student_who_is_their_own_guardian_is_a_candidate_once_as_the_student(
    district: District,
) -> None:
    district.sis(
        "INSERT INTO schoolbell_rights VALUES"
        " ('41', '31', 'self', FALSE, '2024-08-01', NULL, TRUE, '')"
    )

    assert one(district, ADA_HERSELF).audience is Audience.STUDENT


def test_a_student_who_is_anothers_guardian_is_a_candidate_for_the_other(
    district: District,
) -> None:
    """A grown-up sister, or a parent who is a pupil of the evening school."""
    district.sis(
        "INSERT INTO schoolbell_rights VALUES"
        " ('42', '31', 'sister', TRUE, '2024-08-01', NULL, FALSE, '')"
    )

    assert one(district, ADA_HERSELF, BEN).audience is Audience.GUARDIAN


def test_the_candidates_of_many_students_take_as_many_queries_as_those_of_one(
    district: District,
) -> None:
    def queries(*students: str) -> int:
        sent: list[str] = []

        def note(*called_with: Any) -> None:
            sent.append(called_with[2])

        wanted = {(StudentId(student), kind) for student in students for kind in KINDS_OF_CHANGE}
        event.listen(district.database.engine, "before_cursor_execute", note)
        district.read(candidates.fetch, wanted, NOW)
        event.remove(district.database.engine, "before_cursor_execute", note)
        return sum(statement.startswith("SELECT") for statement in sent)

    assert queries(ADA) == queries(ADA, BEN, CHEN, *map(str, range(100, 600))) == 4
