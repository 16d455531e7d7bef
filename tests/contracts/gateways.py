"""A gateway over a server that does what a test says: the same for each of the three."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from engine.config import ApnsSettings, FcmSettings, WebPushSettings
from engine.gateways.apns import ApnsGateway
from engine.gateways.fcm import FcmGateway
from engine.gateways.web_push import WebPushGateway
from engine.ports import Clock, Gateway
from engine.runtime.clock import utc_now
from engine.secrets import push_subscriptions, vapid, web_push
from engine.secrets.web_push import Words
from engine.trial.phones.phones import Phones
from engine.trial.phones.web_push import Subscription
from engine.wire.messages import Outcome, Push, Token
from tests.builders import a_push
from tests.engine.gateways.peer import Peer, Reaction, Say, Seen

LONG = timedelta(seconds=10)
A_MOMENT = 0.01
UNSHAPED = {"quota_per_minute": 60_000_000, "ramp_up": timedelta(seconds=1)}


class House(ABC):
    """One gateway, the server it talks to, and what differs between FCM, APNs and Web Push.

    The phones give the keys, and the access token for FCM. What was opened is closed with the
    house.
    """

    name: str

    def __init__(self, folder: Path, peer: Peer, phones: Phones, closing: ExitStack) -> None:
        self.peer = peer
        self.phones = phones
        self.keys = phones.settings
        # FCM and its token endpoint are two servers here; one file vouches for both.
        self.ca_file = folder / "bundle.pem"
        self.ca_file.write_text(
            peer.ca_file.read_text() + Path(self.keys["fcm"]["ca_file"]).read_text()
        )
        self._closing = closing
        peer.script = self.accept

    def open(
        self,
        timeout: timedelta = LONG,
        *,
        endpoint: str = "",
        ca_file: Path | None = None,
        clock: Clock = utc_now,
    ) -> Gateway:
        """A new gateway, to the server unless another *endpoint* is given."""
        gateway = self.make(timeout, endpoint or self.peer.url, ca_file or self.ca_file, clock)
        self._closing.callback(gateway.close)
        return gateway

    def push(self, number: int = 0, **differences: Any) -> Push:
        """A push to the *number*-th phone."""
        values = {"token": self.token(number), "expires_at": utc_now() + timedelta(hours=1)}
        return a_push(**{**values, **differences})

    def pushes(self, count: int) -> list[Push]:
        """Pushes to so many phones."""
        return [self.push(number) for number in range(count)]

    @abstractmethod
    def make(self, timeout: timedelta, endpoint: str, ca_file: Path, clock: Clock) -> Gateway:
        """The gateway with these settings and good keys."""

    @abstractmethod
    def endpoint_of(self, phones: Phones) -> str:
        """Where phones that check everything listen for this gateway."""

    @abstractmethod
    def token(self, number: int) -> Token:
        """The address of the *number*-th phone."""

    @abstractmethod
    def accept(self, seen: Seen) -> Reaction:
        """The answer to a push that is accepted."""

    @abstractmethod
    def dead(self) -> Reaction:
        """The answer to a push for a phone that is no more."""

    @abstractmethod
    def address(self, seen: Seen) -> str:
        """The token that a request was for."""

    @abstractmethod
    def replaces(self, seen: Seen) -> set[str]:
        """The ids under which a request replaces what a phone shows."""


class FcmHouse(House):
    """FCM: the token and all else in the body."""

    name = "fcm"

    def make(self, timeout: timedelta, endpoint: str, ca_file: Path, clock: Clock) -> Gateway:
        settings = FcmSettings.model_validate(
            {**self.keys["fcm"], **UNSHAPED, "endpoint": endpoint, "ca_file": ca_file}
        )
        return FcmGateway(settings, clock, timeout)

    def endpoint_of(self, phones: Phones) -> str:
        return phones.fcm_endpoint

    def token(self, number: int) -> Token:
        return Token("fcm_token", f"a-registration-token:{number:040}")

    def accept(self, seen: Seen) -> Reaction:
        return Say(200, json.dumps({"name": f"projects/p/messages/{seen.nth}"}).encode())

    def dead(self) -> Reaction:
        kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
        details = [{"@type": kind, "errorCode": "UNREGISTERED"}]
        return Say(404, json.dumps({"error": {"code": 404, "details": details}}).encode())

    def address(self, seen: Seen) -> str:
        message = json.loads(seen.body)["message"]
        return str(message.get("token") or message.get("fid"))

    def replaces(self, seen: Seen) -> set[str]:
        message = json.loads(seen.body)["message"]
        return {
            message["android"]["notification"]["tag"],
            message["apns"]["headers"]["apns-collapse-id"],
        }


class ApnsHouse(House):
    """APNs: the token in the path, the rest in headers. One stream until the first success."""

    name = "apns"

    def make(self, timeout: timedelta, endpoint: str, ca_file: Path, clock: Clock) -> Gateway:
        settings = ApnsSettings.model_validate(
            {**self.keys["apns"], "endpoint": endpoint, "ca_file": ca_file}
        )
        return ApnsGateway(settings, clock, timeout)

    def endpoint_of(self, phones: Phones) -> str:
        return phones.apns_endpoint

    def token(self, number: int) -> Token:
        return Token("apns", f"{number:064x}")

    def accept(self, seen: Seen) -> Reaction:
        return Say(200, headers={"apns-id": seen.headers["apns-id"]}, streams=100)

    def dead(self) -> Reaction:
        return Say(410, b'{"reason":"Unregistered","timestamp":1763712000000}', streams=1)

    def address(self, seen: Seen) -> str:
        return seen.path.removeprefix("/3/device/")

    def replaces(self, seen: Seen) -> set[str]:
        return {seen.headers["apns-collapse-id"]}


class WebPushHouse(House):
    """Web Push: the server is in the address of a browser, and the text is not to be read."""

    name = "web_push"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._origin = self.peer.url
        key_file = Path(self.keys["web_push"]["key_file"])
        self._public_key = vapid.public_key(vapid.private_key(key_file))
        self._of_peer = self._sealed(self.phones.subscribe(self._public_key, bytes(12)), "", "")

    def make(self, timeout: timedelta, endpoint: str, ca_file: Path, clock: Clock) -> Gateway:
        self._origin = endpoint
        hosts = [endpoint.removeprefix("https://")]
        settings = WebPushSettings.model_validate(
            {**self.keys["web_push"], "hosts": hosts, "ca_file": ca_file}
        )
        return WebPushGateway(settings, clock, timeout)

    def endpoint_of(self, phones: Phones) -> str:
        return phones.web_push_origin

    def token(self, number: int) -> Token:
        if self._is_at_phones:
            return Token("web_push", self._browser(number).endpoint)
        return Token("web_push", f"{self._origin}/push/{number}")

    def push(self, number: int = 0, **differences: Any) -> Push:
        bare = super().push(number, **differences)
        sealed = self._of_peer
        if self._is_at_phones:
            sealed = self._sealed(self._browser(number), bare.title, bare.body, bare.collapse_id)
        return msgspec.structs.replace(bare, title="", body="", sealed=sealed)

    def accept(self, seen: Seen) -> Reaction:
        return Say(201, headers={"location": f"{self.peer.url}/message/{seen.nth}"})

    def dead(self) -> Reaction:
        return Say(410)

    def address(self, seen: Seen) -> str:
        return self._origin + seen.path

    def replaces(self, seen: Seen) -> set[str]:
        return {seen.headers["topic"]}

    @property
    def _is_at_phones(self) -> bool:
        return self._origin == self.phones.web_push_origin

    def _browser(self, number: int) -> Subscription:
        return self.phones.subscribe(self._public_key, number.to_bytes(12))

    @staticmethod
    def _sealed(browser: Subscription, title: str, body: str, tag: str = "tag") -> str:
        to = push_subscriptions.read(" ".join(browser))
        return web_push.seal(to, Words(title, body, "en", tag, "/app/inbox/1", "grade", "push"))


def send(gateway: Gateway, pushes: Iterable[Push]) -> list[Outcome]:
    """Submit as many at once as are admitted, and collect every outcome."""
    waiting = deque(pushes)
    outcomes: list[Outcome] = []
    while waiting or gateway.in_flight:
        for _ in range(gateway.admits(len(waiting)) if waiting else 0):
            gateway.submit(waiting.popleft())
        if not gateway.in_flight:
            time.sleep(A_MOMENT)
        outcomes += gateway.collect(A_MOMENT if waiting else 1.0)
    return outcomes


def collected(gateway: Gateway) -> list[Outcome]:
    """Every outcome of what is in flight."""
    outcomes: list[Outcome] = []
    while gateway.in_flight:
        outcomes += gateway.collect(1.0)
    return outcomes
