"""Payloads: what FCM and APNs are sent for a push.

FCM's message is built by pyfcm, once for each of its shapes, with placeholders; each push only
splices its values in. Rendering every push by pyfcm would cost more than sending it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import product
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
from pyfcm import FCMNotification

from engine.wire.fitting import fit, size
from engine.wire.messages import Push

LIMIT: Final = 4_096
"""Bytes of a payload: APNs counts its JSON, FCM the keys and values of what the app gets."""

_NAMES: Final = (
    "token", "title", "body", "push_id", "kind", "collapse_id", "ttl", "expiration", "sealed",
)  # fmt: skip
_encode: Final = msgspec.json.Encoder().encode

PLAIN_HEADERS: Final = ("content-type: application/json", "accept:")
"""What both gateways are told of a body; the second keeps libcurl from adding its own."""


class Payload(msgspec.Struct, frozen=True):
    """A JSON body in UTF-8, and whether its text had to be cut to fit."""

    body: bytes
    shortened: bool = False


_Values = tuple[bytes, ...]  # one for each of _NAMES, or those of them that a template has


class Shape(NamedTuple):
    """What differs from one message for FCM to another, besides values."""

    by_installation: bool = False
    has_kind: bool = True
    is_sealed: bool = False


class FcmPayload:
    """Builds the body of `messages:send`."""

    def __init__(self, pyfcm: FCMNotification) -> None:
        self._shapes = {
            found: _template(pyfcm, Shape(*found)) for found in product((False, True), repeat=3)
        }

    def build(self, push: Push, now: datetime) -> Payload:
        """The message for *push*. Raises ValueError for what cannot be sent.

        That is text that is none, as lone surrogates, and what is too large without any text.
        """
        body = self._splice(push, push.title, push.body, now)
        if len(body) <= LIMIT:
            return Payload(body)
        title, text = _fitted(push)
        if (title, text) == (push.title, push.body):
            return Payload(body)
        return Payload(self._splice(push, title, text, now), shortened=True)

    def _splice(self, push: Push, title: str, body: str, now: datetime) -> bytes:
        left = int((push.expires_at - now).total_seconds())
        values = (
            push.token.value,
            title,
            body,
            push.id,
            push.kind,
            push.collapse_id,
            f"{max(0, left)}s",
            str(int(push.expires_at.timestamp())),
            push.sealed,
        )
        shape = (push.token.kind == "fcm_fid", push.kind != "", push.sealed != "")
        template, chosen = self._shapes[shape]
        return template % chosen(tuple(map(_encode, values)))


def fcm_message(pyfcm: FCMNotification, values: Mapping[str, str], shape: Shape) -> bytes:
    """The whole message as pyfcm builds it, except that pyfcm knows no installation ids.

    The tag replaces what Android shows, the collapse id what iOS shows. Each kind has a channel on
    Android, which people may silence there; of an app that made none FCM takes the default. HIGH,
    because every push is shown: FCM lowers apps whose urgent messages show nothing.

    What is sealed is for the app to open before it is shown. iOS allows that when the content is
    called mutable. Android shows a `notification` without asking the app, so there the text that
    stands in for it is data, too, and the app shows one or the other.
    """
    data = {name: values[name] for name in _data_names(shape)}
    android: dict[str, Any] = {"priority": "HIGH", "ttl": values["ttl"]}
    apns: dict[str, Any] = {
        "headers": {
            "apns-collapse-id": values["collapse_id"],
            "apns-expiration": values["expiration"],
        }
    }
    text = {"title": values["title"], "body": values["body"]}
    if shape.is_sealed:
        data |= text
        apns["payload"] = {"aps": {"alert": text, "sound": "default", "mutable-content": 1}}
    else:
        android["notification"] = {"tag": values["collapse_id"]}
        if shape.has_kind:
            android["notification"]["channel_id"] = values["kind"]
    message: bytes = pyfcm.parse_payload(
        fcm_token=values["token"],
        notification_title=None if shape.is_sealed else text["title"],
        notification_body=None if shape.is_sealed else text["body"],
        data_payload=data,
        android_config=android,
        apns_config=apns,
    )
    return _to_installation(message) if shape.by_installation else message


def apns_payload(push: Push) -> Payload:
    """The payload for APNs. Raises ValueError as `FcmPayload.build` does."""
    body = _apns_json(push, push.title, push.body)
    if len(body) <= LIMIT:
        return Payload(body)
    title, text = fit(push.title, push.body, LIMIT - len(_apns_json(push, "", "")))
    return Payload(_apns_json(push, title, text), shortened=True)


def _apns_json(push: Push, title: str, body: str) -> bytes:
    aps: dict[str, object] = {"alert": {"title": title, "body": body}, "sound": "default"}
    payload: dict[str, object] = {"aps": aps, "push_id": push.id, "collapse_id": push.collapse_id}
    if push.kind:
        payload["kind"] = push.kind
    if push.sealed:
        aps["mutable-content"] = 1
        payload["sealed"] = push.sealed
    return _encode(payload)


def room(push: Push) -> int:
    """How many bytes of JSON the text of a push like this may take at either gateway."""
    return min(_room_at_fcm(push), LIMIT - len(_apns_json(push, "", "")))


def _fitted(push: Push) -> tuple[str, str]:
    """Title and body that FCM takes, counted as JSON, which is never less than FCM counts."""
    room = _room_at_fcm(push)
    if size(push.title) + size(push.body) <= room:
        return push.title, push.body
    return fit(push.title, push.body, room)


def _room_at_fcm(push: Push) -> int:
    data = {"push_id": push.id, "collapse_id": push.collapse_id, "tag": push.collapse_id}
    if push.kind:
        data |= {"kind": push.kind, "channel_id": push.kind}
    if push.sealed:
        data |= {"sealed": push.sealed, "title": "", "body": "", "mutable-content": "1"}
    room = LIMIT - len(_encode({"notification": {"title": "", "body": ""}, "data": data}))
    if push.sealed:
        room //= 2  # an iPhone behind FCM is sent the text twice
    return room


def _data_names(shape: Shape) -> list[str]:
    names = ["push_id", "collapse_id"]
    if shape.has_kind:
        names.append("kind")
    if shape.is_sealed:
        names.append("sealed")
    return names


def _to_installation(message: bytes) -> bytes:
    found = msgspec.json.decode(message)
    found["message"]["fid"] = found["message"].pop("token")
    return _encode(found)


def _template(pyfcm: FCMNotification, shape: Shape) -> tuple[bytes, Callable[[_Values], _Values]]:
    """A message as a template, and what chooses its values, in order, out of those of _NAMES."""
    marks = {name: f"\ue000{number}\ue000" for number, name in enumerate(_NAMES)}
    message = fcm_message(pyfcm, marks, shape).decode("utf-8")
    parts = re.split('"\ue000([0-9])\ue000"', message)
    template = "%b".join(part.replace("%", "%%") for part in parts[::2])
    return template.encode("utf-8"), itemgetter(*map(int, parts[1::2]))
