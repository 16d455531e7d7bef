"""APNs: which requests it takes, what it says to the others, and what reaches the screen."""

from __future__ import annotations

import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from engine.trial.phones.credentials import TOPIC, Credentials
from engine.trial.phones.exchange import Answer, Request, request_from
from engine.trial.phones.fault import Fault
from tests.engine.trial.phones.support import IPHONE, Clock, Gateways, answered

UUID = "eabeae54-14a8-11e5-b60b-1697f925ec7b"


def reason_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answered(answer)["reason"]


def id_of(answer: Answer) -> str:
    return dict(answer.headers)["apns-id"]


def test_a_good_push_is_accepted_without_a_body_and_shown(gateways: Gateways) -> None:
    payload = {"aps": {"alert": {"title": "Quiz 4", "body": "Ada scored 92."}}, "student": 42}
    answer = gateways.send_apns(payload)
    [screen] = gateways.devices.screens()
    [received] = screen.shown
    assert (answer.status, answer.body) == (200, b"")
    assert (received.title, received.body) == ("Quiz 4", "Ada scored 92.")
    assert received.data == {"student": 42}


def test_an_alert_that_is_a_text_is_the_body(gateways: Gateways) -> None:
    gateways.send_apns({"aps": {"alert": "Ada scored 92."}})
    [received] = gateways.devices.received().received
    assert (received.title, received.body) == ("", "Ada scored 92.")


def test_the_apns_id_of_the_sender_is_echoed_and_kept(gateways: Gateways) -> None:
    assert id_of(gateways.send_apns(apns_id=UUID)) == UUID
    assert gateways.devices.received().received[0].message_id == UUID


def test_without_an_apns_id_one_is_made(gateways: Gateways) -> None:
    made = [id_of(gateways.send_apns()) for _ in range(2)]
    assert made[0] != made[1]
    assert str(uuid.UUID(made[0])) == made[0]


def test_a_refusal_carries_the_apns_id_too(gateways: Gateways) -> None:
    assert id_of(gateways.send_apns(apns_id=UUID, apns_topic=None)) == UUID


def test_the_same_collapse_id_replaces_what_is_shown(gateways: Gateways) -> None:
    gateways.send_apns({"aps": {"alert": "92"}}, apns_collapse_id="quiz-4")
    gateways.send_apns({"aps": {"alert": "95"}}, apns_collapse_id="quiz-4")
    [screen] = gateways.devices.screens()
    assert [received.body for received in screen.shown] == ["95"]


def test_without_a_collapse_id_pushes_stack(gateways: Gateways) -> None:
    gateways.send_apns()
    gateways.send_apns()
    assert gateways.devices.counts().shown == 2


def test_a_background_push_is_silent(gateways: Gateways) -> None:
    answer = gateways.send_apns(
        {"aps": {"content-available": 1}}, apns_push_type="background", apns_priority="5"
    )
    assert answer.status == 200
    assert gateways.devices.counts().silent == 1


def test_an_accepted_push_lifts_the_limit_of_one_stream_and_a_4xx_brings_it_back(
    gateways: Gateways,
) -> None:
    assert gateways.send_apns().streams == 100
    assert gateways.send_apns(apns_topic=None).streams == 1
    assert gateways.send_apns().streams == 100


def test_a_dead_token_and_an_error_of_apns_do_not_slow_a_connection(gateways: Gateways) -> None:
    gateways.faults.inject(Fault("apns", "InternalServerError", count=1))
    assert (gateways.send_apns().status, gateways.send_apns().status) == (500, 200)
    gateways.devices.uninstall("apns", IPHONE)
    gateways.faults.inject(Fault("apns", "InternalServerError", count=1))
    assert [gateways.send_apns().streams for _ in range(2)] == [None, None]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"apns_topic": None}, "MissingTopic"),
        ({"apns_topic": "not a topic"}, "BadTopic"),
        ({"apns_topic": TOPIC + ".voip"}, "BadTopic"),
        ({"apns_topic": "org.example.other"}, "TopicDisallowed"),
        ({"apns_push_type": "shout"}, "InvalidPushType"),
        ({"apns_push_type": "voip"}, "BadTopic"),
        ({"apns_priority": "7"}, "BadPriority"),
        ({"apns_priority": "high"}, "BadPriority"),
        ({"apns_push_type": "background"}, "BadPriority"),
        ({"apns_push_type": "background", "apns_priority": "10"}, "BadPriority"),
        ({"apns_expiration": "tomorrow"}, "BadExpirationDate"),
        ({"apns_expiration": "-1"}, "BadExpirationDate"),
        ({"apns_collapse_id": "x" * 65}, "BadCollapseId"),
        ({"apns_id": "not-a-uuid"}, "BadMessageId"),
        ({"apns_id": UUID.upper()}, "BadMessageId"),
    ],
)
def test_a_wrong_header_is_a_400_with_its_reason(
    gateways: Gateways, headers: dict[str, str | None], reason: str
) -> None:
    assert reason_of(gateways.send_apns(**headers)) == (400, reason)
    assert gateways.devices.received().last == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"apns_push_type": None},
        {"apns_priority": "10"},
        {"apns_priority": "5"},
        {"apns_priority": "1"},
        {"apns_expiration": "0"},
        {"apns_expiration": "1800000000"},
        {"apns_collapse_id": "x" * 64},
        {"apns_push_type": "voip", "apns_topic": TOPIC + ".voip"},
    ],
)
def test_every_allowed_value_of_a_header_is_taken(
    gateways: Gateways, headers: dict[str, str | None]
) -> None:
    assert gateways.send_apns(**headers).status == 200


@pytest.mark.parametrize("token", ["ab" * 31, "zz" * 32, "ab" * 81, "ab" * 32 + "/x"])
def test_a_malformed_token_is_a_bad_device_token(gateways: Gateways, token: str) -> None:
    assert reason_of(gateways.send_apns(token=token)) == (400, "BadDeviceToken")


@pytest.mark.parametrize("token", ["ab" * 32, "AB" * 32, "ab" * 80])
def test_tokens_of_64_to_160_hexadecimal_digits_are_taken(gateways: Gateways, token: str) -> None:
    assert gateways.send_apns(token=token).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", f"/3/device/{IPHONE}", 405, "MethodNotAllowed"),
        ("POST", "/3/device/", 400, "MissingDeviceToken"),
        ("POST", "/3/device", 400, "MissingDeviceToken"),
        ("POST", f"/2/device/{IPHONE}", 404, "BadPath"),
    ],
)
def test_a_wrong_method_or_path_has_a_status_of_its_own(
    gateways: Gateways, method: str, path: str, status: int, reason: str
) -> None:
    assert reason_of(gateways.apns.answer(Request(method, path, {}))) == (status, reason)


@pytest.mark.parametrize("header", ["apns-topic", "apns-id", "authorization"])
def test_a_header_that_comes_twice_is_refused(gateways: Gateways, header: str) -> None:
    twice = [(header, "one"), (header, "two")]
    request = request_from("POST", f"/3/device/{IPHONE}", twice, b"{}")
    assert reason_of(gateways.apns.answer(request)) == (400, "DuplicateHeaders")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_payload_that_is_no_json_object_is_refused(gateways: Gateways, body: bytes) -> None:
    assert reason_of(gateways.send_apns(body)) == (400, "PayloadEmpty")


def test_the_payload_limit_is_in_bytes_and_larger_for_voip(gateways: Gateways) -> None:
    def payload(size: int) -> bytes:
        text = b'{"aps":{"alert":"' + "é".encode() * 100
        return text + b"x" * (size - len(text) - 3) + b'"}}'

    voip = {"apns_push_type": "voip", "apns_topic": TOPIC + ".voip"}
    assert gateways.send_apns(payload(4_096)).status == 200
    assert reason_of(gateways.send_apns(payload(4_097))) == (413, "PayloadTooLarge")
    assert gateways.send_apns(payload(5_120), **voip).status == 200
    assert reason_of(gateways.send_apns(payload(5_121), **voip)) == (413, "PayloadTooLarge")


# --- the phone ------------------------------------------------------------------------------


def test_an_uninstalled_phone_is_unregistered_since_a_time_in_milliseconds(
    gateways: Gateways, clock: Clock
) -> None:
    gateways.devices.uninstall("apns", IPHONE)
    since = int(clock().timestamp() * 1_000)
    clock.go(minutes=5)
    answer = gateways.send_apns()
    assert answer.status == 410
    assert answered(answer) == {"reason": "Unregistered", "timestamp": since}


def test_a_token_for_another_topic_is_refused(gateways: Gateways) -> None:
    gateways.devices.register("apns", IPHONE, "org.example.other")
    assert reason_of(gateways.send_apns()) == (400, "DeviceTokenNotForTopic")


def test_strangers_can_be_turned_away(credentials: Credentials, clock: Clock) -> None:
    gateways = Gateways(credentials, clock, admit_strangers=False)
    assert reason_of(gateways.send_apns()) == (400, "BadDeviceToken")
    gateways.devices.register("apns", IPHONE)
    assert gateways.send_apns().status == 200


def test_the_expiration_ends_how_long_a_phone_that_is_offline_can_be_waited_for(
    gateways: Gateways, clock: Clock
) -> None:
    gateways.devices.go_offline("apns", IPHONE)
    gateways.send_apns(apns_expiration="0")
    assert gateways.devices.counts().kept == 0
    gateways.send_apns(apns_expiration=str(int(clock().timestamp()) + 60))
    assert gateways.devices.counts().kept == 1
    clock.go(minutes=1)
    gateways.devices.come_online("apns", IPHONE)
    assert gateways.devices.counts().shown == 0


def test_an_expiration_beyond_all_calendars_is_taken(gateways: Gateways) -> None:
    assert gateways.send_apns(apns_expiration="9" * 30).status == 200


# --- the provider token ---------------------------------------------------------------------


@pytest.mark.parametrize("authorization", [None, "", "bearer ", "Basic eHg6eHg="])
def test_a_request_without_a_provider_token_says_so(
    gateways: Gateways, authorization: str | None
) -> None:
    answer = gateways.send_apns(authorization=authorization)
    assert reason_of(answer) == (403, "MissingProviderToken")


@pytest.mark.parametrize(
    "changes",
    [{"iss": "OTHERTEAM1"}, {"kid": "OTHERKEY01"}, {"iat": None}, {"iat": "now"}],
)
def test_a_provider_token_with_a_wrong_claim_is_invalid(gateways: Gateways, changes: dict) -> None:
    token = gateways.provider_token(**changes)
    answer = gateways.send_apns(authorization=f"bearer {token}")
    assert reason_of(answer) == (403, "InvalidProviderToken")


def test_a_provider_token_signed_by_another_key_is_invalid(gateways: Gateways) -> None:
    token = gateways.provider_token(key=ec.generate_private_key(ec.SECP256R1()))
    answer = gateways.send_apns(authorization=f"bearer {token}")
    assert reason_of(answer) == (403, "InvalidProviderToken")


def test_a_text_that_is_no_token_is_invalid(gateways: Gateways) -> None:
    answer = gateways.send_apns(authorization="bearer x.y.z")
    assert reason_of(answer) == (403, "InvalidProviderToken")


def test_a_provider_token_lives_for_an_hour(gateways: Gateways, clock: Clock) -> None:
    authorization = f"bearer {gateways.provider_token()}"
    clock.go(hours=1)
    assert gateways.send_apns(authorization=authorization).status == 200
    clock.go(seconds=1)
    answer = gateways.send_apns(authorization=authorization)
    assert reason_of(answer) == (403, "ExpiredProviderToken")


def test_a_provider_token_from_the_future_is_refused(gateways: Gateways) -> None:
    later = int(gateways.clock().timestamp()) + 301
    answer = gateways.send_apns(authorization=f"bearer {gateways.provider_token(iat=later)}")
    assert reason_of(answer) == (403, "ExpiredProviderToken")


def test_a_new_provider_token_within_twenty_minutes_is_one_too_many(
    gateways: Gateways, clock: Clock
) -> None:
    first = f"bearer {gateways.provider_token()}"
    assert gateways.send_apns(authorization=first).status == 200
    clock.go(minutes=19, seconds=59)
    answer = gateways.send_apns(authorization=f"bearer {gateways.provider_token()}")
    assert reason_of(answer) == (429, "TooManyProviderTokenUpdates")
    assert gateways.send_apns(authorization=first).status == 200
    clock.go(seconds=1)
    second = f"bearer {gateways.provider_token()}"
    assert gateways.send_apns(authorization=second).status == 200
    assert gateways.send_apns(authorization=first).status == 200


def test_two_signatures_of_the_same_claims_are_one_provider_token(gateways: Gateways) -> None:
    first, second = gateways.provider_token(), gateways.provider_token()
    assert first != second
    assert gateways.send_apns(authorization=f"bearer {first}").status == 200
    assert gateways.send_apns(authorization=f"bearer {second}").status == 200


def test_refusals_are_counted_by_reason(gateways: Gateways) -> None:
    gateways.send_apns(apns_topic=None)
    gateways.send_apns(apns_topic=None)
    gateways.send_apns(token="zz" * 32)
    assert gateways.apns.refused == {"MissingTopic": 2, "BadDeviceToken": 1}
