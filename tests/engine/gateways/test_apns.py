"""APNs: one provider token for all processes, renewed as Apple allows; headers that fit."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from engine.config import ApnsSettings
from engine.errors import ConfigError
from engine.gateways.apns import ApnsGateway, apns_id
from engine.gateways.provider_token import LEAST_USE, LONGEST_LIFE, TOKEN_WINDOW
from engine.runtime.clock import utc_now
from engine.trial.phones.credentials import KEY_ID, TEAM_ID, TOPIC
from engine.trial.phones.fault import Fault
from engine.trial.phones.phones import Phones
from engine.wire.messages import Token
from rules.outcomes import Verdict
from tests.builders import NOW
from tests.contracts.gateways import ApnsHouse, House, send
from tests.engine.gateways.conftest import Opener
from tests.engine.gateways.peer import Reaction, Say, Seen
from tests.fakes import StoppedClock

BEGIN = datetime.fromtimestamp(
    NOW.timestamp() // TOKEN_WINDOW.total_seconds() * TOKEN_WINDOW.total_seconds(), NOW.tzinfo
)


@pytest.fixture
def house(open_house: Opener) -> House:
    return open_house(ApnsHouse)


def provider_tokens(house: House) -> list[str]:
    """The provider tokens that were shown, in their order."""
    return list(dict.fromkeys(seen.headers["authorization"] for seen in house.peer.seen))


# --- what is sent ----------------------------------------------------------------------------


def test_a_push_is_a_post_to_its_device_with_the_headers_that_apple_asks_for(house: House) -> None:
    push = house.push(7, expires_at=datetime.fromtimestamp(1_800_000_000, NOW.tzinfo))
    send(house.open(), [push])
    (seen,) = house.peer.seen
    assert seen.path == f"/3/device/{push.token.value}"
    assert {name: value for name, value in seen.headers.items() if name.startswith("apns-")} == {
        "apns-topic": TOPIC,
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-id": apns_id(push),
        "apns-collapse-id": push.collapse_id,
        "apns-expiration": "1800000000",
    }
    assert seen.headers["content-type"] == "application/json"
    assert json.loads(seen.body)["aps"]["alert"]["title"] == push.title


def test_an_accepted_push_is_known_by_the_id_it_was_given(house: House) -> None:
    push = house.push()
    (outcome,) = send(house.open(), [push])
    assert outcome.gateway_id == house.peer.seen[0].headers["apns-id"]


def test_a_push_has_one_uuid_for_all_of_its_tries(house: House) -> None:
    push = house.push()
    other_device, other_district = house.push(), house.push(id=push.id, district="another")
    send(house.open(), [push, msgspec.structs.replace(push, attempt=2)])
    first, second = (seen.headers["apns-id"] for seen in house.peer.seen)
    assert first == second == str(UUID(first))
    assert len({apns_id(one) for one in (push, other_device, other_district)}) == 3


@pytest.mark.parametrize(
    "different",
    [
        {"token": Token("apns", "../../elsewhere")},
        {"token": Token("apns", "")},
        {"token": Token("apns", "ab" * 32 + "\n")},
        {"collapse_id": "an id\r\napns-priority: 5"},
        {"collapse_id": "é"},
        {"collapse_id": ""},
    ],
    ids=["a path", "no token", "a line more", "a header more", "no ASCII", "empty"],
)
def test_what_would_bend_the_request_is_refused_at_once(
    house: House, different: dict[str, Any]
) -> None:
    gateway = house.open()
    with pytest.raises(ValueError, match="becomes part of"):
        gateway.submit(house.push(**different))
    assert gateway.in_flight == 0


# --- the provider token ----------------------------------------------------------------------


def test_the_provider_token_says_who_we_are(house: House) -> None:
    send(house.open(), [house.push()])
    (shown,) = provider_tokens(house)
    key = load_pem_private_key(Path(house.keys["apns"]["key_file"]).read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    token = jwt.decode_complete(
        shown.removeprefix("bearer "), key.public_key(), algorithms=["ES256"]
    )
    assert token["header"]["kid"] == KEY_ID
    assert token["payload"]["iss"] == TEAM_ID
    age = utc_now().timestamp() - token["payload"]["iat"]
    assert 0 <= age < TOKEN_WINDOW.total_seconds()


def test_one_provider_token_serves_thousands_of_pushes(house: House) -> None:
    send(house.open(), house.pushes(1_000))
    assert len(provider_tokens(house)) == 1


def test_a_provider_token_is_kept_for_its_window_and_then_renewed(house: House) -> None:
    clock = StoppedClock(BEGIN)
    gateway = house.open(clock=clock)
    send(gateway, [house.push()])
    clock.forward(TOKEN_WINDOW - timedelta(seconds=1))
    send(gateway, [house.push()])
    assert len(provider_tokens(house)) == 1
    clock.forward(timedelta(seconds=1))
    send(gateway, [house.push()])
    assert len(provider_tokens(house)) == 2


def test_a_provider_token_is_never_older_than_apple_takes_nor_renewed_too_soon() -> None:
    assert timedelta(minutes=20) < LEAST_USE < TOKEN_WINDOW
    assert TOKEN_WINDOW + LEAST_USE < LONGEST_LIFE < timedelta(minutes=60)


def test_all_processes_show_a_token_of_the_same_moment(house: House) -> None:
    clock = StoppedClock(BEGIN)
    send(house.open(clock=clock), [house.push()])
    clock.forward(timedelta(minutes=25))
    send(house.open(clock=clock), [house.push()])
    issued = {
        jwt.decode(shown.removeprefix("bearer "), options={"verify_signature": False})["iat"]
        for shown in provider_tokens(house)
    }
    assert issued == {int(BEGIN.timestamp())}


def test_apns_that_checks_takes_the_tokens_of_two_processes_through_every_renewal(
    house: House, tmp_path: Path
) -> None:
    clock = StoppedClock(BEGIN)
    with Phones(tmp_path / "phones", now=clock) as phones:
        gateways = [checked_gateway(house, phones, clock) for _ in range(2)]
        for _ in range(10):
            for gateway in gateways:
                (outcome,) = send(gateway, [house.push()])
                assert outcome.verdict is Verdict.ACCEPTED
            clock.forward(timedelta(minutes=17))


@pytest.mark.parametrize("begun", range(0, 30, 3))
def test_apns_that_checks_takes_the_tokens_of_a_process_whenever_it_begins(
    house: House, tmp_path: Path, begun: int
) -> None:
    clock = StoppedClock(BEGIN + timedelta(minutes=begun))
    with Phones(tmp_path / "phones", now=clock) as phones:
        gateway = checked_gateway(house, phones, clock)
        for _ in range(100):
            (outcome,) = send(gateway, [house.push()])
            assert outcome.verdict is Verdict.ACCEPTED
            clock.forward(timedelta(minutes=1))


def test_who_begins_again_in_the_next_window_shows_the_token_before_it(
    house: House, tmp_path: Path
) -> None:
    clock = StoppedClock(BEGIN + TOKEN_WINDOW - timedelta(minutes=5))
    with Phones(tmp_path / "phones", now=clock) as phones:
        send(checked_gateway(house, phones, clock), [house.push()])
        clock.forward(timedelta(minutes=6))
        gateway = checked_gateway(house, phones, clock)
        (outcome,) = send(gateway, [house.push()])
        assert outcome.reason == "TooManyProviderTokenUpdates"
        for _ in range(100):
            (outcome,) = send(gateway, [house.push()])
            assert outcome.verdict is Verdict.ACCEPTED
            clock.forward(timedelta(minutes=1))


def test_a_token_that_apple_took_stays_when_somebody_else_renews_too_often(
    house: House, tmp_path: Path
) -> None:
    clock = StoppedClock(BEGIN)
    with Phones(tmp_path / "phones", now=clock) as phones:
        gateway = checked_gateway(house, phones, clock)
        send(gateway, [house.push()])
        phones.inject(Fault("apns", "TooManyProviderTokenUpdates", count=3))
        refused = [send(gateway, [house.push()])[0].verdict for _ in range(3)]
        assert refused == [Verdict.DEFERRED] * 3
        (outcome,) = send(gateway, [house.push()])
        assert outcome.verdict is Verdict.ACCEPTED


def checked_gateway(house: House, phones: Phones, clock: StoppedClock) -> ApnsGateway:
    """A process that sends to phones which check provider tokens by *clock*."""
    house.keys = phones.settings
    ca_file = Path(phones.settings["apns"]["ca_file"])
    opened = house.open(endpoint=phones.apns_endpoint, ca_file=ca_file, clock=clock)
    assert isinstance(opened, ApnsGateway)
    return opened


# --- the connection --------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["UnrelatedKeyIdInToken", "IdleTimeout"])
def test_a_connection_that_is_of_no_use_any_more_is_replaced(house: House, reason: str) -> None:
    def refuse_the_old(seen: Seen) -> Reaction:
        if seen.connection == 1 and seen.nth > 1:  # warm by then, with a hundred in flight
            return Say(403, json.dumps({"reason": reason}).encode())
        return house.accept(seen)

    house.peer.script = refuse_the_old
    outcomes = send(house.open(), house.pushes(200))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert house.peer.connections <= 3


def test_a_second_connection_that_is_of_no_use_either_defers_the_push(house: House) -> None:
    house.peer.script = lambda _: Say(403, b'{"reason":"UnrelatedKeyIdInToken"}')
    (outcome,) = send(house.open(), [house.push()])
    assert (outcome.verdict, outcome.reason) == (Verdict.DEFERRED, "UnrelatedKeyIdInToken")
    assert len(house.peer.seen) == 2


# --- the configuration -----------------------------------------------------------------------


def rsa_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "content", [None, b"", b"no key", rsa_key()], ids=["missing", "empty", "garbage", "RSA"]
)
def test_a_key_file_that_cannot_be_used_is_an_error_that_names_it(
    house: House, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "AuthKey.p8"
    if content is not None:
        file.write_bytes(content)
    settings = ApnsSettings.model_validate({**house.keys["apns"], "key_file": file})
    with pytest.raises(ConfigError) as error:
        ApnsGateway(settings, utc_now)
    assert str(file) in error.value.problem
    assert ".p8" in error.value.remedy
