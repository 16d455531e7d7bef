"""Listening: TLS, the choice of protocol (ALPN), and what all connections have in common."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, cast

from engine.errors import SchoolbellError

HTTP2: Final = "h2"
HTTP1: Final = "http/1.1"

BACKLOG: Final = 1_024
CLOSING_SECONDS: Final = 1.0


class PortInUse(SchoolbellError):
    """Another program listens where the phones should."""

    def __init__(self, port: int, what: str) -> None:
        super().__init__(
            f"Port {port}, meant for {what}, is in use by another program.",
            "Stop that program, or give the phones another port (0 takes a free one).",
        )
        self.port = port


class Conversation(asyncio.Protocol):
    """One client's connection; it is among *others* for as long as it is open.

    *ended* is done once it is closed.
    """

    transport: asyncio.Transport
    ended: asyncio.Future[None]

    def __init__(self, others: set[Conversation]) -> None:
        self._others = others

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self.transport = cast(asyncio.Transport, transport)
        self.ended = asyncio.get_running_loop().create_future()
        self._others.add(self)
        self.greet()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, with all that it had not finished saying."""
        del exc
        self._others.discard(self)
        self.ended.set_result(None)

    def pause_writing(self) -> None:
        """A client that does not read its answers is not read from either."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self.transport.resume_reading()

    def cut(self) -> None:
        """End the connection at once, by a reset of TCP."""
        at_once = struct.pack("ii", 1, 0)
        ours = self.transport.get_extra_info("socket")
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.transport.abort()

    @abstractmethod
    def greet(self) -> None:
        """Say what a server of this protocol says before any request."""

    @abstractmethod
    def close(self) -> None:
        """Close when what was written is sent."""


class Greeting(asyncio.Protocol):
    """Hands a new TLS connection to the protocol that the client chose (ALPN).

    *protocols* has a maker for each ALPN name, and under None one for clients that name nothing;
    a client that none is for is turned away.
    """

    def __init__(self, protocols: Mapping[str | None, Callable[[], asyncio.Protocol]]) -> None:
        self._protocols = protocols

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done, so the choice is known."""
        chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        make = self._protocols.get(chosen)
        if make is None:
            cast(asyncio.Transport, transport).abort()
            return
        protocol = make()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def tls_context(certificate: Path, key: Path, *protocols: str) -> ssl.SSLContext:
    """A server's TLS, 1.2 or newer, that offers *protocols* by ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(list(protocols))
    return context


def bind(host: str, port: int, what: str) -> socket.socket:
    """A socket that listens on *port* (0: a free one) for *what*; raises PortInUse."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port, what) from None
        raise


async def serve(
    listening: socket.socket,
    make: Callable[[], asyncio.Protocol],
    tls: ssl.SSLContext | None = None,
) -> asyncio.Server:
    """Give each client that comes to *listening* a protocol of its own."""
    return await asyncio.get_running_loop().create_server(
        make,
        sock=listening,
        backlog=BACKLOG,
        ssl=tls,
        ssl_shutdown_timeout=CLOSING_SECONDS if tls else None,
    )


async def close_all(conversations: Iterable[Conversation]) -> None:
    """Close every conversation, and cut those whose client does not let go in time."""
    open_ones = tuple(conversations)
    for conversation in open_ones:
        conversation.close()
    ends = [conversation.ended for conversation in open_ones]
    if not ends:
        return
    await asyncio.wait(ends, timeout=CLOSING_SECONDS)
    for conversation in open_ones:
        conversation.transport.abort()
    await asyncio.wait(ends)


def port_of(listening: socket.socket) -> int:
    """The port that a socket is bound to."""
    port: int = listening.getsockname()[1]
    return port
