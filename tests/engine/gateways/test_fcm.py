"""FCM: one access token for everything, renewed in time; no push is lost for want of one."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.request
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyfcm import FCMNotification

from engine.config import FcmSettings
from engine.errors import ConfigError
from engine.gateways.access_token import AccessToken, _session
from engine.gateways.answers import NOT_ANSWERED
from engine.gateways.fcm import PER_DEVICE, FcmGateway
from engine.gateways.http2.exchange import NoAnswer
from engine.ports import Gateway
from engine.runtime.clock import utc_now
from engine.store.gateways import REMEDIES
from engine.trial.phones.phones import Phones
from engine.wire.messages import Outcome
from rules.outcomes import Verdict
from tests.contracts.gateways import FcmHouse, House, collected, send
from tests.engine.gateways.conftest import Opener
from tests.engine.gateways.peer import Peer, Reaction, Say, Seen
from tests.servers import free_port

EXPIRED = Say(
    401,
    json.dumps(
        {
            "error": {
                "code": 401,
                "status": "UNAUTHENTICATED",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "ACCESS_TOKEN_EXPIRED",
                    }
                ],
            }
        }
    ).encode(),
)


class ShiftedClock:
    """The machine's clock, moved forward: google-auth goes by the machine's."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@pytest.fixture
def house(open_house: Opener) -> House:
    return open_house(FcmHouse)


def tokens_given(phones: Phones) -> int:
    """How many access tokens the phones have given out so far."""
    with urllib.request.urlopen(f"{phones.control_url}/api/counts") as answer:
        count: int = json.load(answer)["access_tokens"]
    return count


def bearers(house: House) -> Counter[str]:
    """How often each access token was shown."""
    return Counter(seen.headers["authorization"] for seen in house.peer.seen)


def verdicts(outcomes: list[Outcome]) -> Counter[tuple[Verdict, str]]:
    return Counter((outcome.verdict, outcome.reason) for outcome in outcomes)


ACCEPTED = (Verdict.ACCEPTED, "")


# --- what is sent ----------------------------------------------------------------------------


def test_a_push_is_a_post_to_the_project(house: House) -> None:
    send(house.open(), [house.push()])
    (seen,) = house.peer.seen
    assert seen.path == "/v1/projects/schoolbell-phones/messages:send"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["authorization"].startswith("Bearer ya29.")
    assert json.loads(seen.body)["validate_only"] is False


def test_the_project_is_the_configured_one_and_not_the_keys(house: House) -> None:
    settings = FcmSettings.model_validate(
        {
            **house.keys["fcm"],
            "project_id": "another-project",
            "endpoint": house.peer.url,
            "ca_file": house.ca_file,
        }
    )
    gateway = FcmGateway(settings, utc_now)
    send(gateway, [house.push()])
    gateway.close()
    assert house.peer.paths == ["/v1/projects/another-project/messages:send"]


def test_time_that_passed_while_idle_is_not_added_to_a_messages_life(house: House) -> None:
    clock = ShiftedClock()
    gateway = house.open(clock=clock)
    send(gateway, [house.push(expires_at=clock() + timedelta(hours=1))])
    clock.ahead += timedelta(minutes=30)
    send(gateway, [house.push(expires_at=clock() + timedelta(hours=1))])
    lives = [json.loads(seen.body)["message"]["android"]["ttl"] for seen in house.peer.seen]
    assert all(3_590 <= int(life.removesuffix("s")) <= 3_600 for life in lives)


# --- the access token --------------------------------------------------------------------------


def test_one_access_token_serves_thousands_of_pushes(house: House, shared_phones: Phones) -> None:
    before = tokens_given(shared_phones)
    assert verdicts(send(house.open(), house.pushes(2_000))) == {ACCEPTED: 2_000}
    assert tokens_given(shared_phones) == before + 1
    assert len(bearers(house)) == 1


def test_the_token_is_renewed_before_it_expires_while_pushes_go_on(
    house: House, shared_phones: Phones
) -> None:
    clock = ShiftedClock()
    gateway = house.open(clock=clock)
    send(gateway, house.pushes(10))
    before = tokens_given(shared_phones)
    clock.ahead = timedelta(minutes=56)
    while len(bearers(house)) < 2:
        assert verdicts(send(gateway, house.pushes(10))) == {ACCEPTED: 10}
    assert tokens_given(shared_phones) == before + 1


def test_a_token_that_expired_while_idle_is_not_shown_again(house: House) -> None:
    clock = ShiftedClock()
    gateway = house.open(clock=clock)
    send(gateway, [house.push()])
    clock.ahead = timedelta(minutes=61)
    later = clock() + timedelta(hours=1)
    pushes = [house.push(number, expires_at=later) for number in range(20)]
    assert verdicts(send(gateway, pushes)) == {ACCEPTED: 20}
    assert sorted(bearers(house).values()) == [1, 20]


def test_a_token_that_fcm_no_longer_takes_is_renewed_once_and_its_pushes_sent_once_more(
    house: House, shared_phones: Phones
) -> None:
    clock = ShiftedClock()
    gateway = house.open(clock=clock)
    send(gateway, [house.push()])
    (stale,) = bearers(house)
    before = tokens_given(shared_phones)
    clock.ahead = timedelta(minutes=10)

    def refuse_the_stale_one(seen: Seen) -> Reaction:
        return EXPIRED if seen.headers["authorization"] == stale else house.accept(seen)

    house.peer.script = refuse_the_stale_one
    assert verdicts(send(gateway, house.pushes(200))) == {ACCEPTED: 200}
    assert tokens_given(shared_phones) == before + 1


def test_a_new_token_that_is_refused_too_is_no_reason_for_a_storm_of_renewals(
    house: House, shared_phones: Phones
) -> None:
    before = tokens_given(shared_phones)
    house.peer.script = lambda _: EXPIRED
    gateway = house.open()
    for _ in range(5):
        outcomes = send(gateway, house.pushes(50))
        assert verdicts(outcomes) == {(Verdict.DEFERRED, "ACCESS_TOKEN_REFUSED"): 50}
    assert tokens_given(shared_phones) == before + 1


def test_a_key_that_google_refuses_defers_everything_and_is_our_configuration(
    house: House, tmp_path: Path
) -> None:
    gateway = gateway_with(house, tmp_path, private_key=another_key())
    outcomes = send(gateway, house.pushes(30))
    gateway.close()
    assert verdicts(outcomes) == {(Verdict.DEFERRED, "FCM_KEY_REFUSED"): 30}
    assert all(outcome.misconfigured for outcome in outcomes)
    assert house.peer.seen == []


def test_pushes_are_deferred_while_no_token_can_be_had_and_sent_afterwards(
    house: House, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    port = free_port()
    token_uri = f"https://localhost:{port}/token"
    gateway = gateway_with(house, tmp_path, clock=clock, token_uri=token_uri)
    outcomes = send(gateway, house.pushes(30))
    assert verdicts(outcomes) == {(Verdict.DEFERRED, "FCM_AUTH_UNAVAILABLE"): 30}
    assert not any(outcome.misconfigured for outcome in outcomes)

    folder = Path(house.keys["fcm"]["service_account_file"]).parent
    with Phones(shutil.copytree(folder, tmp_path / "phones"), fcm_port=port):
        while verdicts(send(gateway, house.pushes(5))) != {ACCEPTED: 5}:
            clock.ahead += timedelta(seconds=5)
            threading.Event().wait(0.05)
    gateway.close()


def gateway_with(
    house: House, folder: Path, clock: ShiftedClock | None = None, **changes: str
) -> Gateway:
    """A gateway whose service account is different."""
    account = json.loads(Path(house.keys["fcm"]["service_account_file"]).read_text())
    file = folder / "account.json"
    file.write_text(json.dumps({**account, **changes}))
    settings = FcmSettings(
        project_id="p", service_account_file=file, endpoint=house.peer.url, ca_file=house.ca_file
    )
    return FcmGateway(settings, clock or utc_now)


def another_key() -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


# --- no more than FCM takes ----------------------------------------------------------------------


def over_quota(subject: str, wait: str = "60") -> Say:
    """429, for the project or for one device."""
    details = [
        {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
         "errorCode": "QUOTA_EXCEEDED"},
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure",
         "violations": [{"subject": subject, "description": "exceeded"}]},
    ]  # fmt: skip
    body = json.dumps({"error": {"code": 429, "details": details}}).encode()
    return Say(429, body, headers={"retry-after": wait})


def test_a_project_over_its_quota_sends_nothing_for_as_long_as_fcm_says(house: House) -> None:
    house.peer.script = lambda _: over_quota("project:p", "120")
    gateway = house.open()
    (first,) = send(gateway, [house.push()])
    outcomes = send(gateway, house.pushes(1_000))
    assert (first.reason, first.retry_after) == ("QUOTA_EXCEEDED", 120)
    assert verdicts(outcomes) == {(Verdict.DEFERRED, "QUOTA_EXCEEDED"): 1_000}
    assert all(60 < (outcome.retry_after or 0) <= 120 for outcome in outcomes)
    assert not any(outcome.misconfigured for outcome in outcomes)
    assert len(house.peer.seen) == 1


def test_a_short_wait_that_fcm_asks_for_is_waited_for(house: House) -> None:
    house.peer.script = lambda _: over_quota("project:p", "2")
    gateway = house.open()
    send(gateway, [house.push()])
    admitted = gateway.admits(1_000)
    house.peer.script = house.accept
    outcomes = send(gateway, house.pushes(10))
    assert admitted == 0
    assert verdicts(outcomes) == {ACCEPTED: 10}


def test_a_429_without_a_wait_is_a_minute_of_silence(house: House) -> None:
    house.peer.script = lambda _: Say(429)
    gateway = house.open()
    (first,) = send(gateway, [house.push()])
    (second,) = send(gateway, [house.push()])
    assert (first.reason, first.retry_after) == ("QUOTA_EXCEEDED", None)
    assert 50 < (second.retry_after or 0) <= 60
    assert len(house.peer.seen) == 1


def test_no_more_is_admitted_than_the_quota_and_the_ramp_allow(house: House) -> None:
    settings = FcmSettings.model_validate(
        {
            **house.keys["fcm"],
            "quota_per_minute": 60_000,
            "ramp_up": timedelta(minutes=1),
            "endpoint": house.peer.url,
            "ca_file": house.ca_file,
        }
    )
    gateway = FcmGateway(settings, utc_now)
    send(gateway, house.pushes(20))  # the token is there, and the connection is warm
    assert 0 < gateway.admits(10_000) <= 50
    gateway.close()


def test_a_phone_that_is_over_its_quota_holds_up_no_other(house: House) -> None:
    busy = house.push(7)

    def script(seen: Seen) -> Reaction:
        is_busy = house.address(seen) == busy.token.value
        return over_quota("device:dEv") if is_busy else house.accept(seen)

    house.peer.script = script
    gateway = house.open()
    outcomes = send(gateway, [busy, *house.pushes(5)]) + send(gateway, house.pushes(5))
    assert verdicts(outcomes) == {ACCEPTED: 10, (Verdict.DEFERRED, "DEVICE_QUOTA_EXCEEDED"): 1}


def test_one_phone_is_sent_no_more_in_a_minute_than_fcm_takes(house: House) -> None:
    gateway = house.open()
    most = PER_DEVICE[0][0]
    outcomes = send(gateway, [house.push(7) for _ in range(most + 2)] + [house.push(8)])
    (first, *_) = outcomes
    assert verdicts(outcomes) == {ACCEPTED: most + 1, (Verdict.DEFERRED, "DEVICE_RATE"): 2}
    assert first.retry_after is None
    assert len(house.peer.seen) == most + 1


def test_what_expires_while_another_access_token_is_fetched_is_not_sent_any_more(
    house: House,
) -> None:
    clock = ShiftedClock()
    gateway = house.open(clock=clock)
    gateway.submit(house.push(1, expires_at=clock() + timedelta(seconds=30)))
    gateway.submit(house.push(2, expires_at=clock() + timedelta(hours=1)))
    clock.ahead = timedelta(minutes=1)
    assert verdicts(collected(gateway)) == {(Verdict.REFUSED, "EXPIRED"): 1, ACCEPTED: 1}
    (seen,) = house.peer.seen
    life = json.loads(seen.body)["message"]["android"]["ttl"]
    assert 3_530 <= int(life.removesuffix("s")) <= 3_540


# --- the configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [None, "", "no JSON", "{}", '{"type": "service_account"}', '{"type": "authorized_user"}'],
)
def test_a_key_file_that_cannot_be_used_is_an_error_that_names_it(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "service-account.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError) as error:
        FcmGateway(FcmSettings(project_id="p", service_account_file=file), utc_now)
    assert str(file) in error.value.problem
    assert "Firebase console" in error.value.remedy


def test_the_contents_of_a_key_file_are_in_no_error(tmp_path: Path, house: House) -> None:
    account: dict[str, Any] = json.loads(
        Path(house.keys["fcm"]["service_account_file"]).read_text()
    )
    account["private_key"] = account["private_key"][:200]
    file = tmp_path / "service-account.json"
    file.write_text(json.dumps(account))
    with pytest.raises(ConfigError) as error:
        FcmGateway(FcmSettings(project_id="p", service_account_file=file), utc_now)
    assert account["private_key"][60:100] not in str(error.value)


def test_the_token_endpoint_is_not_believed_by_a_common_name(tmp_path: Path) -> None:
    with Peer(tmp_path, nameless=True) as peer, pytest.raises(requests.exceptions.SSLError):
        _session(peer.ca_file).post(peer.url, data="assertion", timeout=5)


def test_a_token_endpoint_whose_certificate_is_not_trusted_is_told_with_its_remedy(
    tmp_path: Path, house: House
) -> None:
    account = json.loads(Path(house.keys["fcm"]["service_account_file"]).read_text())
    with Peer(tmp_path, nameless=True) as peer:
        account["token_uri"] = f"{peer.url}/token"
        file = tmp_path / "service-account.json"
        file.write_text(json.dumps(account))
        pyfcm = FCMNotification(service_account_file=str(file), project_id="p")
        pyfcm._initialize_credentials()
        token = AccessToken(pyfcm, peer.ca_file, utc_now)
        token.keep_fresh()
        token.wait(30)
        token.close()

    assert token.fault == NOT_ANSWERED[NoAnswer.UNTRUSTED]
    assert "subject alternative name" in REMEDIES[token.fault.reason]
