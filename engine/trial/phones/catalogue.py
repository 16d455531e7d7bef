"""The closed catalogue of faults: what each does, and one sentence on what it stands for.

FCM's are named after its error codes, APNs' after its reasons, as in Google's and Apple's
documents (facts: push 2.5 and 3.4), those of Web Push after what they are, or after the word of one
push service. Those of the connection are the same at every gateway, and are each one that broke a
client somewhere (facts: push 5.1 and 7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

import msgspec

from engine.trial.phones.apns_message import STATUS
from engine.trial.phones.exchange import (
    HTML_TYPE,
    Answer,
    Cut,
    Goodbye,
    Reply,
    Silence,
    StreamReset,
    json_answer,
)
from engine.trial.phones.fault import BadFault, Fault, FaultyGateway, nearest
from engine.trial.phones.fcm_message import INVALID_TOKEN
from engine.trial.phones.google import (
    BAD_GATEWAY,
    NOT_FOUND,
    apns_error,
    bad_request,
    error,
    error_info,
    fcm_error,
    quota_failure,
)

DEFAULT_DELAY: Final = 5.0
"""Seconds that a slow answer takes when nobody says how many."""

INVALID_FIELD: Final = "Invalid value at 'message.data[0].value' (TYPE_STRING), 42"
EXPIRED: Final = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
    "or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)


@dataclass(frozen=True, slots=True)
class Instead:
    """The request is not taken; *reply* is what happens in its place, at that moment.

    *takes* names the parameters of a Fault that matter to it.
    """

    sentence: str
    reply: Callable[[Fault, datetime], Reply]
    takes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Afterwards:
    """The request is taken and its phone rings; *reply* is what becomes of the answer."""

    sentence: str
    reply: Callable[[Fault, Answer], Reply]
    takes: frozenset[str] = frozenset()


Trouble = Instead | Afterwards

RETRY_AFTER: Final = frozenset({"retry_after"})
TIMESTAMP: Final = frozenset({"timestamp"})
DELAY: Final = frozenset({"delay"})


# --- how they answer ------------------------------------------------------------------------


def _always(sentence: str, reply: Reply) -> Instead:
    def same(fault: Fault, now: datetime) -> Reply:
        del fault, now
        return reply

    return Instead(sentence, same)


def _unheard(sentence: str, reply: Reply) -> Afterwards:
    """The request is taken, and its sender does not hear so."""

    def same(fault: Fault, answer: Answer) -> Reply:
        del fault, answer
        return reply

    return Afterwards(sentence, same)


def _wishing(sentence: str, answer: Answer) -> Instead:
    """An answer that carries Retry-After when the fault says so."""

    def reply(fault: Fault, now: datetime) -> Answer:
        if fault.retry_after is None:
            return answer
        header = ("retry-after", _retry_after(fault.retry_after, now))
        return replace(answer, headers=(*answer.headers, header))

    return Instead(sentence, reply, RETRY_AFTER)


def _retry_after(wish: str, now: datetime) -> str:
    seconds = wish.removeprefix("date:")
    if seconds == wish or not seconds.isdecimal():
        return wish
    return format_datetime(now.astimezone(UTC) + timedelta(seconds=int(seconds)), usegmt=True)


def _reason(reason: str, sentence: str) -> Instead:
    """A refusal of APNs, by its reason."""
    return _wishing(sentence, json_answer(STATUS[reason], {"reason": reason}))


def _dead(reason: str, sentence: str) -> Instead:
    """A refusal of APNs that says since when the token is dead."""

    def reply(fault: Fault, now: datetime) -> Answer:
        since = int(now.timestamp() * 1_000) if fault.timestamp is None else fault.timestamp
        return json_answer(STATUS[reason], {"reason": reason, "timestamp": since})

    return Instead(sentence, reply, TIMESTAMP)


def _late(fault: Fault, answer: Answer) -> Reply:
    return replace(answer, after=DEFAULT_DELAY if fault.delay is None else fault.delay)


def _torn(fault: Fault, answer: Answer) -> Reply:
    del fault
    return Cut(begun=answer)


def _half_a_body(fault: Fault, answer: Answer) -> Reply:
    del fault
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _of_the_connection(goodbye: bytes) -> Mapping[str, Trouble]:
    """What can befall any request, with the GOAWAY of this server."""
    return {
        "slow": Afterwards("Taken, and answered only after delay seconds (5).", _late, DELAY),
        "silence": _always("Neither taken nor answered: the stream stays open.", Silence()),
        "answer_lost": _unheard("Taken, and never answered: the stream stays open.", Silence()),
        "refused_stream": _always(
            "RST_STREAM with REFUSED_STREAM: not looked at, safe to send again.",
            StreamReset(refused=True),
        ),
        "reset_before": _always(
            "RST_STREAM with INTERNAL_ERROR, and the request was not taken.", StreamReset()
        ),
        "reset_after": _unheard(
            "RST_STREAM with INTERNAL_ERROR, and the request was taken.", StreamReset()
        ),
        "cut_before": _always("The TCP connection is reset, and the request was not taken.", Cut()),
        "cut_after": _unheard("The TCP connection is reset, and the request was taken.", Cut()),
        "half_answer": Afterwards("Taken; the connection ends in the middle of the answer.", _torn),
        "goaway": _always(
            "GOAWAY whose last id is below this stream: it and later ones were not taken, "
            "earlier ones are answered.",
            Goodbye(goodbye),
        ),
    }


# --- the catalogue --------------------------------------------------------------------------

_FCM: Final[Mapping[str, Trouble]] = {
    "UNREGISTERED": _always(
        "404: the app was removed, or the token has expired.",
        error(404, "Requested entity was not found.", fcm_error("UNREGISTERED")),
    ),
    "INVALID_ARGUMENT": _always(
        "400 with fieldViolations: a field of the message is wrong.",
        error(
            400,
            INVALID_FIELD,
            fcm_error("INVALID_ARGUMENT"),
            bad_request("message.data[0].value", INVALID_FIELD),
        ),
    ),
    "INVALID_TOKEN": _always(
        "400 INVALID_ARGUMENT: the token is malformed.",
        error(400, INVALID_TOKEN.description, fcm_error("INVALID_ARGUMENT")),
    ),
    "APNS_UNREGISTERED": _always(
        "400 INVALID_ARGUMENT with ApnsError 410: a dead iPhone behind FCM.",
        error(
            400,
            "APNs device token is disabled.",
            fcm_error("INVALID_ARGUMENT"),
            apns_error(410, "Unregistered"),
        ),
    ),
    "ACCESS_TOKEN_EXPIRED": _always(
        "401 without FcmError: the access token of the request has expired.",
        error(401, EXPIRED, error_info("ACCESS_TOKEN_EXPIRED")),
    ),
    "THIRD_PARTY_AUTH_ERROR": _always(
        "401 with ApnsError 403: the APNs key in the Firebase project is wrong.",
        error(
            401,
            "Auth error from APNS or Web Push Service",
            fcm_error("THIRD_PARTY_AUTH_ERROR"),
            apns_error(403, "InvalidProviderToken"),
        ),
    ),
    "SENDER_ID_MISMATCH": _always(
        "403: the token belongs to another project.",
        error(403, "SenderId mismatch", fcm_error("SENDER_ID_MISMATCH")),
    ),
    "PERMISSION_DENIED": _always(
        "403 without FcmError: the account lacks the role, or the API is disabled.",
        error(
            403,
            "Permission 'cloudmessaging.messages.create' denied on resource (or it may not exist).",
            error_info("IAM_PERMISSION_DENIED"),
        ),
    ),
    "html_404": _always("404 as an HTML page: a wrong URL or project.", NOT_FOUND),
    "QUOTA_EXCEEDED": _wishing(
        "429 with QuotaFailure: the project sends too much.",
        error(
            429,
            "Quota exceeded for quota metric 'Send requests' and limit 'Send requests per minute' "
            "of service 'fcm.googleapis.com'.",
            fcm_error("QUOTA_EXCEEDED"),
            quota_failure("project:schoolbell-phones", "Send requests per minute"),
        ),
    ),
    "DEVICE_QUOTA_EXCEEDED": _wishing(
        "429 QUOTA_EXCEEDED with QuotaFailure: too much to this one device.",
        error(
            429,
            "Device message rate exceeded.",
            fcm_error("QUOTA_EXCEEDED"),
            quota_failure("device", "Message rate for this device"),
        ),
    ),
    "INTERNAL": _wishing(
        "500: an unknown error of FCM.",
        error(500, "Internal error encountered.", fcm_error("INTERNAL")),
    ),
    "html_502": _wishing("502 as an HTML page: a front end without a back end.", BAD_GATEWAY),
    "UNAVAILABLE": _wishing(
        "503: FCM is overloaded.",
        error(503, "The service is currently unavailable.", fcm_error("UNAVAILABLE")),
    ),
    "truncated": Afterwards("Taken; the JSON of the answer ends in the middle.", _half_a_body),
    **_of_the_connection(b"exceeded_max_concurrent_streams"),
}

_APNS: Final[Mapping[str, Trouble]] = {
    "Unregistered": _dead("Unregistered", "410 with timestamp: the app was removed."),
    "ExpiredToken": _dead("ExpiredToken", "410 with timestamp: the token has expired."),
    **{
        reason: _reason(reason, sentence)
        for reason, sentence in {
            "BadDeviceToken": "400: the token is dead, or of the other environment.",
            "DeviceTokenNotForTopic": "400: the token belongs to another app.",
            "BadCollapseId": "400: the collapse id is too long.",
            "BadExpirationDate": "400: apns-expiration is no time.",
            "BadMessageId": "400: apns-id is no UUID.",
            "BadPriority": "400: apns-priority is not one of the push type.",
            "BadTopic": "400: the topic is malformed.",
            "DuplicateHeaders": "400: a header comes twice.",
            "IdleTimeout": "400: the connection was idle for too long.",
            "InvalidPushType": "400: there is no such push type.",
            "MissingDeviceToken": "400: the path has no token.",
            "MissingTopic": "400: apns-topic is missing.",
            "PayloadEmpty": "400: there is no payload.",
            "TopicDisallowed": "400: pushes to this topic are not allowed.",
            "BadCertificate": "403: the client certificate is wrong.",
            "BadCertificateEnvironment": "403: a certificate of the other environment.",
            "BadEnvironmentKeyIdInToken": "403: the key is for the other environment.",
            "ExpiredProviderToken": "403: the provider token is too old, or a clock is wrong.",
            "Forbidden": "403: this action is not allowed.",
            "InvalidProviderToken": "403: the provider token cannot be verified.",
            "MissingProviderToken": "403: there is no provider token.",
            "UnrelatedKeyIdInToken": "403: the connection is bound to another key.",
            "BadPath": "404: the path is wrong.",
            "MethodNotAllowed": "405: the method is not POST.",
            "PayloadTooLarge": "413: the payload is above 4,096 bytes.",
            "TooManyProviderTokenUpdates": "429: the provider token is renewed too often.",
            "TooManyRequests": "429: too many pushes to this one device.",
            "InternalServerError": "500: an error of APNs.",
            "ServiceUnavailable": "503: APNs is overloaded.",
            "Shutdown": "503: this server of APNs shuts down.",
        }.items()
    },
    **_of_the_connection(msgspec.json.encode({"reason": "Shutdown"})),
}


def _says(status: int, words: str = "") -> Answer:
    return json_answer(status, {"code": status, "message": words})


_WEB_PUSH: Final[Mapping[str, Trouble]] = {
    "gone": _always("410: the subscription has ended.", _says(410)),
    "not_found": _always("404: there is no such subscription.", _says(404)),
    "bad_request": _always("400: a header or the message is malformed.", _says(400)),
    "unauthorized": _always("401: the VAPID token is missing, or not good.", _says(401)),
    "BadJwtToken": _always(
        "403 as Apple says it: the VAPID token or its contact is not good.",
        json_answer(403, {"reason": "BadJwtToken"}),
    ),
    "UnauthorizedRegistration": _always(
        "400 as Google says it, in HTML: the VAPID token is not good.",
        Answer(400, b"<HTML><TITLE>UnauthorizedRegistration</TITLE></HTML>", (HTML_TYPE,)),
    ),
    "mismatch_403": _always(
        "403 as Google says it: the browser subscribed for another key.",
        Answer(
            403,
            b"the VAPID credentials in the authorization header do not correspond to the "
            b"credentials used to create the subscriptions.",
        ),
    ),
    "mismatch_401": _always(
        "401 as Mozilla says it: the browser subscribed for another key.",
        _says(401, "VAPID public key mismatch"),
    ),
    "VapidPkHashMismatch": _always(
        "400 as Apple says it: the browser subscribed for another key.",
        json_answer(400, {"reason": "VapidPkHashMismatch"}),
    ),
    "too_large": _always("413: the message is above what is taken.", _says(413)),
    "too_many": _wishing("429: too many messages.", _says(429)),
    "throttled": _wishing("406 as Microsoft says it: too many messages.", Answer(406)),
    "internal": _wishing("500: an error of the push service.", _says(500)),
    "unavailable": _wishing("503: the push service is overloaded.", _says(503)),
    "html_502": _wishing("502 as an HTML page: a front end without a back end.", BAD_GATEWAY),
    "redirect": _always(
        "307 to another address: it is not followed.",
        Answer(307, b"", (("location", "https://127.0.0.1:1/"),)),
    ),
    **_of_the_connection(b""),
}

_OAUTH: Final[Mapping[str, Trouble]] = {
    "invalid_grant": _always(
        "400: the key of the service account was revoked, or a clock is wrong.",
        json_answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}),
    ),
    "internal_failure": _wishing(
        "500: an error of the token endpoint.",
        json_answer(500, {"error": "internal_failure"}),
    ),
    "html_502": _wishing("502 as an HTML page: a front end without a back end.", BAD_GATEWAY),
    "html_200": _always(
        "200 as an HTML page: a captive portal answers.",
        Answer(
            200, b"<!DOCTYPE html>\n<title>Welcome to the guest network</title>\n", (HTML_TYPE,)
        ),
    ),
    "truncated": Afterwards("The JSON of the answer ends in the middle.", _half_a_body),
    **_of_the_connection(b""),
}

CATALOGUE: Final[Mapping[FaultyGateway, Mapping[str, Trouble]]] = {
    "fcm": _FCM,
    "apns": _APNS,
    "web_push": _WEB_PUSH,
    "oauth": _OAUTH,
}
"""Every fault there is, by gateway and name."""


def trouble_of(fault: Fault) -> Trouble:
    """What *fault* does; raises BadFault naming the nearest when there is none of its name."""
    known = CATALOGUE[fault.gateway]
    trouble = known.get(fault.name)
    if trouble is None:
        raise BadFault(
            f"The gateway {fault.gateway} has no fault {fault.name}.",
            f"Did you mean {nearest(fault.name, known)}? "
            "`schoolbell phones --list-faults` shows all.",
        )
    for parameter in ("retry_after", "timestamp", "delay"):
        if getattr(fault, parameter) is not None and parameter not in trouble.takes:
            raise BadFault(
                f"The fault {fault.name} takes no {parameter}.",
                f"Leave it out; it takes {' and '.join(trouble.takes) or 'nothing'}.",
            )
    return trouble


def sentences() -> Mapping[FaultyGateway, Mapping[str, str]]:
    """The catalogue for people: by gateway and name, what each fault is."""
    return {
        gateway: {name: trouble.sentence for name, trouble in known.items()}
        for gateway, known in CATALOGUE.items()
    }
