"""The channel to the hub or the broker: where it leads, and whether TLS secures it."""

from __future__ import annotations

from typing import NamedTuple

from engine.broker.rabbitmq.address import PLAINTEXT_WARNING, PORTS, endpoint, plaintext
from engine.config import Config


class Channel(NamedTuple):
    """Where pushes leave the district, for the firewall; empty *host* where all is one process.

    *warning* is what must be said while the channel is not secured by TLS.
    """

    host: str
    port: int
    warning: str


def of(config: Config) -> Channel:
    """The channel that the configuration describes."""
    settings = config.hub if config.hub.used else config.broker
    if settings.url.startswith("embedded:"):
        return Channel("", PORTS["amqps"], "")
    host, port = endpoint(settings)
    return Channel(host, port, PLAINTEXT_WARNING if plaintext(settings) else "")
