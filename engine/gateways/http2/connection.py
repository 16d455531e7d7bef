"""Connections and streams: one HTTP/2 connection, and one request on it, as libcurl knows them.

A Connection has a libcurl pool of its own, so that it is one connection from beginning to end.
Only its first request may connect a socket. When libcurl wants another one later, the connection
is at its end or full, and what libcurl would do by itself is stopped: it would write a request
again that the peer may have taken, or open a hundred streams before it has seen SETTINGS.
"""

from __future__ import annotations

import math
import os
import select
import socket
import time
from dataclasses import dataclass
from typing import Any, Final

import pycurl

from engine.gateways.http2.exchange import Limits, Request
from engine.secrets.certificates import names_a_host

MAX_ANSWER_BYTES: Final = 8_192
COLD_SILENCE: Final = 1.0
"""Seconds that a cold connection may be silent before another is tried beside it."""
LEFT_UNREAD: Final = 0.01
"""Seconds of silence after the end of a request until its connection is read once more."""
NEVER: Final = math.inf
# from Linux's tcp_states.h: established; just asking, closed
TCP_ESTABLISHED: Final = 1
TCP_NEVER_OPEN: Final = frozenset({2, 7})
KEEP_SECONDS: Final = 12 * 3_600  # libcurl gives up an idle connection after two minutes
KEEPALIVE_SECONDS: Final = 60
SMALLEST_BUFFER: Final = 16_384  # instead of 64 KiB for each request: measured a tenth faster

Option = tuple[int, int | str]

OPTIONS: Final[tuple[Option, ...]] = (
    # Offers h2 alone, so that an HTTP/1.1 server cannot take the request by mistake.
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE),
    (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
    (pycurl.PIPEWAIT, 1),
    (pycurl.NOSIGNAL, 1),
    (pycurl.TCP_NODELAY, 1),
    (pycurl.TCP_KEEPALIVE, 1),
    (pycurl.TCP_KEEPIDLE, KEEPALIVE_SECONDS),
    (pycurl.TCP_KEEPINTVL, KEEPALIVE_SECONDS),
    (pycurl.MAXAGE_CONN, KEEP_SECONDS),
    (pycurl.UPLOAD_BUFFERSIZE, SMALLEST_BUFFER),
)
EPOLL_EVENTS: Final = {
    pycurl.POLL_NONE: 0,
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}


@dataclass(slots=True)
class Pending:
    """A request that has no stream: until when it waits for one, how often it was refused."""

    request: Request[Any]
    until: float
    refusals: int = 0


class Stream:
    """A place for one request in flight, used again and again."""

    pending: Pending
    connection: Connection

    def __init__(self, endpoint: str, trust: tuple[Option, ...], timeout: float) -> None:
        self.handle = pycurl.Curl()
        # Kept, because to look up a method of a handle costs a microsecond.
        self.getinfo = self.handle.getinfo
        self._setopt = self.handle.setopt
        self.chunks: list[bytes] = []
        self.started_at = 0.0
        self.was_stopped = False
        self.was_connected = False
        self.was_held_back = False
        self._holds_back = False
        self._length = 0
        self._endpoint = endpoint
        self._path = ""
        self._headers: tuple[str, ...] = ()
        for option, value in (*OPTIONS, *trust):
            self._setopt(option, value)
        self._setopt(pycurl.TIMEOUT_MS, int(timeout * 1_000))
        self._setopt(pycurl.WRITEFUNCTION, self._take)
        self._setopt(pycurl.SOCKOPTFUNCTION, self._open)

    @property
    def was_written(self) -> bool:
        """Whether the peer may have some of the request."""
        return bool(self.getinfo(pycurl.REQUEST_SIZE))

    def start(self, connection: Connection, pending: Pending, now: float) -> None:
        """Send *pending* on *connection*."""
        request = pending.request
        if request.path != self._path:
            self._path = request.path
            self._setopt(pycurl.URL, self._endpoint + request.path)
        if request.headers is not self._headers:
            self._headers = request.headers
            self._setopt(pycurl.HTTPHEADER, request.headers)
        self._setopt(pycurl.POSTFIELDS, request.body)
        self.chunks = []
        self._length = 0
        self.was_stopped = False
        self.started_at = now
        self.pending = pending
        self.connection = connection
        if self._holds_back is connection.is_sealed:
            self._hold_back(wanted=not connection.is_sealed)
        connection.add(self)

    def _take(self, chunk: bytes) -> None:
        """A part of the answer's body. All of it is read, for flow control; not all is kept."""
        if self._length < MAX_ANSWER_BYTES:
            self.chunks.append(chunk[: MAX_ANSWER_BYTES - self._length])
            self._length += len(chunk)

    def _hold_back(self, *, wanted: bool) -> None:
        """Whether libcurl stops before a byte of the request is written, because it is the first.

        libcurl takes a common name where a certificate has no subject alternative name, and has no
        option against it. So we look by ourselves who is there, and then let the request go.
        """
        self._holds_back = wanted
        self.was_held_back = False
        self._setopt(pycurl.OPT_CERTINFO, int(wanted))
        self._setopt(pycurl.PREREQFUNCTION, self._stop if wanted else None)

    def _stop(self, *_addresses: object) -> int:
        self.was_held_back = True
        return pycurl.PREREQFUNC_ABORT

    def _open(self, file: int, _purpose: int) -> int:
        """libcurl is about to connect a socket: for the first request of a connection it may."""
        if self.connection.opens(file):
            return pycurl.SOCKOPT_OK
        if not self.was_stopped:  # it tries every address of the host
            self.was_stopped = True
            self.was_connected = self.connection.is_connected
        return pycurl.SOCKOPT_ERROR


class Connection:
    """One connection, the *number*-th of its transport."""

    def __init__(
        self,
        number: int,
        limits: Limits,
        epoll: select.epoll,
        owners: dict[int, Connection],
        now: float,
    ) -> None:
        self.number = number
        self.streams: dict[pycurl.Curl, Stream] = {}
        self.heard_at = now
        self._timer = NEVER
        self._second_look = NEVER
        self._file = -1
        self._is_sealed = False
        self._limits = limits
        self._most = limits.streams
        self._is_warm = False
        self._sockets: list[socket.socket] = []
        self._epoll = epoll
        self._owners = owners
        self.multi = pycurl.CurlMulti()
        self._add = self.multi.add_handle
        self._remove = self.multi.remove_handle
        self.multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self.multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, limits.streams)
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    @property
    def due(self) -> float:
        """When libcurl has something to do though no socket is ready."""
        return min(self._timer, self._second_look)

    @property
    def is_sealed(self) -> bool:
        """Whether its first request is over: it has its socket, or will never have one."""
        return self._is_sealed

    @property
    def is_connected(self) -> bool:
        """Whether TCP holds, as far as the kernel knows."""
        return any(_state(ours) == TCP_ESTABLISHED for ours in self._sockets)

    @property
    def is_gone(self) -> bool:
        """Whether the peer has closed the connection while nothing was in flight.

        libcurl does not listen to an idle connection, and would notice while writing.
        """
        return self._is_sealed and not self.streams and not self.is_connected

    @property
    def room(self) -> int:
        """How many more requests it may have."""
        return (self._most if self._is_warm else 1) - len(self.streams)

    def is_awaited(self, now: float) -> bool:
        """Whether an answer that gives it more room may still come soon."""
        return not self._is_warm and now - self.heard_at < COLD_SILENCE

    def opens(self, file: int) -> bool:
        """Whether libcurl may connect this socket. We keep a hand on it, to ask the kernel."""
        if self._is_sealed or any(_state(ours) not in TCP_NEVER_OPEN for ours in self._sockets):
            return False
        self._sockets.append(socket.socket(fileno=os.dup(file)))
        return True

    def add(self, stream: Stream) -> None:
        """A request begins."""
        self.streams[stream.handle] = stream
        self._add(stream.handle)

    def drop(self, stream: Stream) -> None:
        """A request is over; from the first on, no further socket belongs to the connection."""
        if not self._is_sealed:
            self._seal(stream)
        del self.streams[stream.handle]
        self._remove(stream.handle)
        if self.streams:
            self._second_look = time.monotonic() + LEFT_UNREAD

    def heard(self, now: float, *, accepted: bool) -> None:
        """The peer has answered."""
        self.heard_at = now
        if accepted or not self._limits.wary:
            self._is_warm = True
        elif self._is_warm:
            self._is_warm = False
            self._most = self._limits.streams

    def fill_up(self) -> None:
        """The peer allows no more streams than it has now."""
        self._most = len(self.streams)

    def close(self) -> None:
        """Close the connection; what is in flight ends without an answer."""
        for handle in self.streams:
            self._remove(handle)
            handle.close()
        self.multi.close()
        for ours in self._sockets:
            ours.close()

    def _seal(self, stream: Stream) -> None:
        """From the end of its first request on a connection has its socket, or none."""
        self._is_sealed = True
        self._file = stream.getinfo(pycurl.ACTIVESOCKET)
        port = stream.getinfo(pycurl.LOCAL_PORT)
        for ours in tuple(self._sockets):
            if ours.getsockname()[1] != port:  # another address of the host, which was slower
                self._sockets.remove(ours)
                ours.close()

    # --- libcurl's sockets and timers ------------------------------------------------------

    def drive(self, now: float) -> bool:
        """Let libcurl do what is due by the clock; return whether anything was.

        And let it read what it may have left unread. It has OpenSSL read ahead, so that several
        TLS records leave the socket at once; a request that ends with the first of them does not
        look at the second, and tells no other request that something lies there. The socket stays
        silent. It is in libcurl since 8.15, and stands in a comment of its h2_progress_ingress.
        """
        if self.due > now:
            return False
        if self._timer <= now:
            self._timer = NEVER
            self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        if self._second_look <= now:
            self.react(self._file, select.EPOLLIN)
        return True

    def react(self, file: int, events: int) -> None:
        """Let libcurl use a socket; an error on it is for libcurl to find by reading."""
        if file == self._file:
            self._second_look = NEVER
        readable = events & ~select.EPOLLOUT and pycurl.CSELECT_IN
        writable = events & select.EPOLLOUT and pycurl.CSELECT_OUT
        self.multi.socket_action(file, readable | writable)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = NEVER if milliseconds < 0 else time.monotonic() + milliseconds / 1_000

    def _watch(self, what: int, file: int, _multi: pycurl.CurlMulti, _data: object) -> None:
        known = file in self._owners
        if what != pycurl.POLL_REMOVE:
            (self._epoll.modify if known else self._epoll.register)(file, EPOLL_EVENTS[what])
            self._owners[file] = self
        elif known:
            self._epoll.unregister(file)
            del self._owners[file]


def is_named(handle: pycurl.Curl) -> bool:
    """Whether the certificate that was shown to *handle* names a host; it keeps OPT_CERTINFO."""
    chain = handle.getinfo_raw(pycurl.INFO_CERTINFO)
    return bool(chain) and names_a_host(dict(chain[0]).get(b"Cert", b""))


def _state(connection: socket.socket) -> int:
    """What the kernel knows of a connection."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
