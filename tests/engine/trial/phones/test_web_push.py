"""The push service of the phones: what it asks of a sender, and what its browsers show."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import http_ece
import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from pywebpush import webpush

from engine.secrets import vapid
from engine.trial.phones.devices import Devices
from engine.trial.phones.exchange import Answer, request_from
from engine.trial.phones.fault import Fault
from engine.trial.phones.faults import Faults
from engine.trial.phones.phones import Phones
from engine.trial.phones.web_push import Subscription, WebPush
from tests.builders import NOW

ORIGIN = "https://localhost:8443"
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = vapid.public_key(KEY)


class Service:
    """A push service without a socket, and a sender that does all right unless told otherwise."""

    def __init__(self) -> None:
        self.clock = SimpleNamespace(now=NOW)
        self.devices = Devices(lambda: self.clock.now)
        self.faults = Faults(lambda: self.clock.now)
        self.service = self._made(b"secret")

    def _made(self, secret: bytes) -> WebPush:
        made = WebPush(secret, self.devices, self.faults, lambda: self.clock.now)
        made.origin = ORIGIN
        return made

    def restart(self) -> None:
        self.service = self._made(b"secret")

    def authorization(self, key: ec.EllipticCurvePrivateKey = KEY, **claims: Any) -> str:
        expires = self.clock.now + timedelta(hours=12)
        given = {"aud": ORIGIN, "exp": int(expires.timestamp()), "sub": "mailto:a@b.example"}
        token = jwt.encode(
            {name: value for name, value in {**given, **claims}.items() if value is not None},
            key, algorithm="ES256",
        )  # fmt: skip
        return f"vapid t={token}, k={vapid.public_key(key)}"

    def send(
        self,
        to: Subscription,
        content: object = None,
        headers: Mapping[str, str | None] | None = None,
        *,
        method: str = "POST",
        body: bytes | None = None,
    ) -> Answer:
        sealed = body
        if sealed is None:
            plain = content if isinstance(content, bytes) else json.dumps(content).encode()
            sealed = http_ece.encrypt(
                plain, private_key=ec.generate_private_key(ec.SECP256R1()),
                dh=raw(to.p256dh), auth_secret=raw(to.auth),
                salt=b"s" * 16, version="aes128gcm",
            )  # fmt: skip
        all_headers = {
            "authorization": self.authorization(), "ttl": "60", "content-encoding": "aes128gcm",
            **(headers or {}),
        }  # fmt: skip
        given = [(name, value) for name, value in all_headers.items() if value is not None]
        path = to.endpoint.removeprefix(ORIGIN)
        reply = self.service.answer(request_from(method, path, given, sealed))
        assert isinstance(reply, Answer)
        return reply

    def shown(self, to: Subscription) -> list[tuple[str, str]]:
        phone = self.devices.find("web_push", to.endpoint)
        return [(one.title, one.body) for one in phone.shown.values()] if phone else []


def raw(spelled: str) -> bytes:
    return urlsafe_b64decode(spelled + "==")


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def browser(service: Service) -> Subscription:
    return service.service.subscribe(PUBLIC)


def news(title: str = "Algebra", body: str = "91.5", **more: Any) -> dict[str, Any]:
    notification = {"title": title, "body": body, "navigate": "/app/inbox/1", **more}
    return {"web_push": 8030, "notification": notification}


def test_a_browser_shows_what_it_opens(service: Service, browser: Subscription) -> None:
    answer = service.send(browser, news(tag="a", data={"kind": "grade"}), {"urgency": "high"})

    (received,) = service.devices.received().received
    assert answer.status == 201
    assert dict(answer.headers)["location"].startswith(f"{ORIGIN}/message/")
    assert service.shown(browser) == [("Algebra", "91.5")]
    assert received.data == {"kind": "grade", "navigate": "/app/inbox/1", "urgency": "high"}


def test_a_tag_replaces_what_is_shown(service: Service, browser: Subscription) -> None:
    for title, tag in (("one", "a"), ("two", "b"), ("three", "a")):
        service.send(browser, news(title, tag=tag))

    assert service.shown(browser) == [("two", "91.5"), ("three", "91.5")]


@pytest.mark.parametrize(
    ("content", "shown"),
    [(b"just words", ("", "just words")), (b"[1]", ("", "[1]")), (b"\xff", ("", "\ufffd"))],
)
def test_another_message_is_shown_as_it_is(
    service: Service, browser: Subscription, content: bytes, shown: tuple[str, str]
) -> None:
    assert service.send(browser, content).status == 201
    assert service.shown(browser) == [shown]


@pytest.mark.parametrize("body", [b"x" * 200, b"", b"\0" * 120])
def test_what_a_browser_cannot_open_is_taken_and_not_shown(
    service: Service, browser: Subscription, body: bytes
) -> None:
    """As real ones do: no push service knows what is in a message."""
    assert service.send(browser, body=body).status == 201
    assert service.shown(browser) == []
    assert service.devices.counts().silent == 1


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"authorization": None}, 401, "unauthorized"),
        ({"authorization": "bearer x"}, 401, "unauthorized"),
        ({"authorization": "vapid t=x"}, 401, "unauthorized"),
        ({"authorization": "vapid t=x, k=x"}, 401, "unauthorized"),
        ({"ttl": None}, 400, "ttl"),
        ({"ttl": "-1"}, 400, "ttl"),
        ({"ttl": "soon"}, 400, "ttl"),
        ({"topic": "x" * 33}, 400, "topic"),
        ({"topic": "a b"}, 400, "topic"),
        ({"topic": ""}, 400, "topic"),
        ({"urgency": "urgent"}, 400, "urgency"),
        ({"content-encoding": None}, 400, "encoding"),
        ({"content-encoding": "aesgcm"}, 400, "encoding"),
    ],
)
def test_a_header_that_is_wrong_is_refused(
    service: Service,
    browser: Subscription,
    headers: dict[str, str | None],
    status: int,
    reason: str,
) -> None:
    assert service.send(browser, news(), headers).status == status
    assert service.service.refused == {reason: 1}
    assert service.shown(browser) == []


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://fcm.googleapis.com"}, {"aud": None}, {"sub": None}, {"exp": None},
        {"sub": "it@district.example"}, {"sub": "mailto: <it@district.example>"},
        {"exp": int((NOW - timedelta(minutes=6)).timestamp())},
        {"exp": int((NOW + timedelta(hours=25)).timestamp())},
    ],
)  # fmt: skip
def test_a_vapid_token_that_is_not_good_is_refused(
    service: Service, browser: Subscription, claims: dict[str, Any]
) -> None:
    headers = {"authorization": service.authorization(**claims)}

    assert service.send(browser, news(), headers).status == 401


def test_a_token_is_good_until_it_expires(service: Service, browser: Subscription) -> None:
    headers = {"authorization": service.authorization()}
    assert service.send(browser, news(), headers).status == 201

    service.clock.now += timedelta(hours=13)

    assert service.send(browser, news(), headers).status == 401


def test_a_token_of_another_key_than_it_shows_is_refused(
    service: Service, browser: Subscription
) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    forged = service.authorization(other).replace(vapid.public_key(other), PUBLIC)

    assert service.send(browser, news(), {"authorization": forged}).status == 401


def test_a_browser_takes_pushes_of_the_key_alone_that_it_subscribed_for(
    service: Service, browser: Subscription
) -> None:
    other = ec.generate_private_key(ec.SECP256R1())

    answer = service.send(browser, news(), {"authorization": service.authorization(other)})

    assert answer.status == 403
    assert b"do not correspond to the credentials" in answer.body


@pytest.mark.parametrize("tail", ["", "x", "AAAA", "A" * 38, "%2e%2e", "é"])
def test_there_is_no_subscription_that_nobody_made(
    service: Service, browser: Subscription, tail: str
) -> None:
    stranger = browser._replace(endpoint=f"{ORIGIN}/push/{tail}")

    assert service.send(stranger, body=b"").status == 404


def test_a_message_that_is_too_large_is_refused(service: Service, browser: Subscription) -> None:
    assert service.send(browser, body=b"x" * 4_096).status == 201
    assert service.send(browser, body=b"x" * 4_097).status == 413


def test_only_post_is_answered(service: Service, browser: Subscription) -> None:
    assert service.send(browser, news(), method="GET").status == 405


def test_a_browser_that_is_gone_is_gone(service: Service, browser: Subscription) -> None:
    service.send(browser, news())
    service.devices.uninstall("web_push", browser.endpoint)

    assert service.send(browser, news()).status == 410


def test_a_subscription_is_good_after_a_restart(service: Service, browser: Subscription) -> None:
    service.restart()

    assert service.send(browser, news()).status == 201
    assert service.shown(browser) == [("Algebra", "91.5")]


def test_each_browser_has_keys_of_its_own_and_the_same_name_gives_the_same(
    service: Service,
) -> None:
    found = {service.service.subscribe(PUBLIC).p256dh for _ in range(20)}
    again = {service.service.subscribe(PUBLIC, bytes(12)) for _ in range(2)}

    assert (len(found), len(again)) == (20, 1)


@pytest.mark.parametrize("key", ["", "x", "A" * 87])
def test_nobody_subscribes_for_what_is_no_key(service: Service, key: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        service.service.subscribe(key)


# --- while nobody is there -------------------------------------------------------------------


def test_of_each_topic_the_newest_is_kept_for_a_browser_that_is_offline(
    service: Service, browser: Subscription
) -> None:
    service.devices.go_offline("web_push", browser.endpoint)
    for title, topic in (("one", "a"), ("two", "b"), ("three", "a"), ("four", None)):
        service.send(browser, news(title, tag=title), {"topic": topic})
    counts = service.devices.counts()

    service.devices.come_online("web_push", browser.endpoint)

    assert (counts.kept, counts.dropped) == (3, 1)
    assert [title for title, _ in service.shown(browser)] == ["two", "three", "four"]


@pytest.mark.parametrize(("ttl", "later", "shown"), [("60", 59, 1), ("60", 60, 0), ("0", 0, 0)])
def test_a_message_is_kept_for_as_long_as_its_ttl_says(
    service: Service, browser: Subscription, ttl: str, later: int, shown: int
) -> None:
    service.devices.go_offline("web_push", browser.endpoint)
    service.send(browser, news(), {"ttl": ttl})
    service.clock.now += timedelta(seconds=later)

    service.devices.come_online("web_push", browser.endpoint)

    assert len(service.shown(browser)) == shown


def test_a_fault_strikes_its_browser(service: Service, browser: Subscription) -> None:
    service.faults.inject(Fault("web_push", "too_many", token=browser.endpoint, retry_after="30"))

    answer = service.send(browser, news())

    assert (answer.status, dict(answer.headers)["retry-after"]) == (429, "30")
    assert service.send(service.service.subscribe(PUBLIC), news()).status == 201


# --- another sender --------------------------------------------------------------------------


@pytest.fixture
def subscribe(shared_phones: Phones) -> Iterator[Callable[[str], dict[str, Any]]]:
    """As a page in a browser does, over the JSON API."""
    shared_phones.reset()

    def subscribing(key: str) -> dict[str, Any]:
        url = f"{shared_phones.control_url}/api/subscribe"
        answer = requests.post(url, json={"key": key}, timeout=10)
        answer.raise_for_status()
        return dict(answer.json())

    yield subscribing
    shared_phones.clear_faults()


def test_pywebpush_reaches_a_browser(
    shared_phones: Phones, subscribe: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    """A sender that others wrote, with the encryption, the signature and the headers of others."""
    vapid.make(tmp_path / "key.pem")
    to = subscribe(vapid.public_key(vapid.private_key(tmp_path / "key.pem")))

    with requests.Session() as session:
        session.trust_env = False  # its authorities would win over ours
        session.verify = shared_phones.settings["web_push"]["ca_file"]
        answer = webpush(
            to, json.dumps(news("Of another sender", "🎉")), ttl=60,
            vapid_private_key=str(tmp_path / "key.pem"),
            vapid_claims={"sub": "mailto:a@b.example", "exp": int(time.time()) + 3_600},
            requests_session=session,
        )  # fmt: skip

    (screen,) = shared_phones.devices.screens()
    assert answer.status_code == 201
    assert [(one.title, one.body) for one in screen.shown] == [("Of another sender", "🎉")]


def test_what_is_no_key_is_said_so_to_who_subscribes(shared_phones: Phones) -> None:
    url = f"{shared_phones.control_url}/api/subscribe"

    assert requests.post(url, json={"key": "x"}, timeout=10).status_code == 400
