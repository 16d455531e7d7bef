"""Somebody signs out at the provider, which tells the portal: who is out here then, and who not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from engine.config import OidcSettings
from engine.portal.app import build
from engine.portal.portal import Portal
from engine.services.staff import accounts
from engine.services.staff import provider as providers
from engine.store.staff.accounts import Account
from tests.engine.portal.browser import HOST, SOMEBODY, Browser
from tests.engine.portal.test_single_sign_on import (
    ANNA,
    acts,
    come_back,
    settings,
)
from tests.servers import OidcProvider

PATH = "/sign-in/oidc/back-channel-logout"
LIES = [
    "no event", "another event", "a nonce", "no jti", "no exp", "long ago", "nobody", "issuer",
    "audience", "expired", "key", "type",
]  # fmt: skip


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider([f"https://{HOST}"]) as server:
        yield server


@pytest.fixture
def oidc(provider: OidcProvider) -> OidcSettings:
    return settings(provider)


@pytest.fixture
def anna(portal: Portal) -> Account:
    return accounts.add(portal.district.database, SOMEBODY, ANNA, "Anna Ortiz", None)


@pytest.fixture
def sids(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the provider called each session, as it was told to the portal."""
    found: list[str] = []
    person = providers.Provider.person

    def seen(self: providers.Provider, *told: Any) -> providers.Person:
        found.append((one := person(self, *told)).session)
        return one

    monkeypatch.setattr(providers.Provider, "person", seen)
    return found


@pytest.fixture
def other(portal: Portal) -> Iterator[Browser]:
    """Another browser."""
    with TestClient(build(portal), base_url=f"https://{HOST}", follow_redirects=False) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        yield Browser(client, portal)


def tell(portal: Portal, token: str) -> int:
    """Server to server: no cookie, no Origin, no Sec-Fetch-Site."""
    with TestClient(build(portal), base_url=f"https://{HOST}") as server:
        answer = server.post(PATH, data={"logout_token": token})
    assert "no-store" in answer.headers["cache-control"]
    return int(answer.status_code)


def is_in(browser: Browser) -> bool:
    return bool(browser.get("/").status_code == 200)


@pytest.mark.parametrize("lie", ["", "of a session"])
def test_the_session_that_ended_there_ends_here_and_no_other(
    browser: Browser, other: Browser, provider: OidcProvider, portal: Portal, anna: Account,
    sids: list[str], lie: str,
) -> None:  # fmt: skip
    del anna
    come_back(browser, provider)
    come_back(other, provider)
    assert len(set(sids)) == 2
    assert tell(portal, provider.logout_token("anna", sids[0], lie)) == 200
    assert (is_in(browser), is_in(other)) == (False, True)
    assert acts(portal)[-1] == "sign-out.provider"


def test_who_is_signed_out_everywhere_there_is_so_here(
    browser: Browser, other: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    del anna
    come_back(browser, provider)
    come_back(other, provider)
    assert tell(portal, provider.logout_token("anna", "x", "of a person")) == 200
    assert (is_in(browser), is_in(other)) == (False, False)


def test_a_second_factor_does_not_loosen_it(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account, sids: list[str]
) -> None:
    """The session begins anew under another token, and is still the one of there."""
    come_back(browser, provider)
    browser.use_an_app(anna.username)
    assert is_in(browser)
    assert tell(portal, provider.logout_token("anna", sids[0])) == 200
    assert not is_in(browser)


def test_what_was_heard_ends_nothing_a_second_time(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    del anna
    come_back(browser, provider)
    token = provider.logout_token("anna", "x", "of a person")
    assert tell(portal, token) == 200
    come_back(browser, provider)
    assert tell(portal, token) == 200
    assert is_in(browser)


def test_nobody_else_is_signed_out(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    del anna
    come_back(browser, provider)
    for lie in ("", "of a person"):
        assert tell(portal, provider.logout_token("ben", "another", lie)) == 200
    assert is_in(browser)
    assert "sign-out.provider" not in acts(portal)


@pytest.mark.parametrize("lie", LIES)
def test_what_does_not_hold_ends_nothing(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account, sids: list[str],
    lie: str,
) -> None:  # fmt: skip
    del anna
    come_back(browser, provider)
    assert tell(portal, provider.logout_token("anna", sids[0], lie)) == 400
    assert is_in(browser)


def test_what_is_no_token_at_all_is_refused_unasked(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends rubbish does not make us ask the provider each time."""

    def asked(_: object) -> None:
        raise AssertionError("the provider was asked")

    monkeypatch.setattr(providers.Provider, "_metadata", asked)
    for token in ("x", "a.b.c", "..", "a.e30.c", "a.bnVsbA.c", "." * 9_000, "a.W10.c"):
        assert tell(portal, token) == 400


def test_a_page_of_another_site_ends_nothing(browser: Browser, provider: OidcProvider) -> None:
    token = provider.logout_token("anna", "x")
    answer = browser.post(PATH, {"logout_token": token}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


def test_a_token_that_is_heard_late_is_told_apart_by_its_clock(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    del anna
    come_back(browser, provider)
    token = provider.logout_token("anna", "x", "of a person")
    later = portal.now + timedelta(minutes=12)
    monkeypatch.setattr(Portal, "now", property(lambda _: later))
    assert tell(portal, token) == 400
    assert is_in(browser)
