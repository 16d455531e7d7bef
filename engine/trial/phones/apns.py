"""APNs with token authentication: `POST /3/device/{token}`.

What is checked, in this order: method and path, the provider token, the headers and the payload
(`apns_message`), the topic, the phone behind the token. A fault strikes before the phone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import uuid4

from engine.trial.phones.apns_message import (
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
from engine.trial.phones.devices import Devices, Push
from engine.trial.phones.exchange import Answer, Reply, Request, json_answer
from engine.trial.phones.faults import Faults
from engine.trial.phones.provider_tokens import ProviderTokens

TOPIC_SUFFIXES: Final = frozenset(kind.topic_suffix for kind in PUSH_TYPES.values())
STREAMS_AFTER_A_REFUSAL: Final = 1
NOBODYS: Final = "f" * 64
"""A token of the right form that no phone has: who only tries a key rings at nobody's."""
LAST_MOMENT: Final = 253_402_300_799  # the last second of the year 9999


class Apns:
    """The APNs of one team and one app.

    *streams* is how many concurrent streams a connection has once a push on it was accepted:
    until then Apple allows one. With *slows_down* it has one again after a 4xx other than 410,
    until the next accepted push. *refused* counts the refusals by reason.
    """

    def __init__(
        self,
        topic: str,
        tokens: ProviderTokens,
        devices: Devices,
        faults: Faults,
        streams: int,
        slows_down: bool = True,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._topic = topic
        self._tokens = tokens
        self._devices = devices
        self._faults = faults
        self._streams = streams
        self._slows_down = slows_down

    def answer(self, request: Request) -> Reply:
        """What APNs says to one request."""
        apns_id = _apns_id(request)
        reply = self._reply(request, apns_id)
        if not isinstance(reply, Answer):
            return reply
        return replace(
            reply,
            headers=(*reply.headers, ("apns-id", apns_id)),
            streams=self._streams_after(reply.status),
        )

    def _reply(self, request: Request, apns_id: str) -> Reply:
        reason = (
            first_refusal(BEFORE_SIGN_IN, request)
            or self._tokens.refusal(request.headers.get("authorization", ""))
            or first_refusal(AFTER_SIGN_IN, request)
            or self._wrong_topic(request)
        )
        if reason:
            return self._refuse(reason)
        take = partial(self._take, request, apns_id)
        return self._faults.disturb("apns", device_token(request), self.refused, take)

    def _streams_after(self, status: int) -> int | None:
        """How many streams the connection has from now on, None for as many as it had."""
        if status == 200:
            return self._streams
        # A dead token is no error of the sender's.
        is_slowed = self._slows_down and 400 <= status < 500 and status != 410
        return STREAMS_AFTER_A_REFUSAL if is_slowed else None

    def _take(self, request: Request, apns_id: str) -> Answer:
        """What is said to a good request, in the order of the world."""
        phone = self._devices.find("apns", device_token(request))
        if phone is None:
            is_welcome = self._devices.admit_strangers and device_token(request) != NOBODYS
            return self._accept(request, apns_id) if is_welcome else self._refuse("BadDeviceToken")
        if phone.uninstalled_at is not None:
            return self._refuse("Unregistered", phone.uninstalled_at)
        if phone.app not in (None, self._topic):
            return self._refuse("DeviceTokenNotForTopic")
        return self._accept(request, apns_id)

    def _wrong_topic(self, request: Request) -> str | None:
        """The topic is ours, with the suffix of the push type."""
        topic = request.headers["apns-topic"]
        if topic == self._topic + push_type(request).topic_suffix:
            return None
        ours = topic.startswith(self._topic) and topic[len(self._topic) :] in TOPIC_SUFFIXES
        return "BadTopic" if ours else "TopicDisallowed"

    def _accept(self, request: Request, apns_id: str) -> Answer:
        payload = payload_of(request) or {}
        title, body = alert_text(payload)
        push = Push(
            kind="apns",
            token=device_token(request),
            key=request.headers.get("apns-collapse-id"),
            title=title,
            body=body,
            data={key: value for key, value in payload.items() if key != "aps"},
            visible=push_type(request).is_shown and bool(title or body),
            expires_at=_expires_at(request),
        )
        self._devices.accept(push, apns_id)
        return Answer(200)

    def _refuse(self, reason: str, since: datetime | None = None) -> Answer:
        """*since* is when the token was known to be dead: the `timestamp`, in milliseconds."""
        self.refused[reason] += 1
        said: dict[str, object] = {"reason": reason}
        if since is not None:
            said["timestamp"] = int(since.timestamp() * 1_000)
        return json_answer(STATUS[reason], said)


def _apns_id(request: Request) -> str:
    """The sender's own id, or a new one when it gave none that could be echoed."""
    given = request.headers.get("apns-id", "")
    return given if UUID.fullmatch(given) else str(uuid4())


def _expires_at(request: Request) -> datetime | None:
    """Until when it waits for a phone that is offline; None when that is left to Apple."""
    given = request.headers.get("apns-expiration")
    return None if given is None else datetime.fromtimestamp(min(int(given), LAST_MOMENT), UTC)
