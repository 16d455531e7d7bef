"""One multiplexed HTTP/2 transport to one host.

In:         requests.
Out:        for each exactly one Answer, or the NoAnswer that says whether it may have arrived.
Guarantee:  what the peer may have taken is not written again here. Only what it surely did not
            take is: a refused stream, a stream above a GOAWAY's last id.

It is libcurl, with one pool for each connection. A first request goes alone; the others follow
when it is answered, and a further connection is opened only when all are full. Who submits no
more than there is `room` for has no request wait here for a stream.
"""

from __future__ import annotations

import select
import ssl
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Generic

import pycurl

from engine.errors import ConfigError
from engine.gateways.http2.connection import Connection, Option, Pending, Stream, is_named
from engine.gateways.http2.exchange import Answer, K, Limits, NoAnswer, Request

MAX_REFUSALS: Final = 3
PAUSE: Final = 1.0
"""Seconds without a new try after a connection could not be made."""
GLANCE: Final = 0.05
"""Seconds after which what waits for a stream is looked at again."""

E_HTTP2_STREAM: Final = 92  # one stream was reset; pycurl has no name for it
STOPPED: Final = pycurl.E_ABORTED_BY_CALLBACK
ONE_STREAM_ONLY: Final = frozenset({STOPPED, pycurl.E_OPERATION_TIMEDOUT, E_HTTP2_STREAM})
"""What befalls one request and leaves its neighbours alone."""
UNTRUSTED: Final = frozenset(
    {pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE, pycurl.E_SSL_ISSUER_ERROR}
)
NOT_HTTP2: Final = ("expected SETTINGS frame", "alert no application protocol")
"""What nghttp2 and OpenSSL say of a peer that cannot have read the request."""


class Http2(Generic[K]):
    """Requests to one https *endpoint*. Not shared between threads."""

    def __init__(self, endpoint: str, limits: Limits, ca_file: Path | None = None) -> None:
        if not endpoint.startswith("https://"):
            raise ConfigError(
                f"The gateway endpoint {endpoint} is not an https:// address.",
                "Pushes travel over TLS only: give an endpoint that begins with https://.",
            )
        self._endpoint = endpoint.rstrip("/")
        self._limits = limits
        self._timeout = limits.timeout.total_seconds()
        self._trust = trust(ca_file)
        self._epoll = select.epoll()
        self._owners: dict[int, Connection] = {}
        self._connections: list[Connection] = []
        self._retired: list[Connection] = []
        self._free: list[Stream] = []
        self._waiting: deque[Pending] = deque()
        self._done: list[tuple[K, Answer | NoAnswer]] = []
        self._in_flight = 0
        self._opened = 0
        self._barred_until = 0.0
        self._barred_by = NoAnswer.UNREACHABLE

    @property
    def in_flight(self) -> int:
        """How many requests were submitted and not collected yet."""
        return self._in_flight

    @property
    def room(self) -> int:
        """How many more requests would begin at once, or be told at once that no peer is there."""
        now = time.monotonic()
        alive = self._alive
        if now < self._barred_until and not alive:
            return sys.maxsize
        room = sum(max(0, one.room) for one in alive)
        if room == 0 and self._may_open(now):
            room = 1
        return max(0, room - len(self._waiting))

    def submit(self, request: Request[K]) -> None:
        """Take a request; `collect` moves it."""
        self._in_flight += 1
        self._waiting.append(Pending(request, time.monotonic() + self._timeout))

    def collect(self, timeout: float) -> list[tuple[K, Answer | NoAnswer]]:
        """Move bytes for at most *timeout* seconds; return at once when there are answers."""
        end = time.monotonic() + timeout
        self._turn()
        while True:
            self._move(end)
            self._turn()
            if self._done or time.monotonic() >= end:
                break
        done, self._done = self._done, []
        self._in_flight -= len(done)
        return done

    def let_go(self, number: int) -> None:
        """Put nothing more on the *number*-th connection; what is in flight on it ends there."""
        for connection in tuple(self._connections):
            if connection.number == number:
                self._retire(connection)

    def close(self) -> None:
        """Close the connections; what is in flight gets no answer. Safe to call twice."""
        for connection in self._every_connection():
            connection.close()
        for stream in self._free:
            stream.handle.close()
        self._connections, self._retired, self._free = [], [], []
        self._waiting.clear()
        self._epoll.close()

    def _turn(self) -> None:
        """Take what is finished and put to work what waits."""
        self._reap()
        self._start()
        if self._drive():
            self._reap()

    # --- which request goes where ----------------------------------------------------------

    def _start(self) -> None:
        """Give waiting requests to the connections that have room."""
        if not self._waiting:
            return
        now = time.monotonic()
        self._give_up(now)
        while self._waiting and (connection := self._connection_with_room(now)):
            for _ in range(min(connection.room, len(self._waiting))):
                stream = self._free.pop() if self._free else self._new_stream()
                stream.start(connection, self._waiting.popleft(), now)

    def _give_up(self, now: float) -> None:
        """Nothing waits longer than the timeout, nor for a peer that cannot be reached at all."""
        barred = now < self._barred_until and not self._alive
        while self._waiting and (barred or self._waiting[0].until <= now):
            key: K = self._waiting.popleft().request.key
            self._done.append((key, self._barred_by if barred else NoAnswer.BUSY))

    def _connection_with_room(self, now: float) -> Connection | None:
        for connection in tuple(self._connections):
            if connection.is_gone:
                self._retire(connection)
            elif connection.room > 0:
                return connection
        if not self._may_open(now):
            return None
        self._opened += 1
        opened = Connection(self._opened, self._limits, self._epoll, self._owners, now)
        self._connections.append(opened)
        return opened

    def _may_open(self, now: float) -> bool:
        """Whether one more connection is allowed and called for."""
        return (
            now >= self._barred_until
            and len(self._alive) < self._limits.connections
            and not any(connection.is_awaited(now) for connection in self._alive)
        )

    @property
    def _alive(self) -> Sequence[Connection]:
        """Those that the peer has not closed meanwhile; the others make way for new ones."""
        return [one for one in self._connections if not one.is_gone]

    def _new_stream(self) -> Stream:
        return Stream(self._endpoint, self._trust, self._timeout)

    # --- what moves them -------------------------------------------------------------------

    def _move(self, end: float) -> None:
        """Wait for sockets that are ready, and let libcurl use them."""
        for socket, events in self._epoll.poll(self._pause(end)):
            if connection := self._owners.get(socket):
                connection.react(socket, events)

    def _pause(self, end: float) -> float:
        """How many seconds there is nothing to do but to listen."""
        if self._done:
            return 0.0
        until = min((end, *(connection.due for connection in self._every_connection())))
        pause = max(until - time.monotonic(), 0.0)
        return min(pause, GLANCE) if self._waiting else pause

    def _drive(self) -> bool:
        """Let libcurl do what is due by the clock, such as requests it was just given."""
        now = time.monotonic()
        return sum(connection.drive(now) for connection in self._every_connection()) > 0

    def _every_connection(self) -> Iterator[Connection]:
        yield from self._connections
        yield from self._retired

    # --- what came of them -----------------------------------------------------------------

    def _reap(self) -> None:
        """Take what libcurl has finished."""
        for connection in tuple(self._every_connection()):
            if connection.streams:
                _, answered, failed = connection.multi.info_read()
                if answered:
                    self._answers(connection, answered)
                if failed:
                    self._failures(connection, failed)
        for connection in [one for one in self._retired if not one.streams]:
            self._retired.remove(connection)
            connection.close()

    def _answers(self, connection: Connection, answered: Sequence[pycurl.Curl]) -> None:
        now = time.monotonic()
        for handle in answered:
            stream = connection.streams[handle]
            status: int = stream.getinfo(pycurl.RESPONSE_CODE)
            retry_after = (stream.getinfo(pycurl.RETRY_AFTER) or None) if status >= 400 else None
            connection.heard(now, accepted=status == 200)
            answer = Answer(status, b"".join(stream.chunks), retry_after, connection.number)
            self._finish(stream, answer)

    def _failures(
        self, connection: Connection, failed: Sequence[tuple[pycurl.Curl, int, str]]
    ) -> None:
        is_broken = any(code not in ONE_STREAM_ONLY for _, code, _ in failed)
        stopped = [
            stream
            for handle, code, _ in failed
            if code == STOPPED and not (stream := connection.streams[handle]).was_held_back
        ]
        for stream, was_refused in _refusals(stopped, is_broken=is_broken):
            self._stopped(stream, was_refused=was_refused)
        for handle, code, text in failed:
            if code != STOPPED:
                self._failed(connection.streams[handle], code, text)
            elif handle in connection.streams:
                self._held_back(connection.streams[handle])
        if is_broken:
            self._retire(connection)

    def _failed(self, stream: Stream, code: int, text: str) -> None:
        if any(words in text for words in NOT_HTTP2):
            self._bar(stream, NoAnswer.NOT_HTTP2)
        elif code in UNTRUSTED:
            self._bar(stream, NoAnswer.UNTRUSTED)
        elif not stream.was_written:
            self._bar(stream, NoAnswer.UNREACHABLE)
        elif code == pycurl.E_OPERATION_TIMEDOUT:
            self._timed_out(stream)
        else:
            self._finish(stream, NoAnswer.LOST)

    def _held_back(self, stream: Stream) -> None:
        """The connection stands, and nothing was written on it yet."""
        if not is_named(stream.handle):
            self._bar(stream, NoAnswer.UNTRUSTED)
        elif (
            stream.getinfo(pycurl.ACTIVESOCKET) < 0
        ):  # libcurl keeps it only where HTTP/2 is spoken
            self._bar(stream, NoAnswer.NOT_HTTP2)
        else:
            self._release(stream)
            self._waiting.appendleft(stream.pending)

    def _stopped(self, stream: Stream, *, was_refused: bool) -> None:
        """libcurl wanted another connection: for what was refused, lost, or had no stream left."""
        connection = stream.connection
        if not stream.was_written:
            self._release(stream)
            self._waiting.appendleft(stream.pending)
            connection.fill_up()
            if connection.streams:
                return
        elif was_refused:
            self._refused(stream)
        else:
            self._finish(stream, NoAnswer.LOST)
        self._retire(connection)  # libcurl itself puts nothing more on it

    def _refused(self, stream: Stream) -> None:
        stream.pending.refusals += 1
        if stream.pending.refusals > MAX_REFUSALS:
            self._finish(stream, NoAnswer.BUSY)
        else:
            self._release(stream)
            self._waiting.appendleft(stream.pending)

    def _bar(self, stream: Stream, reason: NoAnswer) -> None:
        """No connection is to be had; it is tried again in a while."""
        self._barred_until = time.monotonic() + PAUSE
        self._barred_by = reason
        self._finish(stream, reason)
        self._retire(stream.connection)

    def _timed_out(self, stream: Stream) -> None:
        self._finish(stream, NoAnswer.TIMED_OUT)
        if stream.connection.heard_at <= stream.started_at:
            # Nothing at all has come since: the connection is dead, though TCP does not know it.
            self._retire(stream.connection)

    def _retire(self, connection: Connection) -> None:
        """No new request for this connection."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._retired.append(connection)

    def _finish(self, stream: Stream, result: Answer | NoAnswer) -> None:
        self._done.append((stream.pending.request.key, result))
        self._release(stream)

    def _release(self, stream: Stream) -> None:
        stream.connection.drop(stream)
        self._free.append(stream)


def _refusals(stopped: Sequence[Stream], *, is_broken: bool) -> Iterator[tuple[Stream, bool]]:
    """Of each stopped request, whether the peer refused it; otherwise it may have been taken.

    When a connection breaks libcurl wants to write one of its requests again, and fails the
    others. So where none failed several were refused, and one was if TCP still held.
    """
    several = sum(stream.was_written for stream in stopped) > 1
    for stream in stopped:
        yield stream, not is_broken and (several or stream.was_connected)


def trust(ca_file: Path | None) -> tuple[Option, ...]:
    """Whose signature a peer's certificate needs: those of *ca_file*, else those of the system.

    What libcurl was built with names the files of another Linux.
    """
    if ca_file is not None:
        return ((pycurl.CAINFO, str(ca_file)),)
    system = ssl.get_default_verify_paths()
    if system.cafile:
        return ((pycurl.CAINFO, system.cafile),)
    return ((pycurl.CAPATH, system.capath),) if system.capath else ()
