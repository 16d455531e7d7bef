"""What passes between a gateway and the transport: one Request in, one Answer or NoAnswer out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K")


class Request(msgspec.Struct, Generic[K], frozen=True):
    """One POST. *headers* are lines; the same tuple again costs nothing. *key* comes back."""

    key: K
    path: str
    headers: tuple[str, ...]
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """What the peer said; of a long *body* the beginning. *retry_after* is in seconds.

    *connection* is the number of the connection that it came on, from 1.
    """

    status: int
    body: bytes = b""
    retry_after: int | None = None
    connection: int = 0


class NoAnswer(Enum):
    """Why there is no answer."""

    UNREACHABLE = "no connection could be made"
    UNTRUSTED = "the peer's certificate is not one that we trust"
    NOT_HTTP2 = "the peer does not speak HTTP/2"
    BUSY = "the peer did not take the request in time"
    TIMED_OUT = "the request was written and not answered in time"
    LOST = "the connection ended before the answer came"

    @property
    def may_have_arrived(self) -> bool:
        """Whether the peer may have acted on the request."""
        return self in (NoAnswer.TIMED_OUT, NoAnswer.LOST)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once, and how long.

    *streams* is for each connection. *timeout* is for the answer; waiting for a free stream may
    take as long again. *wary*: a connection has one stream until the peer has accepted a request
    on it, and again after it refused one (APNs); otherwise any answer ends the caution, since it
    shows that the peer's SETTINGS have come.
    """

    connections: int = 8
    streams: int = 100
    timeout: timedelta = timedelta(seconds=10)
    wary: bool = False
