"""An HTTP/2 server that does to each request what a test says, and remembers what it saw.

Strict like the real gateways: a stream above the advertised limit ends the connection.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import struct
import termios
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from tests.servers import CertificateAuthority

LINGERING_SECONDS = 0.3


@dataclass(frozen=True)
class Seen:
    """One complete request: on the how many-th connection, as the how many-th stream of it."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    nth: int


@dataclass(frozen=True)
class Say:
    """Answer, perhaps *after* some seconds, and perhaps allow so many *streams* from now on."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0
    streams: int | None = None


@dataclass(frozen=True)
class Silence:
    """Never answer by itself: a test may let it be answered, see `Peer.answer`."""


@dataclass(frozen=True)
class Reset:
    """Reset the stream."""

    code: ErrorCodes = ErrorCodes.REFUSED_STREAM


@dataclass(frozen=True)
class GoAway:
    """Say that no stream from this one on is processed; close when those before are answered."""


@dataclass(frozen=True)
class Cut:
    """Cut the TCP connection, with a reset or (*quietly*) an end of file."""

    quietly: bool = False


Reaction = Say | Silence | Reset | GoAway | Cut
Script = Callable[[Seen], Reaction]


def accept(seen: Seen) -> Reaction:
    """Accept everything."""
    del seen
    return Say()


class Peer:
    """Serves in a thread of its own while entered. *connections* counts all that were made."""

    def __init__(
        self,
        folder: Path,
        script: Script = accept,
        *,
        streams: int = 100,
        port: int = 0,
        authority: CertificateAuthority | None = None,
        certificate: Mapping[str, Any] = MappingProxyType({}),
        nameless: bool = False,
    ) -> None:
        self.script = script
        self.streams = streams
        self.connections = 0
        self.seen: list[Seen] = []
        self.overruns = 0
        authority = authority or CertificateAuthority(folder)
        self.ca_file = authority.ca_file
        issued = authority.nameless() if nameless else authority.issue(**certificate)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(issued.certificate, issued.key)
        self._tls.set_alpn_protocols(["h2"])
        self._listening = socket.create_server(("127.0.0.1", port), backlog=128)
        self.url = f"https://localhost:{self._listening.getsockname()[1]}"
        self._open: set[_Connection] = set()
        self._silent: dict[str, tuple[_Connection, int]] = {}

    def __enter__(self) -> Peer:
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="peer", daemon=True
        )
        self._thread.start()
        started.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order; a request that came twice is there twice."""
        return [seen.path for seen in self.seen]

    def answer(self, *paths: str) -> None:
        """Accept requests that met Silence, each in a TLS record of its own, in this order.

        Returns when the answers lie in the client's socket.
        """
        asyncio.run_coroutine_threadsafe(self._answer(paths), self._loop).result()

    async def _answer(self, paths: Iterable[str]) -> None:
        for path in paths:
            connection, stream = self._silent.pop(path)
            connection._say(stream, Say())
            while connection.is_underway:
                await asyncio.sleep(0.001)

    def leave(self) -> None:
        """Close every connection with a GOAWAY, as real gateways do to idle ones."""
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()

    async def _leave(self) -> None:
        for connection in tuple(self._open):
            connection.leave()
            connection.cut(quietly=True)

    async def _serve(self, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await self._loop.create_server(
            lambda: _Connection(self), sock=self._listening, ssl=self._tls
        )
        started.set_result(None)
        await self._stopping.wait()
        server.close()
        # A greeting that is under way is a task. Transports close in turns of their own.
        while self._open or len(asyncio.all_tasks()) > 1:
            for connection in tuple(self._open):
                connection.cut()
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._incoming: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._unanswered: set[int] = set()
        self._last: int | None = None
        self._nth = 0
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        # Set before the first byte: a limit set later is enforced only once the client agrees.
        self._h2.local_settings = Settings(
            client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: peer.streams}
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._peer.connections += 1
        self._peer._open.add(self)
        self._number = self._peer.connections
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._peer._open.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except ProtocolError:
            self._peer.overruns += 1
            self._flush()
            self.transport.close()
            return
        for event in events:
            self._on(event)
        self._flush()

    def _on(self, event: object) -> None:
        match event:
            case RequestReceived(stream_id=stream):
                self._incoming[stream] = (_text(event.headers), bytearray())
            case DataReceived(stream_id=stream):
                self._incoming[stream][1].extend(event.data)
                self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
            case StreamEnded(stream_id=stream):
                headers, body = self._incoming.pop(stream)
                self._request(stream, headers, bytes(body))

    def _request(self, stream: int, headers: dict[str, str], body: bytes) -> None:
        if self._last is not None and stream > self._last:
            return  # said goodbye before: what comes after is ignored
        self._nth += 1
        seen = Seen(headers[":path"], headers, body, self._number, self._nth)
        reaction = self._peer.script(seen)
        if not isinstance(reaction, GoAway | Reset):
            self._peer.seen.append(seen)
            self._unanswered.add(stream)
        match reaction:
            case Say():
                asyncio.get_running_loop().call_later(reaction.after, self._say, stream, reaction)
            case Silence():
                self._peer._silent[seen.path] = self, stream
            case Reset():
                self._h2.reset_stream(stream, reaction.code)
            case GoAway():
                self._say_goodbye(stream - 2)
            case Cut():
                self.cut(quietly=reaction.quietly)

    def _say(self, stream: int, reaction: Say) -> None:
        if self.transport.is_closing():
            return
        headers = [(":status", str(reaction.status)), *reaction.headers.items()]
        try:
            self._h2.send_headers(stream, headers, end_stream=not reaction.body)
        except StreamClosedError:
            return  # the client gave up
        self._send(stream, memoryview(reaction.body))
        if reaction.streams is not None:
            self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: reaction.streams})
        self._flush()
        self._answered(stream)

    def _send(self, stream: int, rest: memoryview) -> None:
        """Send as the client's windows allow; they are opened again by the time we come back."""
        if not rest or self.transport.is_closing():
            return
        window = self._h2.local_flow_control_window(stream)
        room = min(window, self._h2.max_outbound_frame_size)
        if room > 0:
            self._h2.send_data(stream, bytes(rest[:room]), end_stream=len(rest) <= room)
            self._flush()
        asyncio.get_running_loop().call_later(0, self._send, stream, rest[max(room, 0) :])

    def leave(self) -> None:
        self.transport.write(GoAwayFrame(0, last_stream_id=2**31 - 1).serialize())

    @property
    def is_underway(self) -> bool:
        """Whether the client's side of TCP does not have all that was sent."""
        count = fcntl.ioctl(self.transport.get_extra_info("socket"), termios.TIOCOUTQ, bytes(4))
        return any(count)

    def _say_goodbye(self, last: int) -> None:
        self._last = last
        self.transport.write(GoAwayFrame(0, last_stream_id=last).serialize())
        self._answered(-1)

    def _answered(self, stream: int) -> None:
        self._unanswered.discard(stream)
        if self._last is not None and not self._unanswered:
            # What the client is still writing would be answered by TCP with a reset.
            asyncio.get_running_loop().call_later(LINGERING_SECONDS, self.transport.close)

    def cut(self, *, quietly: bool = False) -> None:
        raw = self.transport.get_extra_info("socket")
        if raw is not None and not quietly:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self.transport.write(data)


def _text(headers: Iterable[tuple[str | bytes, str | bytes]]) -> dict[str, str]:
    """The headers as h2 gives them when it is told the encoding."""
    return {str(name): str(value) for name, value in headers}
