"""A RabbitMQ that is restarted or short of memory while messages are on their way."""

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import compress
from pathlib import Path
from threading import Event, Thread

import pytest
import structlog

from engine.broker.rabbitmq.broker import RabbitBroker
from engine.config import BrokerSettings
from engine.errors import Misconfigured, Unavailable
from engine.ports import Broker, Depth, Parked, Queue
from tests.builders import publications
from tests.contracts.brokers import (
    DISTRICT,
    all_is_confirmed_in_the_end,
    bodies,
    eventually,
    publish,
    receive,
    received_bodies,
)
from tests.engine.broker.rabbits import IMPATIENT, Rabbit
from tests.servers import CertificateAuthority, RabbitServer


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitServer]:
    """A RabbitMQ that these tests may disturb."""
    with RabbitServer() as server:
        yield server


@pytest.fixture
def rabbit(server: RabbitServer, request: pytest.FixtureRequest) -> Rabbit:
    """A vhost of this test's own."""
    return Rabbit(server, server.create_vhost(request.node.name))


@contextmanager
def short_of_memory(rabbit: Rabbit) -> Iterator[None]:
    """The broker's memory alarm."""
    rabbit.raise_alarm()
    yield
    rabbit.clear_alarm()


class PublishingThread(Thread):
    """Publishes numbered bodies without a pause, each until it is confirmed."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self.confirmed: list[bytes] = []
        self.was_interrupted = False
        self.enough = Event()
        self._publisher = broker.publisher()

    def run(self) -> None:
        waiting: list[bytes] = []
        for batch in itertools.count():
            waiting += bodies(50, f"{batch}-")
            kept = self._try(waiting)
            self.confirmed += compress(waiting, kept)
            waiting = [body for body, is_safe in zip(waiting, kept, strict=True) if not is_safe]
            if self.enough.is_set():
                break
        self._publisher.close()

    def _try(self, waiting: list[bytes]) -> Sequence[bool]:
        with suppress(Unavailable):
            return self._publisher.publish(Queue.PUSHES, publications(waiting))
        self.was_interrupted = True
        time.sleep(0.02)
        return [False] * len(waiting)


def test_a_restart_while_publishing_loses_nothing_that_was_confirmed(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    thread = PublishingThread(broker)
    thread.start()
    assert eventually(lambda: len(thread.confirmed) > 500)
    rabbit.server.restart()
    before = len(thread.confirmed)
    assert eventually(lambda: len(thread.confirmed) > before + 500)
    thread.enough.set()
    thread.join()
    assert thread.was_interrupted
    assert drained(broker) >= set(thread.confirmed)


def test_a_restart_while_consuming_loses_nothing_and_repeats_only_what_was_unacked(
    rabbit: Rabbit,
) -> None:
    broker = rabbit.installed()
    publish(broker, Queue.PUSHES, bodies(2_000))
    seen: list[bytes] = []
    restart = Thread(target=rabbit.server.restart)
    with closing(broker.consumer(Queue.PUSHES, 100)) as consumer:
        while len(set(seen)) < 2_000:
            if len(seen) > 500 and restart.ident is None:
                restart.start()
            with suppress(Unavailable):
                got = consumer.receive(20, timeout=0.5)
                seen += [delivery.body for delivery in got]
                consumer.ack([delivery.tag for delivery in got])
            time.sleep(0.01)
    restart.join()
    assert sorted(set(seen)) == sorted(bodies(2_000))
    assert len(seen) <= 2_000 + 100
    assert eventually(lambda: broker.depths()[Queue.PUSHES] == Depth(ready=0, dead=0))


def test_a_broker_short_of_memory_holds_up_who_publishes_and_not_who_consumes(
    rabbit: Rabbit,
) -> None:
    broker = rabbit.installed()
    publish(broker, Queue.CHANGES, bodies(100))
    publisher, consumer = broker.publisher(), broker.consumer(Queue.CHANGES, 10)
    with short_of_memory(rabbit):
        assert list(publisher.publish(Queue.PUSHES, publications(bodies(2)))) == [False, False]
        for expected in bodies(100):
            assert received_bodies(consumer, 1) == [expected]
    assert list(publisher.publish(Queue.PUSHES, publications(bodies(2)))) == [True, True]
    publisher.close()
    consumer.close()


def test_what_is_held_up_is_not_sent_again_with_every_try(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    with closing(broker.publisher()) as publisher:
        with short_of_memory(rabbit):
            for _ in range(4):
                publisher.publish(Queue.PUSHES, publications([b"held up"]))
        publisher.publish(Queue.PUSHES, publications([b"after"]))
    with closing(broker.consumer(Queue.PUSHES, 100)) as consumer:
        assert received_bodies(consumer, 2) == [b"held up", b"after"]


def test_a_broker_that_stays_short_of_memory_is_left_in_the_end(rabbit: Rabbit) -> None:
    rabbit.installed()
    settings = BrokerSettings(
        url=rabbit.vhost.amqps_url, ca_file=rabbit.server.ca_file, partitions=1
    )
    broker = RabbitBroker(settings, DISTRICT, timeouts=replace(IMPATIENT, blocked=0.5))
    with closing(broker.publisher()) as publisher:
        with short_of_memory(rabbit), structlog.testing.capture_logs() as events:
            for _ in range(2):
                assert list(publisher.publish(Queue.PUSHES, publications([b"held up"]))) == [False]
        assert any("short of memory" in event.get("problem", "") for event in events)
        assert all_is_confirmed_in_the_end(publisher, [b"after"])


def test_who_is_held_up_while_parking_keeps_the_message(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    publish(broker, Queue.PUSHES, bodies(1))
    with closing(broker.consumer(Queue.PUSHES, 1)) as consumer:
        (delivery,) = receive(consumer, 1)
        with short_of_memory(rabbit), pytest.raises(Unavailable, match="stays where it is"):
            consumer.park(delivery, "unreadable")
        consumer.park(delivery, "unreadable")
    assert eventually(lambda: broker.depths()[Queue.PUSHES].ready == 0)
    assert Parked(b"0", "unreadable") in broker.parked(Queue.PUSHES, 2)


def test_a_client_certificate_is_shown_to_a_broker_that_wants_one(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    client = authority.admit("d1")
    wants_certificates = {
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
        "ssl_options.cacertfile": authority.ca_file,
        "auth_mechanisms.1": "PLAIN",
        "auth_mechanisms.2": "EXTERNAL",
        "ssl_cert_login_from": "common_name",
    }
    with RabbitServer(wants_certificates) as server:
        with_both = BrokerSettings(
            url=server.amqps_url,
            ca_file=server.ca_file,
            cert_file=client.certificate,
            key_file=client.key,
            partitions=1,
        )
        made = RabbitBroker(with_both, DISTRICT, timeouts=IMPATIENT).install()
        assert len(made) == 3 * len(Queue)  # each with a dead-letter queue and its consumers

        without = with_both.model_copy(update={"cert_file": None, "key_file": None})
        # Which of the two depends on whether the refusal is read before our greeting fails.
        with pytest.raises((Misconfigured, Unavailable), match="client certificate"):
            RabbitBroker(without, DISTRICT, timeouts=IMPATIENT).depths()

        let_in_by_certificate(server, "d1")
        by_certificate = with_both.model_copy(
            update={"url": f"amqps://127.0.0.1:{server.tls_port}/"}
        )
        assert set(RabbitBroker(by_certificate, DISTRICT, timeouts=IMPATIENT).depths()) == set(
            Queue
        )


def let_in_by_certificate(server: RabbitServer, name: str) -> None:
    """Make a user without a password, whom only a certificate proves."""
    (server.ca_file.parent / "enabled_plugins").write_text("[rabbitmq_auth_mechanism_ssl].\n")
    server.restart()
    server.evaluate(
        f'rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"unused">>, <<"test">>), '
        f'rabbit_auth_backend_internal:clear_password(<<"{name}">>, <<"test">>), '
        f'rabbit_auth_backend_internal:set_permissions(<<"{name}">>, <<"/">>, '
        '<<".*">>, <<".*">>, <<".*">>, <<"test">>)'
    )


def drained(broker: Broker) -> set[bytes]:
    """Everything that waits."""
    bodies_found: set[bytes] = set()
    with closing(broker.consumer(Queue.PUSHES, 1_000)) as consumer:
        while got := consumer.receive(1_000, timeout=1):
            bodies_found |= {delivery.body for delivery in got}
            consumer.ack([delivery.tag for delivery in got])
    return bodies_found
