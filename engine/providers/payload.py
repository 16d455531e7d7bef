"""Payloads: what FCM and APNs are sent for a push.

FCM's message is built by pyfcm, once, with placeholders; each push only splices its values in.
Rendering every push by pyfcm would cost more than sending it.
"""

from __future__ import annotations

from datetime import datetime
from json.encoder import encode_basestring
from typing import Final

import msgspec
from pyfcm import FCMNotification

from engine.messages import Push

_NAMES: Final = ("token", "title", "body", "push_id", "kind", "collapse_id", "ttl", "expiration")
_encode = msgspec.json.encode

PLAIN_HEADERS: Final = ("content-type: application/json", "accept:")
"""What both gateways are told of a body; the second keeps libcurl from adding its own."""


class FcmPayload:
    """Builds the body of `messages:send`."""

    def __init__(self, pyfcm: FCMNotification) -> None:
        self._texts, self._order = _shape(pyfcm)

    def build(self, push: Push, now: datetime) -> bytes:
        """The JSON body, in UTF-8. Raises ValueError for text that is none, as lone surrogates."""
        left = push.expires_at - now
        values = {
            "token": push.token.value,
            "title": push.title,
            "body": push.body,
            "push_id": push.id,
            "kind": push.kind,
            "collapse_id": push.collapse_id,
            "ttl": f"{max(0, int(left.total_seconds()))}s",
            "expiration": str(int(push.expires_at.timestamp())),
        }
        parts = [self._texts[0]]
        for name, text in zip(self._order, self._texts[1:], strict=True):
            parts += (encode_basestring(values[name]), text)
        return "".join(parts).encode("utf-8")


def fcm_message(pyfcm: FCMNotification, values: dict[str, str]) -> bytes:
    """The whole message as pyfcm builds it.

    The tag replaces what Android shows, the collapse id what iOS shows. HIGH, because every
    push is shown: FCM lowers apps whose urgent messages show nothing.
    """
    message: bytes = pyfcm.parse_payload(
        fcm_token=values["token"],
        notification_title=values["title"],
        notification_body=values["body"],
        data_payload={name: values[name] for name in ("push_id", "kind", "collapse_id")},
        android_config={
            "priority": "HIGH",
            "ttl": values["ttl"],
            "notification": {"tag": values["collapse_id"]},
        },
        apns_config={
            "headers": {
                "apns-collapse-id": values["collapse_id"],
                "apns-expiration": values["expiration"],
            }
        },
    )
    return message


def apns_payload(push: Push) -> bytes:
    """The JSON body for APNs. Raises ValueError for text that is none, as lone surrogates."""
    try:
        return _encode(
            {
                "aps": {"alert": {"title": push.title, "body": push.body}, "sound": "default"},
                "push_id": push.id,
                "kind": push.kind,
                "collapse_id": push.collapse_id,
            }
        )
    except UnicodeEncodeError as error:
        raise ValueError("a text with a lone surrogate") from error


def _shape(pyfcm: FCMNotification) -> tuple[list[str], list[str]]:
    """The texts between the placeholders of one message, and which value stands where."""
    marks = {f"\ue000{name}\ue000": name for name in _NAMES}
    message = fcm_message(pyfcm, {name: mark for mark, name in marks.items()}).decode("utf-8")
    texts, order = [], []
    while found := [(at, mark) for mark in marks if (at := message.find(f'"{mark}"')) >= 0]:
        at, mark = min(found)
        texts.append(message[:at])
        order.append(marks[mark])
        message = message[at + len(mark) + 2 :]
    return [*texts, message], order
