"""Every answer that the gateways document, said by the phones, and what follows from it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import pytest

from engine.config import Config
from engine.gateways import access_token
from engine.runtime.delivery import gateways
from engine.trial.phones.catalogue import CATALOGUE
from engine.trial.phones.fault import Fault
from engine.trial.phones.phones import Phones
from engine.wire.messages import Outcome
from rules.outcomes import Concern, Fate, Retire, Said, Verdict, fate
from tests.builders import NOW
from tests.contracts.gateways import ApnsHouse, FcmHouse, House, WebPushHouse, send
from tests.engine.gateways.peer import Peer

SHORT = timedelta(seconds=0.5)
HOUSES: dict[str, type[House]] = {"fcm": FcmHouse, "apns": ApnsHouse, "web_push": WebPushHouse}

ACCEPTED, UNREGISTERED, DEFERRED, REFUSED = Verdict
OURS = Concern.GATEWAY


class End(NamedTuple):
    """The outcome, and what follows: the wait, the device, what an operator hears."""

    verdict: Verdict
    reason: str = ""
    wait: int = 0
    retire: Retire = Retire.NO
    concern: Concern = Concern.NONE


SENT_AGAIN = End(ACCEPTED)  # at once, and only where the gateway surely did not take it
LOST = End(DEFERRED, "CONNECTION_LOST", 10)
SILENT = End(DEFERRED, "TIMED_OUT", 10)
CONNECTION = {
    "slow": End(ACCEPTED),
    "silence": SILENT,
    "answer_lost": SILENT,
    "refused_stream": SENT_AGAIN,
    "goaway": SENT_AGAIN,
    "reset_before": LOST,
    "reset_after": LOST,
    "cut_before": LOST,
    "cut_after": LOST,
    "half_answer": LOST,
}
FCM = {
    "UNREGISTERED": End(UNREGISTERED, "UNREGISTERED", retire=Retire.AT_ONCE),
    "APNS_UNREGISTERED": End(UNREGISTERED, "APNS_UNREGISTERED", retire=Retire.AT_ONCE),
    "INVALID_TOKEN": End(REFUSED, "INVALID_TOKEN", retire=Retire.WHEN_OTHERS_LIVE),
    "SENDER_ID_MISMATCH": End(REFUSED, "SENDER_ID_MISMATCH", retire=Retire.WHEN_OTHERS_LIVE),
    "INVALID_ARGUMENT": End(REFUSED, "INVALID_ARGUMENT", concern=Concern.REFUSED),
    # the token is new, so another would not be better: test_fcm renews one that is older
    "ACCESS_TOKEN_EXPIRED": End(DEFERRED, "ACCESS_TOKEN_REFUSED", 10),
    "THIRD_PARTY_AUTH_ERROR": End(DEFERRED, "THIRD_PARTY_AUTH_ERROR", 60, concern=OURS),
    "PERMISSION_DENIED": End(DEFERRED, "PERMISSION_DENIED", 60, concern=OURS),
    "html_404": End(DEFERRED, "NOT_FOUND", 60, concern=OURS),
    "QUOTA_EXCEEDED": End(DEFERRED, "QUOTA_EXCEEDED", 60),
    "DEVICE_QUOTA_EXCEEDED": End(DEFERRED, "DEVICE_QUOTA_EXCEEDED", 60),
    "INTERNAL": End(DEFERRED, "INTERNAL", 10),
    "UNAVAILABLE": End(DEFERRED, "UNAVAILABLE", 10),
    "html_502": End(DEFERRED, "HTTP_502", 10),
    "truncated": End(DEFERRED, "UNREADABLE_ANSWER", 10),
    **CONNECTION,
}
APNS = {
    "Unregistered": End(UNREGISTERED, "Unregistered", retire=Retire.AT_ONCE),
    "ExpiredToken": End(UNREGISTERED, "ExpiredToken", retire=Retire.AT_ONCE),
    **{
        reason: End(REFUSED, reason, retire=Retire.WHEN_OTHERS_LIVE)
        for reason in ("BadDeviceToken", "DeviceTokenNotForTopic")
    },
    **{
        reason: End(REFUSED, reason, concern=Concern.REFUSED)
        for reason in (
            *("BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority", "BadPath"),
            *("DuplicateHeaders", "InvalidPushType", "MissingDeviceToken", "PayloadEmpty"),
            *("MethodNotAllowed", "PayloadTooLarge"),
        )
    },
    **{
        reason: End(DEFERRED, reason, 60, concern=OURS)
        for reason in (
            *("BadTopic", "MissingTopic", "TopicDisallowed", "BadCertificate", "Forbidden"),
            *("BadCertificateEnvironment", "BadEnvironmentKeyIdInToken", "ExpiredProviderToken"),
            *("InvalidProviderToken", "MissingProviderToken"),
        )
    },
    "IdleTimeout": SENT_AGAIN,
    "UnrelatedKeyIdInToken": SENT_AGAIN,
    "TooManyRequests": End(DEFERRED, "TooManyRequests", 60),
    **{
        reason: End(DEFERRED, reason, 900)
        for reason in ("InternalServerError", "ServiceUnavailable", "Shutdown")
    },
    "TooManyProviderTokenUpdates": End(DEFERRED, "TooManyProviderTokenUpdates", 10),
    **CONNECTION,
}
MISMATCH = End(REFUSED, "VAPID_KEY_MISMATCH", retire=Retire.WHEN_OTHERS_LIVE)
UNSIGNED = End(DEFERRED, "VAPID_REFUSED", 60, concern=OURS)
WEB_PUSH = {
    "gone": End(UNREGISTERED, "SUBSCRIPTION_GONE", retire=Retire.AT_ONCE),
    "not_found": End(UNREGISTERED, "SUBSCRIPTION_UNKNOWN", retire=Retire.AT_ONCE),
    "bad_request": End(REFUSED, "BAD_REQUEST", concern=Concern.REFUSED),
    "too_large": End(REFUSED, "MESSAGE_TOO_LARGE", concern=Concern.REFUSED),
    **dict.fromkeys(("mismatch_403", "mismatch_401", "VapidPkHashMismatch"), MISMATCH),
    **dict.fromkeys(("unauthorized", "BadJwtToken", "UnauthorizedRegistration"), UNSIGNED),
    **dict.fromkeys(("too_many", "throttled"), End(DEFERRED, "TOO_MANY_MESSAGES", 60)),
    "internal": End(DEFERRED, "HTTP_500", 10),
    "unavailable": End(DEFERRED, "HTTP_503", 10),
    "html_502": End(DEFERRED, "HTTP_502", 10),
    "redirect": End(DEFERRED, "HTTP_307", 60, concern=OURS),
    **CONNECTION,
}
Name = Literal["fcm", "apns", "web_push"]
EVERY: dict[Name, dict[str, End]] = {"fcm": FCM, "apns": APNS, "web_push": WEB_PUSH}
EVERYTHING = [(gateway, name) for gateway, known in EVERY.items() for name in known]


@pytest.fixture
def phones(shared_phones: Phones) -> Iterator[Phones]:
    """Phones that misbehave in this test alone."""
    shared_phones.devices.reset()
    yield shared_phones
    shared_phones.clear_faults()


@pytest.fixture
def houses(tmp_path: Path, phones: Phones) -> Iterator[dict[str, House]]:
    with ExitStack() as stack:
        peer = stack.enter_context(Peer(tmp_path))
        yield {name: made(tmp_path, peer, phones, stack) for name, made in HOUSES.items()}


def followed_by(outcome: Outcome) -> Fate:
    """What the district makes of an outcome, a day before the push expires."""
    wish = outcome.retry_after and timedelta(seconds=outcome.retry_after)
    said = Said(
        outcome.verdict, outcome.reason, outcome.gateway, wish or None, outcome.misconfigured
    )
    return fate(said, 1, NOW, NOW, NOW + timedelta(days=1), jitter=0)


def ended(outcome: Outcome) -> End:
    end = followed_by(outcome)
    wait = int((end.retry_at - NOW).total_seconds()) if end.retry_at else 0
    return End(outcome.verdict, outcome.reason, wait, end.retire, end.concern)


# Surely not taken, and sent again at once; but where the connection has ended by the time that a
# busy machine looks, that is not sure any more.
HARD_TO_TELL = frozenset({"goaway", "refused_stream"})


def test_nothing_that_the_phones_can_say_is_left_out() -> None:
    for gateway, known in EVERY.items():
        assert set(known) == set(CATALOGUE[gateway])


@pytest.mark.parametrize(("gateway", "name"), EVERYTHING)
def test_each_answer_has_its_end_and_harms_no_other_push(
    houses: dict[str, House], phones: Phones, gateway: Name, name: str
) -> None:
    house = houses[gateway]
    sending = house.open(SHORT, endpoint=house.endpoint_of(phones))
    send(sending, [house.push(1)])
    phones.inject(Fault(gateway, name, token=house.token(2).value, count=1,
                        delay=0.1 if name == "slow" else None))  # fmt: skip

    (outcome,) = send(sending, [house.push(2)])
    everybody_waits = name in ("QUOTA_EXCEEDED", "ACCESS_TOKEN_EXPIRED") or (
        gateway == "web_push" and EVERY[gateway][name] == UNSIGNED  # the circuit is open
    )
    others = [] if everybody_waits else send(sending, [house.push(3), house.push(2)])

    allowed = [EVERY[gateway][name]]
    if name in HARD_TO_TELL:
        allowed.append(LOST)
    assert ended(outcome) in allowed
    assert {other.verdict for other in others} <= {ACCEPTED}


@pytest.mark.parametrize("name", sorted(CATALOGUE["oauth"]))
def test_whatever_becomes_of_the_access_token_the_pushes_wait_and_go_when_it_is_mended(
    houses: dict[str, House], phones: Phones, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_token, "TIMEOUT", 0.5)
    monkeypatch.setattr(access_token, "PAUSE", timedelta(seconds=0.1))
    phones.inject(Fault("oauth", name, delay=0.1 if name == "slow" else None))
    house = houses["fcm"]
    sending = house.open(endpoint=phones.fcm_endpoint)
    numbers = count(1)

    outcomes = send(sending, house.pushes(3))

    said = {(outcome.verdict, outcome.reason, outcome.misconfigured) for outcome in outcomes}
    assert len(outcomes) == 3
    if name == "slow":
        assert said == {(ACCEPTED, "", False)}
    elif name == "invalid_grant":
        assert said == {(DEFERRED, "FCM_KEY_REFUSED", True)}
    else:
        assert said == {(DEFERRED, "FCM_AUTH_UNAVAILABLE", False)}
    phones.clear_faults()
    while send(sending, [house.push(next(numbers))])[0].verdict is not ACCEPTED:
        threading.Event().wait(0.05)


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [("300", 300), ("date:300", 300), ("1", 10), ("999999999", 3_600), ("soon", 10), ("-5", 10)],
)
def test_a_wish_to_wait_is_kept_in_either_form_and_within_reason(
    houses: dict[str, House], phones: Phones, wish: str, seconds: int
) -> None:
    house = houses["fcm"]
    phones.inject(Fault("fcm", "UNAVAILABLE", retry_after=wish))

    (outcome,) = send(house.open(endpoint=phones.fcm_endpoint), [house.push()])

    assert ended(outcome).wait == pytest.approx(seconds, abs=3)


def test_a_wrong_key_stops_its_gateway_and_leaves_the_other_alone(
    houses: dict[str, House], phones: Phones
) -> None:
    """As it is wired for the product."""
    sections = {name: phones.settings[name] for name in ("fcm", "apns", "web_push")}
    made = gateways(Config.model_validate(sections))
    assert set(made) == {"fcm_token", "fcm_fid", "apns", "web_push"}
    phones.inject(Fault("apns", "InvalidProviderToken"))
    with closing(made["apns"]) as apple, closing(made["fcm_fid"]) as google:
        outcomes = [
            outcome
            for number in range(50)
            for outcome in send(apple, [houses["apns"].push(number)])
        ]
        others = send(google, houses["fcm"].pushes(50))

    (fault,) = phones.active_faults
    assert fault.struck == 1
    assert {ended(one) for one in outcomes} == {APNS["InvalidProviderToken"]}
    assert {one.verdict for one in others} == {ACCEPTED}


@pytest.mark.parametrize("gateway", EVERY)
@pytest.mark.parametrize("name", ["answer_lost", "cut_after", "reset_after"])
def test_what_may_have_arrived_is_tried_again_and_shown_once(
    houses: dict[str, House], phones: Phones, gateway: Name, name: str
) -> None:
    house = houses[gateway]
    sending = house.open(SHORT, endpoint=house.endpoint_of(phones))
    phones.inject(Fault(gateway, name, count=1))

    push = house.push()
    (first,) = send(sending, [push])
    (second,) = send(sending, [msgspec.structs.replace(push, attempt=2)])

    counts = phones.devices.counts()
    assert (first.verdict, second.verdict) == (DEFERRED, ACCEPTED)
    assert (counts.shown, counts.repeated) == (1, 1)


def test_streams_that_apple_takes_away_after_refusals_lose_and_repeat_nothing(
    houses: dict[str, House], phones: Phones
) -> None:
    house = houses["apns"]
    phones.inject(Fault("apns", "BadDeviceToken", share=0.1, seed=1))
    pushes = house.pushes(600)

    outcomes = send(house.open(endpoint=phones.apns_endpoint), pushes)

    found = Counter((outcome.verdict, outcome.reason) for outcome in outcomes)
    assert Counter(outcome.push_id for outcome in outcomes) == Counter(one.id for one in pushes)
    assert set(found) == {(ACCEPTED, ""), (REFUSED, "BadDeviceToken")}
    counts = phones.devices.counts()
    assert (counts.shown, counts.repeated) == (found[ACCEPTED, ""], 0)
