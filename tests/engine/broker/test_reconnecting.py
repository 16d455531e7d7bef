"""A lost session is opened again, at the next call and not before its time."""

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


class FakeSession:
    """A session that a test can cut."""

    def __init__(self) -> None:
        self.lost: SchoolbellError | None = None
        self.closed = 0

    def cut(self) -> None:
        self.lost = Unavailable("The connection was cut.", "Wait.")

    def close(self) -> None:
        self.closed += 1


class FlakyBroker:
    """A broker that can be reached, or not; and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.is_open = True
        self.tried_at: list[float] = []

    def connect(self) -> FakeSession:
        self.tried_at.append(self.now)
        if not self.is_open:
            raise Unavailable("Nobody answers.", "Wait.")
        return FakeSession()

    def sessions(self, chance: Callable[[], float] = lambda: 1.0) -> Reconnecting[FakeSession]:
        return Reconnecting(self.connect, ADDRESS, TIMEOUTS, clock=lambda: self.now, chance=chance)


def test_an_open_session_is_used_again() -> None:
    broker = FlakyBroker()
    sessions = broker.sessions()
    assert sessions.session() is sessions.session()
    assert broker.tried_at == [100.0]


def test_a_session_that_held_for_long_is_opened_again_at_once() -> None:
    broker = FlakyBroker()
    sessions = broker.sessions()
    first = sessions.session()
    broker.now += 60
    first.cut()
    assert sessions.session() is not first
    assert first.closed == 1
    assert broker.tried_at == [100.0, 160.0]


def test_a_session_that_is_cut_again_and_again_is_opened_less_and_less_often() -> None:
    broker = FlakyBroker()
    sessions = broker.sessions()
    for _ in range(400):
        try:
            sessions.session().cut()
        except Unavailable:
            broker.now += 0.5
    gaps = [b - a for a, b in zip(broker.tried_at, broker.tried_at[1:], strict=False)]
    assert gaps[:4] == [1.0, 2.0, 4.0, 8.0]
    assert set(gaps[4:]) == {8.0}


def test_too_early_raises_the_same_error_without_connecting() -> None:
    broker = FlakyBroker()
    broker.is_open = False
    sessions = broker.sessions()
    for _ in range(3):
        with pytest.raises(Unavailable, match="Nobody answers"):
            sessions.session()
    assert broker.tried_at == [100.0]
    broker.now += 1.0
    broker.is_open = True
    assert sessions.session().lost is None


def test_two_that_lost_the_broker_together_do_not_come_back_together() -> None:
    waits = []
    for chance in (0.0, 0.5, 1.0):
        broker = FlakyBroker()
        broker.is_open = False
        sessions = broker.sessions(lambda chance=chance: chance)
        while len(broker.tried_at) < 2:
            with pytest.raises(Unavailable):
                sessions.session()
            broker.now += 0.25
        waits.append(broker.tried_at[1] - broker.tried_at[0])
    assert waits == [0.5, 0.75, 1.0]


def test_a_closed_session_can_be_closed_again() -> None:
    sessions = FlakyBroker().sessions()
    session = sessions.session()
    sessions.close()
    sessions.close()
    assert session.closed == 1


def test_what_happens_to_a_session_is_told() -> None:
    broker = FlakyBroker()
    sessions = broker.sessions()
    with structlog.testing.capture_logs() as events:
        sessions.session().cut()
        broker.now += 60
        sessions.session()
    assert [event["event"] for event in events] == [
        "broker.connected",
        "broker.lost",
        "broker.connected",
    ]
    assert events[1]["problem"] == "The connection was cut."
