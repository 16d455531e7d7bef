"""The pictures of the documentation, taken anew in the world of the demonstration.

`python -m tests.browser.pictures` plays the school day, signs in with each role that the page of a
picture is for, and writes `docs/pictures`. Names or parts of names of pictures take those alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from playwright.sync_api import Browser, Page, expect, sync_playwright

from engine.services.staff import accounts
from engine.trial.demo.play import Play
from engine.trial.demo.running import logging_to, running
from engine.trial.demo.terminal import Terminal
from engine.trial.demo.world import LOG_FILE, World, build
from tests.browser.site import Site
from tests.servers.browser import OPTIONS, chromium

PICTURES: Final = Path(__file__).parents[2] / "docs" / "pictures"
_STUDENTS: Final = 200


class Picture(NamedTuple):
    """How a page is opened by whoever has a *role*, and its look; without *height* all of it."""

    show: Callable[[Page, World], None]
    role: str = "admin"
    width: int = 1000
    height: int = 0
    is_dark: bool = False


def _at(path: str) -> Callable[[Page, World], None]:
    def show(page: Page, _: World) -> None:
        page.goto(path)

    return show


def _students(page: Page, _: World) -> None:
    page.goto("/students?grade=9")
    page.locator("#select-all").click()
    page.locator("#selected", has_text=re.compile(r"[1-9]\d* selected")).wait_for()
    before = page.locator("#selected").inner_text()
    page.locator("[name=tick]").nth(2).uncheck()
    expect(page.locator("#selected")).not_to_have_text(before)


def _camps(page: Page, _: World) -> None:
    page.goto("/camps")
    page.locator("[name=tick]").first.check()
    page.locator("summary").click()
    page.locator("#selected", has_text="1 selected").wait_for()


def _write(page: Page, world: World) -> None:
    """Biology 9, as the assistant writes to it."""
    page.goto("/classes")
    page.locator("#clear").click()
    page.locator("#selected", has_text="0 selected").wait_for()
    page.locator(f"[name=tick][value='{world.school.biology}']").check()
    page.locator("#selected", has_text="1 selected").wait_for()
    page.locator("#send").click()
    page.locator("#title-en").fill("{{ class_name }}: lab tomorrow")
    page.locator("#message-en").fill("{{ student_first_name }} needs closed shoes tomorrow.")
    page.locator(".phone").first.wait_for()
    page.locator(".variables summary").click()


def _send(page: Page, world: World) -> None:
    _write(page, world)
    page.locator("[value=send]").click()
    page.locator("[name=when]").first.wait_for()


def _became(page: Page, world: World) -> None:
    _send(page, world)
    page.locator("form[data-once] button").first.click()
    expect(page.locator("#state")).to_have_text("Sent", timeout=60_000)
    accepted = page.locator("#became ~ .funnel .last")
    expect(accepted).not_to_contain_text(" 0 accepted", timeout=60_000)


def _person(page: Page, world: World) -> None:
    student, person = world.school.students["Chidi"], world.school.people["Ngozi"]
    page.goto(f"/why/person?student={student}&person={person}")


def _decision(page: Page, world: World) -> None:
    """Why Ngozi, who asked for what falls below 70 %, did not hear of a better score."""
    _person(page, world)
    page.get_by_role("link", name=re.compile("Homework|Unit test|Lab report")).first.click()
    page.locator(".gates").wait_for()


TAKEN: Final[Mapping[str, Picture]] = {
    "portal-settings": Picture(_at("/push-notifications"), height=700),
    "portal-settings-dark": Picture(_at("/push-notifications"), height=700, is_dark=True),
    "portal-settings-narrow": Picture(_at("/push-notifications"), width=320, height=700),
    "portal-staff": Picture(_at("/staff"), height=560),
    "choose-students": Picture(_students, height=700),
    "choose-camps": Picture(_camps, height=700),
    "choose-families-narrow": Picture(_at("/families"), width=320, height=700, is_dark=True),
    "broadcast-write": Picture(_write, "assistant", width=1280),
    "broadcast-send": Picture(_send, "assistant", width=1280),
    "broadcast-became": Picture(_became, "assistant", width=1280),
    "why-person": Picture(_person, "support", height=900),
    "why-decision": Picture(_decision, "support"),
}


def main(wanted: list[str]) -> None:
    """Take the pictures whose names have one of *wanted* in them, or all."""
    names = [one for one in TAKEN if not wanted or any(part in one for part in wanted)]
    with _world() as world, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        for name in names:
            _take(browser, world, name, TAKEN[name])
            print(name)  # noqa: T201 - whoever waits sees how far it is
        browser.close()


@contextmanager
def _world() -> Iterator[World]:
    """The demonstration's district, at the end of its day."""
    with TemporaryDirectory(prefix="schoolbell-pictures-") as name:
        folder = Path(name)
        log = logging_to(folder / LOG_FILE)
        with log, build(folder, None, _STUDENTS, lambda _: None) as world, running(world) as check:
            play = Play(world, Terminal(), check)
            play.warm_up()
            play.run()
            yield world


def _take(browser: Browser, world: World, name: str, picture: Picture) -> None:
    site = Site(world.administrator.url, world.district)
    context = browser.new_context(
        base_url=site.url, locale="en-US", reduced_motion="reduce",
        viewport={"width": picture.width, "height": picture.height or 800},
        color_scheme="dark" if picture.is_dark else "light",
    )  # fmt: skip
    account = accounts.named(world.district.database, picture.role)
    cookie: Any = site.cookie(account, proved=True)
    context.add_cookies([cookie])
    page = context.new_page()
    picture.show(page, world)
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=PICTURES / f"{name}.png", full_page=not picture.height)
    context.close()


if __name__ == "__main__":
    main(sys.argv[1:])
