"""The app's API: who gets in, what each may do, and that nobody reaches what is another's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import schemathesis
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as exploring

from engine.config import AppSettings, WebPushSettings
from engine.portal.app import application
from engine.portal.families.guards import families_are_served, family_member
from engine.portal.guards import signed_in
from engine.portal.portal import Portal
from engine.secrets import vapid
from engine.services import settings
from engine.services.actor import Actor
from engine.services.families import accounts, invitations
from rules.change import PersonId
from rules.tool_rights import EVERYTHING
from tests.district import FATHER, MOTHER
from tests.engine.portal.browser import HOST, Browser
from tests.engine.portal.operations import OF_FAMILIES, filled, routes
from tests.engine.portal.test_api import CHECKS, a_token

PASSWORD: Final = "a sentence that Lucía remembers"
FOR_EVERYBODY: Final = {f"/api/v1/session{rest}" for rest in ("", "/invitation", "/refresh")}
PHONE: Final = {"kind": "apns", "token": "ab" * 32}
EXAMPLES: Final = 15


@dataclass
class App:
    """An app on somebody's phone."""

    browser: Browser
    session: dict[str, Any]

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.session['access_token']}", **of_no(self.browser)}
        headers |= options.pop("headers", {})
        return self.browser.client.request(method, f"/api/v1{path}", headers=headers, **options)

    def register(self, **phone: str) -> str:
        answer = self.ask("PUT", "/devices", json={**PHONE, **phone})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])


def post(browser: Browser, path: str, **asked: object) -> httpx2.Response:
    return browser.client.post(f"/api/v1{path}", json=asked, headers=of_no(browser))


def of_no(browser: Browser) -> dict[str, str]:
    """No browser says from where it asks; the one of staff in this test has cookies, too."""
    return {"sec-fetch-site": "same-origin" if browser.client.cookies else ""}


def code_for(portal: Portal, person: str) -> str:
    by = Actor("a test", portal.now)
    return invitations.invite(portal.district.database, by, PersonId(person), portal.today).code


def an_app(browser: Browser, person: str = MOTHER, username: str = "lucia", *,
           stays: bool = True) -> App:  # fmt: skip
    answer = post(
        browser, "/session/invitation", code=code_for(browser.portal, person), username=username,
        password=PASSWORD, stay_logged_in=stays, device_name=f"{username}'s phone",
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return App(browser, answer.json())


def test_an_invitation_signs_in_and_a_password_from_then_on(browser: Browser) -> None:
    first = an_app(browser)
    assert first.session["expires_in"] == 600
    answer = post(browser, "/session", username="Lucia", password=PASSWORD)
    assert answer.status_code == 200
    assert answer.json()["stay_logged_in"] is False
    names = [(one["name"], one["this"]) for one in first.ask("GET", "/logins").json()]
    assert names == [("testclient", False), ("lucia's phone", True)]


def test_a_refresh_gives_the_next_of_both_and_the_same_again(browser: Browser) -> None:
    app = an_app(browser)
    token = app.session["refresh_token"]
    one, other = (post(browser, "/session/refresh", refresh_token=token).json() for _ in range(2))
    assert one["refresh_token"] == other["refresh_token"]
    assert App(browser, one).ask("GET", "/logins").status_code == 200
    wrong = post(browser, "/session/refresh", refresh_token=token[:-1])
    assert (wrong.status_code, wrong.headers["content-type"]) == (401, "application/problem+json")


def test_signing_out_ends_the_session_and_the_pushes(browser: Browser) -> None:
    app = an_app(browser)
    before = settings.reach(browser.portal.district.database, browser.portal.now)
    app.register()
    during = settings.reach(browser.portal.district.database, browser.portal.now)
    assert during.devices == before.devices + 1
    assert app.ask("DELETE", "/session").status_code == 204
    assert settings.reach(browser.portal.district.database, browser.portal.now) == before
    assert app.ask("GET", "/logins").status_code == 401
    again = post(browser, "/session/refresh", refresh_token=app.session["refresh_token"])
    assert again.status_code == 401


@pytest.mark.parametrize("path", ["/session", "/session/invitation"])
def test_what_is_wrong_is_said_once_for_all_reasons(browser: Browser, path: str) -> None:
    an_app(browser)
    extra = {"code": "nnnn-nnnn-nnnn"} if path.endswith("invitation") else {}
    said = {
        post(browser, path, username=name, password="x" * 20, **extra).text
        for name in ("lucia", "nobody")
    }
    assert len(said) == 1
    assert "401" in said.pop()


def test_too_many_tries_say_how_long_to_wait(browser: Browser) -> None:
    an_app(browser)
    for _ in range(10):
        post(browser, "/session", username="lucia", password="x")
    answer = post(browser, "/session", username="lucia", password=PASSWORD)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "900")


def test_who_is_disabled_is_told_so_in_their_words(browser: Browser) -> None:
    app = an_app(browser)
    by = Actor("a test", browser.portal.now)
    accounts.disable(browser.portal.district.database, by, PersonId(MOTHER))
    assert app.ask("GET", "/logins").status_code == 401
    answer = post(browser, "/session", username="lucia", password=PASSWORD)
    assert (answer.status_code, answer.json()["title"]) == (403, "Your account is disabled.")


def test_a_weak_password_leaves_the_code(browser: Browser) -> None:
    code = code_for(browser.portal, MOTHER)
    asked = {"code": code, "username": "lucia"}
    assert post(browser, "/session/invitation", password="short", **asked).status_code == 422
    assert post(browser, "/session/invitation", password=PASSWORD, **asked).status_code == 200


@pytest.mark.parametrize("odd", ['"\\ud800"', '"\\u0000"', "1", "null", '{"a": 1}'])
def test_what_can_be_no_name_or_password_is_no_fault_of_ours(browser: Browser, odd: str) -> None:
    asked = {"username": '"x"', "password": '"x"'}
    for name in asked:
        body = ", ".join(f'"{key}": {value}' for key, value in {**asked, name: odd}.items())
        answer = browser.client.post(
            "/api/v1/session", content=f"{{{body}}}",
            headers={**of_no(browser), "content-type": "application/json"},
        )  # fmt: skip
        assert answer.status_code in (401, 422), (odd, answer.text)


# Devices


def test_a_device_is_seen_chosen_for_and_removed(browser: Browser) -> None:
    app = an_app(browser)
    which = app.register()
    assert app.register() == which, "at every start of the app"
    mine = [one for one in app.ask("GET", "/devices").json() if one["this"]]
    assert [(one["id"], one["hears"], one["may_show"]) for one in mine] == [(which, True, None)]
    chosen = app.ask("PUT", f"/devices/{which}", json={"may_show": "generic"})
    assert chosen.json()["may_show"] == "generic"
    assert app.ask("DELETE", f"/devices/{which}").status_code == 204
    assert app.ask("DELETE", f"/devices/{which}").status_code == 404
    assert app.ask("GET", "/logins").status_code == 200, "still signed in"


def test_a_device_goes_to_whoever_signs_in_on_it(browser: Browser) -> None:
    hers, his = an_app(browser), an_app(browser, FATHER, "mark")
    which = hers.register()
    assert his.register() == which
    assert which not in [one["id"] for one in hers.ask("GET", "/devices").json()]
    assert hers.ask("DELETE", f"/devices/{which}").status_code == 404


@pytest.mark.parametrize("district", ["sqlite"], indirect=True)
def test_without_stay_logged_in_a_device_says_that_it_hears_nothing(browser: Browser) -> None:
    app = an_app(browser, stays=False)
    which = app.register()
    [mine] = [one for one in app.ask("GET", "/devices").json() if one["this"]]
    assert mine["hears"] is False
    answer = app.ask("POST", f"/devices/{which}/test", headers={"idempotency-key": "a" * 8})
    assert answer.status_code == 422
    assert "Stay Logged In" in answer.json()["title"]


@pytest.mark.parametrize("district", ["sqlite"], indirect=True)  # whose broker is embedded
def test_a_test_is_sent_once_for_each_key_and_not_too_often(browser: Browser) -> None:
    app = an_app(browser)
    which = app.register()

    def sent(key: str) -> httpx2.Response:
        return app.ask("POST", f"/devices/{which}/test", headers={"idempotency-key": key})

    assert [sent("the first one").json() for _ in range(2)] == [{"pushes": 1}, {"pushes": 0}]
    assert app.ask("POST", f"/devices/{which}/test").status_code == 422, "without a key"
    for number in range(9):
        assert sent(f"another {number}").status_code == 200
    assert sent("one too many").status_code == 429
    assert sent("the first one").status_code == 200, "what was done is not undone by a limit"


@pytest.mark.parametrize(
    "wrong",
    [{"token": "zz"}, {"kind": "pager"}, {"push_key": "!"}, {"push_key": "YWI="}, {"more": "x"}],
)
def test_what_can_be_no_device_is_refused_and_not_repeated(
    browser: Browser, wrong: dict[str, str]
) -> None:
    answer = an_app(browser).ask("PUT", "/devices", json={**PHONE, **wrong})
    assert answer.status_code == 422
    assert "ab" * 32 not in answer.text


# Browsers


SUBSCRIPTION: Final = json.dumps(
    {
        "endpoint": "https://web.push.apple.com/QGuQyavXutnMH9dtjCFqzY9bH",
        "expirationTime": None,
        "keys": {
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6"
            "SRpkNtoIAiw4",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        },
    }
)


def test_a_browser_is_told_what_to_subscribe_for(browser: Browser, tmp_path: Path) -> None:
    app = an_app(browser)
    assert app.ask("GET", "/web-push").json() == {"public_key": None, "hosts": []}

    vapid.make(tmp_path / "key.pem")
    ours = WebPushSettings(key_file=tmp_path / "key.pem", contact="mailto:it@district.example")
    district = browser.portal.district
    district.config = district.config.model_copy(update={"web_push": ours})

    found = app.ask("GET", "/web-push").json()
    assert vapid.is_public_key(found["public_key"])
    assert "*.push.apple.com" in found["hosts"]


def test_a_browser_registers_its_subscription(browser: Browser) -> None:
    app = an_app(browser)
    first = app.register(kind="web_push", token=SUBSCRIPTION)
    again = app.register(kind="web_push", token=SUBSCRIPTION)

    assert first == again
    assert app.ask("GET", "/devices").json()[0]["kind"] == "web_push"


def test_a_browser_of_a_host_that_is_not_listed_is_refused(browser: Browser) -> None:
    wrong = SUBSCRIPTION.replace("web.push.apple.com", "169.254.169.254")

    answer = an_app(browser).ask("PUT", "/devices", json={"kind": "web_push", "token": wrong})

    assert answer.status_code == 422
    assert "169.254" not in answer.text


# Nobody reaches what is another's


@dataclass
class Operation:
    """What an app may ask, with a place for what it is about."""

    method: str
    path: str

    def asked(self, login: object, device: str) -> tuple[str, str, dict[str, Any]]:
        """The request about a login and a device."""
        body = {"may_show": "full"} if self.path.endswith("{device}") else PHONE
        path = self.path.removeprefix("/api/v1").format(login=login, device=device)
        options: dict[str, Any] = {"headers": {"idempotency-key": "somebody's key"}}
        return self.method, path, options | ({"json": body} if self.method == "PUT" else {})


def operations(portal: Portal) -> Iterator[Operation]:
    """Every operation of families, by the routes that there are."""
    for route in iter_route_contexts(application(portal).routes):
        if hasattr(route, "dependant") and route.path in OF_FAMILIES:
            for method in sorted(route.methods or ()):
                yield Operation(method, route.path)


def test_every_operation_has_a_guard_or_is_how_one_gets_in(portal: Portal) -> None:
    for route in iter_route_contexts(application(portal).routes):
        if not hasattr(route, "dependant") or "families" not in (route.tags or ()):
            continue
        calls = [one.call for one in route.dependant.dependencies]
        is_how_one_gets_in = route.path in FOR_EVERYBODY and "POST" in (route.methods or ())
        assert (family_member in calls) != is_how_one_gets_in, route.path
        assert families_are_served in calls
        assert signed_in not in calls
        assert route.path in OF_FAMILIES, "the walk below knows it"


def test_nobody_and_no_member_of_staff_gets_in(portal: Portal, browser: Browser) -> None:
    browser.make_account("boss", admin=True)
    staff = App(browser, {"access_token": a_token(browser, *EVERYTHING)})
    nobody, app = App(browser, {"access_token": "sbaccess_1_0_1_x"}), an_app(browser)
    device, asked = app.register(), 0
    for one in operations(portal):
        if one.path in FOR_EVERYBODY and one.method == "POST":
            continue
        for who in (staff, nobody):
            answer = who.ask(*one.asked(app.session["login"], device)[:2])
            assert answer.status_code == 401, one
            assert "Refresh the session" in answer.json()["detail"]
        asked += 1
    assert asked == 10
    mine = [one["id"] for one in app.ask("GET", "/devices").json() if one["this"]]
    assert mine == [device]


def test_no_member_gets_in_where_staff_do(portal: Portal, browser: Browser) -> None:
    app, asked = an_app(browser), 0
    for route in routes(portal):
        if route.path.startswith("/api/v1/"):
            for method in route.methods or ():
                path = filled(route.path).removeprefix("/api/v1")
                assert app.ask(method, path).status_code == 401, path
                asked += 1
    assert asked > 15


def test_every_operation_on_what_is_anothers_finds_nothing_and_changes_nothing(
    portal: Portal, browser: Browser
) -> None:
    """The father asks all that he can ask about the mother's login and device, and strangers'."""
    hers, his = an_app(browser), an_app(browser, FATHER, "mark")
    device = hers.register()
    hers.ask("PUT", f"/devices/{device}", json={"may_show": "named"})
    before = [hers.ask("GET", path).json() for path in ("/logins", "/devices")]
    for one in operations(portal):
        if "{" not in one.path:
            continue
        for login, which in ((hers.session["login"], device), (999_999, "x")):
            answer = his.ask(
                one.method, *one.asked(login, which)[1:2], **one.asked(login, which)[2]
            )
            assert answer.status_code == 404, (one, login, which)
            assert "lucia" not in answer.text
    assert [hers.ask("GET", path).json() for path in ("/logins", "/devices")] == before
    for path in ("/logins", "/devices"):
        assert "lucia" not in his.ask("GET", path).text


def test_ending_all_others_ends_ones_own_alone(browser: Browser) -> None:
    hers, his = an_app(browser), an_app(browser, FATHER, "mark")
    second = App(browser, post(browser, "/session", username="lucia", password=PASSWORD).json())
    assert second.ask("DELETE", "/logins").status_code == 204
    assert [one.ask("GET", "/logins").status_code for one in (hers, second, his)] == [401, 200, 200]


def test_a_district_without_an_app_answers_none_of_it(portal: Portal, browser: Browser) -> None:
    app = an_app(browser)
    config = portal.district.config
    object.__setattr__(
        portal.district, "config", config.model_copy(update={"app": AppSettings(enabled=False)})
    )
    assert app.ask("GET", "/logins").status_code == 404
    assert post(browser, "/session", username="lucia", password=PASSWORD).status_code == 404


def test_no_operation_ever_fails_or_answers_other_than_its_document_says(
    portal: Portal, browser: Browser
) -> None:
    """Each is asked many things by who is signed in, odd ones too."""
    document = schemathesis.openapi.from_dict(application(portal).openapi())
    document.app = browser.client.app
    asked = 0
    for found in document.get_all_operations():
        operation = found.ok()
        if "families" not in operation.tags:
            continue
        app = an_app(browser)
        headers = {"authorization": f"Bearer {app.session['access_token']}", "host": HOST}

        @exploring(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def explore(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS)  # noqa: B023 - called here

        explore()
        asked += 1
    assert asked == 13


def test_nothing_secret_stands_in_a_log(
    browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    app = an_app(browser)
    app.register()
    old = app.session["refresh_token"]
    for _ in range(3):
        post(browser, "/session/refresh", refresh_token=old)
    said = "".join(capsys.readouterr())
    for secret in (old, app.session["access_token"], PASSWORD, "ab" * 32):
        assert secret not in said
