"""A session with the broker that is opened again when it was lost, but not before its time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from engine.broker.rabbitmq.address import Address, Timeouts
from engine.errors import SchoolbellError
from engine.telemetry import Event, emit


class Session(Protocol):
    """What a publisher or a consumer has for as long as one connection lives."""

    @property
    def lost(self) -> SchoolbellError | None:
        """Why the connection is lost, or None while it is open."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


S = TypeVar("S", bound=Session)


class Reconnecting(Generic[S]):
    """Opens a session when there is none. Nobody sleeps here: too early is Unavailable, again."""

    def __init__(
        self,
        connect: Callable[[], S],
        address: Address,
        timeouts: Timeouts,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._connect = connect
        self._address = address
        self._timeouts = timeouts
        self._clock = clock
        self._chance = chance
        self._session: S | None = None
        self._cause: SchoolbellError | None = None
        self._attempts = 0
        self._connected_at = 0.0
        self._not_before = 0.0

    def session(self) -> S:
        """The open session; raises Unavailable or Misconfigured when there can be none now."""
        if self._session is not None and self._session.lost is None:
            return self._session
        self._note_loss()
        if self._cause is not None and self._clock() < self._not_before:
            raise self._cause
        return self._open()

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _note_loss(self) -> None:
        """Note a loss. A session that held for long earns an immediate try."""
        if self._session is None:
            return
        self._cause = self._session.lost
        emit(Event.BROKER_LOST, host=self._address.host, port=self._address.port,
             problem=self._cause.problem if self._cause else "")  # fmt: skip
        if self._clock() - self._connected_at > self._timeouts.longest_backoff:
            self._attempts = 0
        self._hold_back()
        self.close()

    def _open(self) -> S:
        self._connected_at = self._clock()
        self._attempts += 1
        try:
            self._session = self._connect()
        except SchoolbellError as error:
            self._cause = error
            self._hold_back()
            raise
        emit(Event.BROKER_CONNECTED, host=self._address.host, port=self._address.port)
        return self._session

    def _hold_back(self) -> None:
        """Twice as long after each attempt, and never for all at the same moment."""
        if self._attempts == 0:
            self._not_before = 0.0
            return
        longest = min(
            self._timeouts.longest_backoff, self._timeouts.first_backoff * 2 ** (self._attempts - 1)
        )
        self._not_before = self._clock() + longest * (0.5 + 0.5 * self._chance())
