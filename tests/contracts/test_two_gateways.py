"""FCM and APNs behind one deliver, over real sockets: what becomes of one is not the other's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from engine.config import FcmSettings
from engine.gateways.circuit_breaker import CircuitBreaker
from engine.gateways.fcm import FcmGateway
from engine.ports import Gateway
from engine.runtime.clock import utc_now
from engine.stages.deliver import Deliver
from engine.trial.phones.phones import Phones
from engine.wire.messages import MAX_PACKED, Outcome, Push
from rules.outcomes import Verdict
from tests.contracts.gateways import ApnsHouse, FcmHouse
from tests.engine.gateways.peer import Peer, Silence

MESSAGES = 60
PUSHES = MESSAGES * MAX_PACKED // 2  # for each of the two


class Both:
    """Two gateways, each with a server of its own, and pushes that come in shared messages."""

    def __init__(self, folder: Path, phones: Phones, closing: ExitStack) -> None:
        self.google, self.apple = (
            made(folder / made.name, self._peer(folder / made.name, closing), phones, closing)
            for made in (FcmHouse, ApnsHouse)
        )
        self.messages = deque(
            [push for number in range(at, at + MAX_PACKED // 2) for push in self._pair(number)]
            for at in range(0, PUSHES, MAX_PACKED // 2)
        )

    @staticmethod
    def _peer(folder: Path, closing: ExitStack) -> Peer:
        folder.mkdir()
        return closing.enter_context(Peer(folder))

    def _pair(self, number: int) -> tuple[Push, Push]:
        return (
            self.google.push(number, device_id=f"1{number}"),
            self.apple.push(number, device_id=f"2{number}"),
        )

    def deliver(self, fcm: Gateway) -> Deliver:
        apns = self.apple.open()
        return Deliver(
            {
                "fcm_token": CircuitBreaker(fcm, "fcm", utc_now),
                "apns": CircuitBreaker(apns, "apns", utc_now),
            },
            utc_now,
            waiting=200,
        )

    def outcomes_until_apple_is_done(self, deliver: Deliver) -> list[Outcome]:
        """Deliver as the stage does, until each push to an iPhone is answered."""
        outcomes: list[Outcome] = []
        while sum(one.gateway == "apns" for one in outcomes) < PUSHES:
            while self.messages and deliver.has_room("district"):
                deliver.submit(self.messages.popleft())
            outcomes += [answer.outcome for answer in deliver.collect(0.01)]
        return outcomes


@pytest.fixture
def both(tmp_path: Path, shared_phones: Phones) -> Iterator[Both]:
    with ExitStack() as closing:
        yield Both(tmp_path, shared_phones, closing)


def of_apple(outcomes: list[Outcome]) -> set[Verdict]:
    return {one.verdict for one in outcomes if one.gateway == "apns"}


def test_while_fcm_says_nothing_every_iphone_is_told(both: Both) -> None:
    both.google.peer.script = lambda _: Silence()
    deliver = both.deliver(both.google.open())
    outcomes = both.outcomes_until_apple_is_done(deliver)
    assert of_apple(outcomes) == {Verdict.ACCEPTED}
    assert not any(one.gateway == "fcm" and one.verdict is Verdict.ACCEPTED for one in outcomes)


def test_while_fcm_is_in_its_ramp_every_iphone_is_told(both: Both) -> None:
    settings = FcmSettings.model_validate(
        {
            **both.google.keys["fcm"],
            "quota_per_minute": 600,
            "ramp_up": timedelta(minutes=1),
            "endpoint": both.google.peer.url,
            "ca_file": both.google.ca_file,
        }
    )
    fcm = FcmGateway(settings, utc_now)
    deliver = both.deliver(fcm)
    outcomes = both.outcomes_until_apple_is_done(deliver)
    fcm.close()
    assert of_apple(outcomes) == {Verdict.ACCEPTED}
    assert len(both.google.peer.seen) < PUSHES / 2
