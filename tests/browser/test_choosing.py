"""Choosing whom to write to, with and without JavaScript, and by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import text

from engine.store.staff.accounts import Account
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from tests.browser.conftest import Open
from tests.browser.keyboard import Keyboard
from tests.browser.site import Site
from tests.browser.visitor import Visitor
from tests.district import MIDDLE_SCHOOL

_numbers = count(1)
_EVERY_PAGE = {
    "families": 3, "students": 3, "classes": 2, "camps": 2, "enrollments": 4,
}  # fmt: skip
_EVERYTHING = [
    Grant(Tool(page), right) for page in _EVERY_PAGE for right in (Right.READ, Right.SEND)
]


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def visitor(request: pytest.FixtureRequest, site: Site, opened: Open) -> Visitor:
    """Somebody who may choose on every page, and whose browser runs scripts or does not."""
    return somebody(site, opened(java_script_enabled=request.param))


@pytest.fixture
def _a_hundred_families(site: Site) -> Iterator[None]:
    """More than one page of them."""
    _change(site, *(
        f"INSERT INTO household (household_id, name) VALUES ({number}, 'Many {number}')"
        for number in range(1_000, 1_120)
    ))  # fmt: skip
    yield
    _change(site, "DELETE FROM household WHERE household_id >= 1000")


def somebody(site: Site, visitor: Visitor, *grants: Grant) -> Visitor:
    """The visitor, signed in with a code."""
    made: Account = site.account(f"chooser{next(_numbers)}", *(grants or _EVERYTHING))
    visitor.context.add_cookies([site.cookie(made, proved=True)])  # type: ignore[list-item]
    return visitor


def boxes(visitor: Visitor) -> Locator:
    return visitor.page.locator("[name=tick]")


def has_selected(visitor: Visitor, number: int) -> None:
    expect(visitor.page.locator("#selected")).to_have_text(f"{number} selected")


def search(visitor: Visitor, words: str) -> None:
    """Type, as with scripts nobody need press anything."""
    visitor.page.get_by_label("Name", exact=True).fill(words)
    if not _has_scripts(visitor):
        visitor.press("Search")


def keep(visitor: Visitor, number: int) -> None:
    """See how many are ticked; without scripts a button must tell the server."""
    if not _has_scripts(visitor):
        visitor.press("Search")
    has_selected(visitor, number)


@pytest.mark.parametrize("page", _EVERY_PAGE)
def test_rows_are_ticked_and_kept(visitor: Visitor, page: str) -> None:
    visitor.go("/")
    visitor.page.get_by_role("link", name=page.title()).first.click()
    has_selected(visitor, 0)
    expect(boxes(visitor)).to_have_count(_EVERY_PAGE[page])
    boxes(visitor).nth(1).check()
    keep(visitor, 1)
    visitor.go(f"/{page}?q=nothing+is+called+so")
    visitor.sees("Nothing matches.")
    has_selected(visitor, 1)
    visitor.go(f"/{page}")
    expect(boxes(visitor).nth(1)).to_be_checked()
    visitor.press("Tick or untick all on this page")
    has_selected(visitor, _EVERY_PAGE[page])
    boxes(visitor).nth(0).uncheck()
    keep(visitor, _EVERY_PAGE[page] - 1)
    visitor.press("Clear")
    has_selected(visitor, 0)
    visitor.press("Push Notification")
    visitor.sees("Nobody is selected")


@pytest.mark.usefixtures("_a_hundred_families")
def test_what_is_ticked_stays_from_page_to_page_and_after_a_search(visitor: Visitor) -> None:
    page = visitor.page
    visitor.go("/families")
    visitor.sees("123 families")
    boxes(visitor).nth(3).check()
    visitor.press("Next")
    expect(page.get_by_role("button", name="Previous")).to_be_visible()
    has_selected(visitor, 1)
    boxes(visitor).nth(0).check()
    visitor.press("Next")
    expect(page.get_by_role("button", name="Next")).to_have_count(0)
    has_selected(visitor, 2)
    search(visitor, "many")
    visitor.sees("120 families")
    has_selected(visitor, 2)
    visitor.press("Select all 120")
    has_selected(visitor, 120)
    boxes(visitor).nth(0).uncheck()
    visitor.press("Next")
    has_selected(visitor, 119)
    expect(boxes(visitor).nth(0)).to_be_checked()
    visitor.press("Previous")
    expect(boxes(visitor).nth(0)).not_to_be_checked()
    search(visitor, "reyes")
    visitor.sees("2 families")
    visitor.press("Select all 2")
    has_selected(visitor, 121)
    visitor.press("Clear")
    has_selected(visitor, 0)


def test_rows_are_narrowed_and_ordered(visitor: Visitor) -> None:
    page = visitor.page
    visitor.go("/students")
    first = page.locator("tbody tr").first
    page.get_by_role("button", name="Grade").click()
    expect(first).to_contain_text("Reyes, Ben")
    page.get_by_role("button", name="Grade").click()
    expect(first).not_to_contain_text("Reyes, Ben")
    page.locator("[name=school]").select_option(label="Oak Hill Middle School")
    if not _has_scripts(visitor):
        visitor.press("Search")
    visitor.sees("1 student")
    expect(first).to_contain_text("Reyes, Ben")
    page.wait_for_url("**/students?school=2&sort=grade&down=yes")
    page.reload()
    visitor.sees("1 student")


def test_two_kinds_of_enrollments_are_chosen_side_by_side(visitor: Visitor) -> None:
    visitor.go("/enrollments")
    boxes(visitor).nth(0).check()
    visitor.press("Camp enrollments")
    expect(visitor.page.get_by_role("button", name="Session")).to_be_visible()
    boxes(visitor).nth(0).check()
    visitor.press("Class enrollments")
    expect(visitor.page.get_by_role("button", name="Session")).to_have_count(0)
    has_selected(visitor, 2)
    expect(boxes(visitor).nth(0)).to_be_checked()
    expect(boxes(visitor).nth(1)).not_to_be_checked()


def test_of_a_camp_it_is_said_who_exactly(visitor: Visitor) -> None:
    page = visitor.page
    visitor.go("/camps")
    page.locator("summary").click()
    page.get_by_label("What is sent").select_option(label="One message for each student")
    page.get_by_label("Attends on or after").fill("2026-12-30")
    boxes(visitor).nth(0).check()
    keep(visitor, 1)
    visitor.go("/camps")
    expect(page.get_by_label("What is sent")).to_have_value("student")
    expect(page.get_by_label("Attends on or after")).to_have_value("2026-12-30")


def test_who_may_only_look_looks(site: Site, opened: Open) -> None:
    for has_scripts in (True, False):
        visitor = somebody(
            site, opened(java_script_enabled=has_scripts),
            Grant(Tool.STUDENTS, Right.READ, SchoolId(MIDDLE_SCHOOL)),
        )  # fmt: skip
        visitor.go("/students")
        visitor.sees("1 student")
        expect(boxes(visitor)).to_have_count(0)
        search(visitor, "nobody")
        visitor.sees("Nothing matches.")
        assert visitor.go("/families").status == 403


def test_ticks_that_come_fast_are_all_kept(site: Site, opened: Open) -> None:
    visitor = somebody(site, opened())
    visitor.go("/students")
    for _ in range(3):
        for number in range(3):
            boxes(visitor).nth(number).click()
    has_selected(visitor, 3)
    visitor.page.reload()
    has_selected(visitor, 3)


@pytest.mark.parametrize("width", [320, 1280])
def test_by_keyboard_alone(site: Site, opened: Open, width: int) -> None:
    visitor = somebody(site, opened(viewport={"width": width, "height": 700}))
    keyboard, keys = Keyboard(visitor), visitor.page.keyboard
    visitor.go("/students")
    keyboard.to("Name")
    keys.type("reyes")
    visitor.sees("2 students")
    assert visitor.page.evaluate("document.activeElement.id") == "words"
    keyboard.to("Grade", "button")
    keys.press("Enter")
    visitor.page.wait_for_url("**sort=grade")
    expect(visitor.page.locator("#sort-grade")).to_be_focused()
    keyboard.to("Reyes, Ben")
    keys.press("Space")
    has_selected(visitor, 1)
    keyboard.to("Select all 2", "button")
    keys.press("Enter")
    has_selected(visitor, 2)
    keyboard.to("Clear", "button")
    keys.press("Enter")
    has_selected(visitor, 0)
    visitor.go("/students")
    keyboard.reach(visitor.page.locator("select[name=school]"), "the filter of schools")
    keys.press("o")
    visitor.sees("1 student")
    assert visitor.page.evaluate("document.activeElement.name") == "school"
    keyboard.to("Push Notification", "button")
    keys.press("Enter")
    visitor.sees("Nobody is selected")


@pytest.mark.usefixtures("_a_hundred_families")
def test_pages_are_turned_by_keyboard(site: Site, opened: Open) -> None:
    visitor = somebody(site, opened())
    keyboard, keys = Keyboard(visitor), visitor.page.keyboard
    visitor.go("/families?q=many")
    visitor.page.locator("#next").focus()  # fifty rows are behind
    keys.press("Enter")
    expect(visitor.page.locator("#previous")).to_be_visible()
    assert keyboard.place == "next"
    keys.press("Enter")
    expect(visitor.page.locator("#next")).to_have_count(0)
    expect(visitor.page.locator("#previous")).to_be_focused()
    keyboard.to("Select all 120", "button")
    keys.press("Enter")
    has_selected(visitor, 120)


def _has_scripts(visitor: Visitor) -> bool:
    """A page whose scripts run has been made live by one of them."""
    return visitor.page.locator("#choose[data-htmx-powered]").count() > 0


def _change(site: Site, *statements: str) -> None:
    with site.installation.database.write() as connection:
        for one in statements:
            connection.execute(text(one))
