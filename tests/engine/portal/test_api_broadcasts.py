"""Messages to families, written and sent by a program."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from engine.portal.portal import Portal
from engine.services.broadcasts import drafts
from rules.broadcasts import BroadcastState
from rules.change import SchoolId
from rules.tool_rights import EVERYTHING, Grant, Right, Tool
from tests.district import ADA, BEN, HIGH_SCHOOL
from tests.engine.portal.browser import Browser
from tests.engine.portal.test_api import a_token, ask
from tests.engine.sources.test_pages import PAGES

SEES = Grant(Tool.STUDENTS, Right.READ)
SENDS = Grant(Tool.STUDENTS, Right.SEND)
SEES_ALL = Grant(Tool.BROADCASTS, Right.READ)
SNOW = {"en": {"title": "Snow day", "message": "No school for {{ student_first_name }} today."}}
PAGE = "/broadcasts?page=students"


@pytest.fixture(autouse=True)
def _school(portal: Portal, browser: Browser) -> None:
    """Pages to choose from, and somebody else who is an administrator."""
    with portal.district.database.write() as connection:
        for statement in PAGES.split(";\n"):
            connection.execute(text(statement))
    browser.make_account("boss", admin=True)


@pytest.fixture
def token(browser: Browser) -> str:
    """Of somebody who may write to the families of students, and see what was written."""
    return a_token(browser, SEES, SENDS, SEES_ALL)


def written(*students: str, **changes: Any) -> dict[str, Any]:
    return {"texts": SNOW, "selection": {"students": {"ids": list(students)}}, **changes}


def draft(browser: Browser, token: str, *students: str, **changes: Any) -> dict[str, Any]:
    answer = ask(browser, token, PAGE, "POST", json=written(*students, **changes))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def states(browser: Browser) -> list[BroadcastState]:
    return [one.state for one in drafts.every(browser.portal.district.database)]


def test_a_program_counts_writes_and_sends_a_message(browser: Browser, token: str) -> None:
    estimate = ask(browser, token, "/broadcasts/estimate?page=students", "POST",
                   json=written(ADA, BEN)).json()  # fmt: skip
    assert (estimate["rows"], estimate["people"], estimate["devices"]) == (2, 7, 3)
    made = draft(browser, token, ADA, BEN)
    assert made["state"] == "draft"
    assert made["author"] == "Anna"
    sent = ask(browser, token, f"/broadcasts/{made['id']}/send", "POST",
               json={"version": made["version"]}).json()  # fmt: skip
    assert sent["state"] == "sending"
    progress = ask(browser, token, f"/broadcasts/{made['id']}").json()
    assert (progress["expanded"], progress["recipients"]) == (False, 0)
    assert [one["id"] for one in ask(browser, token, "/broadcasts").json()] == [made["id"]]


def test_what_is_sent_again_is_what_was_sent(browser: Browser, token: str) -> None:
    made = draft(browser, token, ADA)
    answers = [
        ask(browser, token, f"/broadcasts/{made['id']}/send", "POST", json={"version": 1})
        for _ in range(3)
    ]
    assert [one.json()["state"] for one in answers] == ["sending"] * 3
    assert states(browser) == [BroadcastState.SENDING]


def test_who_read_an_older_version_changes_nothing(browser: Browser, token: str) -> None:
    made = draft(browser, token, ADA)
    path = f"/broadcasts/{made['id']}"
    changed = ask(browser, token, path, "PUT", json={**written(BEN), "version": 1})
    again = ask(browser, token, path, "PUT", json={**written(ADA), "version": 1})
    late = ask(browser, token, f"{path}/send", "POST", json={"version": 1})
    assert (changed.status_code, again.status_code, late.status_code) == (200, 409, 409)
    assert states(browser) == [BroadcastState.DRAFT]


def test_it_is_cancelled_corrected_and_removed_as_its_state_allows(
    browser: Browser, token: str
) -> None:
    made = draft(browser, token, ADA)
    path = f"/broadcasts/{made['id']}"
    correction = {"revision": 0, "texts": SNOW}
    assert ask(browser, token, f"{path}/cancel", "POST").status_code == 422
    assert ask(browser, token, f"{path}/correct", "POST", json=correction).status_code == 422
    assert ask(browser, token, f"{path}?version=1", "DELETE").status_code == 204
    assert ask(browser, token, path).status_code == 404


@pytest.mark.parametrize("name", ["x", "%00", "0" * 36, "01a22d54-22f3-7f90-a179-daa3415c442f"])
def test_one_that_there_is_not_is_404(browser: Browser, token: str, name: str) -> None:
    assert ask(browser, token, f"/broadcasts/{name}").status_code == 404


def test_rows_of_another_school_are_nobody(browser: Browser) -> None:
    here = SchoolId(HIGH_SCHOOL)
    token = a_token(browser, *(Grant(Tool.STUDENTS, one, here) for one in (Right.READ, Right.SEND)))
    path = "/broadcasts/estimate?page=students"
    counts = [
        ask(browser, token, path, "POST", json=written(one)).json()["rows"] for one in (ADA, BEN)
    ]
    assert counts == [1, 0]


def test_what_somebody_else_wrote_is_theirs(browser: Browser, token: str) -> None:
    made = draft(browser, token, ADA)
    other = a_token(browser, SEES, SENDS, username="bo")
    path = f"/broadcasts/{made['id']}"
    refused = [
        ask(browser, other, path), ask(browser, other, f"{path}?version=1", "DELETE"),
        ask(browser, other, f"{path}/send", "POST", json={"version": 1}),
        ask(browser, other, f"{path}/recipients"),
    ]  # fmt: skip
    assert [one.status_code for one in refused] == [403] * 4
    assert ask(browser, other, "/broadcasts").status_code == 403


def test_an_emergency_needs_a_right_of_its_own(browser: Browser, token: str) -> None:
    refused = ask(browser, token, PAGE, "POST", json=written(ADA, emergency=True))
    may = a_token(browser, *EVERYTHING, username="chief")
    assert refused.status_code == 403
    assert draft(browser, may, ADA, emergency=True)["emergency"] is True


@pytest.mark.parametrize(
    "changes",
    [
        {"selection": {"camps": {"ids": ["1"]}}},
        {"selection": {"students": {"matching": [{"homeroom": "9-1"}]}}},
        {"texts": {}},
        {"unit": "planet"},
        {"colour": "red"},
        {"attending": {"first": "2026-13-01", "last": "2026-12-31"}},
    ],
)
def test_what_cannot_be_meant_is_refused_with_words(
    browser: Browser, token: str, changes: dict[str, Any]
) -> None:
    answer = ask(browser, token, PAGE, "POST", json=written(ADA, **changes))
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert states(browser) == []


def test_a_moment_without_an_offset_is_refused(browser: Browser, token: str) -> None:
    made = draft(browser, token, ADA)
    answer = ask(browser, token, f"/broadcasts/{made['id']}/send", "POST",
                 json={"version": 1, "at": "2027-01-04T08:00:00"})  # fmt: skip
    assert (answer.status_code, states(browser)) == (422, [BroadcastState.DRAFT])
