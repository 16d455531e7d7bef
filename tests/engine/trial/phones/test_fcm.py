"""FCM: which requests it takes, what it says to the others, and what reaches the screen."""

from __future__ import annotations

import msgspec
import pytest

from engine.trial.phones.credentials import Credentials
from engine.trial.phones.exchange import MAX_BODY_BYTES, Answer
from tests.engine.trial.phones.support import PHONE, Clock, Gateways, a_message, answered

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def details(answer: Answer) -> dict[str, dict]:
    return {detail["@type"]: detail for detail in answered(answer)["error"].get("details", [])}


def code_of(answer: Answer) -> tuple[int, str, str | None]:
    error = answered(answer)["error"]
    assert error["code"] == answer.status
    return answer.status, error["status"], details(answer).get(FCM_ERROR, {}).get("errorCode")


def field_of(answer: Answer) -> str:
    [violation] = details(answer)[BAD_REQUEST]["fieldViolations"]
    return violation["field"]


def test_a_good_message_is_accepted_with_a_name_and_shown(gateways: Gateways) -> None:
    answer = gateways.send_fcm(a_message(data={"student": "42"}))
    [screen] = gateways.devices.screens()
    [received] = screen.shown
    assert answer.status == 200
    assert answered(answer) == {
        "name": f"projects/schoolbell-phones/messages/{received.message_id}"
    }
    assert (received.title, received.body) == ("Quiz 4", "Ada scored 92.")
    assert received.data == {"student": "42"}


def test_two_accepted_messages_have_different_names(gateways: Gateways) -> None:
    names = {answered(gateways.send_fcm(a_message()))["name"] for _ in range(2)}
    assert len(names) == 2


def test_names_in_camel_case_are_taken_too(gateways: Gateways) -> None:
    message = a_message(android={"collapseKey": "x", "notification": {"channelId": "grades"}})
    assert gateways.send_fcm(message | {"validateOnly": False}).status == 200


def test_a_field_that_is_null_counts_as_absent(gateways: Gateways) -> None:
    content = {"message": {"token": PHONE, "topic": None, "notification": {"title": "Hello"}}}
    assert gateways.send_fcm(content).status == 200


# --- what is shown --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        {"android": {"notification": {"tag": "quiz-4"}}},
        {"apns": {"headers": {"apns-collapse-id": "quiz-4"}}},
        {"webpush": {"notification": {"tag": "quiz-4"}}},
    ],
    ids=["tag", "collapse id", "web tag"],
)
def test_a_tag_or_a_collapse_id_replaces_what_is_shown_under_it(
    gateways: Gateways, key: dict
) -> None:
    gateways.send_fcm(a_message(**key))
    gateways.send_fcm(a_message(**key, notification={"title": "Quiz 4", "body": "Ada scored 95."}))
    [screen] = gateways.devices.screens()
    assert [received.body for received in screen.shown] == ["Ada scored 95."]


def test_a_collapse_key_replaces_nothing_that_is_shown(gateways: Gateways) -> None:
    for _ in range(2):
        gateways.send_fcm(a_message(android={"collapse_key": "quiz-4"}))
    assert gateways.devices.counts().shown == 2


def test_android_overrides_what_all_platforms_show(gateways: Gateways) -> None:
    gateways.send_fcm(
        a_message(
            data={"from_all": "1"},
            android={"notification": {"body": "For Android."}, "data": {"for_android": "1"}},
        )
    )
    [received] = gateways.devices.received().received
    assert (received.title, received.body) == ("Quiz 4", "For Android.")
    assert received.data == {"for_android": "1"}


def test_an_alert_for_apns_is_shown_when_there_is_no_other_notification(
    gateways: Gateways,
) -> None:
    payload = {"aps": {"alert": {"title": "Quiz 4", "body": "On iOS."}}}
    gateways.send_fcm(a_message(notification=None, apns={"payload": payload}))
    [received] = gateways.devices.received().received
    assert (received.title, received.body, received.visible) == ("Quiz 4", "On iOS.", True)


def test_a_message_of_data_alone_is_silent(gateways: Gateways) -> None:
    gateways.send_fcm(a_message(notification=None, data={"sync": "now"}))
    assert gateways.devices.counts().silent == 1


def test_a_message_to_a_topic_is_accepted_and_kept(gateways: Gateways) -> None:
    assert gateways.send_fcm(a_message(token=None, topic="news")).status == 200
    [received] = gateways.devices.received().received
    assert received.token == "/topics/news"


def test_a_message_to_a_condition_is_accepted_and_kept(gateways: Gateways) -> None:
    condition = "'news' in topics && !('sport' in topics)"
    assert gateways.send_fcm(a_message(token=None, condition=condition)).status == 200
    [received] = gateways.devices.received().received
    assert received.token == condition


def test_an_installation_id_is_a_target_like_a_token(gateways: Gateways) -> None:
    fid = "fid_22_characters_long"
    assert gateways.send_fcm(a_message(token=None, fid=fid)).status == 200
    assert gateways.devices.find("fcm", fid) is not None


def test_validate_only_is_answered_and_delivers_nothing(gateways: Gateways) -> None:
    answer = gateways.send_fcm(a_message() | {"validate_only": True})
    assert answered(answer)["name"].endswith("/messages/fake_message_id")
    assert gateways.devices.received().last == 0
    assert gateways.fcm.validated == 1


# --- what is wrong with the message ---------------------------------------------------------


def test_a_value_of_data_that_is_no_string_is_named_and_comes_without_an_fcm_code(
    gateways: Gateways,
) -> None:
    answer = gateways.send_fcm(a_message(data={"name": "Ada", "score": 92}))
    assert code_of(answer) == (400, "INVALID_ARGUMENT", None)
    assert field_of(answer) == "message.data[1].value"
    assert answered(answer)["error"]["message"] == (
        "Invalid value at 'message.data[1].value' (TYPE_STRING), 92"
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"notificaton": {}}, "message"),
        ({"android": {"notification": {"tags": "x"}}}, "message.android.notification"),
        ({"notification": {"title": 4}}, "message.notification.title"),
        ({"notification": "Hello"}, "message.notification"),
        ({"data": ["x"]}, "message.data"),
        ({"android": {"direct_boot_ok": "yes"}}, "message.android.direct_boot_ok"),
        ({"android": {"priority": "urgent"}}, "message.android.priority"),
        ({"android": {"ttl": 3600}}, "message.android.ttl"),
        ({"android": {"ttl": "3600"}}, "message.android.ttl"),
        ({"android": {"ttl": "-1s"}}, "message.android.ttl"),
        (
            {"android": {"notification": {"notification_count": True}}},
            "message.android.notification.notification_count",
        ),
        (
            {"android": {"notification": {"body_loc_args": [1]}}},
            "message.android.notification.body_loc_args",
        ),
        ({"apns": {"headers": {"apns-priority": 5}}}, "message.apns.headers[0].value"),
        ({"apns": {"payload": "x"}}, "message.apns.payload"),
        ({"topic": "news"}, "message"),
    ],
)
def test_json_that_does_not_fit_the_api_is_refused_with_the_field_alone(
    gateways: Gateways, change: dict, field: str
) -> None:
    answer = gateways.send_fcm(a_message(**change))
    assert code_of(answer) == (400, "INVALID_ARGUMENT", None)
    assert field_of(answer) == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"token": None}, "message"),
        ({"data": {"from": "x"}}, "message.data"),
        ({"data": {"message_type": "x"}}, "message.data"),
        ({"data": {"google.sent_time": "x"}}, "message.data"),
        ({"data": {"gcm.notification.title": "x"}}, "message.data"),
        ({"android": {"data": {"from": "x"}}}, "message.android.data"),
        ({"android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"android": {}, "android_v2": {}}, "message.android_v2"),
        ({"apns": {"headers": {"apns-collapse-id": "é" * 33}}}, "message.apns.headers"),
        ({"token": None, "topic": "not a topic"}, "message.topic"),
        ({"token": None, "condition": "news"}, "message.condition"),
        (
            {"token": None, "condition": " || ".join(["'news' in topics"] * 6)},
            "message.condition",
        ),
        ({"data": {"text": "x" * 4_096}}, "message"),
        ({"apns": {"payload": {"text": "x" * 4_096}}}, "message"),
        ({"webpush": {"notification": {"text": "x" * 4_096}}}, "message"),
    ],
)
def test_a_message_against_the_rules_of_fcm_is_refused_with_code_and_field(
    gateways: Gateways, change: dict, field: str
) -> None:
    answer = gateways.send_fcm(a_message(**change))
    assert code_of(answer) == (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert field_of(answer) == field


@pytest.mark.parametrize("key", ["fromage", "google", "collapse_key", "gcm"])
def test_a_key_that_only_resembles_a_reserved_one_is_taken(gateways: Gateways, key: str) -> None:
    assert gateways.send_fcm(a_message(data={key: "x"})).status == 200


def test_the_limit_counts_the_bytes_of_keys_and_values_not_characters(gateways: Gateways) -> None:
    def with_text(text: str) -> dict:
        return a_message(notification=None, data={"key": text})

    # 3 bytes of key and 2 for each é: 3 + 2 * 2,046 = 4,095.
    assert gateways.send_fcm(with_text("é" * 2_046)).status == 200
    assert gateways.send_fcm(with_text("é" * 2_046 + "x")).status == 200
    answer = gateways.send_fcm(with_text("é" * 2_047))
    assert answered(answer)["error"]["message"] == "Android message is too big"


def test_a_message_to_a_topic_may_be_half_as_long(gateways: Gateways) -> None:
    def to_topic(length: int) -> Answer:
        data = {"key": "x" * (length - 3)}
        return gateways.send_fcm(a_message(token=None, topic="t", notification=None, data=data))

    assert to_topic(2_048).status == 200
    assert to_topic(2_049).status == 400


@pytest.mark.parametrize("token", ["", "too-short", "with spaces in it, and long", "é" * 30])
def test_a_malformed_token_is_refused_without_a_field(gateways: Gateways, token: str) -> None:
    answer = gateways.send_fcm(a_message(token=token))
    assert code_of(answer) == (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert BAD_REQUEST not in details(answer)
    assert answered(answer)["error"]["message"] == (
        "The registration token is not a valid FCM registration token"
    )


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff", b"{}", b'{"message": 1}'])
def test_a_body_that_is_no_request_is_refused(gateways: Gateways, body: bytes) -> None:
    answer = gateways.send_fcm(None, body=body)
    assert (answer.status, answered(answer)["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_body_that_was_cut_is_refused_as_too_long(gateways: Gateways) -> None:
    body = msgspec.json.encode(a_message()).ljust(MAX_BODY_BYTES + 1)
    answer = gateways.send_fcm(None, body=body)
    assert "exceeds the limit" in answered(answer)["error"]["message"]


# --- who sends, and to whom -----------------------------------------------------------------


def test_an_uninstalled_phone_is_unregistered(gateways: Gateways) -> None:
    gateways.devices.uninstall("fcm", PHONE)
    answer = gateways.send_fcm(a_message())
    assert code_of(answer) == (404, "NOT_FOUND", "UNREGISTERED")
    assert gateways.devices.received().last == 0


def test_the_token_of_another_project_is_a_sender_id_mismatch(gateways: Gateways) -> None:
    gateways.devices.register("fcm", PHONE, "another-project")
    answer = gateways.send_fcm(a_message())
    assert code_of(answer) == (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH")


def test_a_phone_of_this_project_is_reached(gateways: Gateways) -> None:
    gateways.devices.register("fcm", PHONE, "schoolbell-phones")
    assert gateways.send_fcm(a_message()).status == 200


def test_strangers_can_be_turned_away(credentials: Credentials, clock: Clock) -> None:
    gateways = Gateways(credentials, clock, admit_strangers=False)
    assert code_of(gateways.send_fcm(a_message()))[2] == "INVALID_ARGUMENT"
    gateways.devices.register("fcm", PHONE)
    assert gateways.send_fcm(a_message()).status == 200


def test_validate_only_finds_an_uninstalled_phone_too(gateways: Gateways) -> None:
    gateways.devices.uninstall("fcm", PHONE)
    assert gateways.send_fcm(a_message() | {"validate_only": True}).status == 404


def test_an_access_token_expires_after_an_hour(gateways: Gateways, clock: Clock) -> None:
    clock.go(seconds=3_599)
    assert gateways.send_fcm(a_message()).status == 200
    clock.go(seconds=1)
    answer = gateways.send_fcm(a_message())
    assert code_of(answer) == (401, "UNAUTHENTICATED", None)
    assert details(answer)[ERROR_INFO]["reason"] == "ACCESS_TOKEN_EXPIRED"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "CREDENTIALS_MISSING"),
        ({"authorization": "Basic eHg6eHg="}, "CREDENTIALS_MISSING"),
        ({"authorization": "Bearer ya29.forged"}, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ({"authorization": "Bearer ya29.0.00.é"}, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ({"authorization": "Bearer key=legacy"}, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
    ],
)
def test_a_request_without_our_access_token_is_unauthenticated(
    gateways: Gateways, headers: dict[str, str], reason: str
) -> None:
    answer = gateways.send_fcm(a_message(), headers=headers)
    assert code_of(answer) == (401, "UNAUTHENTICATED", None)
    assert details(answer)[ERROR_INFO]["reason"] == reason


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/v1/projects/another-project/messages:send"},
        {"path": "/fcm/send"},
        {"path": "/"},
        {"method": "GET"},
    ],
)
def test_a_wrong_url_project_or_method_is_a_404_of_html(
    gateways: Gateways, change: dict[str, str]
) -> None:
    answer = gateways.send_fcm(a_message(), **change)
    assert answer.status == 404
    assert dict(answer.headers)["content-type"].startswith("text/html")
    assert b"Error 404 (Not Found)" in answer.body


def test_refusals_are_counted_by_code(gateways: Gateways) -> None:
    gateways.send_fcm(a_message(data={"from": "x"}))
    gateways.send_fcm(a_message(), headers={})
    gateways.devices.uninstall("fcm", PHONE)
    gateways.send_fcm(a_message())
    gateways.send_fcm(a_message())
    assert gateways.fcm.refused == {
        "INVALID_ARGUMENT": 1,
        "UNAUTHENTICATED": 1,
        "UNREGISTERED": 2,
    }


# --- how much ---------------------------------------------------------------------------------


def statuses(gateways: Gateways, count: int, **changes: object) -> list[int]:
    return [gateways.send_fcm(a_message(**changes)).status for _ in range(count)]


def test_over_the_quota_of_the_project_fcm_says_when_the_minute_ends(
    credentials: Credentials, clock: Clock
) -> None:
    gateways = Gateways(credentials, clock, a_minute=3)
    assert statuses(gateways, 1) == [200]
    clock.go(seconds=20)
    assert gateways.send_fcm({"message": {}}).status == 400  # counts as well
    assert statuses(gateways, 2) == [200, 429]
    answer = gateways.send_fcm(a_message())
    [code, failure] = answered(answer)["error"]["details"]
    assert code["errorCode"] == "QUOTA_EXCEEDED"
    assert failure["violations"][0]["subject"].startswith("project:")
    assert dict(answer.headers)["retry-after"] == "40"
    clock.go(seconds=40)
    assert statuses(gateways, 4) == [200, 200, 200, 429]


def test_over_the_quota_of_a_device_the_others_still_get_theirs(
    credentials: Credentials, clock: Clock
) -> None:
    gateways = Gateways(credentials, clock, a_minute_to_a_device=2)
    assert statuses(gateways, 3) == [200, 200, 429]
    [_, failure] = answered(gateways.send_fcm(a_message()))["error"]["details"]
    assert failure["violations"][0]["subject"].startswith("device:")
    assert statuses(gateways, 2, token=PHONE + "-other") == [200, 200]


def test_a_time_to_live_ends_how_long_a_phone_that_is_offline_can_be_waited_for(
    gateways: Gateways, clock: Clock
) -> None:
    gateways.devices.go_offline("fcm", PHONE)
    for ttl in ("0s", "60s", "3600.5s", None):
        gateways.send_fcm(a_message(android={"ttl": ttl} if ttl else None))
    assert gateways.devices.counts().kept == 3
    clock.go(minutes=1)
    gateways.devices.come_online("fcm", PHONE)
    assert gateways.devices.counts().stacked == 2
