"""The hops to a RabbitMQ: from the name of its machine to a leader for each queue.

The broker of this installation and the hub's are asked the same, one after the other. What this
user must be able to do is tried for real, in ways that the broker refuses after it has looked at
the rights and before anything happens: nothing is published and nobody loses a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker, ConnectionBlockedTimeout

from engine.broker.hub_link import OUR_OWN
from engine.broker.rabbitmq.address import (
    PLAINTEXT_WARNING,
    Address,
    Timeouts,
    in_vhost,
    plaintext,
    read_address,
)
from engine.broker.rabbitmq.broker import RabbitBroker
from engine.broker.rabbitmq.connection import Connection
from engine.broker.rabbitmq.errors import ACCESS_REFUSED, NOT_ALLOWED, NOT_FOUND, Refused, explained
from engine.broker.rabbitmq.topology import (
    consumers_name,
    declarations,
    exchange,
    partition_names,
    routing_key,
)
from engine.config import BrokerSettings, Config
from engine.doctor.diagnosis import Diagnosis, Who, broken, ok, unused
from engine.doctor.network_probe import PATIENCE, Place, connect, expiry, greet, look_up
from engine.errors import Unavailable
from engine.ports import LANES, Queue

IMPATIENT: Final = Timeouts(connect=PATIENCE, reply=5.0, blocked=5.0)
CARRIES: Final = "AMQP 0-9-1 over TLS (AMQPS)"
CARRIES_PLAINTEXT: Final = "AMQP 0-9-1"
_PUSHES: Final = tuple(LANES.values())


@dataclass(frozen=True, slots=True)
class Vhost:
    """One vhost that we use, how, and for which district."""

    district: str
    settings: BrokerSettings
    address: Address
    publishes: Sequence[Queue]
    consumes: Sequence[Queue]

    @property
    def queues(self) -> Sequence[Queue]:
        """Those that we publish into or consume."""
        return tuple(queue for queue in Queue if queue in self.publishes or queue in self.consumes)

    @property
    def exchange(self) -> str:
        """Where we publish."""
        return exchange(self.settings.partitions)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two brokers: ours, or the hub's."""

    name: str
    who: Who
    section: str
    settings: Callable[[Config], BrokerSettings]
    absent: Callable[[Config], str]

    def place(self, config: Config) -> Place:
        """Where it listens."""
        address = self.vhosts(config)[0].address
        return Place(
            address.host,
            address.port,
            f"the {self.name}",
            CARRIES if address.tls else CARRIES_PLAINTEXT,
            self.who,
            f"{self.section} url",
            f"ca_file in {self.section}" if address.tls else "",
        )

    def vhosts(self, config: Config) -> Sequence[Vhost]:
        """The vhosts that we use there; raises ConfigError."""
        settings, district = self.settings(config), config.district.id
        if settings is config.hub:
            return [_vhost(district, settings, _PUSHES, [Queue.OUTCOMES])]
        if config.deliver.districts:
            return [
                _vhost(one, in_vhost(settings, one), [Queue.OUTCOMES], _PUSHES)
                for one in config.deliver.districts
            ]
        ours = OUR_OWN if config.hub.used else tuple(Queue)
        return [_vhost(district, settings, ours, ours)]


def _vhost(
    district: str, settings: BrokerSettings, publishes: Sequence[Queue], consumes: Sequence[Queue]
) -> Vhost:
    return Vhost(district, settings, read_address(settings), publishes, consumes)


def _why_no_broker(config: Config) -> str:
    return "the queues are in Schoolbell's own database" if config.broker.embedded else ""


def _why_no_hub(config: Config) -> str:
    return "" if config.hub.used else "no hub delivers for this installation"


BROKER: Final = Side("broker", Who.BROKER, "[broker]", lambda config: config.broker, _why_no_broker)
HUB: Final = Side("hub", Who.HUB, "[hub]", lambda config: config.hub, _why_no_hub)


def name(side: Side, config: Config) -> Diagnosis:
    """Whether the host's name leads to an address."""
    return look_up(side.place(config))


def port(side: Side, config: Config) -> Diagnosis:
    """Whether somebody takes connections there."""
    return connect(side.place(config))


def tls(side: Side, config: Config) -> Diagnosis:
    """Whether it shows a certificate that we trust, and ours is still good."""
    settings, context = side.settings(config), side.vhosts(config)[0].address.tls
    if context is None:
        note = PLAINTEXT_WARNING if plaintext(settings) else ""
        return unused("the URL begins with amqp://, which is plain text", note)
    return _ours_expired(side, settings) or greet(side.place(config), context)


def login(side: Side, config: Config) -> Diagnosis:
    """Whether it speaks AMQP with us and knows who we are."""
    address = side.vhosts(config)[0].address
    who = address.user or "the client certificate"
    try:
        Connection(address, IMPATIENT, "doctor").close()
    except Refused as refusal:
        if refusal.code == NOT_ALLOWED:  # said of the vhost, to somebody whom it knows
            return ok(f"{who} is known")
        if refusal.code != ACCESS_REFUSED:
            raise
        return broken(
            f"{side.place(config)} refuses the login of {who}.",
            "AMQP is spoken there, and this user does not exist, has another password, or may "
            "come in another way only (the broker never says which; its log does).",
            Who.US,
            f"Compare user and password in the URL of {side.section} with what {side.who} gave "
            "you; special characters must be percent-encoded. If they are right, ask for a new "
            "password."
            if address.user
            else f"Ask {side.who} whether there is a user of our certificate's common name.",
        )
    return ok(f"{who} is known")


def vhost(side: Side, config: Config) -> Diagnosis:
    """Whether every vhost that we use is there and lets us in."""
    vhosts = side.vhosts(config)
    for one in vhosts:
        try:
            Connection(one.address, IMPATIENT, "doctor").close()
        except Refused as refusal:
            return broken(
                f"The vhost {one.address.vhost} is not ours to enter: {refusal.problem}",
                "The login is right. The vhost does not exist, or this user has no rights in it.",
                Who.US,
                f"Compare the vhost (what stands behind the host and the port in the URL of "
                f"{side.section}) with what {side.who} gave you. If it is the same, ask them to "
                "make it or to let this user in.",
            )
    return ok(f"lets us into {_names(vhosts)}")


def permissions(side: Side, config: Config) -> Diagnosis:
    """Whether we may do all that we must, and not one thing is done for it."""
    vhosts = side.vhosts(config)
    for one in vhosts:
        try:
            refused = _refused(one)
        except ConnectionBlockedTimeout:
            return broken(
                f"The broker at {one.address} takes no message now.",
                "It has raised an alarm, being short of memory or disk, and holds up everybody "
                "who publishes.",
                side.who,
                "At the broker: `rabbitmq-diagnostics alarms` says which; make room there.",
            )
        if refused is None:
            continue
        what, refusal = refused
        if refusal.reply_code == NOT_FOUND:
            return _missing(side, one, f"exchange {one.exchange}")
        return broken(
            f"In the vhost {one.address.vhost} we may not {what}: "
            f"{refusal.reply_text.rstrip('.')}.",
            "The broker knows this user and has given it too few rights.",
            side.who,
            _rights(side, one, config),
        )
    return ok(f"we may publish and consume what we must in {_names(vhosts)}")


def queues(side: Side, config: Config) -> Diagnosis:
    """Whether each queue is there and has a leader; only who may read it can tell."""
    found: list[str] = []
    for one in side.vhosts(config):
        broker = RabbitBroker(one.settings, one.district, one.queues, IMPATIENT)
        for queue in declarations(one.queues, one.settings.partitions):
            if wrong := _unserved(side, one, broker, queue.name):
                return wrong
            found.append(queue.name)
    return ok(f"{len(found)} queues are there, and each that we may read has a leader")


def _unserved(side: Side, one: Vhost, broker: RabbitBroker, queue: str) -> Diagnosis | None:
    try:
        broker.prove_that_it_serves(queue)
    except Refused as refusal:
        if refusal.code != NOT_FOUND:
            raise
        return _missing(side, one, f"queue {queue}")
    except Unavailable as error:
        return broken(
            f"The queue {queue} in the vhost {one.address.vhost} has no leader: {error.problem}",
            "The broker is there, and nobody in it answers for this queue: most of its members "
            "are on nodes that are down, or its files were lost. What is sent to it waits.",
            side.who,
            f"At the broker: `rabbitmq-queues -p {one.address.vhost} quorum_status {queue}`; start "
            "the nodes that are down. If a node was lost for good: delete this queue, "
            "run `schoolbell install`, then `schoolbell replay --since` from before the loss.",
        )
    return None


def _missing(side: Side, one: Vhost, what: str) -> Diagnosis:
    return broken(
        f"There is no {what} in the vhost {one.address.vhost}.",
        "The queues were not made yet, were deleted, or are in another vhost.",
        Who.US if side is BROKER else side.who,
        f"Run `schoolbell install`, or, where {side.who} makes the queues, ask them to.",
    )


def _rights(side: Side, one: Vhost, config: Config) -> str:
    """Whom to ask for which rights: at a hub they are few, in a vhost of one's own they are all."""
    if side is HUB or config.deliver.districts:
        return (
            f"Ask {side.who} to apply what `schoolbell channel definitions` writes: it holds the "
            "rights that each user needs, and no more."
        )
    user = one.address.user or "USER"
    return (
        f"Ask {side.who} for all rights in this vhost, which is ours alone: `rabbitmqctl "
        f"set_permissions -p {one.address.vhost} {user} '.*' '.*' '.*'`; topic permissions, if "
        f"there are any, must let us write the keys {routing_key(one.district, '*')}."
    )


def _acts(one: Vhost) -> Iterator[tuple[str, Callable[[Any], object]]]:
    """Everything that we must be able to do there; who consumes also sets messages aside."""
    published = [*_partitions(one, one.publishes), *(queue.dead for queue in one.consumes)]
    for name in published:
        key = routing_key(one.district, name)
        yield f"publish into {name}", partial(_publish, one.exchange, key)
    for name in (*_partitions(one, one.consumes), *map(consumers_name, one.consumes)):
        yield f"consume {name}", partial(_consume, name)


def _partitions(one: Vhost, queues: Sequence[Queue]) -> Sequence[str]:
    return [name for queue in queues for name in partition_names(queue, one.settings.partitions)]


def _publish(exchange_name: str, key: str, channel: Any) -> None:
    """RabbitMQ (3.10.8) looks at the rights, then at this expiration, and then for a queue."""
    never = pika.BasicProperties(expiration="never")
    channel.confirm_delivery()
    channel.basic_publish(exchange_name, key, b"", never)


def _consume(queue: str, channel: Any) -> None:
    """RabbitMQ (3.10.8) looks at the rights, then at this priority, and then for a message."""
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(queue, lambda *_: None, arguments={"x-priority": "none"})


def _refused(one: Vhost) -> tuple[str, ChannelClosedByBroker] | None:
    """The first thing that we cannot do there: no right, or no exchange to publish to.

    A queue that is not there is told by the next hop. Raises ConnectionBlockedTimeout when the
    broker takes nothing from anybody.
    """
    address = one.address
    try:
        with _connected(address) as connection:
            for what, act in _acts(one):
                closed = _closed(connection, act)
                if closed is not None and (
                    closed.reply_code == ACCESS_REFUSED or "no exchange" in closed.reply_text
                ):
                    return what, closed
    except ConnectionBlockedTimeout:
        raise
    except (AMQPError, OSError) as error:
        raise explained(error, address) from error
    return None


@contextmanager
def _connected(address: Address) -> Iterator[Any]:
    """A connection that outlives a channel that the broker closes."""
    connection = pika.BlockingConnection(address.parameters(IMPATIENT, "doctor"))
    try:
        yield connection
    finally:
        if connection.is_open:
            connection.close()


def _closed(connection: Any, act: Callable[[Any], object]) -> ChannelClosedByBroker | None:
    """With what the broker closes the channel on which *act* is tried; the connection stays."""
    try:
        act(connection.channel())
    except ChannelClosedByBroker as closed:
        return closed
    return None


def _ours_expired(side: Side, settings: BrokerSettings) -> Diagnosis | None:
    """Our own certificate; a broker that refuses one does not say why."""
    if settings.cert_file is None or (until := expiry(settings.cert_file)) > datetime.now(UTC):
        return None
    return broken(
        f"Our own certificate {settings.cert_file} has expired on {until:%Y-%m-%d}.",
        f"The {side.name} will not take it.",
        side.who,
        f"Ask {side.who} for a new one and name it as cert_file and key_file in {side.section}.",
    )


def _names(vhosts: Sequence[Vhost]) -> str:
    return ", ".join(one.address.vhost for one in vhosts)
