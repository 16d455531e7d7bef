"""Signing in by the district's provider: a real one, honest people, lies and attacks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from engine.config import OidcSettings
from engine.portal.app import build
from engine.portal.portal import Portal
from engine.services.staff import accounts
from engine.store import housekeeping
from engine.store.signing.tables import sign_in_attempts
from engine.store.staff.accounts import Account
from engine.store.staff.tables import audit, staff_identities
from tests.engine.portal.browser import HOST, PASSWORD, SOMEBODY, Browser
from tests.servers import OidcProvider, free_port
from tests.servers.oidc_provider import CLIENT, SECRET

ANNA = "anna@lincoln.example"
UNDER_WAY = "__Host-schoolbell-under-way"
LIES = [
    "nonce", "issuer", "audience", "audiences", "party", "expired", "subject", "hash", "alg none",
    "secret", "key",
]  # fmt: skip


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """A provider that runs on this machine."""
    with OidcProvider([f"https://{HOST}"]) as server:
        yield server


def settings(provider: OidcProvider, **others: Any) -> OidcSettings:
    return OidcSettings(
        issuer=provider.issuer, client_id=CLIENT, client_secret=SECRET, ca_file=provider.ca_file,
        label="Lincoln", **others,
    )  # fmt: skip


@pytest.fixture
def oidc(request: pytest.FixtureRequest, provider: OidcProvider) -> OidcSettings:
    """The provider, with what a test asks for besides."""
    return settings(provider, **getattr(request, "param", {}))


@pytest.fixture
def anna(portal: Portal) -> Account:
    """An account without a password."""
    return accounts.add(portal.district.database, SOMEBODY, ANNA, "Anna Ortiz", None)


def go_out(browser: Browser, path: str = "/sign-in/oidc") -> str:
    """The address at the provider that the browser is sent to."""
    answer = browser.get(path)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def come_back(browser: Browser, provider: OidcProvider, name: str = "anna", **options: Any) -> Any:
    """Sign in there, and come back; the answer of the portal."""
    return browser.get(ours(provider.sign_in(go_out(browser, **options), name)))


def ours(address: str) -> str:
    parts = urlsplit(address)
    assert parts.netloc == HOST
    return f"{parts.path}?{parts.query}"


def acts(portal: Portal) -> list[str]:
    with portal.district.database.read() as connection:
        return [act for (act,) in connection.execute(select(audit.c.act).order_by(audit.c.id))]


def subject(portal: Portal) -> str | None:
    with portal.district.database.read() as connection:
        return connection.execute(select(staff_identities.c.subject)).scalar()


def test_who_signs_in_there_is_signed_in_here(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    assert "Sign in with Lincoln" in browser.get("/sign-in").text

    answer = come_back(browser, provider, path="/sign-in/oidc?next=/account")

    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert anna.name in browser.get("/").text
    assert "Password of now" not in browser.get("/account").text
    assert subject(portal) == "anna"
    assert acts(portal)[-2:] == ["staff.bound", "sign-in.provider"]


def test_it_asks_for_a_code_with_pkce_a_state_and_a_nonce(browser: Browser) -> None:
    asked = parse_qs(urlsplit(go_out(browser)).query)
    other = parse_qs(urlsplit(go_out(browser)).query)

    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [f"https://{HOST}/sign-in/oidc/callback"]
    for secret in ("state", "nonce", "code_challenge"):
        assert len(asked[secret][0]) >= 43
        assert asked[secret] != other[secret]


def test_the_subject_is_known_again_whatever_the_address_is_by_then(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    come_back(browser, provider)
    with portal.district.database.write() as connection:
        accounts.accounts.change(connection, anna.id, username="anna.novak@lincoln.example")

    come_back(browser, provider)

    assert browser.get("/").status_code == 200


def test_somebody_else_under_the_same_address_is_refused_until_it_is_let_go(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    come_back(browser, provider)
    answer = come_back(browser, provider, "anna+successor")
    assert answer.status_code == 403
    assert "belongs to somebody else" in answer.text

    accounts.sign_in_by_provider(portal.district.database, SOMEBODY, anna.id)
    assert browser.get("/").status_code == 303
    come_back(browser, provider, "anna+successor")
    assert subject(portal) == "anna+successor"


@pytest.mark.parametrize("name", ["nobody", "anna+unverified"])
def test_who_has_no_account_is_told_whom_to_ask(
    browser: Browser, provider: OidcProvider, anna: Account, name: str
) -> None:
    del anna
    answer = come_back(browser, provider, name)
    assert answer.status_code == 403
    assert "Ask an administrator" in answer.text
    assert browser.get("/").status_code == 303


def test_an_account_with_a_password_is_not_taken_over(
    browser: Browser, provider: OidcProvider, portal: Portal
) -> None:
    browser.make_account(ANNA, admin=True)
    assert come_back(browser, provider).status_code == 403
    assert subject(portal) is None


def test_an_account_that_was_taken_away_is_refused(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    browser.make_account("boss", admin=True)
    come_back(browser, provider)
    accounts.disable(portal.district.database, SOMEBODY, anna.id)

    assert browser.get("/").status_code == 303
    answer = come_back(browser, provider)

    assert answer.status_code == 403
    assert "disabled" in answer.text
    assert "sign-in.refused" in acts(portal)


def test_no_password_opens_an_account_of_the_provider(browser: Browser, anna: Account) -> None:
    for password in ("", "None", PASSWORD):
        assert browser.sign_in(anna.username, password).status_code == 403


def test_a_password_that_is_set_ends_the_provider_s_sign_in(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    come_back(browser, provider)
    accounts.set_password(portal.district.database, SOMEBODY, anna.id, PASSWORD)
    assert come_back(browser, provider).status_code == 403
    assert browser.sign_in(anna.username).status_code == 303


def test_the_way_out_is_not_finished_by_another_browser(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    """An attacker begins, signs in as themselves, and hands the way back to somebody else."""
    del anna
    back = ours(provider.sign_in(go_out(browser), "anna"))
    with TestClient(build(portal), base_url=f"https://{HOST}", follow_redirects=False) as other:
        assert other.get(back).status_code == 403
        other.get("/sign-in/oidc")
        assert other.get(back).status_code == 403
        assert other.get("/").status_code == 303
    assert browser.get(back).status_code == 303


def test_a_way_back_is_taken_once(browser: Browser, provider: OidcProvider, anna: Account) -> None:
    del anna
    back = ours(provider.sign_in(go_out(browser), "anna"))
    assert browser.get(back).status_code == 303
    browser.post("/sign-out")
    answer = browser.get(back)
    assert answer.status_code == 403
    assert "Begin again here" in answer.text
    assert browser.get("/").status_code == 303


def test_a_code_of_another_sign_in_is_refused(
    browser: Browser, provider: OidcProvider, anna: Account
) -> None:
    """The code is somebody else's, the state is one's own: the verifier does not fit."""
    del anna
    stolen = parse_qs(urlsplit(provider.sign_in(go_out(browser), "anna")).query)["code"][0]
    state = parse_qs(urlsplit(go_out(browser)).query)["state"][0]
    answer = browser.get(
        "/sign-in/oidc/callback",
        params={"code": stolen, "state": state, "iss": provider.issuer},
    )
    assert answer.status_code == 403
    assert browser.get("/").status_code == 303


def test_an_answer_of_another_provider_is_refused(
    browser: Browser, provider: OidcProvider, anna: Account
) -> None:
    del anna
    back = ours(provider.sign_in(go_out(browser), "anna"))
    path, _, query = back.partition("?")
    said = {key: one[0] for key, one in parse_qs(query).items()}
    assert browser.get(path, params={**said, "iss": "https://evil.example"}).status_code == 403


def test_a_way_out_is_good_for_ten_minutes(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account
) -> None:
    del anna
    back = ours(provider.sign_in(go_out(browser), "anna"))
    with portal.district.database.write() as connection:
        connection.execute(update(sign_in_attempts).values(expires_at=portal.now))
    assert browser.get(back).status_code == 403
    keep = timedelta(days=1)
    housekeeping.forget(portal.district.database, portal.now, keep, keep)
    with portal.district.database.read() as connection:
        assert not connection.execute(select(sign_in_attempts.c.purpose)).all()


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_does_not_hold_is_refused(
    browser: Browser, provider: OidcProvider, portal: Portal, anna: Account, lie: str
) -> None:
    del anna
    provider.tell_a_lie(lie)
    answer = come_back(browser, provider)
    assert answer.status_code == 403
    assert "do not understand each other" in answer.text
    assert browser.get("/").status_code == 303
    assert subject(portal) is None
    assert come_back(browser, provider).status_code == 303


def test_what_is_told_of_another_person_is_refused(
    browser: Browser, provider: OidcProvider, anna: Account
) -> None:
    del anna
    provider.tell_a_lie("another person")
    assert come_back(browser, provider).status_code == 403


def test_who_cancels_there_comes_back_to_the_page(browser: Browser, provider: OidcProvider) -> None:
    answer = come_back(browser, provider, "")
    assert answer.status_code == 403
    assert "was cancelled" in answer.text
    assert 'name="password"' in answer.text


@pytest.mark.parametrize("oidc", [{"domain": "oakhill.example"}], indirect=True)
def test_another_domain_is_refused(browser: Browser, provider: OidcProvider, anna: Account) -> None:
    del anna
    assert come_back(browser, provider).status_code == 403


@pytest.mark.parametrize("oidc", [{"account_claim": "preferred_username"}], indirect=True)
def test_another_claim_may_name_the_account(
    browser: Browser, provider: OidcProvider, portal: Portal
) -> None:
    accounts.add(portal.district.database, SOMEBODY, "anna", "Anna Ortiz", None)
    assert come_back(browser, provider).status_code == 303
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize("oidc", [{"second_factor": ("mfa",)}], indirect=True)
def test_a_second_factor_of_the_provider_counts_where_the_settings_trust_it(
    browser: Browser, provider: OidcProvider, portal: Portal
) -> None:
    accounts.add(portal.district.database, SOMEBODY, ANNA, "Anna Ortiz", None, admin=True)
    come_back(browser, provider, "anna+mfa")
    assert browser.post("/push-notifications/flag").status_code == 303


def test_a_second_factor_of_the_provider_is_not_trusted_unasked(
    browser: Browser, provider: OidcProvider, portal: Portal
) -> None:
    accounts.add(portal.district.database, SOMEBODY, ANNA, "Anna Ortiz", None, admin=True)
    come_back(browser, provider, "anna+mfa")
    assert browser.post("/push-notifications/flag").status_code == 403


def test_ones_own_app_is_asked_for_after_the_provider(
    browser: Browser, provider: OidcProvider, anna: Account
) -> None:
    del anna
    come_back(browser, provider)
    browser.use_an_app(ANNA)
    browser.post("/sign-out")
    answer = come_back(browser, provider)
    assert answer.headers["location"] == "/sign-in/code?next=/"
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/sign-in/oidc"])
def test_it_leads_to_no_other_site(
    browser: Browser, provider: OidcProvider, anna: Account, target: str
) -> None:
    del anna
    answer = come_back(browser, provider, path=f"/sign-in/oidc?next={target}")
    assert answer.headers["location"] == "/"


def test_signing_out_offers_to_sign_out_there_too(
    browser: Browser, provider: OidcProvider, anna: Account
) -> None:
    del anna
    come_back(browser, provider)
    where = browser.post("/sign-out").headers["location"]
    words = browser.get(where).text
    assert "still signed in with Lincoln" in words
    assert 'href="/sign-in/oidc/end"' in words

    there = browser.get("/sign-in/oidc/end").headers["location"]

    assert there.startswith(f"{provider.issuer}/session/end?")
    assert parse_qs(urlsplit(there).query)["post_logout_redirect_uri"] == [
        f"https://{HOST}/sign-in"
    ]


def test_an_administrator_says_how_an_account_signs_in(
    browser: Browser, provider: OidcProvider, portal: Portal
) -> None:
    browser.make_account("boss", admin=True)
    browser.sign_in_with_an_app("boss")
    made = browser.post("/staff", {"username": ANNA, "name": "Anna Ortiz", "way": "provider"})
    where = made.headers["location"].partition("?")[0]
    assert "whoever is called so there" in browser.get(where).text
    assert "Lincoln" in browser.get("/staff").text
    browser.post("/sign-out")

    assert come_back(browser, provider).status_code == 303
    browser.post("/sign-out")
    who = accounts.named(portal.district.database, ANNA)
    assert not who.has_password


class TestAway:
    """The provider does not answer."""

    @pytest.fixture
    def oidc(self, provider: OidcProvider) -> OidcSettings:
        return settings(provider).model_copy(update={"issuer": f"https://127.0.0.1:{free_port()}"})

    def test_it_is_said_and_a_password_still_works(self, browser: Browser) -> None:
        browser.make_account("boss")
        for path in ("/sign-in/oidc", "/sign-in/oidc/end"):
            answer = browser.get(path)
            assert answer.status_code == 503
            assert "does not answer now" in answer.text
        assert browser.sign_in("boss").status_code == 303


class TestNobody:
    """There is no provider."""

    @pytest.fixture
    def oidc(self) -> OidcSettings:
        return OidcSettings()

    def test_nothing_is_offered(self, browser: Browser) -> None:
        boss = browser.make_account("boss", admin=True)
        assert "/sign-in/oidc" not in browser.get("/sign-in").text
        for rest in ("", "/callback", "/end"):
            assert browser.get(f"/sign-in/oidc{rest}").status_code == 404
        browser.sign_in_with_an_app("boss")
        assert browser.post(f"/staff/{boss.id}/provider").status_code == 422
        made = browser.post("/staff", {"username": "x", "name": "X", "way": "provider"})
        assert made.status_code == 422
        assert browser.get("/").status_code == 200
