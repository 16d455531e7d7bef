"""A lost line is opened again, at the next call and with patience."""

import ssl
from collections.abc import Callable

import pytest
import structlog

from engine.broker.rabbitmq.address import Address, Timeouts
from engine.broker.rabbitmq.reconnecting import Reconnecting
from engine.errors import SchoolbellError, Unavailable

TIMEOUTS = Timeouts(first_backoff=1.0, longest_backoff=8.0)
NO_TLS: ssl.SSLContext | None = None
ADDRESS = Address("broker.example", 5671, "/", "u", "p", NO_TLS)


class Phone:
    """A session that a test can cut."""

    def __init__(self) -> None:
        self.lost: SchoolbellError | None = None
        self.closed = 0

    def cut(self) -> None:
        self.lost = Unavailable("The line was cut.", "Wait.")

    def close(self) -> None:
        self.closed += 1


class Exchange:
    """Someone who connects, or does not; and the clock on the wall."""

    def __init__(self) -> None:
        self.now = 100.0
        self.is_open = True
        self.dialled_at: list[float] = []

    def dial(self) -> Phone:
        self.dialled_at.append(self.now)
        if not self.is_open:
            raise Unavailable("Nobody answers.", "Wait.")
        return Phone()

    def line(self, chance: Callable[[], float] = lambda: 1.0) -> Reconnecting[Phone]:
        return Reconnecting(self.dial, ADDRESS, TIMEOUTS, clock=lambda: self.now, chance=chance)


def test_an_open_line_is_used_again() -> None:
    exchange = Exchange()
    line = exchange.line()
    assert line.session() is line.session()
    assert exchange.dialled_at == [100.0]


def test_a_line_that_held_for_long_is_dialled_again_at_once() -> None:
    exchange = Exchange()
    line = exchange.line()
    first = line.session()
    exchange.now += 60
    first.cut()
    assert line.session() is not first
    assert first.closed == 1
    assert exchange.dialled_at == [100.0, 160.0]


def test_a_line_that_is_cut_again_and_again_is_dialled_less_and_less_often() -> None:
    exchange = Exchange()
    line = exchange.line()
    for _ in range(400):
        try:
            line.session().cut()
        except Unavailable:
            exchange.now += 0.5
    gaps = [b - a for a, b in zip(exchange.dialled_at, exchange.dialled_at[1:], strict=False)]
    assert gaps[:4] == [1.0, 2.0, 4.0, 8.0]
    assert set(gaps[4:]) == {8.0}


def test_too_early_raises_the_same_trouble_without_dialling() -> None:
    exchange = Exchange()
    exchange.is_open = False
    line = exchange.line()
    for _ in range(3):
        with pytest.raises(Unavailable, match="Nobody answers"):
            line.session()
    assert exchange.dialled_at == [100.0]
    exchange.now += 1.0
    exchange.is_open = True
    assert line.session().lost is None


def test_two_that_lost_the_line_together_do_not_come_back_together() -> None:
    waits = []
    for chance in (0.0, 0.5, 1.0):
        exchange = Exchange()
        exchange.is_open = False
        line = exchange.line(lambda chance=chance: chance)
        while len(exchange.dialled_at) < 2:
            with pytest.raises(Unavailable):
                line.session()
            exchange.now += 0.25
        waits.append(exchange.dialled_at[1] - exchange.dialled_at[0])
    assert waits == [0.5, 0.75, 1.0]


def test_a_closed_line_can_be_closed_again() -> None:
    line = Exchange().line()
    phone = line.session()
    line.close()
    line.close()
    assert phone.closed == 1


def test_what_happens_to_a_line_is_told() -> None:
    exchange = Exchange()
    line = exchange.line()
    with structlog.testing.capture_logs() as events:
        line.session().cut()
        exchange.now += 60
        line.session()
    assert [event["event"] for event in events] == [
        "broker.connected",
        "broker.lost",
        "broker.connected",
    ]
    assert events[1]["problem"] == "The line was cut."
