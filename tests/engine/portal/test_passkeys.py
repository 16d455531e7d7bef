"""Passkeys: added, shown, taken away; and what is none, is somebody else's, or is a copy."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as some
from sqlalchemy import select, update
from starlette.testclient import TestClient

from engine.portal.app import build
from engine.portal.portal import Portal
from engine.services.staff import accounts, passkeys
from engine.store.signing.tables import sign_in_attempts
from engine.store.staff.tables import audit, staff_passkeys
from tests.engine.portal.authenticator import Authenticator
from tests.engine.portal.browser import HOST, PASSWORD, SOMEBODY, Browser

OWN = "/account/passkeys"
WHOLE = "/sign-in/passkey"
SECOND = "/sign-in/code/passkey"


@pytest.fixture
def anna(browser: Browser) -> Browser:
    """Somebody who has shown a password, and has no second factor yet."""
    browser.make_account("anna")
    browser.sign_in("anna")
    return browser


def options(browser: Browser, where: str) -> dict[str, Any]:
    answer = browser.post(f"{where}/options")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def add(browser: Browser, key: Authenticator, username: str = "", name: str = "My key") -> Any:
    """Add a passkey; with *username* as the first factor of that account."""
    code = browser.setup_code(username) if username else ""
    made = key.make(options(browser, OWN))
    return browser.post(OWN, {"credential": made, "name": name, "setup_code": code})


def show(browser: Browser, key: Authenticator, where: str, **more: str) -> httpx2.Response:
    return browser.post(where, {"credential": key.show(options(browser, where)), **more})


def with_key(browser: Browser, **choices: Any) -> Authenticator:
    """A passkey of anna's, and nobody signed in."""
    key = Authenticator(**choices)
    assert add(browser, key, "anna").status_code == 200
    browser.post("/sign-out")
    return key


def is_in(browser: Browser) -> bool:
    return browser.get("/").status_code == 200


def acts(browser: Browser) -> list[str]:
    with browser.portal.district.database.read() as connection:
        return [act for (act,) in connection.execute(select(audit.c.act).order_by(audit.c.id))]


def test_a_first_passkey_comes_with_recovery_codes_and_proves_the_session(anna: Browser) -> None:
    added = add(anna, Authenticator(), "anna", "My phone")

    assert added.status_code == 200
    assert added.text.count("<li><code>") == 10
    words = anna.get("/account").text
    assert "My phone" in words
    assert "never" in words
    assert "10 recovery codes are left." in words
    anna.make_account("boss", admin=True)
    assert "passkey.added" in acts(anna)


def test_it_is_the_whole_sign_in(anna: Browser) -> None:
    key = with_key(anna)
    assert "Sign in with a passkey" in anna.get("/sign-in").text

    answer = show(anna, key, WHOLE, next="/account")

    assert answer.headers["location"] == "/account"
    assert "never" not in anna.get("/account").text
    assert acts(anna)[-1] == "sign-in.passkey"


def test_it_is_asked_for_after_a_password(anna: Browser) -> None:
    key = with_key(anna, verifies=False)
    assert anna.sign_in("anna").headers["location"].startswith("/sign-in/code")
    assert not is_in(anna)
    assert SECOND in anna.get("/sign-in/code").text

    answer = show(anna, key, SECOND, next="/account")

    assert answer.headers["location"] == "/account"
    assert is_in(anna)


def test_a_recovery_code_stands_in_for_it(anna: Browser) -> None:
    added = add(anna, Authenticator(), "anna")
    code = added.text.partition("<li><code>")[2].partition("<")[0]
    anna.post("/sign-out")
    anna.sign_in("anna")
    assert anna.post("/sign-in/code", {"code": code}).status_code == 303
    assert is_in(anna)


def test_several_are_kept_beside_an_app_and_each_is_taken_away(anna: Browser) -> None:
    anna.use_an_app("anna")
    for name in ("My phone", "My key"):
        assert add(anna, Authenticator(), name=name).status_code == 303
    words = anna.get("/account").text
    assert "My phone" in words
    gone = words.partition('name="passkey" value="')[2].partition('"')[0]

    anna.post(f"{OWN}/remove", {"passkey": gone})

    words = anna.get("/account").text
    assert "My phone" not in words
    assert "My key" in words
    assert "10 recovery codes are left." in words


def test_without_the_last_factor_the_recovery_codes_go(anna: Browser) -> None:
    add(anna, Authenticator(), "anna")
    gone = anna.get("/account").text.partition('name="passkey" value="')[2].partition('"')[0]
    anna.post(f"{OWN}/remove", {"passkey": gone})
    anna.post("/sign-out")
    assert anna.sign_in("anna").headers["location"] == "/"
    assert "recovery codes" not in anna.get("/account").text


def test_the_app_may_go_while_a_passkey_stays(anna: Browser) -> None:
    anna.use_an_app("anna")
    key = Authenticator()
    add(anna, key)
    anna.post("/account/authenticator/end")
    anna.sign_in("anna")
    assert show(anna, key, SECOND).status_code == 303
    assert "10 recovery codes are left." in anna.get("/account").text


def test_an_administrator_takes_all_of_them_away(anna: Browser) -> None:
    key = with_key(anna)
    database = anna.portal.district.database
    accounts.forget_second_factor(database, SOMEBODY, accounts.named(database, "anna").id)
    assert show(anna, key, WHOLE).status_code == 403
    assert anna.sign_in("anna").headers["location"] == "/"


# What is refused


def test_a_password_alone_sets_up_no_factor(anna: Browser) -> None:
    """The thief of a password that has no second factor yet gets none of theirs in."""
    refused = add(anna, Authenticator())
    assert refused.status_code == 422
    assert "setup code" in refused.text
    made = Authenticator().make(options(anna, OWN))
    wrong = anna.post(OWN, {"credential": made, "name": "x", "setup_code": "abcd-efgh-jkmn"})
    assert wrong.status_code == 422
    assert not accounts.named(anna.portal.district.database, "anna").has_second_factor


def test_a_setup_code_counts_once_for_its_account_and_not_for_ever(anna: Browser) -> None:
    database = anna.portal.district.database
    anna.make_account("ben")
    theirs = anna.setup_code("ben")
    older = anna.setup_code("anna")
    mine = anna.setup_code("anna")

    def tried(code: str) -> int:
        made = Authenticator().make(options(anna, OWN))
        answer = anna.post(OWN, {"credential": made, "name": "x", "setup_code": code})
        return answer.status_code

    assert [tried(code) for code in (theirs, older)] == [422, 422]
    late = anna.portal.now - accounts.SETUP_CODES_LAST
    accounts.new_setup_code(
        database, SOMEBODY._replace(at=late), accounts.named(database, "anna").id
    )
    assert tried(mine) == 422, "a newer one was made"
    assert tried(anna.setup_code("anna").upper().replace("-", " ")) == 200
    accounts.forget_second_factor(database, SOMEBODY, accounts.named(database, "anna").id)
    anna.sign_in("anna")
    assert tried(mine) == 422


def test_a_session_without_proof_adds_none_beside_others_and_takes_none_away(
    anna: Browser, portal: Portal
) -> None:
    with TestClient(build(portal), base_url=f"https://{HOST}", follow_redirects=False) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        thief = Browser(client, portal)
        code = anna.setup_code("anna")
        thief.sign_in("anna")
        offered = options(thief, OWN)
        with_key(anna)
        made = Authenticator().make(offered)
        taken = thief.post(OWN, {"credential": made, "name": "x", "setup_code": code})
        assert taken.status_code == 303, "the session has ended"
        assert taken.headers["location"].startswith("/sign-in")


def test_one_that_is_unknown_is_refused(anna: Browser) -> None:
    with_key(anna)
    assert show(anna, Authenticator(), WHOLE).status_code == 403
    assert not is_in(anna)


def test_somebody_elses_is_no_second_factor(anna: Browser) -> None:
    key = with_key(anna)
    anna.make_account("ben")
    anna.sign_in("ben")
    bens = Authenticator()
    add(anna, bens, "ben")
    anna.post("/sign-out")
    anna.sign_in("ben")
    assert show(anna, key, SECOND).status_code == 403
    assert not is_in(anna)


@pytest.mark.parametrize(
    "wrong",
    [{"origin": "https://evil.example"}, {"host": "evil.example"}, {"verifies": False}],
)
def test_what_does_not_hold_is_no_sign_in(anna: Browser, wrong: dict[str, Any]) -> None:
    key = with_key(anna)
    for name, value in wrong.items():
        setattr(key, name, value)
    assert show(anna, key, WHOLE).status_code == 403
    assert not is_in(anna)


def test_another_key_under_the_same_id_is_refused(anna: Browser) -> None:
    key = with_key(anna)
    assert show(anna, Authenticator(id=key.id, count=9), WHOLE).status_code == 403
    assert show(anna, key, WHOLE).status_code == 303


def test_an_answer_is_taken_once_and_from_the_browser_that_was_asked(
    anna: Browser, portal: Portal
) -> None:
    key = with_key(anna)
    answer = {"credential": key.show(options(anna, WHOLE))}
    with TestClient(build(portal), base_url=f"https://{HOST}", follow_redirects=False) as other:
        other.headers["sec-fetch-site"] = "same-origin"
        assert other.post(WHOLE, data=answer).status_code == 403
        other.post(f"{WHOLE}/options")
        assert other.post(WHOLE, data=answer).status_code == 403
    assert anna.post(WHOLE, answer).status_code == 303
    anna.post("/sign-out")
    assert anna.post(WHOLE, answer).status_code == 403
    assert not is_in(anna)


def test_an_answer_to_one_question_answers_no_other(anna: Browser) -> None:
    """What was asked for after a password is no whole sign-in, and what is made shows nothing."""
    key = with_key(anna)
    anna.sign_in("anna")
    second = key.show(options(anna, SECOND))
    options(anna, WHOLE)
    assert anna.post(WHOLE, {"credential": second}).status_code == 403
    whole = key.show(options(anna, WHOLE))
    assert anna.post(SECOND, {"credential": whole}).status_code == 403
    assert not is_in(anna)


def test_an_answer_comes_within_five_minutes(anna: Browser) -> None:
    key = with_key(anna)
    answer = key.show(options(anna, WHOLE))
    with anna.portal.district.database.write() as connection:
        connection.execute(update(sign_in_attempts).values(expires_at=anna.portal.now))
    assert anna.post(WHOLE, {"credential": answer}).status_code == 403
    options(anna, WHOLE)
    with anna.portal.district.database.read() as connection:
        assert len(connection.execute(select(sign_in_attempts.c.purpose)).all()) == 1


def test_a_copy_is_found_by_its_count_and_nothing_is_taken_of_it_any_more(anna: Browser) -> None:
    key = with_key(anna)
    copy = Authenticator(id=key.id, key=key.key, count=key.count)
    for _ in range(3):
        assert show(anna, key, WHOLE).status_code == 303

    refused = show(anna, copy, WHOLE)

    assert refused.status_code == 403
    assert "may be a copy" in refused.text
    assert show(anna, key, WHOLE).status_code == 403
    assert "passkey.suspect" in acts(anna)
    with anna.portal.district.database.read() as connection:
        assert connection.execute(select(staff_passkeys.c.suspect_at)).scalar()


def test_one_that_never_counts_is_taken(anna: Browser) -> None:
    key = with_key(anna, counts=False)
    for _ in range(2):
        assert show(anna, key, WHOLE).status_code == 303


def test_who_is_disabled_gets_in_by_none(anna: Browser) -> None:
    key = with_key(anna)
    database = anna.portal.district.database
    anna.make_account("boss", admin=True)
    accounts.disable(database, SOMEBODY, accounts.named(database, "anna").id)
    refused = show(anna, key, WHOLE)
    assert refused.status_code == 403
    assert "disabled" in refused.text


def test_the_provider_comes_first_where_it_signs_in(anna: Browser) -> None:
    key = with_key(anna)
    database = anna.portal.district.database
    accounts.sign_in_by_provider(database, SOMEBODY, accounts.named(database, "anna").id)
    refused = show(anna, key, WHOLE)
    assert refused.status_code == 403
    assert "district’s account first" in refused.text


def test_one_that_is_there_is_not_added_again(anna: Browser) -> None:
    key = Authenticator()
    add(anna, key, "anna")
    excluded = options(anna, OWN)["excludeCredentials"]
    assert len(excluded) == 1
    assert add(anna, key).status_code == 422


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\x00b"])
def test_a_name_is_asked_for(anna: Browser, name: str) -> None:
    assert add(anna, Authenticator(), "anna", name).status_code == 422


def test_nothing_is_asked_without_a_session(browser: Browser) -> None:
    assert browser.post(f"{OWN}/options").status_code == 303
    assert browser.post(f"{SECOND}/options").status_code == 401
    assert browser.post(SECOND, {"credential": "{}"}).status_code == 403
    assert "passkeys.js" not in browser.get("/sign-in").text, "nobody has one yet"


@pytest.mark.parametrize("address", ["https://127.0.0.1:8460", "http://[::1]:8460"])
def test_a_number_is_no_place_for_passkeys(address: str) -> None:
    assert passkeys.place(address) is None


def test_a_name_is_a_place_for_passkeys() -> None:
    assert passkeys.place("http://localhost:8460") == ("localhost", "http://localhost:8460")
    assert passkeys.place("https://bell.example/x") == ("bell.example", "https://bell.example")


@trying(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(some.data())
def test_what_is_no_passkey_breaks_nothing(anna: Browser, data: some.DataObject) -> None:
    key = Authenticator()
    said = json.loads(key.make(options(anna, OWN)))
    part = data.draw(some.sampled_from(["id", "rawId", "type", "response", *said["response"]]))
    odd = data.draw(some.none() | some.text() | some.integers() | some.just({}) | some.just("AAAA"))
    (said if part in said else said["response"])[part] = odd
    words = data.draw(some.sampled_from([json.dumps(said), json.dumps(odd), str(odd)]))
    answers = [
        anna.post(where, {"credential": words, "name": "x", "setup_code": "x"})
        for where in (OWN, WHOLE, SECOND)
    ]
    assert {one.status_code for one in answers} <= {403, 422}


def test_the_password_still_works_beside_it(anna: Browser) -> None:
    with_key(anna)
    assert anna.sign_in("anna", PASSWORD).status_code == 303
