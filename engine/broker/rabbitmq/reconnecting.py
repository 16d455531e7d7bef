"""A line to the broker that is opened again when it was lost, but not before its time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from engine.broker.rabbitmq.address import Address, Patience
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


class Line(Generic[S]):
    """Opens a session when there is none. Nobody sleeps here: too early is Unavailable, again."""

    def __init__(
        self,
        dial: Callable[[], S],
        address: Address,
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._dial = dial
        self._address = address
        self._patience = patience
        self._clock = clock
        self._chance = chance
        self._session: S | None = None
        self._trouble: SchoolbellError | None = None
        self._dials = 0
        self._dialled_at = 0.0
        self._not_before = 0.0

    def session(self) -> S:
        """The open session; raises Unavailable or Misconfigured when there can be none now."""
        if self._session is not None and self._session.lost is None:
            return self._session
        self._put_away()
        if self._trouble is not None and self._clock() < self._not_before:
            raise self._trouble
        return self._open()

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _put_away(self) -> None:
        """Note a loss. A session that held for long earns an immediate try."""
        if self._session is None:
            return
        self._trouble = self._session.lost
        emit(Event.BROKER_LOST, host=self._address.host, port=self._address.port,
             problem=self._trouble.problem if self._trouble else "")  # fmt: skip
        if self._clock() - self._dialled_at > self._patience.longest_backoff:
            self._dials = 0
        self._hold_back()
        self.close()

    def _open(self) -> S:
        self._dialled_at = self._clock()
        self._dials += 1
        try:
            self._session = self._dial()
        except SchoolbellError as error:
            self._trouble = error
            self._hold_back()
            raise
        emit(Event.BROKER_CONNECTED, host=self._address.host, port=self._address.port)
        return self._session

    def _hold_back(self) -> None:
        """Twice as long after each dial, and never for all at the same moment."""
        if self._dials == 0:
            self._not_before = 0.0
            return
        longest = min(
            self._patience.longest_backoff, self._patience.first_backoff * 2 ** (self._dials - 1)
        )
        self._not_before = self._clock() + longest * (0.5 + 0.5 * self._chance())
