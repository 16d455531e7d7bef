"""The window on the phones: the JSON API and the page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator

import msgspec
import pytest
import requests

from engine.trial.phones.devices import Push
from engine.trial.phones.phones import Phones
from tests.engine.trial.phones.support import IPHONE, PHONE, Curl, a_message, access_token, fcm_post

JSON = {"content-type": "application/json"}
EVIL = "<img src=x onerror=alert(1)></script>"


class Window:
    """The control port, as a program sees it."""

    def __init__(self, phones: Phones, session: requests.Session) -> None:
        self._url = phones.control_url
        self._session = session

    def get(self, path: str, **options: object) -> requests.Response:
        return self._session.get(self._url + path, **options)

    def post(self, path: str, content: object = None, **options: object) -> requests.Response:
        return self._session.post(self._url + path, **({"json": content or {}} | options))


@pytest.fixture
def window(phones: Phones) -> Iterator[Window]:
    with requests.Session() as session:
        yield Window(phones, session)


def show(phones: Phones, body: str, key: str | None = None, token: str = PHONE) -> None:
    phones.devices.accept(Push("fcm", token, key, "Quiz 4", body, {}), f"id of {body}")


def test_screens_show_what_each_phone_holds_now(phones: Phones, window: Window) -> None:
    show(phones, "92", key="quiz-4")
    show(phones, "95", key="quiz-4")
    answer = window.get("/api/screens").json()
    [screen] = answer["screens"]
    assert answer["phones"] == 1
    assert (screen["kind"], screen["token"], screen["received"]) == ("fcm", PHONE, 2)
    [notification] = screen["shown"]
    assert (notification["body"], notification["key"]) == ("95", "quiz-4")


def test_screens_can_be_paged_and_asked_for_the_latest(phones: Phones, window: Window) -> None:
    for token in ("first", "second", "first"):
        show(phones, "x", token=token)
    after = window.get("/api/screens?after=1").json()["screens"]
    latest = window.get("/api/screens?latest=1").json()["screens"]
    assert [screen["token"] for screen in after] == ["second"]
    assert [screen["token"] for screen in latest] == ["first"]


def test_the_ledger_is_read_from_a_number_on(phones: Phones, window: Window) -> None:
    for body in ("one", "two", "three"):
        show(phones, body)
    answer = window.get("/api/received?after=1").json()
    assert [entry["message_id"] for entry in answer["received"]] == ["id of two", "id of three"]
    assert (answer["oldest"], answer["last"]) == (1, 3)


def test_counts_tell_what_was_accepted_refused_and_minted(phones: Phones, window: Window) -> None:
    token = access_token(phones)
    good, bad = a_message(), a_message(data={"from": "x"})
    checked = good | {"validate_only": True}
    Curl(phones).send([fcm_post(phones, token, content) for content in (good, bad, checked)])
    counts = window.get("/api/counts").json()
    assert counts["accepted"]["fcm"] == 1
    assert counts["refused"] == {
        "fcm": {"INVALID_ARGUMENT": 1},
        "apns": {},
        "web_push": {},
        "oauth": {},
    }
    assert (counts["validated"], counts["access_tokens"]) == (1, 1)


def test_a_phone_that_is_uninstalled_here_is_dead_for_fcm(phones: Phones, window: Window) -> None:
    assert window.post("/api/uninstall", {"kind": "fcm", "token": PHONE}).status_code == 200
    [response] = Curl(phones).send([fcm_post(phones, access_token(phones), a_message())])
    assert response.status == 404
    window.post("/api/register", {"kind": "fcm", "token": PHONE})
    [response] = Curl(phones).send([fcm_post(phones, access_token(phones), a_message())])
    assert response.status == 200


def test_a_phone_of_another_app_can_be_registered(window: Window) -> None:
    window.post("/api/register", {"kind": "apns", "token": IPHONE, "app": "org.example.other"})
    [screen] = window.get("/api/screens").json()["screens"]
    assert screen["app"] == "org.example.other"


def test_a_reset_leaves_nothing_and_access_tokens_good(phones: Phones, window: Window) -> None:
    token = access_token(phones)
    Curl(phones).send([fcm_post(phones, token, a_message())])
    Curl(phones).send([fcm_post(phones, "forged", a_message())])
    window.post("/api/reset")
    counts = window.get("/api/counts").json()
    assert set(counts["accepted"].values()) == {0}
    assert counts["refused"] == {"fcm": {}, "apns": {}, "web_push": {}, "oauth": {}}
    assert counts["access_tokens"] == 0
    [response] = Curl(phones).send([fcm_post(phones, token, a_message())])
    assert response.status == 200


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (lambda window: window.get("/api/nothing"), 404),
        (lambda window: window.get("/api/reset"), 405),
        (lambda window: window.post("/"), 405),
        (lambda window: window.get("/api/screens?after=-1"), 400),
        (lambda window: window.get("/api/received?after=x"), 400),
        (lambda window: window.get("/", headers={"host": "["}), 400),
        (lambda window: window.post("/api/uninstall", json=None, data=b"{", headers=JSON), 400),
        (lambda window: window.post("/api/uninstall", {"kind": "fcm"}), 400),
        (lambda window: window.post("/api/uninstall", {"kind": "sms", "token": "x"}), 400),
        (lambda window: window.post("/api/uninstall", {"kind": "fcm", "tokn": "x"}), 400),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    window: Window, ask: Callable[[Window], requests.Response], status: int
) -> None:
    response = ask(window)
    assert response.status_code == status
    assert response.json()["error"]


def test_the_counts_are_there_for_python_too(phones: Phones, window: Window) -> None:
    access_token(phones)
    show(phones, "one")
    assert msgspec.to_builtins(phones.tally()) == window.get("/api/counts").json()
    phones.reset()
    assert (phones.tally().access_tokens, phones.tally().accepted.fcm) == (0, 0)


def test_a_form_of_another_site_can_do_nothing_here(phones: Phones, window: Window) -> None:
    show(phones, "still here")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        response = window.post("/api/reset", headers={"content-type": kind})
        assert response.status_code == 415
    assert phones.devices.received().last == 1


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", ""])
def test_a_foreign_host_name_that_points_here_reads_nothing(window: Window, host: str) -> None:
    assert window.get("/api/screens", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:9999", "127.0.0.1:1", "[::1]:1"])
def test_every_name_of_this_machine_is_good(window: Window, host: str) -> None:
    assert window.get("/api/screens", headers={"host": host}).status_code == 200


# --- phones that misbehave ------------------------------------------------------------------


def test_a_fault_can_be_asked_for_seen_and_cleared(phones: Phones, window: Window) -> None:
    asked = {"gateway": "fcm", "name": "QUOTA_EXCEEDED", "token": PHONE, "retry_after": "7"}
    assert window.post("/api/faults", asked).status_code == 200
    [refused] = Curl(phones).send([fcm_post(phones, access_token(phones), a_message())])
    [active] = window.get("/api/faults").json()["active"]
    assert (refused.status, refused.headers["retry-after"]) == (429, "7")
    assert active["fault"].items() >= asked.items()
    assert active["struck"] == 1
    assert window.post("/api/faults/clear").status_code == 200
    assert window.get("/api/faults").json()["active"] == []
    [accepted] = Curl(phones).send([fcm_post(phones, access_token(phones), a_message())])
    assert accepted.status == 200


def test_the_catalogue_is_there_with_a_sentence_for_each_fault(window: Window) -> None:
    catalogue = window.get("/api/faults").json()["catalogue"]
    assert set(catalogue) == {"fcm", "apns", "web_push", "oauth"}
    assert catalogue["apns"]["Unregistered"] == "410 with timestamp: the app was removed."


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"gateway": "fcm", "name": "UNAVAILBLE"}, "UNAVAILABLE"),
        ({"gateway": "fcm", "name": "UNAVAILABLE", "share": 2}, "share"),
        ({"gateway": "sms", "name": "UNAVAILABLE"}, "gateway"),
        ({"gateway": "fcm", "name": "UNAVAILABLE", "often": True}, "often"),
        ({"gateway": "fcm"}, "name"),
    ],
)
def test_a_fault_that_cannot_be_is_a_400_that_says_why(
    window: Window, asked: dict[str, object], word: str
) -> None:
    response = window.post("/api/faults", asked)
    assert response.status_code == 400
    assert word in response.json()["error"]
    assert window.get("/api/faults").json()["active"] == []


def test_a_fault_is_asked_for_in_json_from_this_machine_only(window: Window) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    foreign = {"host": "phones.example.org"}
    assert window.post("/api/faults", data=b"{}", json=None, headers=form).status_code == 415
    assert window.post("/api/faults/clear", headers=foreign).status_code == 403


def test_a_phone_that_is_offline_rings_when_it_is_online_again(
    phones: Phones, window: Window
) -> None:
    address = {"kind": "fcm", "token": PHONE}
    window.post("/api/offline", address)
    show(phones, "92")
    [screen] = window.get("/api/screens").json()["screens"]
    assert (screen["is_online"], screen["kept"], screen["shown"]) == (False, 1, [])
    window.post("/api/online", address)
    [screen] = window.get("/api/screens").json()["screens"]
    assert (screen["is_online"], screen["kept"], screen["on_screen"]) == (True, 0, 1)


# --- the page -------------------------------------------------------------------------------


def test_the_page_runs_its_own_script_and_style_and_nothing_else(window: Window) -> None:
    response = window.get("/")
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["content-security-policy"].split(";")
    )
    assert response.headers["content-type"] == "text/html; charset=UTF-8"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for element in ("script", "style"):
        [inline] = re.findall(f"<{element}>(.*?)</{element}>", response.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"


def test_the_page_needs_no_other_host(window: Window) -> None:
    page = window.get("/").text
    assert re.findall(r"(?:src|href|action)\s*=\s*\"([^\"]*)\"", page) == ["data:,"]
    assert "//" not in re.sub(r"^\s*//.*$", "", page, flags=re.MULTILINE)


def test_the_page_writes_text_and_never_markup(window: Window) -> None:
    page = window.get("/").text
    forbidden = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "style=",
    )
    assert [word for word in forbidden if word in page] == []


def test_what_a_push_says_is_data_for_the_page_and_never_part_of_it(
    phones: Phones, window: Window
) -> None:
    show(phones, EVIL)
    answer = window.get("/api/screens")
    assert EVIL not in window.get("/").text
    assert answer.json()["screens"][0]["shown"][0]["body"] == EVIL
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_is_made_for_everybody(window: Window) -> None:
    page = window.get("/").text
    assert '<html lang="en">' in page
    assert 'role="status"' in page
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page
    assert ":focus-visible" in page
