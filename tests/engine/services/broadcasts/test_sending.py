"""Sending: once however often one clicks, with a second person where a district wants that."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import event, select

from engine.errors import SchoolbellError
from engine.ports import Queue
from engine.runtime.behind import FindBehind
from engine.services import settings
from engine.services.broadcasts import drafts, sending, testing
from engine.services.broadcasts.funnel import Fallen, Funnel, Step, fallen
from engine.services.broadcasts.funnel import Page as PageOfPeople
from engine.services.broadcasts.refusals import ChangedMeanwhile, NotNow
from engine.services.broadcasts.selection import Part, Selection
from engine.services.broadcasts.sending import CORRECTED, SENT
from engine.services.broadcasts.writing import Refused
from engine.sources.pages import Narrowed, Page
from engine.store import app
from engine.store.staff.tables import audit
from rules.broadcasts import BroadcastState
from rules.change import Kind, PersonId, StudentId
from rules.lanes import Lane
from rules.outcomes import Verdict
from rules.reasons import Reason
from rules.tool_rights import EVERYWHERE, NOWHERE, Tool
from rules.wording.broadcasts import UnitKind
from rules.wording.templates import Template
from tests.broadcasting import ALICE, BOB, SNOW, Office, a_draft, of_students
from tests.builders import NOW, an_outcome
from tests.district import ADA, BEN, FATHER, MOTHER, UNCLE, District
from tests.fakes import FakePublisher

LATE = {"en": Template("Late start", "Come at 10.")}


@pytest.fixture
def office(district: District) -> Office:
    return Office(district)


def acts(office: Office) -> list[str]:
    return [act for (act,) in office.district.rows(select(audit.c.act).order_by(audit.c.id))]


def approval_above(office: Office, recipients: int) -> None:
    settings.set_approval_above(office.database, ALICE, recipients)


def test_what_is_sent_twice_is_sent_once(office: Office) -> None:
    name = office.write()

    first = sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE)
    again = sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE)

    assert (first.state, again) == (BroadcastState.SENDING, first)
    assert len(office.tell()) == 3
    assert office.tell() == []
    assert acts(office).count(SENT) == 1
    third = sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE)
    assert third.state is BroadcastState.SENT


def test_what_was_edited_meanwhile_is_not_sent(office: Office) -> None:
    name = office.write()
    drafts.change(office.database, BOB, name, 1, a_draft(ADA))

    with pytest.raises(ChangedMeanwhile):
        sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE)


def test_accepting_takes_the_same_few_statements_however_many_are_chosen(
    office: Office,
) -> None:
    def statements(*students: str) -> int:
        name = office.write(*students)
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            seen.append(statement)

        event.listen(office.database.engine, "before_cursor_execute", note)
        sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE)
        event.remove(office.database.engine, "before_cursor_execute", note)
        return len(seen)

    few, many = statements(ADA), statements(*(str(number) for number in range(100_000)))

    assert few == many < 20


@pytest.mark.parametrize(
    "odd",
    [
        a_draft(ADA, texts={"en": Template("", "Body")}),
        a_draft(ADA, texts={"en": Template("Hello", "{{ camp_name }}")}),
    ],
)
def test_faulty_words_are_not_sent(office: Office, odd: drafts.Draft) -> None:
    name = drafts.new(office.database, ALICE, odd)

    with pytest.raises(Refused):
        sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE)


def test_nobody_is_sent_nothing(office: Office) -> None:
    empty = a_draft()._replace(selection={"page": "students"})
    name = drafts.new(office.database, ALICE, empty)

    with pytest.raises(SchoolbellError, match="Nobody is chosen"):
        sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE)
    with pytest.raises(SchoolbellError, match="Nobody is chosen"):
        sending.send(office.database, office.find, ALICE, office.write(), 1, NOWHERE)


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(seconds=-1), timedelta(days=400)])
def test_a_moment_that_is_none_is_refused(office: Office, ahead: timedelta) -> None:
    with pytest.raises(SchoolbellError, match="cannot be scheduled"):
        sending.send(
            office.database, office.find, ALICE, office.write(), 1, EVERYWHERE, NOW + ahead
        )


def test_a_scheduled_one_goes_back_to_draft_and_is_not_sent(office: Office) -> None:
    name = office.write()
    at = NOW + timedelta(hours=1)
    one = sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE, at)
    assert (one.state, one.send_at) == (BroadcastState.SCHEDULED, at)

    back = sending.back_to_draft(office.database, ALICE, name, one.version)
    office.later(hours=2)

    assert (back.state, back.send_at, back.schools) == (BroadcastState.DRAFT, None, None)
    assert office.tell() == []
    with pytest.raises(ChangedMeanwhile):
        sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE)


def test_many_recipients_wait_for_a_second_person(office: Office) -> None:
    approval_above(office, 2)
    name = office.send()
    waits = drafts.one(office.database, name)

    assert waits.state is BroadcastState.WAITING
    assert office.tell() == []
    with pytest.raises(SchoolbellError, match="of their own"):
        sending.approve(office.database, ALICE, name, waits.version)
    approved = sending.approve(office.database, BOB, name, waits.version)

    assert (approved.state, approved.approver) == (BroadcastState.SENDING, "Bob")
    assert len(office.tell()) == 3


def test_few_recipients_wait_for_nobody(office: Office) -> None:
    approval_above(office, 3)

    assert drafts.one(office.database, office.send()).state is BroadcastState.SENDING


def test_an_edit_voids_the_approval(office: Office) -> None:
    approval_above(office, 2)
    name = office.write()
    at = NOW + timedelta(hours=1)
    waits = sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE, at)
    approved = sending.approve(office.database, BOB, name, waits.version)
    assert approved.state is BroadcastState.SCHEDULED

    edited = drafts.change(office.database, ALICE, name, approved.version, a_draft())
    again = sending.send(office.database, office.find, ALICE, name, edited.version, EVERYWHERE)

    assert (edited.approver, again.state) == (None, BroadcastState.WAITING)


def test_what_is_refused_is_a_draft_again(office: Office) -> None:
    approval_above(office, 1)
    name = office.send()
    version = drafts.one(office.database, name).version

    refused = sending.refuse(office.database, BOB, name, version)

    assert refused.state is BroadcastState.DRAFT
    with pytest.raises(ChangedMeanwhile):
        sending.approve(office.database, BOB, name, version)


def test_an_approval_that_comes_after_the_moment_sends_nothing(office: Office) -> None:
    approval_above(office, 1)
    name = office.write()
    at = NOW + timedelta(minutes=5)
    waits = sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE, at)
    office.later(minutes=6)

    with pytest.raises(SchoolbellError, match="has passed"):
        sending.approve(office.database, office.now(BOB), name, waits.version)


@pytest.mark.parametrize(
    "act",
    [
        lambda office, name: sending.cancel(office.database, ALICE, name),
        lambda office, name: sending.correct(office.database, ALICE, name, 0, LATE),
        lambda office, name: sending.approve(office.database, BOB, name, 1),
        lambda office, name: sending.refuse(office.database, BOB, name, 1),
        lambda office, name: sending.back_to_draft(office.database, ALICE, name, 1),
    ],
)
def test_a_draft_can_only_be_sent(office: Office, act: Callable[..., object]) -> None:
    name = office.write()

    with pytest.raises(NotNow):
        act(office, name)


def test_of_two_corrections_at_once_one_is_told_so(office: Office) -> None:
    name = office.send(ADA)
    office.tell()
    sending.correct(office.database, ALICE, name, 1, LATE)

    with pytest.raises(ChangedMeanwhile):
        sending.correct(office.database, BOB, name, 1, SNOW)
    assert acts(office).count(CORRECTED) == 1


def who_falls(office: Office, step: Step, *students: str) -> PageOfPeople:
    chosen = of_students(*students)
    return fallen(office.database, office.find, chosen, EVERYWHERE, office.now().at, step)


def test_the_estimate_says_at_which_step_who_falls_out_and_why(office: Office) -> None:
    office.district.app(
        app.subscribe, PersonId(FATHER), StudentId(ADA), Kind.BROADCAST, enabled=False
    )
    found = sending.estimate(
        office.database, office.find, of_students(ADA, BEN, "99"), EVERYWHERE, NOW
    )

    assert (found.rows, found.students, found.people) == (2, 2, 7)
    assert (found.may_hear, found.with_device, found.switched_on) == (4, 3, 2)
    assert (found.devices, found.recipients, found.seen_lately) == (2, 2, 2)
    assert found.fell == {
        Step.MAY_HEAR: 3, Step.WITH_DEVICE: 1, Step.SWITCHED_ON: 1, Step.LATELY: 0,
    }  # fmt: skip
    switched_off = who_falls(office, Step.SWITCHED_ON, ADA, BEN)
    assert switched_off.fallen == [Fallen(PersonId(FATHER), [ADA], Reason.BROADCASTS_OFF)]
    assert switched_off.people == {FATHER: "Mark Reyes"}
    assert Fallen(PersonId(UNCLE), [ADA], Reason.RESTRICTED) in (
        who_falls(office, Step.MAY_HEAR, ADA, BEN).fallen
    )


def test_who_was_not_seen_lately_is_told_all_the_same(office: Office) -> None:
    office.later(days=1)

    found = sending.estimate(
        office.database, office.find, of_students(ADA), EVERYWHERE, office.now().at
    )

    assert (found.recipients, found.seen_lately, found.devices) == (3, 0, 3)
    assert {one.reason for one in who_falls(office, Step.LATELY, ADA).fallen} == {None}


def test_an_emergency_counts_who_switched_messages_off(office: Office) -> None:
    office.district.app(
        app.subscribe, PersonId(FATHER), StudentId(ADA), Kind.BROADCAST, enabled=False
    )
    found = sending.estimate(
        office.database, office.find, of_students(ADA), EVERYWHERE, NOW, is_emergency=True
    )

    assert found.switched_on == found.with_device == 3


def a_test(office: Office, person: str = MOTHER) -> tuple[int, FakePublisher]:
    publisher = FakePublisher()
    sent = testing.to_myself(
        office.database, office.district.composer, lambda: publisher, ALICE, PersonId(person),
        Tool.STUDENTS, UnitKind.STUDENT, SNOW, NOW.date(),
    )  # fmt: skip
    return sent, publisher


def test_a_test_goes_to_oneself_alone_and_names_no_pupil(office: Office) -> None:
    sent, publisher = a_test(office)

    (push,) = publisher.pushes(Queue.BROADCASTS)
    assert (sent, push.device_id) == (1, office.district.devices()[MOTHER])
    assert push.body == "No school for [student first name] today."
    office.district.record([an_outcome(push, Verdict.DEFERRED, reason="UNAVAILABLE")])
    office.later(minutes=1)
    assert office.district.due(Lane.BROADCASTS) == []


def test_who_has_no_phone_cannot_try(office: Office) -> None:
    with pytest.raises(SchoolbellError, match="No phone takes pushes"):
        a_test(office, UNCLE)


@pytest.mark.parametrize("number", [-1, 10**8])
def test_a_number_of_recipients_that_is_none_is_refused(office: Office, number: int) -> None:
    with pytest.raises(SchoolbellError):
        approval_above(office, number)


def test_what_the_sis_cannot_be_asked_any_more_is_not_sent(office: Office) -> None:
    lost = Part(matching=(Narrowed(type=("a type of pupil",)),))
    chosen = msgspec.to_builtins(Selection(page=Tool.STUDENTS, parts={Page.STUDENTS: lost}))
    name = drafts.new(office.database, ALICE, a_draft()._replace(selection=chosen))

    with pytest.raises(SchoolbellError, match="cannot be made any more"):
        sending.send(office.database, office.find, ALICE, name, 1, EVERYWHERE)
    assert drafts.one(office.database, name).state is BroadcastState.DRAFT


def test_what_took_long_to_estimate_is_not_asked_again_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_LONG", -1.0)
    approval_above(office, 2)
    asked: list[object] = []
    find = office.find.asked
    monkeypatch.setattr(FindBehind, "asked", lambda _self, *what: asked.append(what) or find(*what))

    def estimated(**unit: UnitKind) -> Funnel:
        chosen = replace(of_students(ADA, BEN), **unit)
        return sending.estimate(office.database, office.find, chosen, EVERYWHERE, office.now().at)

    assert estimated() == estimated(unit=UnitKind.STUDENT)
    assert drafts.one(office.database, office.send()).state is BroadcastState.WAITING
    assert len(asked) == 1
    office.later(minutes=2)
    estimated()
    assert len(asked) == 2
