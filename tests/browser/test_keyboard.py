"""The portal by keyboard alone: everything is reached by Tab, and one always sees where one is."""

from __future__ import annotations

from typing import Final

import pyotp
import pytest
from playwright.sync_api import Locator

from rules.change import SchoolId
from rules.tool_rights import Grant, Right, Tool
from tests.browser.conftest import Open
from tests.browser.site import PASSWORD, Site
from tests.browser.visitor import Visitor
from tests.district import HIGH_SCHOOL

_MOST_STOPS: Final = 60

_LOOKS = """element => {
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    const looks = [style.outlineStyle, style.outlineWidth, style.boxShadow, style.borderColor];
    const below = box.bottom > 0 && box.right > 0, above = box.top < innerHeight;
    return {looks: looks.join(), inside: below && above && box.left < innerWidth};
}"""


class Keyboard:
    """Somebody who has no pointer."""

    def __init__(self, visitor: Visitor) -> None:
        self.page = visitor.page
        self.keys = visitor.page.keyboard

    def to(self, name: str, role: str = "") -> None:
        """Press Tab until what is called *name* has the focus, which is seen at every stop."""
        called = (
            self.page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
            if role
            else self.page.get_by_label(name)
        )
        self.reach(called, name)

    def reach(self, wanted: Locator, name: str) -> None:
        """The same for what has no name of its own."""
        handle = wanted.first.element_handle()
        for _ in range(_MOST_STOPS):
            self.keys.press("Tab")
            self._see_the_focus()
            if handle.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"{name} is never reached")

    def begins_at(self, field: str) -> None:
        """See that a field has the focus by itself; a browser gives it a moment after the page."""
        self.page.wait_for_function("name => document.activeElement.name === name", arg=field)

    def _see_the_focus(self) -> None:
        here = self.page.evaluate_handle("document.activeElement").as_element()
        assert here
        if here.evaluate("element => element === document.body"):
            return
        with_focus = here.evaluate(_LOOKS)
        here.evaluate("element => element.blur()")
        without = here.evaluate(_LOOKS)
        here.evaluate("element => element.focus({preventScroll: true})")
        what = here.evaluate("element => element.outerHTML.slice(0, 120)")
        assert with_focus["inside"], f"out of sight: {what}"
        assert with_focus["looks"] != without["looks"], f"looks the same without focus: {what}"


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
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
