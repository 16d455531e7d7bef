"""What passes between the connections and those who answer: one Request in, one Answer out.

Everything that a gateway decides is such a value, made without a socket. A connection only sends
what it is told, so a fault is one more kind of answer and no change to who gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

MAX_BODY_BYTES: Final = 65_536
"""How much of a request body is kept; sixteen times what any gateway takes as a payload."""

JSON_TYPE: Final = ("content-type", "application/json; charset=UTF-8")
HTML_TYPE: Final = ("content-type", "text/html; charset=UTF-8")

NOTHING: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete. Header names are in lower case; the path may hold a token.

    A repeated header has its last value in *headers* and its name in *repeated*. A *body* longer
    than MAX_BODY_BYTES is cut one byte above it, so that its length still says "too long".
    """

    method: str
    path: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    repeated: frozenset[str] = frozenset()

    @property
    def is_cut(self) -> bool:
        """Whether the body was longer than what is kept of it."""
        return len(self.body) > MAX_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. The connection adds the content length.

    *streams*, when given, is how many concurrent streams the connection may have from now on;
    it is announced with the answer. *after* is how many seconds the client waits for it.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    streams: int | None = None
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Silence:
    """The request is never answered, and stays open."""


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The request ends without an answer, its neighbours go on.

    *refused* says that nobody looked at it (REFUSED_STREAM), so that it may be sent again.
    """

    refused: bool = False


@dataclass(frozen=True, slots=True)
class Goodbye:
    """GOAWAY: neither this request nor a later one is looked at; those before are answered.

    *said* is the additional data, by which the server explains itself.
    """

    said: bytes = b""


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends at once, with all requests on it; *begun* is an answer half given."""

    begun: Answer | None = None


Reply = Answer | Silence | StreamReset | Goodbye | Cut
Answerer = Callable[[Request], Reply]
Clock = Callable[[], datetime]
"""Tells the time, as an aware moment."""


def request_from(
    method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes
) -> Request:
    """A Request with its repeated headers noted."""
    values: dict[str, str] = {}
    repeated: set[str] = set()
    for name, value in headers:
        if name in values:
            repeated.add(name)
        values[name] = value
    return Request(method, path, values, body, frozenset(repeated) if repeated else NOTHING)


def json_answer(status: int, content: object) -> Answer:
    """*content* as a JSON body."""
    return Answer(status, msgspec.json.encode(content), (JSON_TYPE,))
