"""The link between a district and its hub: the queues for pushes and outcomes are the hub's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from engine.broker import open_broker
from engine.config import Config
from engine.database import Database
from engine.errors import ConfigError, Misconfigured, SchoolbellError, Unavailable
from engine.ports import LANES, Broker, Consumer, Depth, Parked, Publication, Publisher, Queue

AT_THE_HUB: Final = (*LANES.values(), Queue.OUTCOMES)
OUR_OWN: Final = (Queue.CHANGES,)


def open_district(config: Config, database: Database) -> Broker:
    """The broker of a district: its own, and where a hub delivers, also the hub's.

    Raises ConfigError as open_broker.
    """
    district = config.district.id
    if not config.hub.used:
        return open_broker(config.broker, database, district)
    from engine.broker.rabbitmq.broker import RabbitBroker

    _require_own_vhost(config)
    own = open_broker(config.broker, database, district, OUR_OWN)
    return LinkedBroker(own, RabbitBroker(config.hub, district, AT_THE_HUB))


def open_served_districts(config: Config) -> Mapping[str, Broker]:
    """For each district that this hub serves, its vhost at the hub's broker."""
    from engine.broker.rabbitmq.address import in_vhost
    from engine.broker.rabbitmq.broker import RabbitBroker

    return {
        district: RabbitBroker(in_vhost(config.broker, district), district, AT_THE_HUB)
        for district in config.deliver.districts
    }


def _require_own_vhost(config: Config) -> None:
    """The hub knows a district by its vhost, and lets it write that name's keys alone."""
    from engine.broker.rabbitmq.address import vhost_of

    district, vhost = config.district.id, vhost_of(config.hub)
    if district != vhost:
        raise ConfigError(
            f"The vhost in [hub] url is {vhost}, and [district] id is {district}: at a hub they "
            "are the same.",
            f'Write id = "{vhost}" in [district], or the URL that the hub gave to this district.',
        )


class LinkedBroker:
    """Implements ports.Broker for a district whose pushes a hub delivers."""

    def __init__(self, own: Broker, hub: Broker) -> None:
        self._own = own
        self._hub = hub

    def install(self) -> Sequence[str]:
        """See ports.Broker. At the hub its operator has made the queues."""
        return [*self._own.install(), *self._hub.install()]

    def publisher(self) -> Publisher:
        """See ports.Broker. Each broker is connected when something is first published to it."""
        return _LinkedPublisher(self._own.publisher(), self._hub.publisher())

    def consumer(self, queue: Queue, prefetch: int) -> Consumer:
        """See ports.Broker."""
        return self._of(queue).consumer(queue, prefetch)

    def depths(self) -> Mapping[Queue, Depth]:
        """See ports.Broker. What is wrong at the hub is said to be wrong there."""
        found = {False: self._own.depths(), True: self._at_the_hub()}
        return {queue: found[queue in AT_THE_HUB][queue] for queue in Queue}

    def requeue_parked(self, queue: Queue, limit: int) -> int:
        """See ports.Broker. Parked pushes are the hub's to look at."""
        return 0 if queue in LANES.values() else self._of(queue).requeue_parked(queue, limit)

    def parked(self, queue: Queue, limit: int) -> Sequence[Parked]:
        """See ports.Broker. Parked pushes are the hub's to look at."""
        return [] if queue in LANES.values() else self._of(queue).parked(queue, limit)

    def _at_the_hub(self) -> Mapping[Queue, Depth]:
        try:
            return self._hub.depths()
        except SchoolbellError as error:
            kind = Unavailable if isinstance(error, Unavailable) else Misconfigured
            raise kind(f"At the hub: {error.problem}", error.remedy) from None

    def _of(self, queue: Queue) -> Broker:
        return self._hub if queue in AT_THE_HUB else self._own


class _LinkedPublisher:
    def __init__(self, own: Publisher, hub: Publisher) -> None:
        self._own = own
        self._hub = hub

    def partitions(self, queue: Queue) -> int:
        """See ports.Publisher. The hub divides its queues as it likes."""
        return self._of(queue).partitions(queue)

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        """See ports.Publisher."""
        return self._of(queue).publish(queue, messages)

    def close(self) -> None:
        """See ports.Publisher."""
        try:
            self._own.close()
        finally:
            self._hub.close()

    def _of(self, queue: Queue) -> Publisher:
        return self._hub if queue in AT_THE_HUB else self._own
