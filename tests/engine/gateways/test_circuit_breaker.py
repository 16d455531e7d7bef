"""A gateway stops when our configuration is wrong, and goes on by itself when it is mended."""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import structlog

from engine.config import LogSettings
from engine.gateways.circuit_breaker import (
    CERTAIN,
    IN_A_ROW,
    PROBE_EVERY,
    TOO_MANY_DEAD,
    CircuitBreaker,
)
from engine.telemetry import configure
from engine.wire.messages import Outcome, Push
from rules.breaker import FEW
from rules.outcomes import Verdict
from tests.builders import a_push, an_outcome
from tests.fakes import FakeGateway, StoppedClock

ACCEPTED = ("accepted", "")
_numbers = count(1)


class House:
    """A gateway that says what a test tells it to, and one around it that may stop."""

    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.inner = FakeGateway()
        self.gateway = CircuitBreaker(self.inner, "apns", self.clock)

    def submit(self, district: str = "district") -> Push:
        push = a_push(id=f"push {next(_numbers)}", district=district)
        self.gateway.submit(push)
        return push

    def told(self, *outcomes: Outcome) -> list[tuple[str, str]]:
        """What is told on of what the gateway says, and of what was deferred before it."""
        for outcome in outcomes:
            self.inner.waiting = [one for one in self.inner.waiting if one.id != outcome.push_id]
        self.inner.answered += outcomes
        return [(one.verdict.value, one.reason) for one in self.gateway.collect(0.0)]

    def says(
        self, verdict: Verdict, reason: str = "", district: str = "district", **more: Any
    ) -> list[tuple[str, str]]:
        """Submit a push that the gateway gets, and let it answer."""
        push = self.submit(district)
        assert push in self.inner.waiting
        return self.told(an_outcome(push, verdict, reason=reason, **more))

    def fault(self, reason: str = "InvalidProviderToken") -> list[tuple[str, str]]:
        return self.says(Verdict.DEFERRED, reason, misconfigured=True)

    def is_stopped(self, district: str = "district") -> bool:
        """Whether a push is held back, without leaving a trace."""
        before = len(self.inner.submitted)
        push = self.submit(district)
        if len(self.inner.submitted) == before:
            (outcome,) = self.gateway.collect(0.0)
            assert outcome.push_id == push.id
            return True
        self.inner.waiting.remove(push)
        return False


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    file = io.StringIO()
    configure(LogSettings(format="json"), file)
    yield file
    structlog.reset_defaults()


def test_while_all_is_well_nothing_is_changed(house: House) -> None:
    first, second = house.submit(), house.submit()
    outcomes = [an_outcome(first), an_outcome(second, Verdict.DEFERRED, reason="UNAVAILABLE")]
    assert house.gateway.in_flight == 2
    assert house.told(*outcomes) == [ACCEPTED, ("deferred", "UNAVAILABLE")]
    assert house.gateway.in_flight == 0
    assert not house.is_stopped()


@pytest.mark.parametrize("reason", sorted(CERTAIN))
def test_one_answer_about_our_key_or_topic_is_enough(house: House, reason: str) -> None:
    house.fault(reason)
    assert house.is_stopped()


def test_a_stranger_is_believed_only_when_he_repeats_himself(house: House) -> None:
    for _ in range(IN_A_ROW - 1):
        house.fault("HTTP_404")
    house.says(Verdict.ACCEPTED)
    for _ in range(IN_A_ROW - 1):
        house.fault("HTTP_404")
    before = house.is_stopped()
    house.fault("HTTP_404")
    assert (before, house.is_stopped()) == (False, True)


def test_a_fault_of_some_phones_alone_does_not_stop_the_others(house: House) -> None:
    for _ in range(20):
        house.fault("THIRD_PARTY_AUTH_ERROR")
    assert not house.is_stopped()


def test_what_is_held_back_waits_for_the_same_reason_and_not_for_long(house: House) -> None:
    house.fault("BadTopic")
    push = house.submit()
    assert house.gateway.in_flight == 1
    (outcome,) = house.gateway.collect(1.0)
    assert (outcome.push_id, outcome.district) == (push.id, push.district)
    assert (outcome.verdict, outcome.reason) == (Verdict.DEFERRED, "BadTopic")
    assert (outcome.gateway, outcome.misconfigured, outcome.retry_after) == ("apns", True, None)


def test_now_and_then_one_push_is_let_through_as_a_probe(house: House) -> None:
    house.fault()
    stopped = [house.is_stopped() for _ in range(3)]
    house.clock.forward(PROBE_EVERY)
    probe, after = house.is_stopped(), house.is_stopped()
    house.clock.forward(PROBE_EVERY - timedelta(seconds=1))
    assert (stopped, probe, after, house.is_stopped()) == ([True] * 3, False, True, True)


@pytest.mark.parametrize(
    ("verdict", "reason", "goes_on"),
    [
        (Verdict.ACCEPTED, "", True),
        (Verdict.UNREGISTERED, "Unregistered", True),
        (Verdict.REFUSED, "PayloadTooLarge", True),
        (Verdict.REFUSED, "BadDeviceToken", True),
        (Verdict.REFUSED, "EXPIRED", False),
        (Verdict.REFUSED, "HTTP_400", False),
        (Verdict.DEFERRED, "TIMED_OUT", False),
        (Verdict.DEFERRED, "ServiceUnavailable", False),
    ],
)
def test_whatever_proves_that_we_are_right_ends_it(
    house: House, verdict: Verdict, reason: str, goes_on: bool
) -> None:
    house.fault()
    house.clock.forward(PROBE_EVERY)
    house.says(verdict, reason)
    assert house.is_stopped() is not goes_on


def test_stopping_and_going_on_are_logged_once(house: House, log: io.StringIO) -> None:
    house.fault()
    house.clock.forward(PROBE_EVERY)
    house.fault()
    house.clock.forward(PROBE_EVERY)
    house.says(Verdict.ACCEPTED)
    house.says(Verdict.ACCEPTED)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["event"], line["gateway"]) for line in lines] == [
        ("gateway.stopped", "apns"),
        ("gateway.resumed", "apns"),
    ]


def test_closing_closes_what_is_inside(house: House) -> None:
    house.gateway.close()
    assert house.inner.closed


# --- dead phones -----------------------------------------------------------------------------


def die(house: House, times: int, district: str = "district") -> list[tuple[str, str]]:
    return [
        told
        for _ in range(times)
        for told in house.says(Verdict.REFUSED, "BadDeviceToken", district)
    ]


def test_too_many_doubtful_phones_stop_their_district_and_no_other(house: House) -> None:
    for _ in range(30):
        house.says(Verdict.ACCEPTED, district="other")
    assert die(house, FEW - 1) == [("refused", "BadDeviceToken")] * (FEW - 1)
    before = house.is_stopped()
    die(house, 1)
    assert (before, house.is_stopped(), house.is_stopped("other")) == (False, True, False)


def test_from_then_on_no_phone_is_said_to_be_dead(house: House) -> None:
    house.clock.forward(timedelta(minutes=1))
    die(house, FEW - 1)
    assert die(house, 1) == [("deferred", TOO_MANY_DEAD)]
    house.clock.forward(PROBE_EVERY)
    assert die(house, 1) == [("deferred", TOO_MANY_DEAD)]


@pytest.mark.parametrize("of_four", [1, 2, 3])
def test_a_district_that_is_not_all_dead_is_never_stopped(house: House, of_four: int) -> None:
    for number in range(400):
        if number % 4 < of_four:
            die(house, 1)
        else:
            house.says(Verdict.ACCEPTED)
        assert not house.is_stopped()


def test_deaths_of_long_ago_do_not_count(house: House) -> None:
    die(house, FEW - 1)
    house.clock.forward(timedelta(minutes=11))
    die(house, 1)
    assert not house.is_stopped()


def test_phones_that_are_dead_for_sure_stop_nothing(house: House) -> None:
    for _ in range(100):
        house.says(Verdict.UNREGISTERED, "Unregistered")
    assert not house.is_stopped()


def test_a_probe_that_is_accepted_ends_it_and_the_count_begins_anew(house: House) -> None:
    die(house, FEW)
    house.clock.forward(PROBE_EVERY)
    house.says(Verdict.ACCEPTED)
    assert die(house, FEW - 1) == [("refused", "BadDeviceToken")] * (FEW - 1)
    assert not house.is_stopped()
