"""Apple Push Notification service, with a provider token over HTTP/2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from engine.config import ApnsSettings
from engine.errors import ConfigError
from engine.gateways.answers import Meaning, of_apns
from engine.gateways.http2.exchange import Answer, Limits, NoAnswer, Request
from engine.gateways.http2.transport import Http2
from engine.gateways.outcome import outcome_of
from engine.gateways.payload import PLAIN_HEADERS, apns_payload
from engine.gateways.provider_token import RENEWED_TOO_OFTEN, ProviderToken
from engine.ports import Clock
from engine.wire.messages import Outcome, Push
from rules.outcomes import Verdict

CONNECTIONS: Final = 4
STREAMS: Final = 100
APNS: Final = "apns"
_HEXADECIMAL: Final = re.compile("[0-9a-fA-F]+")
_VISIBLE: Final = re.compile("[!-~]+")


class ApnsGateway:
    """Implements ports.Gateway for APNs device tokens."""

    def __init__(
        self, settings: ApnsSettings, clock: Clock, timeout: timedelta = timedelta(seconds=10)
    ) -> None:
        self._clock = clock
        self._topic = settings.topic
        self._token = ProviderToken(_key(settings), settings, clock)
        limits = Limits(CONNECTIONS, STREAMS, timeout, wary=True)
        self._http: Http2[_Sent] = Http2(settings.endpoint, limits, settings.ca_file)
        self._reconnected: set[tuple[str, str, int]] = set()

    @property
    def in_flight(self) -> int:
        """See ports.Gateway."""
        return self._http.in_flight

    def admits(self, wanted: int) -> int:
        """See ports.Gateway."""
        return min(wanted, self._http.room)

    @property
    def is_held_back(self) -> bool:
        """See ports.Gateway. APNs names no rate."""
        return False

    def submit(self, push: Push) -> None:
        """See ports.Gateway. A token that is not hexadecimal cannot be sent either."""
        if not _HEXADECIMAL.fullmatch(push.token.value):
            raise ValueError("an APNs token is hexadecimal: it becomes part of a URL")
        if not _VISIBLE.fullmatch(push.collapse_id):
            raise ValueError("a collapse id is visible ASCII: it becomes part of a header")
        payload = apns_payload(push)
        path = f"/3/device/{push.token.value}"
        token = self._token.value()
        sent = _Sent(push, token, payload.shortened)
        self._http.submit(Request(sent, path, self._headers(push, token), payload.body))

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """See ports.Gateway."""
        if not self._http.in_flight:
            return []
        answered = self._http.collect(timeout)
        now = self._clock()
        return [
            one for sent, answer in answered if (one := self._judge(sent, answer, now)) is not None
        ]

    def close(self) -> None:
        """See ports.Gateway."""
        self._http.close()

    def _headers(self, push: Push, token: str) -> tuple[str, ...]:
        return (
            f"authorization: bearer {token}",
            f"apns-topic: {self._topic}",
            "apns-push-type: alert",
            "apns-priority: 10",
            f"apns-id: {apns_id(push)}",
            f"apns-collapse-id: {push.collapse_id}",
            f"apns-expiration: {int(push.expires_at.timestamp())}",
            *PLAIN_HEADERS,
        )

    def _judge(self, sent: _Sent, answer: Answer | NoAnswer, now: datetime) -> Outcome | None:
        """The outcome of an answer; None when the push is on its way on a new connection."""
        push = sent.push
        meaning = of_apns(answer)
        name = (push.district, push.id, push.attempt)
        if meaning.reconnect and isinstance(answer, Answer) and name not in self._reconnected:
            self._reconnected.add(name)
            self._http.let_go(answer.connection)
            self.submit(push)
            return None
        self._reconnected.discard(name)
        if meaning.reason == RENEWED_TOO_OFTEN:
            self._token.refused(sent.provider_token)
        if meaning.verdict is Verdict.ACCEPTED:
            self._token.taken(sent.provider_token)
            # APNs answers with the id that it was given.
            meaning = Meaning(Verdict.ACCEPTED, gateway_id=apns_id(push))
        return outcome_of(push, meaning, now, APNS, shortened=sent.shortened)


class _Sent(NamedTuple):
    """A push, the provider token that went with it, and whether its text was cut."""

    push: Push
    provider_token: str
    shortened: bool


def apns_id(push: Push) -> str:
    """The UUID that names *push* at APNs, the same for every try; APNs takes nothing but a UUID."""
    name = f"{push.district}\0{push.id}".encode("utf-8", "surrogatepass")
    digits = blake2b(name, digest_size=16).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _key(settings: ApnsSettings) -> EllipticCurvePrivateKey:
    """The signing key; raises ConfigError naming the file."""
    try:
        key = load_pem_private_key(Path(settings.key_file or "").read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"The APNs key file {settings.key_file} cannot be used: {type(error).__name__}.",
            "Download the .p8 key from your Apple developer account.",
        ) from error
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ConfigError(
            f"The APNs key file {settings.key_file} holds no elliptic-curve key.",
            "Download the .p8 key from your Apple developer account.",
        )
    return key
