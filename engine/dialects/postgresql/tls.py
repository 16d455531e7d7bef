"""Who a server says that it is: what libpq accepts of it, and we do not."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Final

from sqlalchemy.engine import URL

from engine.secrets.certificates import names_a_host

_PORT: Final = 5432
_PATIENCE: Final = 5.0  # seconds
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80_877_103)
_YES: Final = b"S"


def is_nameless(url: URL) -> bool:
    """Whether a server whose name is to be verified has nothing but a common name.

    libpq takes that for the host's where there is no subject alternative name, and has no setting
    against it. Nothing but a greeting is sent; who cannot be asked is left to libpq.
    """
    if url.query.get("sslmode") != "verify-full" or not url.host or url.host.startswith("/"):
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # libpq verifies who signed it
    try:
        with socket.create_connection((url.host, url.port or _PORT), _PATIENCE) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != _YES:
                return False
            with context.wrap_socket(plain, server_hostname=url.host) as line:
                shown = line.getpeercert(binary_form=True) or b""
    except OSError:
        return False
    return not names_a_host(ssl.DER_cert_to_PEM_cert(shown).encode())
