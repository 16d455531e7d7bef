"""Where the broker is and how we may speak to it: the URL, TLS, and no plain text by accident."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

import pika
from pika.credentials import ExternalCredentials, PlainCredentials

from engine.config import BrokerSettings, HubSettings
from engine.errors import ConfigError
from engine.secrets.tls import verifying
from engine.telemetry import Event, emit

PORTS: Final = {"amqp": 5672, "amqps": 5671}
PLAINTEXT_WARNING: Final = (
    "SSL has been disabled on push notification communications. This setting should not be used "
    "for production. Contact a system administrator to enable SSL."
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long we wait for the broker, and how often we look at it, in seconds."""

    connect: float = 10.0
    reply: float = 10.0
    confirm: float = 30.0
    blocked: float = 300.0  # as long as an alarm of the broker may hold up a publisher
    heartbeat: int = 15  # below 5 s false alarms; without one a dead peer takes 11 minutes
    sharing: float = 1.0  # between two looks at how many consumers share the partitions
    first_backoff: float = 0.25
    longest_backoff: float = 5.0


@dataclass(frozen=True, slots=True)
class Address:
    """One vhost of one broker, and who we are there. Without *user* the client certificate says.

    *section* is where the configuration says so, for errors.
    """

    host: str
    port: int
    vhost: str
    user: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)
    section: str = "[broker]"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def parameters(self, timeouts: Timeouts, purpose: str) -> Any:
        """What pika needs to connect. *purpose* is the name that the broker's operator sees."""
        return pika.ConnectionParameters(
            host=self.host,
            port=self.port,
            virtual_host=self.vhost,
            credentials=self._credentials(),
            ssl_options=pika.SSLOptions(self.tls, self.host) if self.tls else None,
            heartbeat=timeouts.heartbeat,
            blocked_connection_timeout=timeouts.blocked,
            socket_timeout=timeouts.connect,
            stack_timeout=timeouts.connect,
            connection_attempts=2,
            retry_delay=timeouts.first_backoff,
            client_properties={"connection_name": f"schoolbell {purpose}"},
        )

    def _credentials(self) -> Any:
        return PlainCredentials(self.user, self.password) if self.user else ExternalCredentials()


def read_address(settings: BrokerSettings) -> Address:
    """Read the broker's URL; raise ConfigError for one that is wrong or would not be private."""
    url = _parsed(settings)
    tls = _tls(settings) if url.scheme == "amqps" else None
    if host := plaintext(settings):
        _allow_plaintext(settings, host)
    if not url.username and not (tls and settings.cert_file):
        raise ConfigError(
            f"The broker's URL in {_section(settings)} names no user.",
            "Write amqps://user:password@host/vhost, or give a client certificate as cert_file, "
            f"in {_section(settings)}.",
        )
    return Address(
        host=url.hostname or "",
        port=url.port or PORTS[url.scheme],
        vhost=vhost_of(settings),
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        tls=tls,
        section=_section(settings),
    )


def in_vhost(settings: BrokerSettings, vhost: str) -> BrokerSettings:
    """The same broker's vhost *vhost*, for who reads several; raises ConfigError.

    The URL must leave the vhost open: one that it names would be read by nobody.
    """
    url = _parsed(settings)
    if url.path not in ("", "/"):
        raise ConfigError(
            f"The broker's URL in {_section(settings)} names a vhost, but each district has its "
            "own.",
            "End the URL after the host and the port: amqps://user:password@host:5671.",
        )
    named = url._replace(path="/" + quote(vhost, safe="")).geturl()
    return settings.model_copy(update={"url": named})


def vhost_of(settings: BrokerSettings) -> str:
    """The vhost that the URL names; raises ConfigError."""
    return unquote(_parsed(settings).path[1:]) or "/"


def plaintext(settings: BrokerSettings) -> str:
    """The host to which *settings* would speak in plain text over a network; empty if to none."""
    try:
        url = _parsed(settings)
    except ConfigError:
        return ""  # nothing is sent to what is not readable
    host = url.hostname or ""
    return "" if url.scheme == "amqps" or _is_loopback(host) else host


def endpoint(settings: BrokerSettings) -> tuple[str, int]:
    """The host and the port that a firewall must let through; raises ConfigError."""
    url = _parsed(settings)
    return url.hostname or "", url.port or PORTS[url.scheme]


def _section(settings: BrokerSettings) -> str:
    return "[hub]" if isinstance(settings, HubSettings) else "[broker]"


def _parsed(settings: BrokerSettings) -> SplitResult:
    """Split the URL. Its text is in no error: it holds the password."""
    try:
        parsed = urlsplit(settings.url)
        readable = parsed.scheme in PORTS and bool(parsed.hostname) and parsed.port != 0
    except ValueError:
        readable = False
    if not readable or parsed.query or parsed.fragment or "/" in parsed.path[1:]:
        raise ConfigError(
            f"The broker's URL in {_section(settings)} is not readable.",
            "Write `embedded:` or amqps://user:password@host:5671/vhost, with special characters "
            "of the password and the vhost percent-encoded and nothing after the vhost.",
        )
    return parsed


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _allow_plaintext(settings: BrokerSettings, host: str) -> None:
    if not settings.allow_plaintext:
        raise ConfigError(
            f"The broker's URL in {_section(settings)} speaks to {host} in plain text, and "
            "families' data would too.",
            "Write amqps:// in place of amqp://. For a trial, allow_plaintext = true in "
            f"{_section(settings)}.",
        )
    emit(Event.BROKER_PLAINTEXT, level=logging.WARNING, host=host, problem=PLAINTEXT_WARNING)


def _tls(settings: BrokerSettings) -> ssl.SSLContext:
    """A context that verifies the broker's certificate and name, and shows ours."""
    for name in ("ca_file", "cert_file", "key_file"):
        _require_readable(settings, name)
    try:
        context = verifying(settings.ca_file)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:
        raise ConfigError(
            f"The TLS files in {_section(settings)} cannot be read: "
            f"{error.strerror or 'not valid PEM files'}.",
            "Check ca_file, cert_file and key_file there.",
        ) from None
    return context


def _require_readable(settings: BrokerSettings, name: str) -> None:
    """OpenSSL says what is wrong and never with which file."""
    file: Path | None = getattr(settings, name)
    if file is None:
        return
    try:
        file.open("rb").close()
    except OSError as error:
        raise ConfigError(
            f"The TLS files in {_section(settings)} cannot be read: {name} is {file}: "
            f"{error.strerror}.",
            f"Put the file there, or name another as {name}.",
        ) from None
