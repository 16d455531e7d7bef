"""What APNs asks of a request itself: its headers and its payload, without looking at any phone.

From Apple's "Sending notification requests to APNs" and "Handling notification responses from
APNs". A check answers with Apple's reason or None; the first that objects is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from engine.trial.phones.exchange import Request

MAX_PAYLOAD_BYTES: Final = 4_096
MAX_VOIP_PAYLOAD_BYTES: Final = 5_120
MAX_COLLAPSE_ID_BYTES: Final = 64
DEVICE_PATH: Final = "/3/device/"

STATUS: Final[Mapping[str, int]] = {
    "BadCollapseId": 400,
    "BadDeviceToken": 400,
    "BadExpirationDate": 400,
    "BadMessageId": 400,
    "BadPriority": 400,
    "BadTopic": 400,
    "DeviceTokenNotForTopic": 400,
    "DuplicateHeaders": 400,
    "IdleTimeout": 400,
    "InvalidPushType": 400,
    "MissingDeviceToken": 400,
    "MissingTopic": 400,
    "PayloadEmpty": 400,
    "TopicDisallowed": 400,
    "BadCertificate": 403,
    "BadCertificateEnvironment": 403,
    "BadEnvironmentKeyIdInToken": 403,
    "ExpiredProviderToken": 403,
    "Forbidden": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "UnrelatedKeyIdInToken": 403,
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}
"""The HTTP status that each reason comes with."""

UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TOPIC: Final = re.compile(r"[A-Za-z0-9.-]+")
TOKEN: Final = re.compile(r"[0-9A-Fa-f]{64,160}")
DEFAULT_PRIORITY: Final = "10"


@dataclass(frozen=True, slots=True)
class PushType:
    """What one `apns-push-type` asks of the other headers and of the payload."""

    topic_suffix: str = ""
    priorities: frozenset[str] = frozenset({"1", "5", "10"})
    max_bytes: int = MAX_PAYLOAD_BYTES
    is_shown: bool = False


ALERT: Final = PushType(is_shown=True)
PUSH_TYPES: Final[Mapping[str, PushType]] = {
    "alert": ALERT,
    "background": PushType(priorities=frozenset({"5"})),  # "Using priority 10 is an error."
    "location": PushType(".location-query"),
    "voip": PushType(".voip", max_bytes=MAX_VOIP_PAYLOAD_BYTES),
    "complication": PushType(".complication"),
    "fileprovider": PushType(".pushkit.fileprovider"),
    "mdm": PushType(),
    "liveactivity": PushType(".push-type.liveactivity"),
    "pushtotalk": PushType(".voip-ptt"),
    "widgets": PushType(".push-type.widgets"),
    "controls": PushType(".push-type.controls"),
}

Check = Callable[[Request], str | None]


def post(request: Request) -> str | None:
    """Only POST."""
    return None if request.method == "POST" else "MethodNotAllowed"


def device_path(request: Request) -> str | None:
    """`/3/device/` and a token."""
    if request.path in (DEVICE_PATH, DEVICE_PATH.rstrip("/")):
        return "MissingDeviceToken"
    return None if request.path.startswith(DEVICE_PATH) else "BadPath"


def single_headers(request: Request) -> str | None:
    """No header twice, so that none can be read in two ways."""
    twice = any(name == "authorization" or name.startswith("apns-") for name in request.repeated)
    return "DuplicateHeaders" if twice else None


def message_id(request: Request) -> str | None:
    """A UUID in lower case, when there is one."""
    return _unless_matching(request, "apns-id", UUID, "BadMessageId")


def known_push_type(request: Request) -> str | None:
    """One of Apple's; without the header it is an alert."""
    name = request.headers.get("apns-push-type", "alert")
    return None if name in PUSH_TYPES else "InvalidPushType"


def priority(request: Request) -> str | None:
    """One that the push type allows."""
    given = request.headers.get("apns-priority", DEFAULT_PRIORITY)
    return None if given in push_type(request).priorities else "BadPriority"


def expiration(request: Request) -> str | None:
    """Seconds since the epoch, 0 for "now or never"."""
    return _unless_matching(request, "apns-expiration", re.compile("[0-9]+"), "BadExpirationDate")


def collapse_id(request: Request) -> str | None:
    """At most 64 bytes."""
    given = request.headers.get("apns-collapse-id", "")
    # Header text is one character for each byte.
    return None if len(given) <= MAX_COLLAPSE_ID_BYTES else "BadCollapseId"


def topic(request: Request) -> str | None:
    """Present, and of the form of a bundle id."""
    given = request.headers.get("apns-topic", "")
    if not given:
        return "MissingTopic"
    return None if TOPIC.fullmatch(given) else "BadTopic"


def token_form(request: Request) -> str | None:
    """Hexadecimal, 64 to 160 digits (Apple promises no length; 64 is usual)."""
    return None if TOKEN.fullmatch(device_token(request)) else "BadDeviceToken"


def payload_size(request: Request) -> str | None:
    """Not more than the push type allows."""
    fits = len(request.body) <= push_type(request).max_bytes
    return None if fits else "PayloadTooLarge"


def payload_form(request: Request) -> str | None:
    """A JSON object. Apple names no other reason for a payload that it cannot read."""
    return "PayloadEmpty" if payload_of(request) is None else None


BEFORE_SIGN_IN: Final[Sequence[Check]] = (post, device_path, single_headers, message_id)
AFTER_SIGN_IN: Final[Sequence[Check]] = (
    topic,
    known_push_type,
    priority,
    expiration,
    collapse_id,
    token_form,
    payload_size,
    payload_form,
)


def first_refusal(checks: Sequence[Check], request: Request) -> str | None:
    """The reason of the first of *checks* that objects, None when none does."""
    return next((reason for check in checks if (reason := check(request))), None)


def push_type(request: Request) -> PushType:
    """The type of a request whose push type is known."""
    return PUSH_TYPES[request.headers.get("apns-push-type", "alert")]


def device_token(request: Request) -> str:
    """The token in the path."""
    return request.path.removeprefix(DEVICE_PATH)


def payload_of(request: Request) -> dict[str, Any] | None:
    """The payload, None when it is no JSON object."""
    try:
        return msgspec.json.decode(request.body, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def alert_text(payload: Mapping[str, Any]) -> tuple[str, str]:
    """The title and the body that `aps.alert` shows; it may be a text or a dictionary."""
    aps = payload.get("aps")
    alert = aps.get("alert") if isinstance(aps, dict) else None
    if isinstance(alert, dict):
        return str(alert.get("title", "")), str(alert.get("body", ""))
    return "", alert if isinstance(alert, str) else ""


def _unless_matching(
    request: Request, header: str, form: re.Pattern[str], reason: str
) -> str | None:
    given = request.headers.get(header)
    return None if given is None or form.fullmatch(given) else reason
