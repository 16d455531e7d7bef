"""A gateway over a server that does what a test says: the same for FCM and for APNs."""

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

from engine.config import ApnsSettings, FcmSettings
from engine.gateways.apns import ApnsGateway
from engine.gateways.fcm import FcmGateway
from engine.ports import Clock, Gateway
from engine.runtime.clock import utc_now
from engine.trial.phones.phones import Phones
from engine.wire.messages import Outcome, Push, Token
from tests.builders import a_push
from tests.engine.gateways.peer import Peer, Reaction, Say, Seen

LONG = timedelta(seconds=10)
A_MOMENT = 0.01
UNSHAPED = {"quota_per_minute": 60_000_000, "ramp_up": timedelta(seconds=1)}


class House(ABC):
    """One gateway, the server it talks to, and what differs between FCM and APNs.

    The phones give the keys, and the access token for FCM. What was opened is closed with the
    house.
    """

    name: str

    def __init__(self, folder: Path, peer: Peer, phones: Phones, closing: ExitStack) -> None:
        self.peer = peer
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
