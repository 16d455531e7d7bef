"""The API for programs: who may, what it answers, and that its document says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, strategies
from hypothesis import settings as exploring
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import text

from engine.portal.app import application
from engine.portal.portal import Portal
from engine.services import exports, settings
from engine.services.actor import Actor
from engine.services.broadcasts import drafts
from engine.services.broadcasts.drafts import Draft
from engine.services.broadcasts.selection import Selection
from engine.services.pages import Page
from engine.services.staff import accounts, rights
from rules.change import SchoolId
from rules.tool_rights import EVERYTHING, Grant, Right, StaffId, Tool
from rules.wording.broadcasts import UnitKind
from rules.wording.templates import Template
from tests.district import ADA, BEN, HIGH_SCHOOL, MIDDLE_SCHOOL
from tests.engine.portal.browser import HOST, SOMEBODY, Browser, hidden_at
from tests.engine.sources.test_pages import PAGES

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "openapi.json"
EXAMPLES: Final = 25
CHECKS: Final = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance,
]  # fmt: skip


def a_token(browser: Browser, *grants: Grant, username: str = "anna") -> str:
    """The token of an account with these rights, made on its page."""
    browser.make_account(username, *grants)
    browser.sign_in_with_an_app(username)
    words = browser.post("/account/tokens", {"name": "a test", "days": "30"}).text
    token = words.partition("Bearer ")[2].partition("'")[0]
    browser.post("/sign-out")
    browser.client.cookies.clear()
    return token


def a_broadcast(portal: Portal, author: StaffId) -> str:
    """A draft of hers, for two students of the SIS."""
    with portal.district.database.write() as connection:
        for statement in PAGES.split(";\n"):
            connection.execute(text(statement))
    selection = Selection(page=Tool.STUDENTS).ticked(Page.STUDENTS, [ADA, BEN])
    draft = Draft(
        Tool.STUDENTS, UnitKind.STUDENT, msgspec.to_builtins(selection), {"en": Template("a", "b")}
    )
    return drafts.new(portal.district.database, Actor("Anna", portal.now, author), draft)


def ask(
    browser: Browser, token: str, path: str, method: str = "GET", **options: Any
) -> httpx2.Response:
    """A program asks: no browser, so no Sec-Fetch-Site."""
    headers = {"authorization": f"Bearer {token}", "sec-fetch-site": ""}
    return browser.client.request(method, f"/api/v1{path}", headers=headers, **options)


@pytest.fixture(autouse=True)
def _boss(browser: Browser) -> None:
    """Somebody else is an administrator, so that rights may be taken away."""
    browser.make_account("boss", admin=True)


def test_a_program_switches_the_district_off_and_the_log_says_for_whom(browser: Browser) -> None:
    token = a_token(browser, *EVERYTHING)
    answer = ask(browser, token, "/settings", "PATCH", json={"enabled": False})
    assert answer.json()["enabled"] is False
    [entry] = [
        one for one in ask(browser, token, "/audit").json() if one["act"] == "district.enabled"
    ]
    assert (entry["who"], entry["after"]) == ("Anna", {"value": False})


def test_what_is_not_named_stays(browser: Browser) -> None:
    token = a_token(browser, *EVERYTHING)
    before = ask(browser, token, "/settings").json()
    after = ask(browser, token, "/settings", "PATCH", json={"privacy": "named"}).json()
    assert after == before | {"privacy": "named"}


def test_it_says_who_one_is(browser: Browser) -> None:
    one = Grant(Tool.MONITOR, Right.READ)
    me = ask(browser, a_token(browser, one), "/me").json()
    assert (me["username"], me["rights"]) == (
        "anna", [{"tool": "monitor", "right": "read", "school": ""}],
    )  # fmt: skip


def test_a_right_for_one_school_reaches_no_other(browser: Browser) -> None:
    here = SchoolId(HIGH_SCHOOL)
    tool = Tool.PUSH_NOTIFICATIONS
    token = a_token(browser, Grant(tool, Right.READ, here), Grant(tool, Right.WRITE, here))
    seen = {one["school"] for one in ask(browser, token, "/display-options").json()}
    change = [
        ask(
            browser, token, f"/display-options/{school}/grade/student", "PUT", json={"shown": False}
        )
        for school in (HIGH_SCHOOL, MIDDLE_SCHOOL)
    ]
    assert seen == {HIGH_SCHOOL}
    assert [one.status_code for one in change] == [204, 403]
    hidden = hidden_at(browser.portal.district.database)
    assert {school for school, _, _ in hidden} == {here}


def test_a_right_that_is_taken_away_is_gone_at_once(browser: Browser) -> None:
    one = Grant(Tool.MONITOR, Right.READ)
    token = a_token(browser, one)
    assert ask(browser, token, "/monitor").status_code == 200
    database = browser.portal.district.database
    rights.take(database, SOMEBODY, accounts.named(database, "anna").id, one)
    refused = ask(browser, token, "/monitor")
    assert (refused.status_code, refused.headers["content-type"]) == (
        403, "application/problem+json",
    )  # fmt: skip


def test_a_token_opens_no_page(browser: Browser) -> None:
    token = a_token(browser, *EVERYTHING)
    answer = browser.get("/staff", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 303


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer \xff"])
def test_who_shows_no_token_is_told_what_to_do(browser: Browser, shown: str) -> None:
    headers = {"authorization": shown.encode("latin-1"), "sec-fetch-site": ""}
    answer = browser.client.get("/api/v1/me", headers=headers)
    assert answer.status_code == 401
    assert "access token" in answer.json()["detail"]


def test_a_page_of_another_site_cannot_use_the_cookie_here(browser: Browser) -> None:
    browser.sign_in_with_an_app("boss")
    answer = browser.client.patch(
        "/api/v1/settings", json={"enabled": False}, headers={"sec-fetch-site": "cross-site"}
    )
    assert answer.status_code == 403
    assert settings.chosen(browser.portal.district.database).enabled is True


def test_the_document_that_programs_were_written_by_is_the_one_that_holds(portal: Portal) -> None:
    """Where this fails on purpose, write it anew: `make docs`."""
    assert json.loads(DOCUMENT.read_text("utf-8")) == application(portal).openapi()


def test_no_operation_ever_fails_or_answers_other_than_its_document_says(
    portal: Portal, browser: Browser
) -> None:
    """Each is asked many things, odd ones too, by somebody who may everything."""
    headers = {"authorization": f"Bearer {a_token(browser, *EVERYTHING)}", "host": HOST}
    document = schemathesis.openapi.from_dict(application(portal).openapi())
    document.app = browser.client.app
    anna = accounts.named(portal.district.database, "anna").id
    known, asked = a_broadcast(portal, anna), 0
    by = Actor("Anna", portal.now, anna)
    task = exports.begin(portal.district.database, by, exports.of_audit()).id
    while exports.go_on(portal.district.database, lambda: portal.now, pause=lambda _: None):
        pass
    for found in document.get_all_operations():
        operation = found.ok()

        @exploring(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(), real=strategies.booleans())
        def explore(case: schemathesis.Case, real: bool) -> None:
            if real and "broadcast" in case.path_parameters:
                case.path_parameters["broadcast"] = known
            if real and "task" in case.path_parameters:
                case.path_parameters["task"] = task
            case.call_and_validate(headers=headers, checks=CHECKS)

        explore()
        asked += 1
    assert asked >= 16
