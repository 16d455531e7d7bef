"""Every page has a guard, and what it refuses is refused: nobody sees or does what they may not."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from engine.portal.guards import signed_in
from engine.portal.portal import Portal
from engine.services import settings
from engine.services.staff import accounts, rights
from engine.store.staff.tables import audit
from rules.change import SchoolId
from rules.tool_rights import EVERYTHING, Grant, Right, Tool
from tests.district import HIGH_SCHOOL, MIDDLE_SCHOOL
from tests.engine.portal.browser import HOST, PASSWORD, SOMEBODY, Browser, hidden_at
from tests.engine.portal.operations import (
    OF_EVERYBODY,
    PUBLIC,
    dependencies,
    needs,
    paths,
    routes,
)


def test_every_page_has_a_guard_or_is_public_on_purpose(portal: Portal) -> None:
    count = 0
    for route in routes(portal):
        has_guard = bool(needs(route))
        count += 1
        is_signed_in = signed_in in dependencies(route)
        assert has_guard == (route.path not in PUBLIC | OF_EVERYBODY), route.path
        assert is_signed_in == (route.path not in PUBLIC), route.path
    assert count > 30


COPIES = re.compile(r".*/export")
"""A copy of what one sees: it changes nothing for others."""


def test_what_changes_something_needs_more_than_to_see(portal: Portal) -> None:
    for route in routes(portal):
        if COPIES.fullmatch(route.path):
            continue
        for one in needs(route):
            if (route.methods or set()) - {"GET", "HEAD"}:
                assert one.grant.right is not Right.READ, route.path


def test_nobody_is_shown_the_way_to_sign_in(portal: Portal, browser: Browser) -> None:
    for method, path, _ in paths(portal):
        answer = browser.client.request(method, path)
        if path.startswith("/api/"):
            assert answer.status_code == 401, path
        else:
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in?next=/"), path


def test_every_operation_is_refused_without_its_right_and_the_refusal_is_kept(
    portal: Portal, browser: Browser
) -> None:
    """Each is asked by somebody who has every right but that one, second factor and all."""
    browser.make_account("boss", admin=True)
    browser.make_account("anna", *EVERYTHING)
    browser.sign_in_with_an_app("anna")
    who = accounts.named(portal.district.database, "anna").id
    asked = 0
    for method, path, one in paths(portal):
        rights.take(portal.district.database, SOMEBODY, who, one.grant)
        answer = browser.client.request(method, path)
        rights.give(portal.district.database, SOMEBODY, who, one.grant)
        assert answer.status_code == 403, (method, path)
        asked += 1
    with portal.district.database.read() as connection:
        refused = connection.execute(
            select(audit.c.subject).where(audit.c.act == "refused", audit.c.staff_id == who)
        ).all()
    assert len(refused) == asked > 15


def test_a_password_alone_does_not_change_settings(portal: Portal, browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in("boss")

    answer = browser.post("/push-notifications/flag")

    assert answer.status_code == 403
    assert "/account#second-factor" in answer.text
    assert settings.chosen(portal.district.database).enabled is True


def test_a_right_for_one_school_does_not_reach_another(portal: Portal, browser: Browser) -> None:
    here = SchoolId(HIGH_SCHOOL)
    tool = Tool.PUSH_NOTIFICATIONS
    browser.make_account("anna", Grant(tool, Right.READ, here), Grant(tool, Right.WRITE, here))
    browser.sign_in_with_an_app("anna")

    words = browser.get("/push-notifications").text
    assert "Lincoln High School" in words
    assert "Oak Hill Middle School" not in words
    ours = browser.post(
        "/push-notifications/display-options",
        {"school": HIGH_SCHOOL, "wish": ["grade student hide"]},
    )
    theirs = browser.post(
        "/push-notifications/display-options",
        {"school": MIDDLE_SCHOOL, "wish": ["grade student hide"]},
    )

    assert (ours.status_code, theirs.status_code) == (303, 403)
    hidden = {school for school, _, _ in hidden_at(portal.district.database)}
    assert hidden == {here}
    assert browser.post("/push-notifications/flag").status_code == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "", "origin": f"https://{HOST}"}, 303),
        ({"sec-fetch-site": "", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "", "origin": "null"}, 403),
        ({"sec-fetch-site": ""}, 403),
    ],
)
def test_a_request_of_another_site_changes_nothing(
    browser: Browser, headers: dict[str, str], expected: int
) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in_with_an_app("boss")
    answer = browser.post("/push-notifications/flag", headers=headers)
    assert answer.status_code == expected
    assert settings.chosen(browser.portal.district.database).enabled is (expected == 403)


def test_a_name_that_is_not_ours_is_refused(browser: Browser) -> None:
    answer = browser.get("/sign-in", headers={"host": "evil.example"})
    assert answer.status_code == 421


def test_a_load_balancer_asks_for_health_by_any_name(browser: Browser) -> None:
    assert browser.get("/health/live", headers={"host": "10.0.0.7:8460"}).status_code == 200


@pytest.mark.parametrize(
    "address",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "x"],
)
def test_signing_in_leads_to_no_other_site(browser: Browser, address: str) -> None:
    browser.make_account("anna")
    answer = browser.post(
        "/sign-in",
        {"username": "anna", "password": "a sentence that staff remember", "next": address},
    )
    assert answer.headers["location"] == "/"


def test_a_session_that_was_there_before_is_another_afterwards(browser: Browser) -> None:
    browser.make_account("anna")
    browser.client.cookies.set("__Host-schoolbell", "planted", domain=HOST)
    browser.sign_in("anna")
    assert browser.get("/").status_code == 200
    browser.client.cookies.clear()
    browser.client.cookies.set("__Host-schoolbell", "planted", domain=HOST)
    assert browser.get("/").status_code == 303


def test_the_cookie_is_for_this_host_alone_and_no_script_reads_it(browser: Browser) -> None:
    browser.make_account("anna")
    cookie = browser.sign_in("anna").headers["set-cookie"]
    assert cookie.startswith("__Host-schoolbell=")
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize("path", ["/sign-in", "/nothing", "/static/portal.css", "/health/live"])
def test_every_answer_has_safe_headers(browser: Browser, path: str) -> None:
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["cache-control"] == ("no-cache" if "static" in path else "no-store")


def test_what_staff_write_is_shown_as_they_wrote_it(browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in_with_an_app("boss")
    odd = "<script>alert(1)</script>{{ 7*7 }}"
    made = browser.post("/staff", {"username": "x", "name": odd, "password": PASSWORD})
    assert made.status_code == 303
    words = browser.get("/staff").text
    assert "<script>alert" not in words
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}" in words


def test_a_body_of_two_megabytes_is_refused(browser: Browser) -> None:
    assert browser.post("/sign-in", {"username": "x" * 2_000_000}).status_code == 413


def test_a_fault_of_ours_shows_nothing_of_itself(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("row of Ada Reyes")

    monkeypatch.setattr("engine.services.staff.accounts.exist", broken)
    answer = browser.get("/sign-in")
    assert answer.status_code == 500
    assert "Ada" not in answer.text
    assert "content-security-policy" in answer.headers
