"""Private servers for tests and benchmarks: real ones, on loopback, gone afterwards.

Each lives in a temporary folder of its own and listens on free ports of 127.0.0.1. Nothing is
shared with a server that already runs on this machine, and none outlives the process that
started it, even when that process is killed.
"""

from tests.servers.browser import chromium
from tests.servers.certificates import CertificateAuthority, IssuedCertificate
from tests.servers.nginx import NginxSink
from tests.servers.oidc_provider import OidcProvider
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgresServer
from tests.servers.processes import (
    Child,
    MissingServerError,
    Sandbox,
    ServerError,
    find_program,
    free_port,
    is_running,
    wait_until,
)
from tests.servers.rabbitmq import RabbitServer, Vhost, WrittenRabbitServer

__all__ = [
    "CertificateAuthority",
    "Child",
    "IssuedCertificate",
    "MissingServerError",
    "NginxSink",
    "OidcProvider",
    "PgBouncer",
    "PostgresServer",
    "RabbitServer",
    "Sandbox",
    "ServerError",
    "Vhost",
    "WrittenRabbitServer",
    "chromium",
    "find_program",
    "free_port",
    "is_running",
    "wait_until",
]
