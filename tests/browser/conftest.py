"""One portal for all tests of a worker, one Chromium for each file, one context for each test.

Playwright keeps an event loop in the thread of the tests, so it ends with each file: what comes
after it in the same worker may run loops of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, sync_playwright

from engine.secrets import passwords
from engine.store.staff.accounts import Account
from tests.browser.site import Site, serving
from tests.browser.visitor import Visitor
from tests.servers.browser import OPTIONS, chromium

Open = Callable[..., Visitor]
_numbers = count(1)


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Passwords are hashed in no time."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", hasher)
        patch.setattr(passwords, "_NOBODYS", hasher.hash("nobody's"))
        yield


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The portal, for the tests of one file: what they leave is not met by those of another."""
    with serving(tmp_path_factory.mktemp("portal")) as found:
        yield found


@pytest.fixture(autouse=True)
def _on(site: Site) -> None:
    """The district is on at the beginning of each test, whatever the one before left."""
    site.switch(enabled=True)


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """Chromium with a profile of its own; its absence is a failure that says what to install."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        yield started
        started.close()


@pytest.fixture
def opened(site: Site, chrome: Browser) -> Iterator[Open]:
    """Opens contexts; afterwards the browser must not have complained of anything."""
    visitors: list[Visitor] = []

    def open_(where: Site = site, **options: Any) -> Visitor:
        context = chrome.new_context(**{"reduced_motion": "reduce", "locale": "en-US", **options})
        visitors.append(Visitor(where, context))
        return visitors[-1]

    yield open_
    for one in visitors:
        one.context.close()
    assert not [words for one in visitors for words in one.complaints]


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def visitor(request: pytest.FixtureRequest, opened: Open) -> Visitor:
    """Somebody whose browser runs scripts, and somebody whose browser does not."""
    return opened(java_script_enabled=request.param)


@pytest.fixture
def new_account(site: Site) -> Callable[..., Account]:
    """Makes accounts, each with a username of its own."""
    return lambda *grants, **choices: site.account(f"anna{next(_numbers)}", *grants, **choices)


@pytest.fixture
def boss(site: Site, visitor: Visitor, new_account: Callable[..., Account]) -> Account:
    """An administrator, signed in with a code."""
    made = new_account(admin=True)
    visitor.context.add_cookies([site.cookie(made, proved=True)])  # type: ignore[list-item]
    return made
