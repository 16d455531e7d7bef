"""The page of background tasks: what each may see and do there."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from engine.portal.portal import Portal
from engine.services.staff import accounts
from engine.store import alarms
from engine.store.tables import broadcasts as broadcasts_table
from rules.broadcasts import BroadcastId
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from rules.wording.templates import Template
from tests.broadcasting import Office
from tests.district import BEN_HIMSELF, HIGH_SCHOOL, MIDDLE_SCHOOL, District
from tests.engine.portal.browser import Browser

SEES = Grant(Tool.BACKGROUND_TASKS, Right.READ)
CHANGES = Grant(Tool.BACKGROUND_TASKS, Right.WRITE)


@pytest.fixture
def office(district: District) -> Office:
    return Office(district)


@pytest.fixture
def faulty(office: Office) -> BroadcastId:
    """A message that Ben did not get, because he has no name."""
    office.district.sis("UPDATE schoolbell_people SET first_name = '' WHERE id = '32'")
    office.district.sis("UPDATE schoolbell_students SET first_name = '' WHERE id = '42'")
    office.district.sign_in(BEN_HIMSELF)
    name = office.send(texts={"en": Template("Today <b>", "{{ student_first_name }}")})
    office.tell()
    return name


def test_what_went_wrong_is_seen_looked_at_and_tried_again(
    browser: Browser, faulty: BroadcastId
) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in("boss")
    path = f"/background-tasks/{faulty}"

    listed = browser.get("/background-tasks").text
    assert "Today &lt;b&gt;" in listed
    assert "Went wrong for some" in listed
    assert "came out blank" in browser.get(path).text

    assert browser.post(f"{path}/look").status_code == 303
    assert "Went wrong for some" not in browser.get("/background-tasks").text
    assert "Boss has looked at this" in browser.get(path).text

    assert browser.post(f"{path}/try-again").status_code == 303
    assert "On its way" in browser.get("/background-tasks").text
    assert browser.post(f"{path}/cancel").status_code == 303
    assert "Stopped" in browser.get(path).text


def test_all_of_it_is_downloaded(browser: Browser, faulty: BroadcastId) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in("boss")
    answer = browser.get(f"/background-tasks/{faulty}/recipients.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "TEXT_BLANK" in answer.text


def test_somebody_of_a_school_sees_and_changes_what_they_sent_themselves_alone(
    portal: Portal, browser: Browser, faulty: BroadcastId
) -> None:
    here = SchoolId(MIDDLE_SCHOOL)
    browser.make_account("alice", admin=True)  # the first account, whose message it is
    browser.make_account("anna", SEES._replace(school=here), CHANGES._replace(school=here))
    browser.sign_in("anna")
    path = f"/background-tasks/{faulty}"

    assert "Today" not in browser.get("/background-tasks").text
    assert browser.get(path).status_code == 403
    assert browser.get(f"{path}/recipients.csv").status_code == 403
    assert browser.post(f"{path}/cancel").status_code == 403
    assert browser.post(f"{path}/look").status_code == 403

    anna = accounts.named(portal.district.database, "anna").id
    with portal.district.database.write() as connection:
        connection.execute(update(broadcasts_table).values(author_id=anna))
    assert "Today" in browser.get("/background-tasks").text
    assert browser.get(path).status_code == 200
    assert browser.post(f"{path}/look").status_code == 303


def test_whoever_may_only_see_is_offered_nothing_to_do(
    browser: Browser, faulty: BroadcastId
) -> None:
    browser.make_account("anna", SEES)
    browser.sign_in("anna")
    path = f"/background-tasks/{faulty}"
    assert "<form" not in browser.get(path).text.partition("<main")[2].partition("</main")[0]
    assert browser.post(f"{path}/try-again").status_code == 403


def test_names_of_other_schools_are_not_shown(
    portal: Portal, browser: Browser, faulty: BroadcastId
) -> None:
    anna = browser.make_account("anna", SEES._replace(school=SchoolId(HIGH_SCHOOL))).id
    with portal.district.database.write() as connection:
        connection.execute(update(broadcasts_table).values(author_id=anna))
    browser.sign_in("anna")
    assert f"/background-tasks/{faulty}?after" not in browser.get("/background-tasks").text
    words = browser.get(f"/background-tasks/{faulty}").text
    assert "came out blank" not in words.partition('id="errors"')[2]


def test_alarms_are_for_whoever_sees_the_whole_district(portal: Portal, browser: Browser) -> None:
    with portal.district.database.write() as connection:
        alarms.report(connection, "gateway", "apns", "APNs refuses it.", "Mend it.", portal.now)
    browser.make_account("boss", admin=True)
    browser.make_account("anna", SEES._replace(school=SchoolId(HIGH_SCHOOL)))
    browser.sign_in("anna")
    assert "APNs refuses it." not in browser.get("/background-tasks").text
    browser.post("/sign-out")
    browser.sign_in("boss")
    assert "APNs refuses it." in browser.get("/background-tasks").text


@pytest.mark.parametrize("which", ["", "/recipients.csv"])
def test_one_that_is_not_there_is_not_found(browser: Browser, office: Office, which: str) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in("boss")
    draft = office.write()
    for name in (draft, "01a208d0-5240-7000-8000-000000000001"):
        assert browser.get(f"/background-tasks/{name}{which}").status_code in (404, 422)
    assert browser.get(f"/background-tasks/not-an-id{which}").status_code in (404, 422)
