"""Who a server says that it is: what libpq accepts of it, and we do not."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

from engine.errors import Misconfigured
from engine.secrets.certificates import names_a_host

_PORT: Final = "5432"
_PATIENCE: Final = 5.0  # seconds
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80_877_103)
_YES: Final = b"S"


def require_named(settings: Mapping[str, Any]) -> None:
    """Raise Misconfigured where a server that is to be verified has nothing but a common name.

    libpq takes that for the host's where there is no subject alternative name, and has no setting
    against it. *settings* are what libpq is called with. Nothing but a greeting is sent; who cannot
    be asked is left to libpq.
    """
    if _setting(settings, "sslmode", "PGSSLMODE") != "verify-full":
        return
    for host, port in _servers(settings):
        if _is_nameless(host, port):
            raise Misconfigured(
                f"The certificate of the database server {host} has no subject alternative name: "
                "its common name, which anybody may have written, is no host's name.",
                "Ask who runs the database for a certificate that names the host in [database] or "
                "[source] url as a subject alternative name.",
            )


def _servers(settings: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Every server that libpq may connect to, but those of this machine's own sockets."""
    hosts = _setting(settings, "host", "PGHOST").split(",")
    ports = _setting(settings, "port", "PGPORT").split(",")
    for host, port in zip_longest(hosts, ports, fillvalue=ports[0]):
        if host and not host.startswith(("/", "@")):
            yield host, int(port or _PORT)


def _setting(settings: Mapping[str, Any], name: str, variable: str) -> str:
    """What is given, else what the environment says; of several, with commas between them."""
    return str(settings.get(name) or os.environ.get(variable, ""))


def _is_nameless(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # libpq verifies who signed it
    try:
        with socket.create_connection((host, port), _PATIENCE) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != _YES:
                return False
            with context.wrap_socket(plain, server_hostname=host) as line:
                shown = line.getpeercert(binary_form=True) or b""
    except (OSError, OverflowError, UnicodeError):
        return False
    return not names_a_host(ssl.DER_cert_to_PEM_cert(shown).encode())
