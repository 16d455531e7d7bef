"""Payloads: what FCM and APNs are sent for a push.

FCM's message is built by pyfcm, once, with placeholders; each push only splices its values in.
Rendering every push by pyfcm would cost more than sending it.
"""

from __future__ import annotations

import re
from datetime import datetime
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
        self._parts, self._places = _shape(pyfcm)

    def build(self, push: Push, now: datetime) -> bytes:
        """The JSON body, in UTF-8. Raises ValueError for text that is none, as lone surrogates."""
        left = int((push.expires_at - now).total_seconds())
        values = [
            _encode(value)
            for value in (
                push.token.value,
                push.title,
                push.body,
                push.id,
                push.kind,
                push.collapse_id,
                f"{max(0, left)}s",
                str(int(push.expires_at.timestamp())),
            )
        ]
        parts = self._parts.copy()
        for at, which in self._places:
            parts[at] = values[which]
        return b"".join(parts)


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
    return _encode(
        {
            "aps": {"alert": {"title": push.title, "body": push.body}, "sound": "default"},
            "push_id": push.id,
            "kind": push.kind,
            "collapse_id": push.collapse_id,
        }
    )


def _shape(pyfcm: FCMNotification) -> tuple[list[bytes], list[tuple[int, int]]]:
    """One message cut at its placeholders: what stands between them, and which value where."""
    marks = {name: f"\ue000{number}\ue000" for number, name in enumerate(_NAMES)}
    message = fcm_message(pyfcm, marks).decode("utf-8")
    parts = re.split('"\ue000([0-9])\ue000"', message)
    places = [(at, int(parts[at])) for at in range(1, len(parts), 2)]
    return [part.encode("utf-8") for part in parts], places
