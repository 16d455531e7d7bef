"""Broadcasts: from a row that staff write to what each phone is told, on both databases."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest

from engine.services import inbox
from engine.services.broadcasts import drafts, sending
from engine.services.broadcasts.refusals import NotNow
from engine.stages import release
from engine.store import app, broadcasts
from engine.store import district as settings
from engine.store.tables import due
from engine.wire.messages import Push
from rules.broadcasts import BroadcastState
from rules.change import Kind, PersonId, SchoolId, StudentId
from rules.lanes import Lane
from rules.outcomes import Verdict
from rules.privacy import Level
from rules.reasons import Reason
from rules.tool_rights import EVERYWHERE, Schools
from rules.wording import Wording
from rules.wording.templates import Template
from tests.broadcasting import ALICE, SNOW, Office
from tests.builders import an_outcome
from tests.district import (
    ADA,
    ADA_HERSELF,
    BEN,
    BEN_HIMSELF,
    CHEN,
    FATHER,
    GRANDMOTHER,
    MIDDLE_SCHOOL,
    MOTHER,
    STEPFATHER,
    TOKENS,
    UNCLE,
    District,
)

LATE: Final = {"en": Template("Late start", "{{ student_first_name }} starts at 10.")}


@pytest.fixture
def office(district: District) -> Office:
    return Office(district)


def bodies(pushes: Sequence[Push]) -> list[str]:
    return sorted(push.body for push in pushes)


def phone(office: Office, person: str) -> str:
    return office.district.devices()[person]


def test_each_phone_gets_one_text_and_everybody_else_has_a_reason(office: Office) -> None:
    name = office.send()
    pushes = office.tell()

    assert bodies(pushes) == [
        "No school for Ada today.", "No school for Ada today.", "No school for Ada, Ben today.",
    ]  # fmt: skip
    assert office.reasons(name) == {
        MOTHER: Reason.TOLD,
        FATHER: Reason.TOLD,
        ADA_HERSELF: Reason.TOLD,
        BEN_HIMSELF: Reason.NO_ACCOUNT,
        GRANDMOTHER: Reason.NO_PORTAL_RIGHT,
        UNCLE: Reason.RESTRICTED,
        STEPFATHER: Reason.RIGHT_NOT_IN_FORCE,
    }
    assert drafts.one(office.database, name).state is BroadcastState.SENT
    assert office.district.count(due) == 0


def test_two_accounts_on_one_phone_are_told_once_and_both_find_it(office: Office) -> None:
    office.district.sign_in(FATHER, TOKENS[MOTHER])
    office.district.sis("UPDATE schoolbell_sessions SET ended_at = started_at WHERE device_id = "
                        f"{phone(office, FATHER)} AND person_id = '{ADA_HERSELF}'")  # fmt: skip
    name = office.send()
    pushes = office.tell()

    devices = [push.device_id for push in pushes]
    assert len(devices) == len(set(devices))
    for person in (MOTHER, FATHER):
        found = inbox.inbox(office.database, Wording(), PersonId(person), office.now().at)
        assert [entry.title for entry in found.entries] == ["Snow day"]
    assert set(office.reasons(name).values()) >= {Reason.TOLD}


def test_who_shares_their_only_phone_is_told_by_the_other(office: Office) -> None:
    office.district.app(app.sign_out, PersonId(FATHER), phone(office, FATHER), office.now().at)
    office.district.sign_in(FATHER, TOKENS[MOTHER])
    name = office.send()

    pushes = office.tell()

    assert len(pushes) == 2
    assert sorted([office.reasons(name)[FATHER], office.reasons(name)[MOTHER]]) == [
        Reason.DEVICE_ALREADY_TOLD, Reason.TOLD,
    ]  # fmt: skip


def test_a_right_that_is_withdrawn_before_the_turn_comes_silences(office: Office) -> None:
    name = office.send()
    office.expand()
    office.district.sis("UPDATE schoolbell_rights SET restricted = TRUE WHERE student_id = '42'")
    office.district.sis("UPDATE schoolbell_rights SET restricted = TRUE WHERE person_id = '35'")

    assert bodies(office.tell()) == ["No school for Ada today."] * 2
    assert office.reasons(name)[FATHER] == Reason.RESTRICTED
    assert office.reasons(name)[MOTHER] == Reason.TOLD
    read = inbox.inbox(office.database, Wording(), PersonId(MOTHER), office.now().at)
    assert [entry.body for entry in read.entries] == ["No school for Ada today."]


def test_what_the_inbox_says_leaves_out_whom_a_restriction_parts_now(office: Office) -> None:
    office.told()
    office.district.sis(
        "UPDATE schoolbell_rights SET restricted = TRUE"
        " WHERE person_id = '34' AND student_id = '41'"
    )

    read = inbox.inbox(office.database, Wording(), PersonId(MOTHER), office.now().at)

    assert [(one.student, one.body) for one in read.entries] == [(BEN, "No school for Ben today.")]


@pytest.mark.parametrize(("is_emergency", "hears"), [(False, False), (True, True)])
def test_who_switched_messages_off_hears_of_emergencies_alone(
    office: Office, is_emergency: bool, hears: bool
) -> None:
    office.district.app(
        app.subscribe, PersonId(FATHER), StudentId(ADA), Kind.BROADCAST, enabled=False
    )
    name = office.send(ADA, is_emergency=is_emergency)

    devices = {push.device_id for push in office.tell()}

    assert (phone(office, FATHER) in devices) is hears
    assert office.reasons(name)[FATHER] == (Reason.TOLD if hears else Reason.BROADCASTS_OFF)


def test_an_emergency_goes_before_what_waits(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "AT_ONCE", {Lane.BROADCASTS: 1})
    office.send(ADA)
    office.expand()
    office.later(minutes=1)
    office.send(ADA, texts=LATE, is_emergency=True)
    office.expand()

    bodies_in_order = [office.district.due(Lane.BROADCASTS)[0].body for _ in range(6)]

    assert bodies_in_order == ["Ada starts at 10."] * 3 + ["No school for Ada today."] * 3


def test_a_text_that_comes_out_blank_for_somebody_is_not_sent_to_them(office: Office) -> None:
    office.district.sis("UPDATE schoolbell_people SET first_name = '' WHERE id = '32'")
    office.district.sis("UPDATE schoolbell_students SET first_name = '' WHERE id = '42'")
    office.district.sign_in(BEN_HIMSELF)
    only = {"en": Template("Today", "{{ student_first_name }}")}

    name = office.send(texts=only)
    pushes = office.tell()

    assert bodies(pushes) == ["Ada"] * 3
    assert office.reasons(name)[BEN_HIMSELF] == Reason.TEXT_BLANK
    assert drafts.one(office.database, name).state is BroadcastState.SENT


def test_only_students_of_the_senders_schools_are_behind(office: Office) -> None:
    pushes = office.told(schools=Schools(frozenset({SchoolId(MIDDLE_SCHOOL)})))

    assert bodies(pushes) == ["No school for Ben today."]


def test_lock_screens_show_what_the_district_allows(office: Office) -> None:
    office.district.app(settings.set_privacy, Level.GENERIC)

    assert {(push.title, push.body) for push in office.told()} == {
        ("Message from school", "You have a message from the school."),
        ("Mensaje de la escuela", "Tiene un mensaje de la escuela."),
    }


def test_nobody_is_told_while_the_district_is_off(office: Office) -> None:
    office.district.app(settings.set_enabled, enabled=False)
    name = office.send()

    assert office.tell() == []
    assert set(office.reasons(name).values()) == {Reason.DISTRICT_OFF}


def test_cancel_stops_the_rest_and_nothing_else(office: Office) -> None:
    name = office.send()
    office.expand()
    sending.cancel(office.database, office.now(), name)
    sending.cancel(office.database, office.now(), name)

    assert office.tell() == []
    assert office.reasons(name)[MOTHER] == Reason.CANCELLED
    assert office.reasons(name)[UNCLE] == Reason.RESTRICTED
    assert drafts.one(office.database, name).state is BroadcastState.CANCELLED
    assert office.district.count(due) == 0


def test_what_was_told_is_not_taken_back_by_cancelling(office: Office) -> None:
    name = office.send()
    office.tell()

    with pytest.raises(NotNow):
        sending.cancel(office.database, office.now(), name)


def test_a_further_try_of_what_was_cancelled_is_not_made(office: Office) -> None:
    name = office.send(ADA)
    office.expand()
    pushes = office.district.due(Lane.BROADCASTS)
    office.district.record(
        [an_outcome(one, Verdict.DEFERRED, reason="UNAVAILABLE") for one in pushes]
    )
    sending.cancel(office.database, office.now(), name)
    office.later(minutes=1)

    assert office.tell() == []


def test_a_deferred_push_is_tried_again_in_its_lane(office: Office) -> None:
    pushes = office.told(ADA)
    office.district.record(
        [an_outcome(one, Verdict.DEFERRED, reason="UNAVAILABLE") for one in pushes]
    )
    office.later(minutes=1)

    assert office.district.due() == []
    assert sorted((one.id, one.attempt) for one in office.tell()) == sorted(
        (one.id, 2) for one in pushes
    )


def test_a_correction_takes_the_place_on_the_devices_that_showed_it(office: Office) -> None:
    name = office.send(ADA)
    first = office.tell()
    refused = next(one for one in first if one.device_id == phone(office, FATHER))
    office.district.record(
        [
            an_outcome(one, Verdict.REFUSED if one is refused else Verdict.ACCEPTED,
                       reason="PayloadTooLarge" if one is refused else "")
            for one in first
        ]
    )  # fmt: skip
    office.district.sign_in(MOTHER)  # a phone that never showed it
    office.later(minutes=5)

    sending.correct(office.database, office.now(), name, 1, LATE)
    sending.correct(office.database, office.now(), name, 1, LATE)
    second = office.tell()

    assert {one.device_id: one.collapse_id for one in second} == {
        one.device_id: one.collapse_id for one in first if one is not refused
    }
    assert set(bodies(second)) == {"Ada starts at 10."}
    assert {state for _, revision, state in office.states(name) if revision == 1} == {"replaced"}
    read = inbox.inbox(office.database, Wording(), PersonId(FATHER), office.now().at)
    assert [one.body for one in read.entries] == ["Ada starts at 10."]
    assert drafts.one(office.database, name).state is BroadcastState.SENT


def test_who_waits_for_their_turn_hears_the_corrected_text_alone(office: Office) -> None:
    name = office.send(ADA)
    office.expand()
    sending.correct(office.database, office.now(), name, 1, LATE)

    assert set(bodies(office.tell())) == {"Ada starts at 10."}


def test_the_rest_of_what_was_cancelled_does_not_hear_the_correction(office: Office) -> None:
    name = office.send(ADA)
    office.expand()
    sending.cancel(office.database, office.now(), name)
    office.tell()
    sending.correct(office.database, office.now(), name, 1, LATE)

    assert office.tell() == []
    assert office.reasons(name)[MOTHER] == Reason.CANCELLED


def test_what_waited_too_long_is_in_the_inbox_alone(office: Office) -> None:
    name = office.send(ADA)
    office.expand()
    office.later(hours=25)

    assert office.tell() == []
    assert office.reasons(name)[MOTHER] == Reason.TOO_LATE
    read = inbox.inbox(office.database, Wording(), PersonId(MOTHER), office.now().at)
    assert [one.title for one in read.entries] == ["Snow day"]


def test_a_scheduled_one_is_sent_at_its_moment(office: Office) -> None:
    name = office.write(ADA)
    at = office.now().at.replace(hour=20)
    sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE, at)

    assert office.tell() == []
    office.district.clock.now = at
    assert len(office.tell()) == 3


def test_what_was_scheduled_for_a_time_without_an_engine_is_a_draft_again(office: Office) -> None:
    name = office.write(ADA)
    at = office.now().at + timedelta(minutes=5)
    sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE, at)
    office.later(hours=3)

    assert office.tell() == []
    missed = drafts.one(office.database, name)
    assert (missed.state, missed.send_at) == (BroadcastState.DRAFT, None)
    assert "not running" in str(missed.problem)
    again = sending.send(
        office.database, office.find, office.now(), name, missed.version, EVERYWHERE
    )
    assert (again.state, again.problem) == (BroadcastState.SENDING, None)


def test_a_broadcast_that_the_sis_has_no_answer_for_says_so_and_others_go_on(
    office: Office,
) -> None:
    odd = office.send(CHEN)
    office.district.app(
        broadcasts.goes_on, odd,
        selection={"page": "students", "parts": {"students": {"matching": [{"type": ["x"]}]}}},
    )  # fmt: skip
    office.send(ADA)

    assert len(office.tell()) == 3
    stands = drafts.one(office.database, odd)
    assert stands.state is BroadcastState.SENDING
    assert "narrowed by type" in str(stands.problem)


def test_the_student_hears_as_a_student(office: Office) -> None:
    office.told(ADA, texts=SNOW)
    found = inbox.inbox(office.database, Wording(), PersonId(ADA_HERSELF), office.now().at)

    assert [(one.kind, one.student) for one in found.entries] == [(Kind.BROADCAST, ADA)]
