"""Passkeys in a real browser, with an authenticator that Chromium plays."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any, Final

import pytest
from playwright.sync_api import CDPSession

from engine.store.staff.accounts import Account
from tests.browser.conftest import Open
from tests.browser.keyboard import Keyboard
from tests.browser.looks import LANGUAGES, look_at
from tests.browser.site import PASSWORD, Site
from tests.browser.visitor import Visitor

_numbers = count(1)
KEY: Final = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
    "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


@pytest.fixture
def here(site: Site) -> Site:
    """The portal by a name: a number is no place for passkeys."""
    return replace(site, url=site.url.replace("127.0.0.1", "localhost"))


@pytest.fixture
def anna(here: Site) -> Account:
    return here.account(f"pass{next(_numbers)}", admin=True)


class Authenticator:
    """What Chromium plays: it answers at once, as one whose owner has a finger on it."""

    def __init__(self, visitor: Visitor, **choices: Any) -> None:
        self._session: CDPSession = visitor.context.new_cdp_session(visitor.page)
        self._session.send("WebAuthn.enable")
        made = self._session.send(
            "WebAuthn.addVirtualAuthenticator", {"options": {**KEY, **choices}}
        )
        self._name = {"authenticatorId": made["authenticatorId"]}

    def keeps(self) -> list[dict[str, Any]]:
        """Its passkeys."""
        found: list[dict[str, Any]] = self._session.send("WebAuthn.getCredentials", self._name)[
            "credentials"
        ]
        return found

    def count_to(self, number: int) -> None:
        """Let its only passkey have counted to *number*, as an older copy of it would."""
        (credential,) = self.keeps()
        self._session.send("WebAuthn.clearCredentials", self._name)
        self._session.send(
            "WebAuthn.addCredential",
            {**self._name, "credential": {**credential, "signCount": number}},
        )

    def refuse(self) -> None:
        """Let its owner not be verified."""
        self._session.send("WebAuthn.setUserVerified", {**self._name, "isUserVerified": False})


@pytest.fixture
def visitor(here: Site, opened: Open) -> Visitor:
    return opened(here, viewport={"width": 1280, "height": 800})


def set_up(here: Site, visitor: Visitor, anna: Account, name: str = "My laptop") -> None:
    """Sign in with the password, and add the first passkey."""
    visitor.sign_in(anna.username)
    visitor.page.get_by_role("link", name="Set up a second factor").click()
    visitor.page.get_by_role("button", name="Add a passkey").click()
    visitor.fill("What you call it", name)
    visitor.fill("Setup code", here.setup_code(anna))
    visitor.press("Add a passkey")
    visitor.sees("Keep these recovery codes")


def test_a_passkey_is_added_and_is_the_whole_sign_in(
    here: Site, visitor: Visitor, anna: Account
) -> None:
    key = Authenticator(visitor)
    set_up(here, visitor, anna)
    assert [one["isResidentCredential"] for one in key.keeps()] == [True]
    visitor.go("/account")
    visitor.sees("My laptop")
    visitor.sees("never")
    visitor.press("Sign out")

    visitor.go("/account")
    visitor.press("Sign in with a passkey")
    visitor.page.wait_for_url("**/account")
    visitor.sees("My laptop")
    assert visitor.page.get_by_text("never").count() == 0
    visitor.go("/staff")
    visitor.page.locator("summary", has_text="Add an account").wait_for()


def test_it_is_asked_for_after_a_password(here: Site, visitor: Visitor, anna: Account) -> None:
    Authenticator(visitor, hasUserVerification=False, isUserVerified=False)
    set_up(here, visitor, anna)
    visitor.press("Sign out")
    visitor.sign_in(anna.username)
    assert visitor.path == "/sign-in/code"
    visitor.press("Use your passkey")
    visitor.sees(f"Hello, {anna.name}")


def test_another_one_is_added_and_taken_away(here: Site, visitor: Visitor, anna: Account) -> None:
    Authenticator(visitor)
    set_up(here, visitor, anna)
    Authenticator(visitor, transport="usb")
    visitor.go("/account/passkeys")
    visitor.fill("What you call it", "The key on my ring")
    visitor.press("Add a passkey")
    visitor.sees("The passkey is asked for from now on.")
    visitor.press("Take away: My laptop")
    visitor.sees("Taken away.")
    assert visitor.page.get_by_text("My laptop").count() == 0
    visitor.sees("The key on my ring")


def test_who_is_not_verified_is_told_so(here: Site, visitor: Visitor, anna: Account) -> None:
    key = Authenticator(visitor)
    set_up(here, visitor, anna)
    visitor.press("Sign out")
    key.refuse()
    visitor.press("Sign in with a passkey")
    visitor.sees("The passkey was not used")
    visitor.sign_in(anna.username)
    assert visitor.path == "/sign-in/code"


def test_a_copy_is_found_out(here: Site, visitor: Visitor, anna: Account) -> None:
    key = Authenticator(visitor)
    set_up(here, visitor, anna)
    visitor.press("Sign out")
    key.count_to(50)
    visitor.press("Sign in with a passkey")
    visitor.sees(f"Hello, {anna.name}")
    visitor.press("Sign out")
    key.count_to(7)
    visitor.press("Sign in with a passkey")
    visitor.sees("There may be a copy of this passkey")


def test_without_a_setup_code_nothing_is_added(visitor: Visitor, anna: Account) -> None:
    Authenticator(visitor)
    visitor.sign_in(anna.username)
    visitor.go("/account/passkeys")
    visitor.fill("Setup code", "abcd-efgh-jkmn")
    visitor.press("Add a passkey")
    visitor.sees("This is not the setup code of your account")


def test_by_a_number_the_page_says_what_to_do(site: Site, opened: Open, anna: Account) -> None:
    visitor = opened(site)
    visitor.context.add_cookies([site.cookie(anna, proved=True)])  # type: ignore[list-item]
    visitor.go("/account/passkeys")
    visitor.sees("Passkeys need a name, and this address is a number.")
    visitor.go("/sign-in")
    assert visitor.page.get_by_role("button", name="Sign in with a passkey").count() == 0


def test_without_scripts_an_app_is_offered_and_a_recovery_code_taken(
    here: Site, visitor: Visitor, opened: Open, anna: Account
) -> None:
    Authenticator(visitor)
    set_up(here, visitor, anna)
    code = visitor.page.locator(".codes li").first.inner_text()
    plain = opened(here, java_script_enabled=False)
    plain.go("/sign-in")
    assert not plain.page.get_by_role("button", name="Sign in with a passkey").is_visible()
    plain.sign_in(anna.username)
    assert not plain.page.get_by_role("button", name="Use your passkey").is_visible()
    plain.fill("Code", code)
    plain.press("Go on")
    plain.sees(f"Hello, {anna.name}")
    plain.go("/account/passkeys")
    plain.sees("An authenticator app needs neither.")


def test_it_is_used_by_keyboard_alone(here: Site, visitor: Visitor, anna: Account) -> None:
    Authenticator(visitor)
    keyboard = Keyboard(visitor)
    visitor.sign_in(anna.username)
    visitor.go("/account/passkeys")
    keyboard.skip()
    keyboard.write("What you call it", "My keyboard")
    keyboard.write("Setup code", here.setup_code(anna))
    keyboard.press("Add a passkey")
    visitor.sees("Keep these recovery codes")
    keyboard.press("Sign out")
    visitor.page.wait_for_url("**/sign-in")
    keyboard.press("Sign in with a passkey")
    visitor.sees(f"Hello, {anna.name}")
    visitor.go("/account")
    keyboard.skip()
    keyboard.press("Take away: My keyboard")
    visitor.sees("Taken away.")


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_pages_are_for_everybody(
    here: Site, opened: Open, anna: Account, language: str
) -> None:
    visitor = opened(here, locale=language, viewport={"width": 1280, "height": 800})
    here.speak(anna, language)
    Authenticator(visitor)
    page = visitor.page
    page.goto(f"{here.url}/sign-in")
    _sign_in(visitor, anna)
    visitor.go("/account/passkeys")
    found = look_at(visitor, f"passkey-{language}")
    page.locator("[name=setup_code]").fill(here.setup_code(anna))
    page.locator("form[data-passkey] button").click()
    page.locator(".codes").wait_for()
    visitor.go("/account")
    found += look_at(visitor, f"account-passkeys-{language}")
    page.locator("header form button").click()
    found += look_at(visitor, f"sign-in-passkey-{language}")
    _sign_in(visitor, anna)
    found += look_at(visitor, f"code-passkey-{language}")
    assert not found, "\n".join(found)


def _sign_in(visitor: Visitor, anna: Account) -> None:
    visitor.page.locator("[name=username]").fill(anna.username)
    visitor.page.locator("[name=password]").fill(PASSWORD)
    visitor.page.locator("form[action='/sign-in'] button").click()
    visitor.page.wait_for_load_state()
