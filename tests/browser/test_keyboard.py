"""The portal by keyboard alone: everything is reached by Tab, and one always sees where one is.

Choosing whom to write to has its tests in test_choosing, passkeys in test_passkeys.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Page

from engine.services import settings
from engine.store.staff.accounts import Account
from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from rules.wording.templates import Template
from tests.broadcasting import Office
from tests.browser.conftest import Open
from tests.browser.keyboard import Keyboard
from tests.browser.site import PASSWORD, Site, write_what_goes_wrong
from tests.browser.visitor import Visitor
from tests.district import HIGH_SCHOOL, District

_numbers = count(1)


@pytest.mark.parametrize(("theme", "width"), [("light", 320), ("dark", 1280)])
def test_a_day_without_a_mouse(site: Site, opened: Open, width: int, theme: str) -> None:
    boss = site.account(f"kim-{theme}-{width}", admin=True)
    anna = site.account(f"lee-{theme}-{width}")
    app = pyotp.TOTP(site.use_an_app(boss, steps_ago=1))
    visitor = opened(viewport={"width": width, "height": 700}, color_scheme=theme)
    keyboard, keys = Keyboard(visitor), visitor.page.keyboard

    visitor.go("/sign-in")
    keyboard.begins_at("username")
    keys.type(boss.username)
    keyboard.to("Password")
    keys.type(PASSWORD)
    keys.press("Enter")
    visitor.page.wait_for_url("**/sign-in/code**")
    keyboard.begins_at("code")
    keys.type(app.now())
    keys.press("Enter")
    visitor.sees(f"Hello, {boss.name}")

    keyboard.to("Push Notifications", "link")
    keys.press("Enter")
    visitor.page.wait_for_url("**/push-notifications")
    keyboard.to("Enable Push Notifications")
    keys.press("Space")
    keyboard.to("Save", "button")
    keys.press("Enter")
    visitor.sees("Saved.")
    assert site.is_on is False

    visitor.go(f"/staff/{anna.id}")
    keyboard.to("Give a right", "button")
    keys.press("Enter")
    keys.press("Tab")
    keys.press("ArrowDown")
    keyboard.to("Give", "button")
    keys.press("Enter")
    visitor.sees("Saved.")
    given = Grant(Tool.PUSH_NOTIFICATIONS, Right.READ, SchoolId(HIGH_SCHOOL))  # the second one
    assert site.rights_of(anna).rights.in_force(given)

    keyboard.to("Sign out", "button")
    keys.press("Enter")
    visitor.page.wait_for_url("**/sign-in")


def test_the_first_stop_leads_past_the_tools(site: Site, opened: Open) -> None:
    visitor = opened()
    boss = site.account("skip", admin=True)
    visitor.context.add_cookies([site.cookie(boss)])  # type: ignore[list-item]
    visitor.go("/push-notifications")
    visitor.page.keyboard.press("Tab")
    skip = visitor.page.get_by_role("link", name="Skip to the content")
    assert skip.evaluate("element => element === document.activeElement")
    assert skip.bounding_box()["x"] >= 0  # type: ignore[index]
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate("document.activeElement.closest('main') !== null")


@pytest.fixture
def hands(opened: Open) -> Visitor:
    """Somebody without a pointer, on a wide screen."""
    return opened(viewport={"width": 1280, "height": 800})


def enter(site: Site, visitor: Visitor, account: Account) -> Keyboard:
    cookie: Any = site.cookie(account, proved=True)
    visitor.context.add_cookies([cookie])
    return Keyboard(visitor)


def renewed(page: Page) -> None:
    """Wait until the page has renewed itself."""
    page.evaluate(
        "window.swapped = 0; addEventListener('htmx:after:swap', () => { window.swapped += 1; })"
    )
    page.wait_for_function("() => window.swapped > 0")


def write_what_waits(site: Site, title: str) -> None:
    """A message that a second person must approve."""
    small = District(str(site.installation.config.database.url))
    office = Office(small)
    settings.set_approval_above(small.database, office.now(), 1)
    office.send(texts={"en": Template(title, "Today.")})
    settings.set_approval_above(small.database, office.now(), 0)
    small.database.close()


def test_an_app_is_set_up_with_a_setup_code(
    site: Site, hands: Visitor, new_account: Callable[..., Account]
) -> None:
    anna = new_account()
    code, keyboard = site.setup_code(anna), Keyboard(hands)
    hands.go("/sign-in")
    keyboard.begins_at("username")
    keyboard.keys.type(anna.username)
    keyboard.write("Password", PASSWORD)
    keyboard.keys.press("Enter")
    hands.sees(f"Hello, {anna.name}")
    keyboard.press("Set up a second factor", "link")
    hands.page.wait_for_url("**/account#second-factor")
    keyboard.press("Set up an authenticator app")
    app = pyotp.TOTP(hands.page.locator(".secret").inner_text())
    keyboard.write("Code", app.now())
    keyboard.write("Setup code", code)
    keyboard.press("Use this app")
    hands.sees("Keep these recovery codes")


def test_settings_are_changed(
    site: Site, hands: Visitor, new_account: Callable[..., Account]
) -> None:
    keyboard = enter(site, hands, new_account(admin=True))
    for wish in ("Hidden", "Shown"):
        hands.go("/push-notifications")
        keyboard.skip()
        keyboard.to("School")
        keyboard.keys.type("Lincoln")
        keyboard.press("Show this school")
        keyboard.press("All terms", "link")
        keyboard.to("Guardians")
        keyboard.keys.type(wish)
        keyboard.press("Save")
        hands.sees("Saved.")
    hands.go("/push-notifications")
    keyboard.skip()
    keyboard.write("A second person approves a message for more people than", "0")
    keyboard.keys.press("Enter")
    hands.sees("Saved.")
    hands.go("/push-notifications")
    keyboard.skip()
    keyboard.press("Try every step of the way")
    hands.page.locator(".hops li").first.wait_for()


def test_a_group_is_made_and_somebody_is_put_into_it(
    site: Site, hands: Visitor, new_account: Callable[..., Account]
) -> None:
    keyboard, anna = enter(site, hands, new_account(admin=True)), new_account()
    name = f"Coaches of {anna.username}"
    hands.go("/staff")
    keyboard.skip()
    keyboard.write("A new group", name)
    keyboard.keys.press("Enter")
    hands.sees("Added.")
    keyboard.to("The whole district: Staff, See")
    keyboard.keys.press("Space")
    keyboard.press("Save")
    hands.sees("Saved.")
    hands.go(f"/staff/{anna.id}")
    keyboard.skip()
    keyboard.to(name)
    keyboard.keys.press("Space")
    keyboard.press("Save")
    hands.sees("Saved.")
    assert site.rights_of(anna).rights.in_force(Grant(Tool.STAFF, Right.READ))
    keyboard.press("Disable")
    hands.page.get_by_role("button", name="Let sign in again").wait_for()


def test_a_template_is_written(
    site: Site, hands: Visitor, new_account: Callable[..., Account]
) -> None:
    boss = new_account(admin=True)
    keyboard, page = enter(site, hands, boss), hands.page
    hands.go("/templates")
    keyboard.skip()
    keyboard.press("New template: Families", "button")
    page.wait_for_url("**/templates/new**")
    keyboard.write("Name of the template", f"Snow {boss.username}")
    keyboard.write("Title", "Snow, {{ famly }}")
    page.locator("#says-title-en .fault").wait_for()
    assert keyboard.place == "title-en"
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Snow")
    keyboard.write("Message", "No school today.")
    page.locator(".phone .body", has_text="No school today.").wait_for()
    assert keyboard.place == "message-en"
    keyboard.press("Save")
    hands.sees("Added.")


def test_what_is_sent_is_followed_corrected_and_stopped(
    site: Site, hands: Visitor, new_account: Callable[..., Account]
) -> None:
    """All that may be done with a message, in the hands of two people."""
    boss, title = new_account(admin=True), f"Bus {next(_numbers)}"
    keyboard, page = enter(site, hands, boss), hands.page
    hands.go("/students")
    for name in ("Reyes, Ada", "Reyes, Ben"):
        keyboard.to(name)
        page.keyboard.press("Space")
    hands.sees("2 selected")
    keyboard.press("Push Notification")
    page.wait_for_url("**/broadcasts/new**")
    keyboard.write("Title", title)
    keyboard.write("Message", "It is late.")
    page.get_by_role("button", name="As somebody else").wait_for()
    keyboard.press("As somebody else")
    hands.sees("(2 of 3 that were looked at)")
    assert keyboard.place == "another"
    page.keyboard.press("Enter")
    hands.sees("(3 of 3 that were looked at)")
    keyboard.press("Go on to send")
    hands.sees("Send it to 3 phones?")
    keyboard.write("Your id in the student information system", "nobody")
    page.keyboard.press("Enter")
    hands.sees("No phone takes pushes for person nobody.")
    keyboard.reach(page.get_by_label("Now"), "Now")
    page.keyboard.press("ArrowDown")
    keyboard.to("Day")
    page.keyboard.type("12312026")
    keyboard.to("Time")
    page.keyboard.type("0730AM")
    page.keyboard.press("Enter")
    hands.sees("It is scheduled.")
    keyboard.press("Make it a draft again")
    hands.sees("It is a draft again.")
    keyboard.press("Go on to send")
    keyboard.to("Now", "radio")
    page.keyboard.press("Enter")
    hands.sees("It is being sent.")
    site.installation.expand()
    hands.sees("0 of 3 people told")
    keyboard.to("Stop the rest", "button")
    renewed(page)
    assert page.evaluate("document.activeElement.textContent") == "Stop the rest"
    keyboard.press("Correct it on the phones")
    keyboard.write("Title", f"{title} is here")
    keyboard.press("Send the correction")
    hands.sees("The correction is being sent.")
    with page.expect_download() as download:
        keyboard.press("Download all of it (CSV)")
    assert "RESTRICTED" in download.value.path().read_text("utf-8")
    hands.go(page.url.removeprefix(site.url).partition("?")[0])
    keyboard.press("Stop the rest")
    hands.sees("The rest is stopped.")


def test_what_went_wrong_is_tried_again(
    site: Site, hands: Visitor, new_account: Callable[..., Account]
) -> None:
    title = f"Bus {next(_numbers)} is late"
    write_what_goes_wrong(site, title)
    keyboard = enter(site, hands, new_account(admin=True))
    hands.go("/background-tasks")
    keyboard.skip()
    keyboard.press(title, "link")
    hands.sees("came out blank")
    keyboard.press("I have looked at this")
    hands.sees("It waits for nobody any more.")
    keyboard.press(title, "link")
    keyboard.press("Try these again")
    hands.sees("It is tried again.")
    keyboard.press(title, "link")
    keyboard.press("Stop the rest")
    hands.page.get_by_role("row", name=title).get_by_text("Stopped").wait_for()


def test_a_second_person_approves(
    site: Site, hands: Visitor, new_account: Callable[..., Account]
) -> None:
    title = f"Agreed {next(_numbers)}"
    new_account()  # the first account is who wrote it
    write_what_waits(site, title)
    keyboard = enter(site, hands, new_account(admin=True))
    hands.go("/background-tasks")
    keyboard.skip()
    keyboard.press(title, "link")
    keyboard.press("Open the message", "link")
    keyboard.press("Approve")
    hands.sees("It is being sent.")


def test_the_monitor_and_why_are_read(
    site: Site, hands: Visitor, new_account: Callable[..., Account]
) -> None:
    keyboard, page = enter(site, hands, new_account(admin=True)), hands.page
    hands.go("/monitor")
    keyboard.skip()
    keyboard.reach(page.locator("main summary"), "the numbers as a table")
    page.keyboard.press("Enter")
    page.locator("main details table").first.wait_for()
    renewed(page)
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    hands.go("/why")
    keyboard.skip()
    keyboard.reach(page.locator("main input[type=search]"), "the search")
    page.keyboard.type("ada rey")
    page.keyboard.press("Enter")
    keyboard.reach(page.locator("main a", has_text="Ada"), "Ada")
    page.keyboard.press("Enter")
    page.wait_for_url("**/why/student**")
