"""Somebody who has no pointer, and who must always see where they are."""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Locator

from tests.browser.visitor import Visitor

_MOST_STOPS: Final = 60

# What has the focus must be in sight, and look otherwise than without it.
_STOP: Final = """wanted => {
    const here = document.activeElement;
    const looks = () => {
        const style = getComputedStyle(here);
        return [style.outlineStyle, style.outlineWidth, style.boxShadow, style.borderColor].join();
    };
    const isWithin = here === window.lastStop;  // a part of a date, which a blur would leave
    window.lastStop = here;
    if (here === document.body || isWithin) return {};
    const box = here.getBoundingClientRect();
    const across = box.right > 0 && box.left < innerWidth;
    const inside = box.bottom > 0 && box.top < innerHeight && across;
    const focused = looks();
    here.blur();
    const same = looks() === focused;
    here.focus({preventScroll: true});
    return {
        there: wanted.some(one => one === here), inside, same, what: here.outerHTML.slice(0, 120),
    };
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
        wanted.first.wait_for(state="attached")
        handles: list[Any] = list(wanted.element_handles())
        for _ in range(_MOST_STOPS):
            self.keys.press("Tab")
            stop = self.page.evaluate(_STOP, handles)
            if not stop:
                continue
            assert stop["inside"], f"out of sight: {stop['what']}"
            assert not stop["same"], f"looks the same without focus: {stop['what']}"
            if stop["there"]:
                return
        raise AssertionError(f"{name} is never reached")

    def press(self, name: str, role: str = "button") -> None:
        """Go to a button or a link, and press it."""
        self.to(name, role)
        self.keys.press("Enter")

    def write(self, name: str, words: str) -> None:
        """Go to a field, and write *words* in place of what is there."""
        self.to(name)
        self.keys.press("ControlOrMeta+a")
        self.keys.type(words)

    def skip(self) -> None:
        """Go past the tools, from the top of a page that was just opened."""
        self.keys.press("Tab")
        self.keys.press("Enter")

    def begins_at(self, field: str) -> None:
        """See that a field has the focus by itself; a browser gives it a moment after the page."""
        self.page.wait_for_function("name => document.activeElement.name === name", arg=field)

    @property
    def place(self) -> str:
        """The id of what has the focus; empty where nothing has it."""
        found: str = self.page.evaluate("document.activeElement.id")
        return found
