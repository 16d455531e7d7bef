"""Our own sender survives every fault there is: one outcome for each push, and the right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from engine.config import ApnsSettings, FcmSettings
from engine.gateways.apns import ApnsGateway
from engine.gateways.fcm import FcmGateway
from engine.ports import Gateway
from engine.runtime.clock import utc_now
from engine.trial.phones.catalogue import CATALOGUE
from engine.trial.phones.devices import Received
from engine.trial.phones.fault import Fault
from engine.trial.phones.phones import Phones
from engine.wire.messages import Outcome, Push, Token
from rules.outcomes import Verdict
from tests.builders import a_push
from tests.contracts.gateways import send
from tests.engine.trial.phones.support import Clock

ACCEPTED, UNREGISTERED, DEFERRED, REFUSED = Verdict
LONG = timedelta(seconds=30)
SHORT = timedelta(seconds=1)
UNANSWERED = frozenset({"silence", "answer_lost"})
NOT_LOOKED_AT = frozenset({"refused_stream", "goaway"})
"""What a sender may send again at once; ours does, unless the connection is gone by then."""

# A dead token in the words of APNs may also be a wrong environment: who retires such a device
# does so behind a breaker, which is not the matter here.
PERHAPS_DEAD = frozenset({REFUSED, UNREGISTERED})

FCM_EXPECTED = {
    "UNREGISTERED": UNREGISTERED,
    "APNS_UNREGISTERED": UNREGISTERED,
    "INVALID_ARGUMENT": REFUSED,
    "INVALID_TOKEN": REFUSED,
    "SENDER_ID_MISMATCH": REFUSED,
}
APNS_EXPECTED = {
    "Unregistered": UNREGISTERED,
    "ExpiredToken": UNREGISTERED,
    "UnrelatedKeyIdInToken": ACCEPTED,
    "IdleTimeout": ACCEPTED,
    "BadDeviceToken": PERHAPS_DEAD,
    "DeviceTokenNotForTopic": PERHAPS_DEAD,
    **dict.fromkeys(
        (
            "BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority", "DuplicateHeaders",
            "InvalidPushType", "MissingDeviceToken", "PayloadEmpty", "BadPath", "MethodNotAllowed",
            "PayloadTooLarge",
        ),
        REFUSED,
    ),
}  # fmt: skip

MAY_STOP_ALL = frozenset(
    {
        "QUOTA_EXCEEDED", "THIRD_PARTY_AUTH_ERROR", "PERMISSION_DENIED", "html_404", "BadTopic",
        "MissingTopic", "TopicDisallowed", "BadCertificate", "BadCertificateEnvironment",
        "Forbidden", "InvalidProviderToken", "MissingProviderToken", "BadEnvironmentKeyIdInToken",
        "ExpiredProviderToken", "TooManyProviderTokenUpdates",
    }
)  # fmt: skip
"""After these a sender does well to hold back all that follows for a while."""

EACH = [
    (kind, name)
    for kind in ("fcm", "apns")
    for name in CATALOGUE[kind]
    if name != "ACCESS_TOKEN_EXPIRED"  # has a test of its own: it matters how old the token is
]


def expected(gateway: str, name: str) -> frozenset[Verdict]:
    """Deferred, unless something else is known of a fault."""
    if name == "slow":
        return frozenset({ACCEPTED})
    if name in NOT_LOOKED_AT:
        return frozenset({ACCEPTED, DEFERRED})
    verdict = {"fcm": FCM_EXPECTED, "apns": APNS_EXPECTED}[gateway].get(name, DEFERRED)
    return verdict if isinstance(verdict, frozenset) else frozenset({verdict})


@pytest.fixture(scope="module")
def running(key_folder: Path) -> Iterator[Phones]:
    with Phones(key_folder) as phones:
        yield phones


@pytest.fixture
def phones(running: Phones) -> Iterator[Phones]:
    yield running
    running.clear_faults()
    running.reset()


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def open_gateway(
    phones: Phones,
    kind: str,
    closing: ExitStack,
    timeout: timedelta = LONG,
    clock: Callable[[], datetime] = utc_now,
) -> Gateway:
    settings = phones.settings[kind]
    gateway: Gateway
    if kind == "fcm":
        gateway = FcmGateway(FcmSettings.model_validate(settings), clock, timeout)
    else:
        gateway = ApnsGateway(ApnsSettings.model_validate(settings), clock, timeout)
    closing.callback(gateway.close)
    return gateway


def token(kind: str, number: int = 0) -> Token:
    if kind == "apns":
        return Token("apns", f"{number:064x}")
    return Token("fcm_token", f"a-registration-token:{number:040}")


def push(kind: str, number: int = 0) -> Push:
    return a_push(
        id=f"00000000-0000-4000-8000-{number:012}",
        token=token(kind, number),
        expires_at=utc_now() + timedelta(hours=1),
    )


def arrived(phones: Phones) -> list[Received]:
    return phones.devices.received().received


def only(outcomes: list[Outcome]) -> Outcome:
    [outcome] = outcomes
    return outcome


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_each_fault_once_comes_to_one_right_outcome_and_the_next_push_gets_through(
    phones: Phones, closing: ExitStack, kind: str, name: str
) -> None:
    gateway = open_gateway(phones, kind, closing, SHORT if name in UNANSWERED else LONG)
    delay = 0.1 if name == "slow" else None
    phones.inject(Fault(kind, name, token=token(kind).value, count=1, delay=delay))
    outcome = only(send(gateway, [push(kind)]))
    assert phones.active_faults == []
    assert outcome.push_id == push(kind).id
    assert outcome.verdict in expected(kind, name), outcome.reason
    if name not in MAY_STOP_ALL:
        assert only(send(gateway, [push(kind, 1)])).verdict is ACCEPTED


@pytest.mark.parametrize("kind", ["fcm", "apns"])
@pytest.mark.parametrize("name", sorted(NOT_LOOKED_AT))
def test_what_was_not_looked_at_amid_others_is_shown_once(
    phones: Phones, closing: ExitStack, kind: str, name: str
) -> None:
    gateway = open_gateway(phones, kind, closing)
    send(gateway, [push(kind)])
    phones.inject(Fault(kind, name, token=token(kind, 20).value, count=1))
    outcomes = send(gateway, [push(kind, number) for number in range(1, 41)])
    accepted = [outcome for outcome in outcomes if outcome.verdict is ACCEPTED]
    assert len(outcomes) == 40
    assert len(accepted) >= 39
    assert len(arrived(phones)) == 1 + len(accepted)


@pytest.mark.parametrize("kind", ["fcm", "apns"])
@pytest.mark.parametrize("name", ["cut_before", "cut_after", "half_answer"])
def test_a_connection_that_breaks_amid_others_gives_each_push_one_outcome(
    phones: Phones, closing: ExitStack, kind: str, name: str
) -> None:
    gateway = open_gateway(phones, kind, closing)
    send(gateway, [push(kind)])
    phones.inject(Fault(kind, name, token=token(kind, 20).value, count=1))
    outcomes = send(gateway, [push(kind, number) for number in range(1, 41)])
    assert sorted(outcome.push_id for outcome in outcomes) == [
        push(kind, number).id for number in range(1, 41)
    ]
    assert {outcome.verdict for outcome in outcomes} <= {ACCEPTED, DEFERRED}
    # A push that may have arrived is not sent again by the transport: only its outcome says so.
    assert len(arrived(phones)) == len({received.token for received in arrived(phones)})


def test_with_an_access_token_that_has_expired_it_is_renewed_and_the_push_sent_again(
    phones: Phones, closing: ExitStack
) -> None:
    clock = Clock(utc_now())
    gateway = open_gateway(phones, "fcm", closing, clock=clock)
    assert only(send(gateway, [push("fcm")])).verdict is ACCEPTED
    clock.go(minutes=10)
    phones.inject(Fault("fcm", "ACCESS_TOKEN_EXPIRED", count=1))
    assert only(send(gateway, [push("fcm", 1)])).verdict is ACCEPTED
    assert phones.tally().access_tokens == 2


@pytest.mark.parametrize(
    "name", ["invalid_grant", "internal_failure", "html_502", "html_200", "truncated", "cut_before"]
)
def test_a_token_endpoint_that_fails_defers_what_waits_for_it(
    phones: Phones, closing: ExitStack, name: str
) -> None:
    phones.inject(Fault("oauth", name))
    gateway = open_gateway(phones, "fcm", closing)
    assert only(send(gateway, [push("fcm")])).verdict is DEFERRED
    assert arrived(phones) == []


def test_a_share_of_refusals_takes_apns_down_to_one_stream_and_loses_nothing(
    phones: Phones, closing: ExitStack
) -> None:
    gateway = open_gateway(phones, "apns", closing)
    phones.inject(Fault("apns", "TooManyRequests", share=0.1))
    outcomes = send(gateway, [push("apns", number) for number in range(300)])
    deferred = [outcome for outcome in outcomes if outcome.verdict is DEFERRED]
    accepted = [outcome for outcome in outcomes if outcome.verdict is ACCEPTED]
    assert len({outcome.push_id for outcome in outcomes}) == len(outcomes) == 300
    assert len(deferred) + len(accepted) == 300
    assert 0 < len(deferred) < 100
    assert len(arrived(phones)) == len(accepted)
