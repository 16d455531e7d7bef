"""Background tasks by the API: listed, tried again, cancelled, looked at and downloaded."""

from __future__ import annotations

from typing import Any

import pytest

from engine.portal.portal import Portal
from engine.services import exports
from rules.broadcasts import BroadcastId
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from rules.wording.templates import Template
from tests.broadcasting import Office
from tests.district import BEN_HIMSELF, HIGH_SCHOOL, District
from tests.engine.portal.browser import Browser
from tests.engine.portal.test_api import a_token, ask

SEES = Grant(Tool.BACKGROUND_TASKS, Right.READ)
CHANGES = Grant(Tool.BACKGROUND_TASKS, Right.WRITE)
READS = Grant(Tool.AUDIT, Right.READ)
LIST = "/background-tasks"


@pytest.fixture(autouse=True)
def _boss(browser: Browser) -> None:
    browser.make_account("boss", admin=True)


@pytest.fixture
def faulty(district: District) -> BroadcastId:
    """A message that Ben did not get, because he has no name."""
    office = Office(district)
    district.sis("UPDATE schoolbell_people SET first_name = '' WHERE id = '32'")
    district.sis("UPDATE schoolbell_students SET first_name = '' WHERE id = '42'")
    district.sign_in(BEN_HIMSELF)
    name = office.send(texts={"en": Template("Today", "{{ student_first_name }}")})
    office.tell()
    return name


def make(portal: Portal) -> None:
    while exports.go_on(portal.district.database, lambda: portal.now, pause=lambda _: None):
        pass


def listed(browser: Browser, token: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = ask(browser, token, LIST).json()
    return found


def test_a_message_that_went_wrong_is_followed_looked_at_and_tried_again(
    browser: Browser, faulty: BroadcastId
) -> None:
    token = a_token(browser, SEES, CHANGES)
    path = f"{LIST}/{faulty}"
    [one] = listed(browser, token)["needing"]
    assert (one["id"], one["kind"], one["standing"], one["faulty"]) == (
        faulty, "broadcast", "faulty", 1,
    )  # fmt: skip
    [fault] = ask(browser, token, f"{path}/errors").json()
    assert (fault["person"], fault["reason"]) == (BEN_HIMSELF, "TEXT_BLANK")
    assert ask(browser, token, f"{path}/download").status_code == 422
    assert ask(browser, token, f"{path}/look", "POST").json()["looked_at"]["who"] == "Anna"
    assert listed(browser, token)["needing"] == []
    assert ask(browser, token, f"{path}/try-again", "POST").json()["standing"] == "going"
    assert ask(browser, token, f"{path}/try-again", "POST").status_code == 422
    assert ask(browser, token, f"{path}/cancel", "POST").json()["standing"] == "stopped"


def test_an_export_is_begun_followed_downloaded_and_erased(
    portal: Portal, browser: Browser, faulty: BroadcastId
) -> None:
    token = a_token(browser, SEES, CHANGES, READS, Grant(Tool.BROADCASTS, Right.READ))
    for begin, words in (
        ("/audit/export", "staff.added"), (f"/broadcasts/{faulty}/export", "TEXT_BLANK"),
    ):  # fmt: skip
        begun = ask(browser, token, begin, "POST")
        assert (begun.status_code, begun.json()["standing"]) == (201, "making")
        path = f"{LIST}/{begun.json()['id']}"
        assert ask(browser, token, f"{path}/download").status_code == 422
        make(portal)
        ready = ask(browser, token, path).json()
        assert (ready["standing"], ready["done"], ready["download"]) == (
            "ready", ready["total"], True,
        )  # fmt: skip
        assert ready["ends_at"] > ready["made_at"]
        answer = ask(browser, token, f"{path}/download")
        assert answer.headers["content-type"].startswith("text/csv")
        assert words in answer.text
        assert ask(browser, token, f"{path}/look", "POST").status_code == 422
        assert ask(browser, token, f"{path}/cancel", "POST").json()["standing"] == "stopped"
        assert ask(browser, token, f"{path}/download").status_code == 422


def test_who_may_see_one_school_sees_and_changes_its_tasks_alone(
    browser: Browser, faulty: BroadcastId
) -> None:
    here = SchoolId(HIGH_SCHOOL)
    token = a_token(browser, SEES._replace(school=here), CHANGES._replace(school=here))
    assert listed(browser, token) == {"needing": [], "going": [], "done": []}
    for way, rest in (
        ("GET", ""), ("GET", "/errors"), ("GET", "/download"), ("POST", "/look"),
        ("POST", "/cancel"), ("POST", "/try-again"),
    ):  # fmt: skip
        answer = ask(browser, token, f"{LIST}/{faulty}{rest}", way)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"


def test_who_may_only_see_changes_nothing(browser: Browser, faulty: BroadcastId) -> None:
    token = a_token(browser, SEES)
    assert ask(browser, token, f"{LIST}/{faulty}").status_code == 200
    for act in ("look", "cancel", "try-again"):
        assert ask(browser, token, f"{LIST}/{faulty}/{act}", "POST").status_code == 403


def test_who_may_not_read_the_log_does_not_export_it(browser: Browser) -> None:
    token = a_token(browser, SEES, CHANGES)
    assert ask(browser, token, "/audit/export", "POST").status_code == 403


@pytest.mark.parametrize("rest", ["", "/errors", "/download"])
def test_one_that_is_not_there_is_not_found(browser: Browser, rest: str) -> None:
    token = a_token(browser, SEES)
    name = "01a208d0-5240-7000-8000-000000000001"
    assert ask(browser, token, f"{LIST}/{name}{rest}").status_code == 404
