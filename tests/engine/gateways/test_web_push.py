"""Web Push: what is asked of a push service, who may be one, and that one is no other's trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from engine.config import WebPushSettings
from engine.errors import ConfigError
from engine.gateways import web_push as module
from engine.gateways.vapid import RENEWED_AFTER, Vapid
from engine.gateways.web_push import WebPushGateway
from engine.runtime.clock import utc_now
from engine.secrets import vapid
from engine.trial.phones.phones import Phones
from engine.wire.messages import Push, Token
from rules.change import Kind
from rules.outcomes import Verdict
from rules.timing import URGENCY
from tests.builders import NOW
from tests.contracts.gateways import WebPushHouse, collected, send
from tests.engine.gateways.peer import GoAway, Peer, Reaction, Say, Seen, Silence

LONG = timedelta(seconds=30)


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def meet(tmp_path: Path, shared_phones: Phones, closing: ExitStack) -> Callable[[], WebPushHouse]:
    """Meets one more push service, by which it can be sent to alone."""

    def another() -> WebPushHouse:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        peer = closing.enter_context(Peer(folder))
        return WebPushHouse(folder, peer, shared_phones, closing)

    return another


def gateway_for(
    closing: ExitStack, *houses: WebPushHouse, timeout: timedelta = LONG
) -> WebPushGateway:
    """A gateway that may send to all of these push services."""
    bundle = houses[0].ca_file.with_name("all.pem")
    bundle.write_text("".join(one.ca_file.read_text() for one in houses))
    settings = WebPushSettings.model_validate(
        {
            **houses[0].keys["web_push"],
            "hosts": [one.peer.url.removeprefix("https://") for one in houses],
            "ca_file": bundle,
        }
    )
    gateway = WebPushGateway(settings, utc_now, timeout)
    closing.callback(gateway.close)
    return gateway


# --- what is asked of a push service ---------------------------------------------------------


def test_a_request_says_what_the_standards_ask_for(meet: Callable[[], WebPushHouse]) -> None:
    house = meet()
    push = house.push(7, kind="attendance", expires_at=utc_now() + timedelta(minutes=30))

    send(house.open(), [push])

    (seen,) = house.peer.seen
    assert seen.path == "/push/7"
    assert seen.headers["content-encoding"] == "aes128gcm"
    assert seen.headers["content-type"] == "application/octet-stream"
    assert seen.headers["topic"] == push.collapse_id
    assert seen.headers["urgency"] == "high"
    assert 1_790 <= int(seen.headers["ttl"]) <= 1_800
    assert "accept" not in seen.headers


@pytest.mark.parametrize("kind", Kind)
def test_the_urgency_is_that_of_the_kind(meet: Callable[[], WebPushHouse], kind: Kind) -> None:
    house = meet()

    send(house.open(), [house.push(kind=kind.value)])

    assert house.peer.seen[0].headers["urgency"] == URGENCY[kind]


def test_a_kind_that_may_not_be_known_is_not_told_by_its_urgency(
    meet: Callable[[], WebPushHouse],
) -> None:
    house = meet()

    send(house.open(), [house.push(kind="")])

    assert house.peer.seen[0].headers["urgency"] == "high"


def test_the_token_is_signed_for_this_push_service_alone(
    meet: Callable[[], WebPushHouse], closing: ExitStack
) -> None:
    first, second = meet(), meet()
    gateway = gateway_for(closing, first, second)

    send(gateway, [first.push(1), second.push(1), first.push(2)])

    key = vapid.private_key(Path(first.keys["web_push"]["key_file"]))
    for house in (first, second):
        authorization = house.peer.seen[0].headers["authorization"]
        scheme, _, rest = authorization.partition(" ")
        given = dict(one.split("=", 1) for one in rest.split(", "))
        claims = jwt.decode(
            given["t"], key.public_key(), algorithms=["ES256"], audience=house.peer.url
        )
        assert scheme == "vapid"
        assert given["k"] == vapid.public_key(key)
        assert claims["sub"] == first.keys["web_push"]["contact"]
        assert set(claims) == {"aud", "exp", "sub"}
    tokens = {seen.headers["authorization"] for seen in first.peer.seen}
    assert len(tokens) == 1


def test_a_token_is_renewed_long_before_it_expires(tmp_path: Path) -> None:
    clock = SimpleNamespace(now=NOW)
    vapid.make(tmp_path / "key.pem")
    key = vapid.private_key(tmp_path / "key.pem")
    shown = Vapid(key, "mailto:it@district.example", lambda: clock.now)

    def expires() -> datetime:
        token = shown.authorization("https://a.example").partition("t=")[2].partition(",")[0]
        claims = jwt.decode(token, options={"verify_signature": False})
        return datetime.fromtimestamp(claims["exp"], NOW.tzinfo)

    first = shown.authorization("https://a.example")
    for minutes in range(0, 60 * 48, 30):
        clock.now = NOW + timedelta(minutes=minutes)
        left = expires() - clock.now
        assert timedelta(hours=1) < left <= timedelta(hours=24)
    clock.now = NOW + RENEWED_AFTER - timedelta(seconds=1)
    shown.forget("https://a.example")
    assert shown.authorization("https://a.example") != first


# --- who may be one --------------------------------------------------------------------------


def test_nothing_is_sent_to_a_host_that_is_not_listed(
    meet: Callable[[], WebPushHouse], closing: ExitStack
) -> None:
    listed, other = meet(), meet()
    gateway = gateway_for(closing, listed)

    outcomes = send(gateway, [other.push(1), listed.push(2)])

    said = {(one.verdict, one.reason, one.gateway) for one in outcomes}
    assert said == {
        (Verdict.REFUSED, "HOST_NOT_LISTED", "web_push"),
        (Verdict.ACCEPTED, "", "web_push"),
    }
    assert (other.peer.connections, len(listed.peer.seen)) == (0, 1)


def test_a_redirection_is_not_followed(
    meet: Callable[[], WebPushHouse], closing: ExitStack
) -> None:
    house, other = meet(), meet()
    house.peer.script = lambda _: Say(307, headers={"location": f"{other.peer.url}/push/1"})

    (outcome,) = send(gateway_for(closing, house, other), [house.push()])

    assert (outcome.verdict, outcome.reason) == (Verdict.DEFERRED, "HTTP_307")
    assert (len(house.peer.seen), other.peer.connections) == (1, 0)


@pytest.mark.parametrize(
    "differences",
    [
        {"token": Token("web_push", "http://localhost/push/1")},
        {"token": Token("web_push", "https://localhost/push/1\r\nx: y")},
        {"token": Token("web_push", "https://user@localhost/push/1")},
        {"token": Token("web_push", "")},
        {"sealed": ""},
        {"sealed": "not base64!"},
        {"sealed": "A" * 16_000},
        {"collapse_id": "x" * 33},
        {"collapse_id": "a b"},
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(
    meet: Callable[[], WebPushHouse], differences: dict[str, object]
) -> None:
    house = meet()
    gateway = house.open()
    good = house.push()

    with pytest.raises(ValueError, match=r"push to a browser|padding|base64"):
        gateway.submit(msgspec.structs.replace(good, **differences))

    assert [one.verdict for one in send(gateway, [good])] == [Verdict.ACCEPTED]


# --- one push service is no other's trouble --------------------------------------------------


def test_a_service_that_refuses_our_contact_stops_alone(
    meet: Callable[[], WebPushHouse], closing: ExitStack
) -> None:
    apple, google = meet(), meet()
    apple.peer.script = lambda _: Say(403, b'{"reason":"BadJwtToken"}')
    gateway = gateway_for(closing, apple, google)

    for number in range(10):
        outcomes = send(gateway, [apple.push(number), google.push(number)])
        assert {(one.verdict, one.reason) for one in outcomes} == {
            (Verdict.DEFERRED, "VAPID_REFUSED"),
            (Verdict.ACCEPTED, ""),
        }

    assert (len(apple.peer.seen), len(google.peer.seen)) == (1, 10)


def test_a_service_that_says_nothing_holds_up_no_other(
    meet: Callable[[], WebPushHouse], closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT", 0.05)
    silent, other = meet(), meet()
    silent.peer.script = lambda _: Silence()
    gateway = gateway_for(closing, silent, other, timeout=timedelta(seconds=60))
    for push in silent.pushes(50):
        gateway.submit(push)
    while not silent.peer.seen or gateway.admits(1) == 0:
        gateway.collect(0.02)

    gateway.submit(silent.push(99))
    gateway.submit(other.push(1))
    answered = []
    while len(answered) < 2:
        answered += gateway.collect(0.1)

    assert {(one.verdict, one.reason) for one in answered} == {
        (Verdict.DEFERRED, "GATEWAY_BUSY"),
        (Verdict.ACCEPTED, ""),
    }


def test_so_many_services_are_connected_to_and_the_idle_one_makes_way(
    meet: Callable[[], WebPushHouse], closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SERVICES", 2)
    houses = [meet() for _ in range(3)]
    gateway = gateway_for(closing, *houses)

    for house in (*houses, houses[0]):
        assert [one.verdict for one in send(gateway, [house.push()])] == [Verdict.ACCEPTED]

    assert [one.peer.connections for one in houses] == [2, 1, 1]


def test_while_all_are_at_work_what_is_for_another_waits(
    meet: Callable[[], WebPushHouse], closing: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SERVICES", 1)
    busy, other = meet(), meet()
    busy.peer.script = lambda _: Silence()
    gateway = gateway_for(closing, busy, other)
    gateway.submit(busy.push())

    gateway.submit(other.push())
    (outcome,) = gateway.collect(0.0)

    assert (outcome.verdict, outcome.reason) == (Verdict.DEFERRED, "GATEWAY_BUSY")


def test_the_key_that_browsers_subscribed_for_is_not_taken_for_theirs(
    meet: Callable[[], WebPushHouse], closing: ExitStack
) -> None:
    """After the key was replaced every subscription looks dead, and none may be retired."""
    house = meet()
    house.peer.script = lambda _: Say(401, b'{"errno":109,"message":"VAPID public key mismatch"}')
    gateway = gateway_for(closing, house)

    outcomes = [one for number in range(60) for one in send(gateway, [house.push(number)])]

    reasons = [one.reason for one in outcomes]
    assert reasons[:19] == ["VAPID_KEY_MISMATCH"] * 19
    assert set(reasons[20:]) == {"TOO_MANY_DEAD"}


# --- the key ---------------------------------------------------------------------------------


def test_a_key_is_made_once_and_for_our_eyes_only(tmp_path: Path) -> None:
    file = tmp_path / "web-push.pem"

    assert vapid.make(file)
    before = file.read_bytes()
    assert not vapid.make(file)

    assert file.read_bytes() == before
    assert file.stat().st_mode & 0o777 == 0o600
    assert vapid.is_public_key(vapid.public_key(vapid.private_key(file)))


def test_what_is_no_key_of_the_curve_is_refused_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "web-push.pem"
    rsa = generate_private_key(65_537, 2_048)
    for content in (
        b"", b"nonsense", rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    ):  # fmt: skip
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=str(file)):
            vapid.make(file)
        assert file.read_bytes() == content


@pytest.mark.parametrize("spelled", ["", "x", "A" * 87, "B" * 88, "!" * 87])
def test_what_is_no_public_key_is_told_apart(spelled: str) -> None:
    assert not vapid.is_public_key(spelled)


def all_accepted(gateway: WebPushGateway, pushes: list[Push]) -> bool:
    return {one.verdict for one in send(gateway, pushes)} == {Verdict.ACCEPTED}


def test_a_service_that_goes_away_is_met_again(meet: Callable[[], WebPushHouse]) -> None:
    house = meet()

    def leave(seen: Seen) -> Reaction:
        return GoAway() if (seen.connection, seen.nth) == (1, 11) else house.accept(seen)

    house.peer.script = leave

    assert all_accepted(house.open(), house.pushes(30))
    assert collected(house.open()) == []
