"""Background tasks: what went wrong stays until somebody has looked, and is tried again."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from engine.errors import SchoolbellError
from engine.services import tasks
from engine.services.broadcasts import sending
from engine.services.broadcasts.refusals import NotNow, NotThere
from engine.services.tasks import Overview, Standing
from engine.store import alarms, broadcasts
from engine.store.staff.tables import audit
from engine.wire.messages import Push
from rules.broadcasts import BroadcastId
from rules.reasons import Reason
from rules.tool_rights import EVERYWHERE, NOWHERE
from rules.wording.templates import Template
from tests.broadcasting import ALICE, BOB, Office
from tests.district import BEN_HIMSELF, District

NAMES_ONLY = {"en": Template("Today", "{{ student_first_name }}")}
A_MONTH = 30 * 24


@pytest.fixture
def office(district: District) -> Office:
    return Office(district)


def nameless(office: Office) -> None:
    """Ben has no first name, and an account."""
    call_ben(office, "")
    office.district.sign_in(BEN_HIMSELF)


def call_ben(office: Office, name: str) -> None:
    office.district.sis(f"UPDATE schoolbell_people SET first_name = '{name}' WHERE id = '32'")
    office.district.sis(f"UPDATE schoolbell_students SET first_name = '{name}' WHERE id = '42'")


def one_that_went_wrong(office: Office) -> BroadcastId:
    nameless(office)
    name = office.send(texts=NAMES_ONLY)
    assert len(office.tell()) == 3
    office.later(minutes=1)
    return name


def seen(office: Office) -> Overview:
    return tasks.overview(office.database, lambda _: True, lambda _: True)


def standings(office: Office) -> dict[str, list[Standing]]:
    found = seen(office)
    return {
        "needing": [one.standing for one in found.needing],
        "going": [one.standing for one in found.going],
        "done": [one.standing for one in found.done],
    }


def said(pushes: list[Push]) -> list[str]:
    return [push.body for push in pushes]


def test_a_message_goes_from_under_way_to_done(office: Office) -> None:
    office.write()
    name = office.send()
    assert standings(office) == {"needing": [], "going": [Standing.GOING], "done": []}
    assert tasks.task(office.database, name).percent == 0
    office.tell()
    assert standings(office) == {"needing": [], "going": [], "done": [Standing.DONE]}
    found = tasks.task(office.database, name)
    assert (found.title, found.percent) == ("Snow day", 100)


def test_what_went_wrong_for_some_says_for_whom_and_why(office: Office) -> None:
    name = one_that_went_wrong(office)
    assert standings(office)["needing"] == [Standing.FAULTY]
    (error,) = tasks.errors(office.database, name, EVERYWHERE)
    assert (error.person, error.reason) == (BEN_HIMSELF, Reason.TEXT_BLANK)
    assert tasks.errors(office.database, name, NOWHERE) == []


def test_what_went_wrong_stays_until_somebody_has_looked(office: Office) -> None:
    name = one_that_went_wrong(office)
    office.later(hours=A_MONTH)
    for _ in range(25):
        office.send()
    office.tell()
    assert standings(office)["needing"] == [Standing.FAULTY]

    office.later(minutes=1)
    tasks.look_at(office.database, office.now(BOB), name)

    assert standings(office)["needing"] == []
    look = tasks.task(office.database, name).look
    assert look is not None
    assert (look.who, look.at) == ("Bob", office.district.clock())


def test_trying_again_tells_those_alone_who_heard_nothing(office: Office) -> None:
    name = one_that_went_wrong(office)
    call_ben(office, "Ben")

    assert tasks.try_again(office.database, office.now(), name) == 1
    assert standings(office)["going"] == [Standing.GOING]
    again = list(office.tell())

    assert said(again) == ["Ben"]
    assert office.reasons(name)[BEN_HIMSELF] == Reason.TOLD
    assert standings(office) == {"needing": [], "going": [], "done": [Standing.DONE]}


def test_what_went_wrong_again_needs_somebody_again(office: Office) -> None:
    name = one_that_went_wrong(office)
    tasks.look_at(office.database, office.now(), name)
    office.later(minutes=1)
    tasks.try_again(office.database, office.now(), name)
    office.later(minutes=1)
    assert list(office.tell()) == []
    assert standings(office)["needing"] == [Standing.FAULTY]


def test_after_a_correction_the_newest_words_are_tried(office: Office) -> None:
    name = one_that_went_wrong(office)
    better = {"en": Template("Today", "{{ student_first_name }} stays at home")}
    sending.correct(office.database, office.now(), name, 1, better)
    office.tell()
    call_ben(office, "Ben")

    tasks.try_again(office.database, office.now(), name)

    assert said(list(office.tell())) == ["Ben stays at home"]


def test_nothing_is_tried_again_where_nothing_went_wrong(office: Office) -> None:
    name = office.send()
    with pytest.raises(NotNow):
        tasks.try_again(office.database, office.now(), name)
    office.tell()
    with pytest.raises(SchoolbellError, match="nobody whose text"):
        tasks.try_again(office.database, office.now(), name)


def test_what_is_stopped_is_said_to_be_and_what_was_wrong_before_is_not_forgotten(
    office: Office,
) -> None:
    nameless(office)
    name = office.send(texts=NAMES_ONLY)
    office.expand()
    sending.cancel(office.database, office.now(), name)
    office.expand()
    assert standings(office) == {"needing": [], "going": [], "done": [Standing.STOPPED]}
    with pytest.raises(NotNow):
        tasks.try_again(office.database, office.now(), name)


def test_a_message_that_the_sis_has_no_answer_for_stands_still_and_says_why(
    office: Office,
) -> None:
    name = office.send()
    office.district.app(
        broadcasts.goes_on, name,
        selection={"page": "students", "parts": {"students": {"matching": [{"type": ["x"]}]}}},
    )  # fmt: skip
    office.expand()
    found = tasks.task(office.database, name)
    assert found.standing is Standing.STUCK
    assert found.broadcast.problem
    assert standings(office)["needing"] == [Standing.STUCK]


def test_only_what_somebody_may_see_is_listed(office: Office) -> None:
    name = one_that_went_wrong(office)
    of_alice, of_bob = (
        tasks.overview(
            office.database,
            lambda one, who=who: one.author_id == who.staff,  # type: ignore[misc]
            lambda _: False,
        )
        for who in (ALICE, BOB)
    )
    assert [one.broadcast.id for one in of_alice.needing] == [name]
    assert of_bob == ([], [], [])


def test_alarms_stand_apart_and_go_when_it_is_mended(office: Office) -> None:
    now = office.district.clock()
    with office.database.write() as connection:
        alarms.report(connection, "gateway", "apns", "It is refused.", "Mend it.", now)
    assert [one.remedy for one in tasks.alarms_now(office.database, now)] == ["Mend it."]
    with office.database.write() as connection:
        alarms.resolve(connection, "gateway", "apns")
    assert tasks.alarms_now(office.database, now) == []


def test_drafts_are_no_tasks(office: Office) -> None:
    name = office.write()
    assert seen(office) == ([], [], [])
    with pytest.raises(NotThere):
        tasks.task(office.database, name)


def test_who_did_what_is_in_the_audit_log(office: Office) -> None:
    name = one_that_went_wrong(office)
    tasks.try_again(office.database, office.now(), name)
    office.tell()
    tasks.look_at(office.database, office.now(BOB), name)
    acts = office.district.rows(select(audit.c.act, audit.c.who))
    assert ("broadcast.tried-again", "Alice") in acts
    assert ("task.looked-at", "Bob") in acts
