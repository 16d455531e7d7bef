"""What each answer means: every row of the tables of the gateways, and what is in none."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gateways.answers import (
    APNS_SAYS,
    FCM_SAYS,
    LONGEST_WAIT,
    NOT_ANSWERED,
    WEB_PUSH_SAYS,
    Meaning,
    of_apns,
    of_fcm,
    of_web_push,
)
from engine.gateways.http2.exchange import Answer, NoAnswer
from rules.outcomes import SOONEST, Said, Verdict, fate
from tests.builders import NOW

HTML = b"<!DOCTYPE html><html><title>Error 502 (Server Error)!!1</title></html>"
DEAD_CODES = {
    *("UNREGISTERED", "APNS_UNREGISTERED", "Unregistered", "ExpiredToken"),
    *("SUBSCRIPTION_UNKNOWN", "SUBSCRIPTION_GONE"),
}


def fcm(
    status: int, *details: dict[str, Any], message: str = "", wait: int | None = None
) -> Meaning:
    """What FCM means by a refusal with these details."""
    error = {"code": status, "message": message, "status": "ANY", "details": list(details)}
    return of_fcm(Answer(status, json.dumps({"error": error}).encode(), wait))


def fcm_error(code: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}


def apns_error(status: int, reason: str) -> dict[str, Any]:
    kind = "type.googleapis.com/google.firebase.fcm.v1.ApnsError"
    return {"@type": kind, "statusCode": status, "reason": reason}


def error_info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}


def violation(field: str) -> dict[str, Any]:
    kind = "type.googleapis.com/google.rpc.BadRequest"
    return {"@type": kind, "fieldViolations": [{"field": field, "description": "wrong"}]}


def quota_failure(subject: str, description: str) -> dict[str, Any]:
    kind = "type.googleapis.com/google.rpc.QuotaFailure"
    return {"@type": kind, "violations": [{"subject": subject, "description": description}]}


def apns(status: int, reason: str, wait: int | None = None, **more: object) -> Meaning:
    """What APNs means by a refusal with this reason."""
    return of_apns(Answer(status, json.dumps({"reason": reason, **more}).encode(), wait))


# --- FCM (facts: push 2.5) ------------------------------------------------------------------


def test_fcm_accepts_with_the_name_of_the_message() -> None:
    meaning = of_fcm(Answer(200, b'{"name":"projects/p/messages/0:17%31bd"}'))
    assert meaning == Meaning(Verdict.ACCEPTED, gateway_id="0:17%31bd")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"name":', b'{"name":7}', b"[]", HTML])
def test_a_200_without_the_name_of_a_message_is_not_taken_for_granted(body: bytes) -> None:
    meaning = of_fcm(Answer(200, body))
    assert (meaning.verdict, meaning.reason) == (Verdict.DEFERRED, "UNREADABLE_ANSWER")


TOO_BIG = "Android message is too big"
MALFORMED = "The registration token is not a valid FCM registration token"
DISABLED = "APNs device token is disabled."

FCM_ROWS = {
    "our payload": (
        fcm(400, fcm_error("INVALID_ARGUMENT"), violation("message"), message=TOO_BIG),
        Meaning(Verdict.REFUSED, "INVALID_ARGUMENT"),
    ),
    "our JSON": (
        fcm(400, violation("message.data[0].value")),
        Meaning(Verdict.REFUSED, "HTTP_400"),
    ),
    "a malformed token": (
        fcm(400, fcm_error("INVALID_ARGUMENT"), message=MALFORMED),
        Meaning(Verdict.REFUSED, "INVALID_TOKEN"),
    ),
    "a dead iPhone": (
        fcm(400, fcm_error("INVALID_ARGUMENT"), apns_error(410, "Unregistered"), message=DISABLED),
        Meaning(Verdict.UNREGISTERED, "APNS_UNREGISTERED"),
    ),
    "our access token": (
        fcm(401, error_info("ACCESS_TOKEN_EXPIRED")),
        Meaning(Verdict.DEFERRED, "ACCESS_TOKEN_REFUSED", renew=True),
    ),
    "the APNs key in Firebase": (
        fcm(401, fcm_error("THIRD_PARTY_AUTH_ERROR"), apns_error(403, "InvalidProviderToken")),
        Meaning(Verdict.DEFERRED, "THIRD_PARTY_AUTH_ERROR", misconfigured=True),
    ),
    "a token of another project": (
        fcm(403, fcm_error("SENDER_ID_MISMATCH")),
        Meaning(Verdict.REFUSED, "SENDER_ID_MISMATCH"),
    ),
    "a missing role": (
        fcm(403, error_info("IAM_PERMISSION_DENIED")),
        Meaning(Verdict.DEFERRED, "PERMISSION_DENIED", misconfigured=True),
    ),
    "uninstalled": (
        fcm(404, fcm_error("UNREGISTERED")),
        Meaning(Verdict.UNREGISTERED, "UNREGISTERED"),
    ),
    "a wrong project": (
        fcm(404),
        Meaning(Verdict.DEFERRED, "NOT_FOUND", misconfigured=True),
    ),
    "a wrong URL": (
        of_fcm(Answer(404, HTML)),
        Meaning(Verdict.DEFERRED, "NOT_FOUND", misconfigured=True),
    ),
    "over quota": (
        fcm(429, fcm_error("QUOTA_EXCEEDED")),
        Meaning(Verdict.DEFERRED, "QUOTA_EXCEEDED"),
    ),
    "too much for one phone": (
        fcm(429, fcm_error("QUOTA_EXCEEDED"), quota_failure("device:dEv", "Device rate exceeded")),
        Meaning(Verdict.DEFERRED, "DEVICE_QUOTA_EXCEEDED"),
    ),
    "too much for a phone and for the project": (
        fcm(
            429,
            fcm_error("QUOTA_EXCEEDED"),
            quota_failure("device:dEv", "Device rate exceeded"),
            quota_failure("project:p", "Quota of messages per minute exceeded"),
        ),
        Meaning(Verdict.DEFERRED, "QUOTA_EXCEEDED"),
    ),
    "overload without a code": (
        of_fcm(Answer(429, HTML)),
        Meaning(Verdict.DEFERRED, "QUOTA_EXCEEDED"),
    ),
    "internal": (
        fcm(500, fcm_error("INTERNAL")),
        Meaning(Verdict.DEFERRED, "INTERNAL"),
    ),
    "unavailable": (
        fcm(503, fcm_error("UNAVAILABLE")),
        Meaning(Verdict.DEFERRED, "UNAVAILABLE"),
    ),
    "a proxy's 502": (
        of_fcm(Answer(502, HTML)),
        Meaning(Verdict.DEFERRED, "HTTP_502"),
    ),
    "a proxy's 504": (
        of_fcm(Answer(504, HTML)),
        Meaning(Verdict.DEFERRED, "HTTP_504"),
    ),
    "a filter's page": (
        of_fcm(Answer(403, HTML)),
        Meaning(Verdict.DEFERRED, "PERMISSION_DENIED", misconfigured=True),
    ),
    "a filter's page with a status of its own": (
        of_fcm(Answer(400, HTML)),
        Meaning(Verdict.DEFERRED, "HTTP_400", misconfigured=True),
    ),
    "a proxy that wants to know who we are": (
        of_fcm(Answer(407, HTML)),
        Meaning(Verdict.DEFERRED, "HTTP_407", misconfigured=True),
    ),
    "a proxy's patience": (
        of_fcm(Answer(408, HTML)),
        Meaning(Verdict.DEFERRED, "HTTP_408"),
    ),
    "a new reason to refuse our key": (
        fcm(401, fcm_error("A_CODE_OF_2030")),
        Meaning(Verdict.DEFERRED, "ACCESS_TOKEN_REFUSED", renew=True),
    ),
    "a new reason to refuse our project": (
        fcm(403, fcm_error("A_CODE_OF_2030")),
        Meaning(Verdict.DEFERRED, "PERMISSION_DENIED", misconfigured=True),
    ),
    "a new kind of refusal": (
        fcm(400, fcm_error("A_CODE_OF_2030")),
        Meaning(Verdict.REFUSED, "HTTP_400"),
    ),
    "a redirection": (
        of_fcm(Answer(302, HTML)),
        Meaning(Verdict.DEFERRED, "HTTP_302", misconfigured=True),
    ),
}


@pytest.mark.parametrize("row", FCM_ROWS)
def test_what_fcm_says_means(row: str) -> None:
    found, expected = FCM_ROWS[row]
    assert found == expected


def test_an_error_code_counts_only_in_the_detail_that_is_fcms() -> None:
    elsewhere = {"@type": "type.googleapis.com/some.Other", "errorCode": "UNREGISTERED"}
    assert fcm(404, elsewhere).verdict is Verdict.DEFERRED


@pytest.mark.parametrize(
    ("said", "waits"),
    [(30, 30), (1, 1), (99_999, LONGEST_WAIT), (None, None)],
    ids=["as told", "soon", "absurd", "not told"],
)
def test_a_wait_is_the_one_that_fcm_asks_for_within_reason(
    said: int | None, waits: float | None
) -> None:
    assert fcm(429, fcm_error("QUOTA_EXCEEDED"), wait=said).retry_after == waits


# --- APNs (facts: push 3.4) -----------------------------------------------------------------


def test_apns_accepts_without_a_body() -> None:
    assert of_apns(Answer(200)) == Meaning(Verdict.ACCEPTED)


@pytest.mark.parametrize("reason", ["Unregistered", "ExpiredToken"])
def test_apns_says_since_when_a_token_is_dead(reason: str) -> None:
    since = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
    meaning = apns(410, reason, timestamp=int(since.timestamp() * 1_000))
    assert meaning == Meaning(Verdict.UNREGISTERED, reason, dead_since=since)


@pytest.mark.parametrize("timestamp", [None, "soon", 10**30, -(10**30), [], {}, "NaN", "inf"])
def test_without_a_readable_moment_of_death_a_device_is_kept(timestamp: object) -> None:
    assert apns(410, "Unregistered", timestamp=timestamp).verdict is Verdict.REFUSED


APNS_ROWS: dict[tuple[int, str], Meaning] = {
    **{
        (400, reason): Meaning(Verdict.REFUSED, reason)
        for reason in (
            "BadDeviceToken",
            "DeviceTokenNotForTopic",
            "MissingDeviceToken",
            "BadCollapseId",
            "BadExpirationDate",
            "BadMessageId",
            "BadPriority",
            "DuplicateHeaders",
            "InvalidPushType",
            "PayloadEmpty",
        )
    },
    (404, "BadPath"): Meaning(Verdict.REFUSED, "BadPath"),
    (405, "MethodNotAllowed"): Meaning(Verdict.REFUSED, "MethodNotAllowed"),
    (413, "PayloadTooLarge"): Meaning(Verdict.REFUSED, "PayloadTooLarge"),
    **{
        (status, reason): Meaning(Verdict.DEFERRED, reason, misconfigured=True)
        for status, reason in (
            (400, "BadTopic"),
            (400, "MissingTopic"),
            (400, "TopicDisallowed"),
            (403, "BadCertificate"),
            (403, "BadCertificateEnvironment"),
            (403, "Forbidden"),
            (403, "InvalidProviderToken"),
            (403, "MissingProviderToken"),
            (403, "BadEnvironmentKeyIdInToken"),
            (403, "ExpiredProviderToken"),
        )
    },
    (403, "UnrelatedKeyIdInToken"): Meaning(
        Verdict.DEFERRED, "UnrelatedKeyIdInToken", reconnect=True
    ),
    (400, "IdleTimeout"): Meaning(Verdict.DEFERRED, "IdleTimeout", reconnect=True),
    (429, "TooManyRequests"): Meaning(Verdict.DEFERRED, "TooManyRequests"),
    (429, "TooManyProviderTokenUpdates"): Meaning(Verdict.DEFERRED, "TooManyProviderTokenUpdates"),
    (500, "InternalServerError"): Meaning(Verdict.DEFERRED, "InternalServerError"),
    (503, "ServiceUnavailable"): Meaning(Verdict.DEFERRED, "ServiceUnavailable"),
    (503, "Shutdown"): Meaning(Verdict.DEFERRED, "Shutdown"),
    (502, "A reason of 2030"): Meaning(Verdict.DEFERRED, "HTTP_502"),
    (429, "A reason of 2030"): Meaning(Verdict.DEFERRED, "HTTP_429"),
    (418, "A reason of 2030"): Meaning(Verdict.REFUSED, "HTTP_418"),
    (410, "A reason of 2030"): Meaning(Verdict.REFUSED, "HTTP_410"),
    (400, ""): Meaning(Verdict.REFUSED, "HTTP_400"),
    (408, ""): Meaning(Verdict.DEFERRED, "HTTP_408"),
    **{
        (status, reason): Meaning(Verdict.DEFERRED, f"HTTP_{status}", misconfigured=True)
        for status in (301, 401, 403, 404, 407, 421, 451)
        for reason in ("", "A reason of 2030")
    },
}


@pytest.mark.parametrize(("status", "reason"), APNS_ROWS)
def test_what_apns_says_means(status: int, reason: str) -> None:
    assert apns(status, reason) == APNS_ROWS[status, reason]


def test_every_reason_in_the_table_of_apns_was_asked_here() -> None:
    asked = {reason for _, reason in APNS_ROWS} | {"Unregistered", "ExpiredToken"}
    assert set(APNS_SAYS) <= asked


def test_a_wait_is_the_one_that_apns_asks_for() -> None:
    assert apns(503, "ServiceUnavailable", wait=5).retry_after == 5
    assert apns(503, "ServiceUnavailable", wait=2_000).retry_after == 2_000


# --- Web Push (facts: portal) ---------------------------------------------------------------

GOOGLE = (
    b"the VAPID credentials in the authorization header do not correspond to the credentials used "
    b"to create the subscriptions."
)
MOZILLA = b'{"code":401,"errno":109,"error":"Unauthorized","message":"VAPID public key mismatch"}'
REGISTRATION = b"<HTML>\n<HEAD>\n<TITLE>UnauthorizedRegistration</TITLE>\n</HEAD></HTML>"
OTHER_KEY = Meaning(Verdict.REFUSED, "VAPID_KEY_MISMATCH")
OURS = Meaning(Verdict.DEFERRED, "VAPID_REFUSED", misconfigured=True)

WEB_PUSH_ROWS: dict[tuple[int, bytes], Meaning] = {
    **{(status, b""): Meaning(Verdict.ACCEPTED) for status in (200, 201, 202, 204)},
    (400, b""): Meaning(Verdict.REFUSED, "BAD_REQUEST"),
    (400, b'{"reason":"BadWebPushTopic"}'): Meaning(Verdict.REFUSED, "BAD_REQUEST"),
    (400, b'{"reason":"VapidPkHashMismatch"}'): OTHER_KEY,
    (400, REGISTRATION): OURS,
    (401, b""): OURS,
    (401, MOZILLA): OTHER_KEY,
    (403, b'{"reason":"BadJwtToken"}'): OURS,
    (403, GOOGLE): OTHER_KEY,
    (404, HTML): Meaning(Verdict.UNREGISTERED, "SUBSCRIPTION_UNKNOWN"),
    (406, b""): Meaning(Verdict.DEFERRED, "TOO_MANY_MESSAGES"),
    (410, b""): Meaning(Verdict.UNREGISTERED, "SUBSCRIPTION_GONE"),
    (413, b""): Meaning(Verdict.REFUSED, "MESSAGE_TOO_LARGE"),
    (429, b""): Meaning(Verdict.DEFERRED, "TOO_MANY_MESSAGES"),
    (500, b""): Meaning(Verdict.DEFERRED, "HTTP_500"),
    (503, GOOGLE): Meaning(Verdict.DEFERRED, "HTTP_503"),
    (408, b""): Meaning(Verdict.DEFERRED, "HTTP_408"),
    (418, b""): Meaning(Verdict.REFUSED, "HTTP_418"),
    **{
        (status, b""): Meaning(Verdict.DEFERRED, f"HTTP_{status}", misconfigured=True)
        for status in (203, 301, 307, 407, 421, 451)
    },
}


@pytest.mark.parametrize(("status", "body"), WEB_PUSH_ROWS)
def test_what_a_push_service_says_means(status: int, body: bytes) -> None:
    assert of_web_push(Answer(status, body)) == WEB_PUSH_ROWS[status, body]


def test_every_answer_in_the_table_of_web_push_was_asked_here() -> None:
    asked = {(status, meaning) for (status, _), meaning in WEB_PUSH_ROWS.items()}
    assert {(status, meaning) for (status, _), meaning in WEB_PUSH_SAYS.items()} <= asked


def test_a_wait_is_the_one_that_a_push_service_asks_for() -> None:
    assert of_web_push(Answer(429, b"", 30)).retry_after == 30
    assert of_web_push(Answer(503, b"", 10**9)).retry_after == LONGEST_WAIT
    assert of_web_push(Answer(410, b"", 30)).retry_after is None


# --- none of them --------------------------------------------------------------------------------


def test_every_kind_of_silence_is_deferred_and_told_apart() -> None:
    assert set(NOT_ANSWERED) == set(NoAnswer)
    for read in (of_fcm, of_apns, of_web_push):
        meanings = [read(silence) for silence in NoAnswer]
        assert {meaning.verdict for meaning in meanings} == {Verdict.DEFERRED}
        assert len({meaning.reason for meaning in meanings}) == len(meanings)


@pytest.mark.parametrize("silence", [NoAnswer.TIMED_OUT, NoAnswer.LOST])
def test_what_may_have_arrived_is_not_sent_again_at_once(silence: NoAnswer) -> None:
    meaning = of_fcm(silence)
    said = Said(meaning.verdict, meaning.reason, "fcm")
    retry_at = fate(said, 1, NOW, NOW, NOW + timedelta(days=1), jitter=0).retry_at
    assert retry_at is not None
    assert retry_at >= NOW + SOONEST


@pytest.mark.parametrize("silence", [NoAnswer.UNTRUSTED, NoAnswer.NOT_HTTP2])
def test_a_peer_that_is_not_the_gateway_is_our_configuration(silence: NoAnswer) -> None:
    assert of_apns(silence).misconfigured


bodies = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "error",
                        "details",
                        "@type",
                        "errorCode",
                        "reason",
                        "timestamp",
                        "message",
                        "name",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(lambda content: json.dumps(content).encode()),
)
statuses = st.integers(min_value=100, max_value=599)


@given(status=statuses, body=bodies, wait=st.none() | st.integers(min_value=1))
def test_no_answer_whatsoever_breaks_the_reading(
    status: int, body: bytes, wait: int | None
) -> None:
    for read in (of_fcm, of_apns, of_web_push):
        meaning = read(Answer(status, body, wait))
        assert meaning.verdict is not Verdict.UNREGISTERED or meaning.reason in DEAD_CODES
        assert meaning.retry_after is None or 0 < meaning.retry_after <= LONGEST_WAIT


@given(status=statuses, body=bodies)
def test_a_reason_is_a_code_of_ours_and_never_the_gateways_words(status: int, body: bytes) -> None:
    known = {code for _, code in FCM_SAYS} | {meaning.reason for meaning in FCM_SAYS.values()}
    known |= {meaning.reason for meaning in WEB_PUSH_SAYS.values()}
    known |= {meaning.reason for meaning in APNS_SAYS.values()} | {"", "UNREADABLE_ANSWER"}
    for read in (of_fcm, of_apns, of_web_push):
        reason = read(Answer(status, body)).reason
        assert reason in known or reason == f"HTTP_{status}"
