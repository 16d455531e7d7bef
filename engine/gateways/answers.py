"""Answers: what each answer of a gateway means, as tables with a reason for each line.

The same status means "dead device", "our bug" or "our configuration", so nothing is judged by
the status alone. UNREGISTERED is said only for an explicit code of a dead token, because
retiring a device is the one thing that cannot be taken back. What is not known is never dead.
(facts: push 2.5 and 3.4, from Google's and Apple's documents; portal, Web Push, from RFC 8030)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from engine.gateways.http2.exchange import Answer, NoAnswer
from rules.outcomes import LONGEST_WISH, Verdict

ACCEPTED, UNREGISTERED, DEFERRED, REFUSED = Verdict

LONGEST_WAIT: Final = LONGEST_WISH.total_seconds()
NOT_LISTED: Final = "HOST_NOT_LISTED"
"""The push service that a browser names is none that may be sent to: nothing was sent."""
PROJECT_QUOTA: Final = "QUOTA_EXCEEDED"
LONGEST_ID: Final = 200  # characters; what a gateway says is not ours to trust


class _Named(msgspec.Struct):
    """What FCM says of a message that it accepted."""

    name: str


_named: Final = msgspec.json.Decoder(_Named)


class Meaning(msgspec.Struct, frozen=True):
    """What an answer means for its push.

    *retry_after* is what the gateway asked for, in seconds; None where it asked for nothing: how
    long to wait then is decided in `rules.outcomes`. *misconfigured*: our key, project or topic
    is wrong. *renew*: the access token was refused, so fetch another and send once more.
    *reconnect*: the connection is bound to another key.
    """

    verdict: Verdict
    reason: str = ""
    retry_after: float | None = None
    misconfigured: bool = False
    renew: bool = False
    reconnect: bool = False
    dead_since: datetime | None = None
    gateway_id: str = ""


def _ours(reason: str) -> Meaning:
    return Meaning(DEFERRED, reason, misconfigured=True)


FCM_SAYS: Final[Mapping[tuple[int, str], Meaning]] = {
    # our payload: the same bytes are never taken
    (400, "INVALID_ARGUMENT"): Meaning(REFUSED, "INVALID_ARGUMENT"),
    # malformed; also said of a good token with a bad field: believed while others are accepted
    (400, "INVALID_TOKEN"): Meaning(REFUSED, "INVALID_TOKEN"),
    # a dead iPhone behind FCM
    (400, "APNS_UNREGISTERED"): Meaning(UNREGISTERED, "APNS_UNREGISTERED"),
    # our OAuth token
    (401, ""): Meaning(DEFERRED, "ACCESS_TOKEN_REFUSED", renew=True),
    # the APNs or web-push key in the Firebase console
    (401, "THIRD_PARTY_AUTH_ERROR"): _ours("THIRD_PARTY_AUTH_ERROR"),
    # a token of another project: looks dead when in truth our project is wrong
    (403, "SENDER_ID_MISMATCH"): Meaning(REFUSED, "SENDER_ID_MISMATCH"),
    # the role is missing, or the API is switched off
    (403, ""): _ours("PERMISSION_DENIED"),
    # the app was removed, or the token has expired
    (404, "UNREGISTERED"): Meaning(UNREGISTERED, "UNREGISTERED"),
    # a wrong URL or project, often as HTML
    (404, ""): _ours("NOT_FOUND"),
    # the whole project sends too much
    (429, "QUOTA_EXCEEDED"): Meaning(DEFERRED, PROJECT_QUOTA),
    (429, ""): Meaning(DEFERRED, PROJECT_QUOTA),
    # this phone or topic alone
    (429, "DEVICE_QUOTA_EXCEEDED"): Meaning(DEFERRED, "DEVICE_QUOTA_EXCEEDED"),
    (500, "INTERNAL"): Meaning(DEFERRED, "INTERNAL"),
    (503, "UNAVAILABLE"): Meaning(DEFERRED, "UNAVAILABLE"),
}

_OUR_BUG: Final = (
    "MissingDeviceToken", "BadCollapseId", "BadExpirationDate", "BadMessageId", "BadPriority",
    "DuplicateHeaders", "InvalidPushType", "PayloadEmpty", "BadPath", "MethodNotAllowed",
    "PayloadTooLarge",
)  # fmt: skip
_OUR_CONFIGURATION: Final = (
    "BadTopic", "MissingTopic", "TopicDisallowed", "BadCertificate", "BadCertificateEnvironment",
    "Forbidden", "InvalidProviderToken", "MissingProviderToken", "BadEnvironmentKeyIdInToken",
    # we mint long before a token expires: only a wrong clock explains this
    "ExpiredProviderToken",
)  # fmt: skip
_APPLES_FAULT: Final = ("InternalServerError", "ServiceUnavailable", "Shutdown")

APNS_SAYS: Final[Mapping[str, Meaning]] = {
    "Unregistered": Meaning(UNREGISTERED, "Unregistered"),  # the app was removed
    "ExpiredToken": Meaning(UNREGISTERED, "ExpiredToken"),  # the token has expired
    # dead, or of the other environment: a wrong endpoint must not retire every iPhone
    "BadDeviceToken": Meaning(REFUSED, "BadDeviceToken"),
    "DeviceTokenNotForTopic": Meaning(REFUSED, "DeviceTokenNotForTopic"),
    **{reason: Meaning(REFUSED, reason) for reason in _OUR_BUG},
    **{reason: _ours(reason) for reason in _OUR_CONFIGURATION},
    "UnrelatedKeyIdInToken": Meaning(DEFERRED, "UnrelatedKeyIdInToken", reconnect=True),
    "TooManyRequests": Meaning(DEFERRED, "TooManyRequests"),  # to this phone
    "TooManyProviderTokenUpdates": Meaning(DEFERRED, "TooManyProviderTokenUpdates"),
    # the connection, not the push
    "IdleTimeout": Meaning(DEFERRED, "IdleTimeout", reconnect=True),
    **{reason: Meaning(DEFERRED, reason) for reason in _APPLES_FAULT},
}

# What follows is said by the status (RFC 8030); some services add words of their own.
_OTHER_KEY: Final = "another key"
_OTHER_KEY_SIGNS: Final = (
    b"do not correspond to the credentials",  # Google, with 403
    b"VapidPkHashMismatch",  # Apple, with 400
    b"VAPID public key mismatch",  # Mozilla, with 401
)
_BAD_VAPID: Final = "bad vapid"
_BAD_VAPID_SIGNS: Final = (b"UnauthorizedRegistration",)  # Google, with 400
_MISMATCH: Final = Meaning(REFUSED, "VAPID_KEY_MISMATCH")

WEB_PUSH_SAYS: Final[Mapping[tuple[int, str], Meaning]] = {
    # what we sent: a header, or a message that is no message
    (400, ""): Meaning(REFUSED, "BAD_REQUEST"),
    (400, _BAD_VAPID): _ours("VAPID_REFUSED"),
    # a browser that subscribed for another key than ours, or a key of ours that is not the one
    (400, _OTHER_KEY): _MISMATCH,
    (401, _OTHER_KEY): _MISMATCH,
    (403, _OTHER_KEY): _MISMATCH,
    # our signature, our contact or our clock
    (401, ""): _ours("VAPID_REFUSED"),
    (403, ""): _ours("VAPID_REFUSED"),
    # the subscription has ended: the browser was removed, its permission or its data withdrawn
    (404, ""): Meaning(UNREGISTERED, "SUBSCRIPTION_UNKNOWN"),
    (410, ""): Meaning(UNREGISTERED, "SUBSCRIPTION_GONE"),
    # Microsoft says 406 for what all others say 429 for
    (406, ""): Meaning(DEFERRED, "TOO_MANY_MESSAGES"),
    (429, ""): Meaning(DEFERRED, "TOO_MANY_MESSAGES"),
    (413, ""): Meaning(REFUSED, "MESSAGE_TOO_LARGE"),
}
TAKEN: Final = frozenset({200, 201, 202, 204})
"""RFC 8030: 201, or 202 where a receipt is asked for; services that are older say 200 or 204."""

# Who are you, you may not, there is no such page, not here, not by law (RFC 9110, RFC 7725): a new
# reason of the gateway's, or a proxy or filter on the way, but never a fault of one push.
_ABOUT_US: Final = frozenset({401, 403, 404, 407, 421, 451})
_TOO_SLOW: Final = 408

# accepted perhaps; who says so without the name of the message is perhaps not FCM
UNREADABLE: Final = Meaning(DEFERRED, "UNREADABLE_ANSWER")

NOT_ANSWERED: Final[Mapping[NoAnswer, Meaning]] = {
    NoAnswer.UNREACHABLE: Meaning(DEFERRED, "UNREACHABLE"),
    NoAnswer.UNTRUSTED: _ours("UNTRUSTED"),
    NoAnswer.NOT_HTTP2: _ours("NOT_HTTP2"),
    NoAnswer.BUSY: Meaning(DEFERRED, "BUSY"),
    # it may have arrived; the next try replaces it on the phone
    NoAnswer.TIMED_OUT: Meaning(DEFERRED, "TIMED_OUT"),
    NoAnswer.LOST: Meaning(DEFERRED, "CONNECTION_LOST"),
}


def of_fcm(answer: Answer | NoAnswer) -> Meaning:
    """What FCM's *answer* means."""
    if isinstance(answer, NoAnswer):
        return NOT_ANSWERED[answer]
    if answer.status == 200:
        return _accepted(answer.body)
    error = _json(answer.body).get("error")
    known = FCM_SAYS.get((answer.status, _fcm_code(error))) or FCM_SAYS.get((answer.status, ""))
    if known is None and isinstance(error, dict):
        known = _unknown(answer.status)
    return _with_wish(known or _of_a_stranger(answer.status), answer)


def of_apns(answer: Answer | NoAnswer) -> Meaning:
    """What APNs' *answer* means. A 410 says since when the token is dead."""
    if isinstance(answer, NoAnswer):
        return NOT_ANSWERED[answer]
    if answer.status == 200:
        return Meaning(ACCEPTED)
    body = _json(answer.body)
    known = APNS_SAYS.get(str(body.get("reason", ""))) or _unknown(answer.status)
    if known.verdict is UNREGISTERED:
        return _dead(known, body.get("timestamp"))
    return _with_wish(known, answer)


def of_web_push(answer: Answer | NoAnswer) -> Meaning:
    """What the *answer* of a push service means."""
    if isinstance(answer, NoAnswer):
        return NOT_ANSWERED[answer]
    if answer.status in TAKEN:
        return Meaning(ACCEPTED)
    said = (answer.status, _web_push_code(answer.body))
    known = WEB_PUSH_SAYS.get(said) or WEB_PUSH_SAYS.get((answer.status, ""))
    return _with_wish(known or _unknown(answer.status), answer)


def _web_push_code(body: bytes) -> str:
    if any(sign in body for sign in _OTHER_KEY_SIGNS):
        return _OTHER_KEY
    return _BAD_VAPID if any(sign in body for sign in _BAD_VAPID_SIGNS) else ""


def _accepted(body: bytes) -> Meaning:
    try:
        name = _named.decode(body).name
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNREADABLE
    return Meaning(ACCEPTED, gateway_id=name.rpartition("/")[2][:LONGEST_ID])


def _dead(known: Meaning, timestamp: object) -> Meaning:
    """Dead since a moment; a phone that registered later lives, so without one nothing is dead."""
    try:
        since = datetime.fromtimestamp(float(str(timestamp)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return Meaning(REFUSED, known.reason)
    return Meaning(known.verdict, known.reason, dead_since=since)


def _unknown(status: int) -> Meaning:
    """An answer that is in no table: never a dead token."""
    if status >= 500 or status == _TOO_SLOW:
        return Meaning(DEFERRED, f"HTTP_{status}")
    if status == 429:
        return Meaning(DEFERRED, "HTTP_429")
    if status < 400 or status in _ABOUT_US:
        return _ours(f"HTTP_{status}")
    return Meaning(REFUSED, f"HTTP_{status}")


def _of_a_stranger(status: int) -> Meaning:
    """The answer of somebody who does not speak as FCM does: a proxy, or a filter's page.

    (APNs is not asked for this: its path and headers hold what a district wrote, so that its own
    front door may refuse a single push in few words.)
    """
    known = _unknown(status)
    return _ours(known.reason) if known.verdict is REFUSED else known


def _with_wish(known: Meaning, answer: Answer) -> Meaning:
    """What is *known*, with the time that the gateway asked us to wait, within reason."""
    if known.verdict is not DEFERRED or answer.retry_after is None:
        return known
    return msgspec.structs.replace(known, retry_after=float(min(answer.retry_after, LONGEST_WAIT)))


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _fcm_code(error: object) -> str:
    """FcmError's code, told apart further by what else the details say."""
    if not isinstance(error, dict):
        return ""
    details = [one for one in _list(error.get("details")) if isinstance(one, dict)]
    code = next((str(one.get("errorCode")) for one in details if _is(one, "FcmError")), "")
    if _is_dead_iphone(details):
        return "APNS_UNREGISTERED"
    if code == "INVALID_ARGUMENT" and "registration token" in str(error.get("message", "")):
        return "INVALID_TOKEN"
    if code == "QUOTA_EXCEEDED" and _is_of_one_device(details):
        return "DEVICE_QUOTA_EXCEEDED"
    return code


def _is_dead_iphone(details: list[dict[str, Any]]) -> bool:
    return any(
        _is(one, "ApnsError")
        and (one.get("statusCode") == 410 or one.get("reason") in ("Unregistered", "ExpiredToken"))
        for one in details
    )


def _is_of_one_device(details: list[dict[str, Any]]) -> bool:
    """Whether every quota that was exceeded is that of a device or a topic."""
    violations = [
        str(violation).lower()
        for one in details
        if _is(one, "QuotaFailure")
        for violation in _list(one.get("violations"))
    ]
    return bool(violations) and all("device" in words or "topic" in words for words in violations)


def _is(detail: dict[str, Any], kind: str) -> bool:
    return str(detail.get("@type", "")).endswith(f".{kind}")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
