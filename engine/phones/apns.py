"""APNs with token authentication: `POST /3/device/{token}`.

What is checked, in this order: method and path, the provider token, the headers and the payload
(`apns_message`), the topic, the phone behind the token.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final
from uuid import uuid4

from engine.phones.apns_message import (
    AFTER_SIGN_IN,
    BEFORE_SIGN_IN,
    PUSH_TYPES,
    STATUS,
    UUID,
    alert_text,
    device_token,
    first_refusal,
    payload_of,
    push_type,
)
from engine.phones.devices import Devices, Push
from engine.phones.exchange import Answer, Request, json_answer
from engine.phones.provider_tokens import ProviderTokens

TOPIC_SUFFIXES: Final = frozenset(kind.topic_suffix for kind in PUSH_TYPES.values())


class Apns:
    """The APNs of one team and one app.

    *streams* is how many concurrent streams a connection has once a push on it was accepted:
    until then Apple allows one. *refused* counts the refusals by reason.
    """

    def __init__(self, topic: str, tokens: ProviderTokens, devices: Devices, streams: int) -> None:
        self.refused: Counter[str] = Counter()
        self._topic = topic
        self._tokens = tokens
        self._devices = devices
        self._streams = streams

    def answer(self, request: Request) -> Answer:
        """What APNs says to one request."""
        reason = (
            first_refusal(BEFORE_SIGN_IN, request)
            or self._tokens.refusal(request.headers.get("authorization", ""))
            or first_refusal(AFTER_SIGN_IN, request)
            or self._wrong_topic(request)
        )
        if reason:
            return self._refuse(request, reason)
        phone = self._devices.find("apns", device_token(request))
        if phone is None:
            strangers = self._devices.admit_strangers
            return self._accept(request) if strangers else self._refuse(request, "BadDeviceToken")
        if phone.uninstalled_at is not None:
            return self._refuse(request, "Unregistered", phone.uninstalled_at)
        if phone.app not in (None, self._topic):
            return self._refuse(request, "DeviceTokenNotForTopic")
        return self._accept(request)

    def _wrong_topic(self, request: Request) -> str | None:
        """The topic is ours, with the suffix of the push type."""
        topic = request.headers["apns-topic"]
        if topic == self._topic + push_type(request).topic_suffix:
            return None
        ours = topic.startswith(self._topic) and topic[len(self._topic) :] in TOPIC_SUFFIXES
        return "BadTopic" if ours else "TopicDisallowed"

    def _accept(self, request: Request) -> Answer:
        payload = payload_of(request) or {}
        title, body = alert_text(payload)
        apns_id = _apns_id(request)
        push = Push(
            kind="apns",
            token=device_token(request),
            key=request.headers.get("apns-collapse-id"),
            title=title,
            body=body,
            data={key: value for key, value in payload.items() if key != "aps"},
            visible=push_type(request).is_shown and bool(title or body),
        )
        self._devices.accept(push, apns_id)
        return Answer(200, headers=(("apns-id", apns_id),), streams=self._streams)

    def _refuse(self, request: Request, reason: str, since: datetime | None = None) -> Answer:
        """*since* is when the token was known to be dead: the `timestamp`, in milliseconds."""
        self.refused[reason] += 1
        said: dict[str, object] = {"reason": reason}
        if since is not None:
            said["timestamp"] = int(since.timestamp() * 1_000)
        answer = json_answer(STATUS[reason], said)
        return Answer(answer.status, answer.body, (*answer.headers, ("apns-id", _apns_id(request))))


def _apns_id(request: Request) -> str:
    """The sender's own id, or a new one when it gave none that could be echoed."""
    given = request.headers.get("apns-id", "")
    return given if UUID.fullmatch(given) else str(uuid4())
