"""Message brokers: RabbitMQ, and the durable queue in the engine's own database."""

from __future__ import annotations

from engine.broker.embedded import EmbeddedBroker
from engine.broker.rabbitmq.broker import RabbitBroker
from engine.config import BrokerSettings
from engine.database import Database
from engine.ports import Broker


def open_broker(settings: BrokerSettings, database: Database) -> Broker:
    """Make the broker that *settings* name; a process makes one and shares it.

    Raises ConfigError for a URL that is wrong or not private. Nothing is connected yet.
    """
    return EmbeddedBroker(database) if settings.embedded else RabbitBroker(settings)
