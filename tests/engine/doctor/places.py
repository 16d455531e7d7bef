"""Places that are broken each in a way of its own, on loopback and with real sockets."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread

from engine.doctor.diagnosis import Who
from engine.doctor.network_probe import Place
from tests.servers import IssuedCertificate

HOST = "127.0.0.1"


def place(port: int, host: str = HOST) -> Place:
    """A port of this machine, as if the broker listened there."""
    return Place(
        host, port, "the broker", "AMQP", Who.BROKER, "[broker] url", "ca_file in [broker]"
    )


@contextmanager
def listening(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    """The port of somebody who answers each caller in the same way."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = listener.accept()
                    with caller, suppress(OSError):
                        answer(caller)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextmanager
def speaking_tls(
    issued: IssuedCertificate,
    answer: Callable[[ssl.SSLSocket], object] = lambda line: line.recv(1),
    wants_certificate_of: Path | None = None,
) -> Iterator[int]:
    """The port of somebody who shows this certificate, and perhaps wants one of an authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    if wants_certificate_of is not None:
        context.load_verify_locations(wants_certificate_of)
        context.verify_mode = ssl.CERT_REQUIRED

    def greet(caller: socket.socket) -> None:
        with context.wrap_socket(caller, server_side=True) as line:
            answer(line)

    with listening(greet) as port:
        yield port


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that swallows what is sent to it: its backlog is full and nobody takes from it."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind((HOST, 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        while True:
            caller = waiting.enter_context(socket.socket())
            caller.settimeout(0.3)
            try:
                caller.connect((HOST, port))
            except TimeoutError:
                break
        yield port
