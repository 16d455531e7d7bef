"""Whether a `messages:send` body is one that FCM takes, and what it would show.

Two layers, as at Google. The JSON must fit the types of the API (FIELDS, from the discovery
document of FCM v1): that is refused before FCM sees it, so without an FCM error code. Then FCM's
own rules apply (RULES), in an order that one can read; the first that objects is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

import msgspec

from engine.trial.phones.apns_message import alert_text
from engine.trial.phones.devices import Push

MAX_PAYLOAD_BYTES: Final = 4_096
MAX_TOPIC_PAYLOAD_BYTES: Final = 2_048
MAX_TTL_SECONDS: Final = 2_419_200  # four weeks
LONGEST_TTL: Final = f"{MAX_TTL_SECONDS}s"
MAX_TOPICS_IN_A_CONDITION: Final = 5
MAX_COLLAPSE_ID_BYTES: Final = 64

TARGETS: Final = ("token", "fid", "topic", "condition")
RESERVED_KEYS: Final = frozenset({"from", "message_type"})
RESERVED_PREFIXES: Final = ("google.", "gcm.notification.")

WELL_FORMED_TOKEN: Final = re.compile(r"[A-Za-z0-9:_-]{20,}")
WELL_FORMED_TOPIC: Final = re.compile(r"(/topics/)?[A-Za-z0-9-_.~%]+")
DURATION: Final = re.compile(r"(\d+)(\.\d{1,9})?s")
TOPIC_TERM: Final = re.compile(r"'[A-Za-z0-9-_.~%]+' in topics")


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with a message. *by_fcm* is false when the JSON layer said it."""

    field: str
    description: str
    by_fcm: bool = True


INVALID_TOKEN: Final = Violation(
    "message.token", "The registration token is not a valid FCM registration token"
)

# --- the types of the API -------------------------------------------------------------------

STRING: Final = "TYPE_STRING"
BOOL: Final = "TYPE_BOOL"
INT32: Final = "TYPE_INT32"
STRINGS: Final = "repeated TYPE_STRING"
STRING_MAP: Final = "map of TYPE_STRING"
STRUCT: Final = "type.googleapis.com/google.protobuf.Struct"
TTL: Final = "type.googleapis.com/google.protobuf.Duration"
PRIORITY: Final = "type.googleapis.com/google.firebase.fcm.v1.AndroidConfig.MessagePriority"

Type = str | Mapping[str, "Type"]

_OPTIONS: Final[Type] = {"analytics_label": STRING, "image": STRING, "link": STRING}
_ANDROID_NOTIFICATION: Final[Mapping[str, Type]] = {
    "title": STRING,
    "body": STRING,
    "icon": STRING,
    "color": STRING,
    "sound": STRING,
    "tag": STRING,
    "click_action": STRING,
    "body_loc_key": STRING,
    "body_loc_args": STRINGS,
    "title_loc_key": STRING,
    "title_loc_args": STRINGS,
    "channel_id": STRING,
    "ticker": STRING,
    "sticky": BOOL,
    "event_time": STRING,
    "local_only": BOOL,
    "notification_priority": STRING,
    "default_sound": BOOL,
    "default_vibrate_timings": BOOL,
    "default_light_settings": BOOL,
    "vibrate_timings": STRINGS,
    "visibility": STRING,
    "notification_count": INT32,
    "light_settings": STRUCT,
    "image": STRING,
    "bypass_proxy_notification": BOOL,
    "proxy": STRING,
}
_ANDROID: Final[Mapping[str, Type]] = {
    "collapse_key": STRING,
    "priority": PRIORITY,
    "ttl": TTL,
    "restricted_package_name": STRING,
    "data": STRING_MAP,
    "notification": _ANDROID_NOTIFICATION,
    "fcm_options": _OPTIONS,
    "direct_boot_ok": BOOL,
    "bandwidth_constrained_ok": BOOL,
    "restricted_satellite_ok": BOOL,
}
FIELDS: Final[Type] = {
    "validate_only": BOOL,
    "message": {
        "name": STRING,
        "token": STRING,
        "fid": STRING,
        "topic": STRING,
        "condition": STRING,
        "data": STRING_MAP,
        "notification": {"title": STRING, "body": STRING, "image": STRING},
        "android": _ANDROID,
        "android_v2": STRUCT,
        "apns": {
            "headers": STRING_MAP,
            "payload": STRUCT,
            "fcm_options": _OPTIONS,
            "live_activity_token": STRING,
        },
        "webpush": {
            "headers": STRING_MAP,
            "data": STRING_MAP,
            "notification": STRUCT,
            "fcm_options": _OPTIONS,
        },
        "fcm_options": _OPTIONS,
    },
}
"""Fields by name. `android_v2` is known and not looked into: its rules are too new to imitate."""


def _camel_names(fields: Type) -> dict[str, str]:
    """The camelCase name of each field in *fields* and below, to its snake_case name."""
    if isinstance(fields, str):
        return {}
    names: dict[str, str] = {}
    for name, inner in fields.items():
        head, *rest = name.split("_")
        names[head + "".join(word.capitalize() for word in rest)] = name
        names |= _camel_names(inner)
    return names


SNAKE_NAMES: Final = _camel_names(FIELDS)


class Misfit(Exception):
    """The JSON does not fit the types of the API."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(description)
        self.violation = Violation(field, description, by_fcm=False)


def _invalid(path: str, type_name: str, value: object) -> Misfit:
    shown = msgspec.json.encode(value)[:100].decode("utf-8", "replace")
    return Misfit(path, f"Invalid value at '{path}' ({type_name}), {shown}")


def _unknown(path: str, name: str) -> Misfit:
    where = f" at '{path}'" if path else ""
    return Misfit(
        path, f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
    )


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


FITS: Final[Mapping[str, Callable[[object], bool]]] = {
    STRING: lambda value: isinstance(value, str),
    BOOL: lambda value: isinstance(value, bool),
    INT32: lambda value: isinstance(value, int) and not isinstance(value, bool),
    STRINGS: _is_strings,
    STRUCT: lambda value: isinstance(value, dict),
    TTL: lambda value: isinstance(value, str) and DURATION.fullmatch(value) is not None,
    PRIORITY: lambda value: isinstance(value, str) and value.upper() in {"NORMAL", "HIGH"},
}


def _string_map(value: object, path: str) -> object:
    if not isinstance(value, dict):
        raise _invalid(path, STRING_MAP, value)
    for index, item in enumerate(value.values()):
        if not isinstance(item, str):
            raise _invalid(f"{path}[{index}].value", STRING, item)
    return value


def _fitted(value: object, expected: Type, path: str) -> Any:
    """*value* with snake_case field names and without nulls; raises Misfit."""
    if expected is STRING_MAP:
        return _string_map(value, path)
    if isinstance(expected, str):
        if not FITS[expected](value):
            raise _invalid(path, expected, value)
        return value
    if not isinstance(value, dict):
        raise _invalid(path, "object", value)
    fitted = {}
    for given, inner in cast(dict[str, object], value).items():
        name = SNAKE_NAMES.get(given, given)
        if name not in expected:
            raise _unknown(path, given)
        # null means "not set" in the JSON of protocol buffers.
        if inner is not None:
            fitted[name] = _fitted(inner, expected[name], f"{path}.{name}" if path else name)
    return fitted


# --- the rules of FCM -----------------------------------------------------------------------

Message = Mapping[str, Any]
Rule = Callable[[Message], Violation | None]


def one_target(message: Message) -> Violation | None:
    """Exactly one of token, fid, topic and condition."""
    given = [target for target in TARGETS if target in message]
    if len(given) > 1:
        description = (
            f"Invalid value at 'message' (oneof), oneof field 'target' is already set. "
            f"Cannot set '{given[1]}'"
        )
        return Violation("message", description, by_fcm=False)
    return None if given else Violation("message", "Recipient of the message is not set.")


def well_formed_target(message: Message) -> Violation | None:
    """An address of a form that could exist; whether it does is asked later."""
    token = message.get("token", message.get("fid"))
    if token is not None:
        return None if WELL_FORMED_TOKEN.fullmatch(token) else INVALID_TOKEN
    if "topic" in message:
        well_formed = WELL_FORMED_TOPIC.fullmatch(message["topic"])
        return None if well_formed else Violation("message.topic", "Invalid topic name.")
    topics = len(TOPIC_TERM.findall(message["condition"]))
    if 1 <= topics <= MAX_TOPICS_IN_A_CONDITION:
        return None
    return Violation("message.condition", "Invalid condition expression provided.")


def one_android(message: Message) -> Violation | None:
    """`android_v2` takes the place of `android`."""
    if "android" in message and "android_v2" in message:
        return Violation("message.android_v2", "Only one of android and android_v2 can be set.")
    return None


def no_reserved_keys(message: Message) -> Violation | None:
    """Data keys that FCM uses itself are refused."""
    for path, data in (
        ("message.data", message.get("data", {})),
        ("message.android.data", message.get("android", {}).get("data", {})),
    ):
        for key in data:
            if key in RESERVED_KEYS or key.startswith(RESERVED_PREFIXES):
                return Violation(path, f"Invalid data payload key: {key}")
    return None


def ttl_in_range(message: Message) -> Violation | None:
    """At most four weeks."""
    ttl = DURATION.fullmatch(message.get("android", {}).get("ttl", "0s"))
    if ttl is not None and int(ttl[1]) <= MAX_TTL_SECONDS:
        return None
    return Violation("message.android.ttl", "Invalid TTL value. It must be at most four weeks.")


def short_collapse_id(message: Message) -> Violation | None:
    """Apple's limit, which FCM passes on."""
    if len(_collapse_id(message).encode()) <= MAX_COLLAPSE_ID_BYTES:
        return None
    return Violation(
        "message.apns.headers", "apns-collapse-id is longer than the 64 bytes that APNs allows."
    )


def fits_the_limit(message: Message) -> Violation | None:
    """Keys and values together within 4,096 bytes, 2,048 to a topic."""
    limit = MAX_PAYLOAD_BYTES if _token(message) else MAX_TOPIC_PAYLOAD_BYTES
    for platform, size in (
        ("Android", _bytes_in(_notification(message)) + _bytes_in(_data(message))),
        ("APNs", _json_bytes(message, "apns", "payload") + _bytes_in(message.get("data", {}))),
        ("Web push", _json_bytes(message, "webpush", "notification")),
    ):
        if size > limit:
            return Violation("message", f"{platform} message is too big")
    return None


RULES: Final[Sequence[Rule]] = (
    one_target,
    one_android,
    no_reserved_keys,
    ttl_in_range,
    short_collapse_id,
    fits_the_limit,
    well_formed_target,
)


@dataclass(frozen=True, slots=True)
class Send:
    """A request that FCM takes: what it says, whether it only asks, how long it may wait."""

    push: Push
    validate_only: bool
    ttl: timedelta


def read(content: object) -> Send | Violation:
    """What the decoded JSON *content* of a request sends, or the first thing wrong with it."""
    try:
        request = _fitted(content, FIELDS, "")
    except Misfit as misfit:
        return misfit.violation
    message = request.get("message", {})
    violation = next((found for rule in RULES if (found := rule(message))), None)
    return violation or Send(_push(message), request.get("validate_only", False), _ttl(message))


# --- what it would show ---------------------------------------------------------------------


def _push(message: Message) -> Push:
    notification = _notification(message)
    title, body = notification.get("title", ""), notification.get("body", "")
    if not (title or body):
        title, body = alert_text(message.get("apns", {}).get("payload", {}))
    token = _token(message)
    return Push(
        kind="fcm",
        token=token or _audience(message),
        key=_key(message),
        title=title,
        body=body,
        data=_data(message),
        visible=bool(title or body),
        to_phone=bool(token),
    )


def _ttl(message: Message) -> timedelta:
    """How long it waits for a phone that is offline; of a TTL that `ttl_in_range` lets through."""
    return timedelta(seconds=float(message.get("android", {}).get("ttl", LONGEST_TTL)[:-1]))


def _key(message: Message) -> str | None:
    """What this replaces on the screen.

    The tag on Android, the collapse id on iOS, the tag in a browser. Not
    `android.collapse_key`: it merges what is not yet delivered, and FCM ignores it for
    notification messages.
    """
    web = message.get("webpush", {}).get("notification", {}).get("tag")
    return _notification(message).get("tag") or _collapse_id(message) or web or None


def _token(message: Message) -> str:
    return str(message.get("token") or message.get("fid") or "")


def _audience(message: Message) -> str:
    """A topic or a condition, in a form that no token has."""
    if "topic" in message:
        return f"/topics/{message['topic'].removeprefix('/topics/')}"
    return str(message["condition"])


def _notification(message: Message) -> Mapping[str, Any]:
    """`android` overrides the top level, field by field."""
    return {
        **message.get("notification", {}),
        **message.get("android", {}).get("notification", {}),
    }


def _data(message: Message) -> Mapping[str, str]:
    """`android.data` takes the place of the top level's."""
    data: Mapping[str, str] = message.get("android", {}).get("data") or message.get("data", {})
    return data


def _collapse_id(message: Message) -> str:
    return str(message.get("apns", {}).get("headers", {}).get("apns-collapse-id", ""))


def _bytes_in(fields: Mapping[str, Any]) -> int:
    """The UTF-8 bytes of the keys and of the values that are text."""
    return sum(
        len(key.encode()) + len(value.encode())
        for key, value in fields.items()
        if isinstance(value, str)
    )


def _json_bytes(message: Message, platform: str, part: str) -> int:
    content = message.get(platform, {}).get(part)
    return len(msgspec.json.encode(content)) if content else 0
