"""TLS by Python: who is at the other end must be named by a certificate that we trust."""

from __future__ import annotations

import ssl
from pathlib import Path


def verifying(ca_file: Path | None = None) -> ssl.SSLContext:
    """A context that verifies certificate and name; nobody can ask for less.

    The name must be a subject alternative name: nobody who signs certificates answers for a common
    name (RFC 9525). Raises OSError for a *ca_file* that cannot be read.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.hostname_checks_common_name = False
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
