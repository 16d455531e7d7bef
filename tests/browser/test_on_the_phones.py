"""A message written in a browser, and what reaches the phones of the emulator.

The engine really runs, with every stage, over the small world of the demonstration.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import pytest
from playwright.sync_api import expect

from engine.services.staff import accounts
from engine.trial.demo.cast import APP_REMOVED
from engine.trial.demo.quiet import wait_until_quiet
from engine.trial.demo.running import logging_to, running
from engine.trial.demo.world import FEWEST, LOG_FILE, World, build
from tests.browser.conftest import Open
from tests.browser.site import Site
from tests.browser.visitor import Visitor

_PATIENCE: Final = 60_000  # milliseconds for all stages, on a machine that does much else
_numbers = count(1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The demonstration's schools, with an engine, a portal and phones."""
    folder = tmp_path_factory.mktemp("world")
    log = logging_to(folder / LOG_FILE)
    with log, build(folder, None, FEWEST, lambda _: None) as made, running(made):
        yield made


@pytest.fixture
def boss(world: World, opened: Open) -> Visitor:
    """The administrator, at a browser that has shown a second factor."""
    site = Site(world.administrator.url, world.district)
    visitor = opened(site)
    account = accounts.named(world.district.database, world.administrator.username)
    cookie: Any = site.cookie(account, proved=True)
    visitor.context.add_cookies([cookie])
    return visitor


def choose(visitor: Visitor, page: str, *ids: int) -> None:
    """Tick some rows, whatever was ticked before, and press the bell."""
    visitor.go(f"/{page}")
    visitor.press("Clear")
    visitor.page.locator("#selected", has_text="0 selected").wait_for()
    for number, one in enumerate(ids, 1):
        visitor.page.locator(f"[name=tick][value='{one}']").check()
        visitor.page.locator("#selected", has_text=f"{number} selected").wait_for()
    visitor.page.locator("[name=go][value=send]").click()
    visitor.page.wait_for_url(f"**/broadcasts/new?page={page}")


def send(visitor: Visitor, title: str, message: str) -> int:
    """Write it and send it; gives the number that the page had shown before."""
    shown = int(visitor.page.locator("#number strong").inner_text())
    visitor.fill("Title", title)
    visitor.fill("Message", message)
    visitor.press("Go on to send")
    visitor.page.locator("form[data-once] button").first.click()
    visitor.sees("It is being sent.")
    return shown


def arrived(world: World) -> dict[str, list[tuple[str, str]]]:
    """What has come to which phone, once nothing is under way any more."""
    left = wait_until_quiet(world.district, _PATIENCE / 1_000, lambda _: None)
    assert left.is_quiet, left
    found: dict[str, list[tuple[str, str]]] = {}
    for phone, text in world.arrivals():
        found.setdefault(phone, []).append((text.title, text.body))
    return found


def test_what_the_page_counts_is_what_phones_show(world: World, boss: Visitor) -> None:
    choose(boss, "classes", world.school.biology)
    title = f"Lab {next(_numbers)}"
    estimated = send(boss, title, "Closed shoes, {{ student_first_name }}.")
    page = boss.page
    expect(page.locator("#state")).to_have_text("Sent", timeout=_PATIENCE)
    phones = arrived(world)
    assert {len(texts) for texts in phones.values()} == {1}
    assert {texts[0][0] for texts in phones.values()} == {title}
    last = page.locator("#became ~ .funnel .last")
    expect(last).to_contain_text(f"{len(phones)} accepted", timeout=_PATIENCE)
    gone = len(APP_REMOVED)  # which nobody knows before a gateway says so
    expect(last).to_contain_text(f"{gone} refused or dead")
    expect(last.locator(".many")).to_have_text(str(len(phones) + gone))
    assert estimated == len(phones) + gone


def test_who_would_get_a_blank_text_gets_none_and_stands_among_the_errors(
    world: World, boss: Visitor
) -> None:
    """Students of the cast have no homeroom, and the others have."""
    page, title = boss.page, f"Homeroom {next(_numbers)}"
    others = [one for one in world.crowd.pupils if any(one.told())]
    choose(boss, "students", world.school.students["Chidi"], *(one.student for one in others))
    send(boss, title, "{{ student_homeroom }}")
    expect(page.locator("#state")).to_have_text("Sent", timeout=_PATIENCE)
    phones = arrived(world)
    assert set(phones) == {relative.phone for one in others for relative in one.told()}
    assert all(body for texts in phones.values() for _, body in texts)

    boss.go("/background-tasks")
    page.get_by_role("link", name=title).click()
    errors = page.get_by_role("region", name="Texts that could not be made")
    expect(errors).to_contain_text("Ngozi Okafor")
    expect(errors).to_contain_text("Chidi Okafor")
    expect(errors).to_contain_text("came out blank")
