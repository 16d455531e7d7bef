"""Message brokers: RabbitMQ, and the durable queue in the engine's own database."""

from __future__ import annotations

from collections.abc import Collection

from engine.broker.embedded import EmbeddedBroker
from engine.config import BrokerSettings
from engine.database import Database
from engine.ports import Broker, Queue


def open_broker(
    settings: BrokerSettings,
    database: Database,
    district: str,
    queues: Collection[Queue] = tuple(Queue),
) -> Broker:
    """Make the broker that *settings* name for *district*; a process makes one and shares it.

    At a RabbitMQ it has no more than *queues*.

    Raises ConfigError for a URL that is wrong or not private. Nothing is connected yet.
    """
    if settings.embedded:
        return EmbeddedBroker(database, settings.partitions)
    from engine.broker.rabbitmq.broker import RabbitBroker

    return RabbitBroker(settings, district, queues)
