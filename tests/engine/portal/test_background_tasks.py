"""The page of background tasks: what each may see and do there."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from engine.portal.guards import SETTLED
from engine.portal.portal import Portal
from engine.services import exports
from engine.services.actor import Actor
from engine.services.exports import Export
from engine.services.staff import accounts, rights
from engine.store import alarms
from engine.store.tables import broadcasts as broadcasts_table
from rules.broadcasts import BroadcastId
from rules.change import SchoolId
from rules.tool_rights import EVERYWHERE, Grant, Right, Schools, Tool
from rules.wording.templates import Template
from tests.broadcasting import Office
from tests.district import BEN_HIMSELF, HIGH_SCHOOL, MIDDLE_SCHOOL, District
from tests.engine.portal.browser import SOMEBODY, Browser

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
    answer = browser.post(f"/background-tasks/{faulty}/export")
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
    assert browser.post(f"{path}/export").status_code == 403
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
    main = browser.get(path).text.partition("<main")[2].partition("</main")[0]
    assert re.findall(r'action="[^"]*/([a-z-]+)"', main) == ["export"]
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


@pytest.mark.parametrize("which", ["", "/download"])
def test_one_that_is_not_there_is_not_found(browser: Browser, office: Office, which: str) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in("boss")
    draft = office.write()
    for name in (draft, "01a208d0-5240-7000-8000-000000000001"):
        assert browser.get(f"/background-tasks/{name}{which}").status_code in (404, 422)
    assert browser.get(f"/background-tasks/not-an-id{which}").status_code in (404, 422)


def an_export(portal: Portal, of: exports.Wanted, who: str) -> Export:
    """An export that somebody started, and that is ready."""
    database = portal.district.database
    account = accounts.named(database, who)
    one = exports.begin(database, Actor(account.name, portal.now, account.id), of)
    while exports.go_on(database, lambda: portal.now, pause=lambda _: None):
        pass
    return one


def test_a_large_export_becomes_a_task_that_is_downloaded_and_erased(
    portal: Portal, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.services.exports.SMALL", 0)
    browser.make_account("boss", admin=True)
    browser.sign_in("boss")
    path = browser.post("/audit/export").headers["location"]
    again = browser.post("/audit/export").headers["location"]
    assert again == path
    assert "Being made" in browser.get(path).text
    assert "Being made" in browser.get("/background-tasks").text
    assert browser.get(f"{path}/download").status_code == 422
    assert SETTLED not in browser.get(f"{path}/now").headers

    while exports.go_on(portal.district.database, lambda: portal.now, pause=lambda _: None):
        pass

    now = browser.get(f"{path}/now")
    assert "Download (CSV)" in now.text
    assert SETTLED in now.headers
    answer = browser.get(f"{path}/download")
    assert answer.headers["content-type"].startswith("text/csv")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "staff.added" in answer.text
    assert "export.downloaded" in browser.get("/audit").text
    assert browser.post(f"{path}/cancel").status_code == 303
    assert "erased" in browser.get(path).text
    assert browser.get(f"{path}/download").status_code == 422


def test_who_started_an_export_needs_no_right_for_the_page_and_loses_it_with_their_own(
    portal: Portal, browser: Browser
) -> None:
    """The right to see all that is in it is asked for at each download anew."""
    audit = Grant(Tool.AUDIT, Right.READ)
    browser.make_account("boss", admin=True)
    anna = browser.make_account("anna", audit).id
    browser.make_account("ben", SEES, CHANGES)
    path = f"/background-tasks/{an_export(portal, exports.of_audit(), 'anna').id}"
    browser.sign_in("anna")
    assert browser.get("/background-tasks").status_code == 403
    assert 'href="/background-tasks"' not in browser.get(path).text
    assert browser.get(f"{path}/download").status_code == 200
    rights.take(portal.district.database, SOMEBODY, anna, audit)
    for rest in ("", "/now", "/download"):
        assert browser.get(f"{path}{rest}").status_code == 403
    assert browser.post(f"{path}/cancel").status_code == 403

    browser.post("/sign-out")
    browser.sign_in("ben")
    assert "Export of the audit log" not in browser.get("/background-tasks").text
    for rest in ("", "/now", "/download"):
        assert browser.get(f"{path}{rest}").status_code == 403
    assert browser.post(f"{path}/cancel").status_code == 403

    browser.post("/sign-out")
    browser.sign_in("boss")
    assert "Export of the audit log" in browser.get("/background-tasks").text
    assert browser.get(f"{path}/download").status_code == 200


def test_who_sees_one_school_downloads_nothing_of_another(
    portal: Portal, browser: Browser, faulty: BroadcastId
) -> None:
    middle, high = (SchoolId(one) for one in (MIDDLE_SCHOOL, HIGH_SCHOOL))
    browser.make_account("boss", admin=True)
    browser.make_account("anna", SEES._replace(school=high), CHANGES._replace(school=high))
    everywhere = an_export(portal, exports.of_recipients(faulty, EVERYWHERE), "boss")
    of_middle = an_export(
        portal, exports.of_recipients(faulty, Schools(frozenset({middle}))), "boss"
    )
    browser.sign_in("anna")
    for one in (everywhere, of_middle):
        for rest in ("", "/download"):
            assert browser.get(f"/background-tasks/{one.id}{rest}").status_code == 403
        for act in ("cancel", "look", "try-again"):
            assert browser.post(f"/background-tasks/{one.id}/{act}").status_code == 403


def test_what_failed_is_looked_at_and_gone_on_with(
    portal: Portal, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def portion(*_: object) -> None:
        raise KeyError("Ada Reyes")

    browser.make_account("boss", admin=True)
    with monkeypatch.context() as patch:
        patch.setattr("engine.services.staff.auditing.portion", portion)
        path = f"/background-tasks/{an_export(portal, exports.of_audit(), 'boss').id}"
    browser.sign_in("boss")
    assert "Something happened that nobody expected" in browser.get(path).text
    assert "Ada" not in browser.get(path).text
    assert browser.post(f"{path}/look").status_code == 303
    assert "Boss has looked at this" in browser.get(path).text
    assert browser.post(f"{path}/try-again").status_code == 303
    assert "Being made" in browser.get(path).text
