"""Signing in by the district's provider in a real browser, with and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

import pytest

from engine.config import OidcSettings
from tests.browser.conftest import Open
from tests.browser.looks import LANGUAGES, look_at
from tests.browser.site import Site, serving
from tests.browser.visitor import Visitor
from tests.servers import OidcProvider, free_port
from tests.servers.oidc_provider import CLIENT, SECRET

LABEL: Final = "the Lincoln account"
_numbers = count(1)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A portal whose staff may sign in by a provider."""
    port = free_port()
    with OidcProvider([f"http://127.0.0.1:{port}"]) as provider:
        oidc = OidcSettings(
            issuer=provider.issuer, client_id=CLIENT, client_secret=SECRET,
            ca_file=provider.ca_file, label=LABEL,
        )  # fmt: skip
        with serving(tmp_path_factory.mktemp("with-a-provider"), port, oidc) as found:
            yield found


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def visitor(request: pytest.FixtureRequest, there: Site, opened: Open) -> Visitor:
    """Somebody whose browser trusts the provider's certificate."""
    return opened(there, java_script_enabled=request.param, ignore_https_errors=True)


def test_somebody_signs_in_there_and_out(there: Site, visitor: Visitor) -> None:
    name = f"anna{next(_numbers)}"
    there.account(f"{name}@lincoln.example", password=None)
    visitor.go("/account")
    visitor.page.get_by_role("button", name=f"Sign in with {LABEL}").click()
    visitor.fill("Name", name)
    visitor.press("Go on")
    visitor.page.wait_for_url("**/account")
    visitor.sees("Where you are signed in")
    assert visitor.page.get_by_label("Password of now").count() == 0

    visitor.press("Sign out")
    visitor.sees(f"still signed in with {LABEL}")
    visitor.page.get_by_role("link", name="Sign out there, too").click()
    visitor.page.get_by_role("button").first.click()
    visitor.page.wait_for_url("**/sign-in**")


def test_who_has_no_account_reads_what_to_do(visitor: Visitor) -> None:
    visitor.go("/sign-in")
    visitor.page.get_by_role("button", name=f"Sign in with {LABEL}").click()
    visitor.fill("Name", "a stranger")
    visitor.press("Go on")
    visitor.sees("Ask an administrator of the portal")
    assert visitor.page.get_by_label("Password").is_visible()


def test_an_administrator_makes_such_an_account(there: Site, visitor: Visitor) -> None:
    boss = there.account(f"boss{next(_numbers)}", admin=True)
    visitor.context.add_cookies([there.cookie(boss, proved=True)])  # type: ignore[list-item]
    visitor.go("/staff")
    visitor.page.locator("summary", has_text="Add an account").click()
    visitor.fill("Name", "Ben Novák")
    visitor.fill("Username", f"ben{next(_numbers)}@lincoln.example")
    visitor.press("Add")
    visitor.sees("It will belong to whoever is called so there and signs in first.")


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_pages_are_for_everybody(there: Site, opened: Open, language: str) -> None:
    boss = there.account(f"boss{next(_numbers)}", admin=True)
    ben = there.account(f"ben{next(_numbers)}@lincoln.example", password=None)
    there.speak(boss, language)
    visitor = opened(there, locale=language, viewport={"width": 1280, "height": 800})
    visitor.go("/sign-in?left=provider")
    found = look_at(visitor, f"sign-in-provider-{language}")
    visitor.context.add_cookies([there.cookie(boss, proved=True)])  # type: ignore[list-item]
    for path in (f"/staff/{ben.id}", f"/staff/{boss.id}"):
        visitor.go(path)
        found += look_at(visitor, f"staff-provider-{path[7:]}-{language}")
    visitor.go("/staff")
    visitor.page.locator("summary[role=button]").click()
    found += look_at(visitor, f"staff-add-provider-{language}")
    assert not found, "\n".join(found)
