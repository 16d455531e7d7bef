"""Web Push: to browsers, by the push service that each of them names (RFC 8030, 8292).

Each push service is a gateway of its own within this one, with its connections and its circuit
breaker: one that refuses our contact, or says nothing, leaves the others alone. What is sent was
encrypted in the district; here it is signed.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from engine.config import WebPushSettings
from engine.gateways.answers import NOT_LISTED, Meaning, of_web_push
from engine.gateways.circuit_breaker import CircuitBreaker
from engine.gateways.http2.exchange import Limits, Request
from engine.gateways.http2.transport import Http2
from engine.gateways.outcome import outcome_of
from engine.gateways.vapid import Vapid
from engine.ports import Clock
from engine.secrets.vapid import private_key
from engine.secrets.web_push import LARGEST
from engine.wire import endpoints
from engine.wire.endpoints import Endpoint
from engine.wire.messages import Outcome, Push
from rules.outcomes import GATEWAY_BUSY, Verdict
from rules.timing import HIDDEN_URGENCY, URGENCY

WEB_PUSH: Final = "web_push"
CONNECTIONS: Final = 4
STREAMS: Final = 100
MOST_SERVICES: Final = 32
"""Those connected to at once; Microsoft alone has one for each of its regions."""
SILENT: Final = 1.0
"""Seconds of listening without an answer before a push service is not waited for. A process that
was stopped meanwhile did not listen."""
UNMET: Final = 100
"""So many are admitted while nothing is known of who they are for."""

_TOPIC: Final = re.compile("[A-Za-z0-9_-]{1,32}")
_SEALED: Final = re.compile("[A-Za-z0-9_-]+={0,2}")
_URGENCY: Final[Mapping[str, str]] = {
    kind.value: urgency.value for kind, urgency in URGENCY.items()
}
_HEADERS: Final = (
    "content-type: application/octet-stream",
    "content-encoding: aes128gcm",
    "accept:",  # keeps libcurl from adding its own
)


class WebPushGateway:
    """Implements ports.Gateway for push endpoints."""

    def __init__(
        self, settings: WebPushSettings, clock: Clock, timeout: timedelta = timedelta(seconds=10)
    ) -> None:
        self._clock = clock
        self._hosts: Collection[str] = settings.hosts
        self._limits = Limits(CONNECTIONS, STREAMS, timeout)
        self._ca_file = settings.ca_file
        self._vapid = Vapid(private_key(settings.key_file or Path()), settings.contact, clock)
        self._services: OrderedDict[str, _Met] = OrderedDict()
        self._decided: list[Outcome] = []

    @property
    def in_flight(self) -> int:
        """See ports.Gateway."""
        return len(self._decided) + sum(one.gateway.in_flight for one in self._services.values())

    def admits(self, wanted: int) -> int:
        """See ports.Gateway. Whose turn it is is not known here: so many as any service takes."""
        waited_for = [one.gateway for one in self._services.values() if one.is_waited_for]
        return min((one.admits(wanted) for one in waited_for), default=min(wanted, UNMET))

    @property
    def is_held_back(self) -> bool:
        """See ports.Gateway. No push service names a rate."""
        return False

    def submit(self, push: Push) -> None:
        """See ports.Gateway. To a host that is not on the list nothing is ever sent."""
        endpoint = endpoints.read(push.token.value)
        if endpoint is None or not _TOPIC.fullmatch(push.collapse_id):
            raise ValueError("a push to a browser needs an endpoint and a topic")
        if not _SEALED.fullmatch(push.sealed):
            raise ValueError("a push to a browser is encrypted where its text is made")
        if not endpoints.is_listed(endpoint.origin, self._hosts):
            self._decide(push, Meaning(Verdict.REFUSED, NOT_LISTED))
            return
        met = self._service(endpoint.origin)
        if met is None or met.is_stuck:
            self._decide(push, Meaning(Verdict.DEFERRED, GATEWAY_BUSY))
        else:
            met.submit(push)

    def collect(self, timeout: float) -> Sequence[Outcome]:
        """See ports.Gateway."""
        busy = [one for one in self._services.values() if one.gateway.in_flight]
        share = 0.0 if self._decided or not busy else timeout / len(busy)
        found, self._decided = self._decided, []
        for one in busy:
            found += one.collect(0.0 if found else share)
        return found

    def close(self) -> None:
        """See ports.Gateway."""
        for one in self._services.values():
            one.gateway.close()

    def _service(self, origin: str) -> _Met | None:
        """The push service at *origin*; None while too many others are at work."""
        met = self._services.get(origin)
        if met is None and self._has_place():
            service = _PushService(origin, self._limits, self._ca_file, self._vapid, self._clock)
            met = _Met(CircuitBreaker(service, WEB_PUSH, self._clock))
            self._services[origin] = met
        if met is not None:
            self._services.move_to_end(origin)
        return met

    def _has_place(self) -> bool:
        """Whether one more may be met; the one that was idle for longest makes way."""
        if len(self._services) < MOST_SERVICES:
            return True
        idle = next((name for name, one in self._services.items() if not one.gateway.in_flight), "")
        if not idle:
            return False
        self._services.pop(idle).gateway.close()
        self._vapid.forget(idle)
        return True

    def _decide(self, push: Push, meaning: Meaning) -> None:
        self._decided.append(outcome_of(push, meaning, self._clock(), WEB_PUSH))


class _Met:
    """A push service that was met, and for how long it was listened to in vain."""

    def __init__(self, gateway: CircuitBreaker) -> None:
        self.gateway = gateway
        self._silence = 0.0

    def submit(self, push: Push) -> None:
        if not self.gateway.in_flight:
            self._silence = 0.0
        self.gateway.submit(push)

    def collect(self, timeout: float) -> Sequence[Outcome]:
        answered = self.gateway.collect(timeout)
        self._silence = 0.0 if answered else self._silence + timeout
        return answered

    @property
    def is_waited_for(self) -> bool:
        """Whether it is at work, and what is for it may wait for its room."""
        return self.gateway.in_flight > 0 and self._silence <= SILENT

    @property
    def is_stuck(self) -> bool:
        """Whether it says nothing, and has no room for more that it says nothing to."""
        is_silent = self.gateway.in_flight > 0 and self._silence > SILENT
        return is_silent and self.gateway.admits(1) == 0


class _PushService:
    """Implements ports.Gateway for the endpoints at one *origin*."""

    def __init__(
        self, origin: str, limits: Limits, ca_file: Path | None, vapid: Vapid, clock: Clock
    ) -> None:
        self._origin = origin
        self._vapid = vapid
        self._clock = clock
        self._http: Http2[Push] = Http2(origin, limits, ca_file)

    @property
    def in_flight(self) -> int:
        return self._http.in_flight

    def admits(self, wanted: int) -> int:
        return min(wanted, self._http.room)

    @property
    def is_held_back(self) -> bool:
        return False

    def submit(self, push: Push) -> None:
        body = urlsafe_b64decode(push.sealed)
        if len(body) > LARGEST:
            raise ValueError("a push to a browser is larger than any push service takes")
        path = _read(push.token.value).path
        self._http.submit(Request(push, path, self._headers(push), body))

    def collect(self, timeout: float) -> Sequence[Outcome]:
        if not self._http.in_flight:
            return []
        answered = self._http.collect(timeout)
        now = self._clock()
        return [outcome_of(push, of_web_push(answer), now, WEB_PUSH) for push, answer in answered]

    def close(self) -> None:
        self._http.close()

    def _headers(self, push: Push) -> tuple[str, ...]:
        return (
            self._vapid.authorization(self._origin),
            f"ttl: {_left(push, self._clock())}",
            f"urgency: {_URGENCY.get(push.kind, HIDDEN_URGENCY)}",
            f"topic: {push.collapse_id}",
            *_HEADERS,
        )


def _read(endpoint: str) -> Endpoint:
    found = endpoints.read(endpoint)
    if found is None:
        raise ValueError("a push to a browser needs an endpoint")
    return found


def _left(push: Push, now: datetime) -> int:
    """Seconds for which the push service keeps it for a browser that is not there."""
    return max(0, int((push.expires_at - now).total_seconds()))
