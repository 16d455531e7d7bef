"""What is RabbitMQ's own: refusals, limits, cut connections, queues without a leader."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import compress
from pathlib import Path
from threading import Thread

import pika
import pytest

from engine.broker.rabbitmq.broker import RabbitBroker
from engine.config import BrokerSettings
from engine.errors import Misconfigured, SchoolbellError, Unavailable
from engine.ports import Consumer, Delivery, Depth, Publication, Queue
from tests.builders import publications
from tests.contracts.brokers import (
    DISTRICT,
    RabbitHouse,
    all_is_confirmed_in_the_end,
    bodies,
    eventually,
    publish,
    receive,
    receive_and_be_killed,
    received_bodies,
)
from tests.engine.broker.rabbits import IMPATIENT, Rabbit, allow_old_tls
from tests.servers import CertificateAuthority, IssuedCertificate, RabbitServer, Vhost, free_port

SECRET = "tr0mbone&case"


@pytest.fixture
def rabbit(rabbit_server: RabbitServer, vhost: Vhost) -> Rabbit:
    """A vhost of this test's own."""
    return Rabbit(rabbit_server, vhost)


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Something on a port that answers each caller in its own way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = listener.accept()
                    with caller, suppress(OSError):
                        answer(caller)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def tls_server(
    issued: IssuedCertificate, adjust: Callable[[ssl.SSLContext], None] = lambda _context: None
) -> AbstractContextManager[int]:
    """A server that shows a certificate to who calls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    adjust(context)
    return listening(lambda caller: context.wrap_socket(caller, server_side=True).close())


def a_broker_at(url: str, ca_file: Path | None = None) -> RabbitBroker:
    return RabbitBroker(
        BrokerSettings(url=url, ca_file=ca_file, partitions=1), DISTRICT, timeouts=IMPATIENT
    )


# Who may come in


def refusal(broker: RabbitBroker, kind: type[SchoolbellError]) -> str:
    """What every way to use a broker that cannot be entered says; it is the same."""
    uses: list[Callable[[], object]] = [
        broker.install,
        broker.depths,
        lambda: broker.publisher().publish(Queue.PUSHES, publications(bodies(1))),
        lambda: broker.consumer(Queue.PUSHES, 1).receive(1, timeout=1),
        lambda: broker.parked(Queue.PUSHES, 1),
        lambda: broker.requeue_parked(Queue.PUSHES, 1),
    ]
    said = set()
    for use in uses:
        with pytest.raises(kind) as refused:
            use()
        said.add(str(refused.value))
        assert SECRET not in f"{refused.value!r} {refused.value.__context__!r}"
    (words,) = said
    return words


def with_password(url: str, password: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://schoolbell:{password}@{rest.partition('@')[2]}"


def test_a_wrong_password_is_ours_to_mend_and_is_not_shown(rabbit: Rabbit) -> None:
    broker = rabbit.open(with_password(rabbit.vhost.amqps_url, SECRET))
    assert "Check user and password" in refusal(broker, Misconfigured)


def test_a_vhost_that_does_not_exist_is_named(rabbit: Rabbit) -> None:
    url = f"{rabbit.vhost.amqps_url.rpartition('/')[0]}/elsewhere"
    assert "vhost elsewhere not found" in refusal(rabbit.open(url), Misconfigured)


def test_a_vhost_that_we_may_not_enter_is_named(rabbit: Rabbit) -> None:
    rabbit.server.evaluate(
        'rabbit_auth_backend_internal:clear_permissions(<<"schoolbell">>, '
        f'<<"{rabbit.vhost.name}">>, <<"test">>)'
    )
    words = refusal(rabbit.open(), Misconfigured)
    assert f"access to vhost '{rabbit.vhost.name}'" in words


def test_a_port_where_nobody_listens_is_worth_another_try(rabbit: Rabbit) -> None:
    broker = rabbit.open(f"amqps://u:{SECRET}@127.0.0.1:{free_port()}/")
    assert "Connection refused" in refusal(broker, Unavailable)


def test_a_host_that_does_not_exist_is_worth_another_try(rabbit: Rabbit) -> None:
    broker = rabbit.open(f"amqps://u:{SECRET}@nowhere.invalid/")
    assert "nowhere.invalid:5671 cannot be reached" in refusal(broker, Unavailable)


def test_an_authority_that_we_do_not_know_is_not_trusted(rabbit: Rabbit, tmp_path: Path) -> None:
    stranger = CertificateAuthority(tmp_path, "Another authority").ca_file
    words = refusal(rabbit.open(ca_file=stranger), Misconfigured)
    assert "is not trusted" in words
    assert "ca_file" in words


def test_a_certificate_for_another_host_is_not_trusted(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    issued = authority.issue("elsewhere", hosts=("elsewhere.example",))
    with tls_server(issued) as port:
        broker = a_broker_at(f"amqps://u:{SECRET}@127.0.0.1:{port}/", authority.ca_file)
        words = refusal(broker, Misconfigured)
    assert "not valid for '127.0.0.1'" in words
    assert "as the certificate names it" in words


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_common_name_names_no_host(tmp_path: Path, host: str) -> None:
    authority = CertificateAuthority(tmp_path)
    with tls_server(authority.nameless(host)) as port:
        broker = a_broker_at(f"amqps://u:{SECRET}@{host}:{port}/", authority.ca_file)
        words = refusal(broker, Misconfigured)
    assert f"not valid for '{host}'" in words
    assert "a common name does not count" in words


def test_a_certificate_that_has_expired_is_not_trusted(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    issued = authority.issue("late", valid_for=timedelta(hours=-1))
    with tls_server(issued) as port:
        broker = a_broker_at(f"amqps://u:{SECRET}@127.0.0.1:{port}/", authority.ca_file)
        assert "Renew" in refusal(broker, Misconfigured)


def test_tls_before_1_2_is_not_spoken(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    with tls_server(authority.issue(), allow_old_tls) as port:
        broker = a_broker_at(f"amqps://u:{SECRET}@127.0.0.1:{port}/", authority.ca_file)
        assert "Ask who runs it for TLS 1.2 or 1.3" in refusal(broker, Misconfigured)


def test_tls_to_a_port_without_tls_is_told(rabbit: Rabbit) -> None:
    broker = rabbit.open(f"amqps://u:{SECRET}@127.0.0.1:{rabbit.server.port}/")
    assert "does not speak TLS" in refusal(broker, Misconfigured)


def test_plain_text_to_a_port_with_tls_is_told(rabbit: Rabbit) -> None:
    broker = rabbit.open(f"amqp://u:{SECRET}@127.0.0.1:{rabbit.server.tls_port}/")
    assert "speaks no AMQP there" in refusal(broker, Unavailable)


def test_who_hangs_up_during_the_tls_greeting_may_be_starting(tmp_path: Path) -> None:
    with listening(lambda caller: caller.recv(1)) as port:
        ca_file = CertificateAuthority(tmp_path).ca_file
        broker = a_broker_at(f"amqps://u:{SECRET}@127.0.0.1:{port}/", ca_file)
        refusal(broker, Unavailable)


def test_who_never_answers_is_not_waited_for_without_end() -> None:
    timeouts = replace(IMPATIENT, connect=0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"amqp://u:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/"
        broker = RabbitBroker(BrokerSettings(url=url, partitions=1), DISTRICT, timeouts=timeouts)
        started = time.monotonic()
        with pytest.raises(Unavailable, match="does not answer"):
            broker.depths()
        assert time.monotonic() - started < 5


def test_who_speaks_something_else_is_no_broker() -> None:
    with listening(lambda caller: caller.sendall(b"AMQP\x00\x01\x00\x00" * 50)) as port:
        refusal(a_broker_at(f"amqp://u:{SECRET}@127.0.0.1:{port}/"), Unavailable)


def test_what_this_user_may_not_do_is_told_with_the_queue(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    rabbit.allow(write="^$", read="^$")
    publisher, consumer = broker.publisher(), broker.consumer(Queue.PUSHES, 1)
    with pytest.raises(Misconfigured, match="the rights of this user"):
        publisher.publish(Queue.PUSHES, publications(bodies(2)))
    with pytest.raises(Misconfigured, match=r"'pushes\.0'"):
        consumer.receive(1, timeout=1)
    publisher.close()
    consumer.close()


# Queues


def test_a_queue_that_was_made_in_another_way_is_told_with_its_remedy(rabbit: Rabbit) -> None:
    parameters = pika.URLParameters(rabbit.vhost.amqp_url)
    with closing(pika.BlockingConnection(parameters)) as connection:
        connection.channel().queue_declare("pushes.0", durable=True)
    with pytest.raises(Misconfigured, match="inequivalent arg") as refused:
        rabbit.open().install()
    assert "Let it run empty, delete it" in refused.value.remedy


def test_what_a_full_queue_refuses_stays_with_the_caller(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    rabbit.limit_length("pushes.0", 5)
    expected: list[bytes] = []
    with closing(broker.publisher()) as publisher:
        for attempt in range(5):
            batch = bodies(200, f"{attempt}-")
            kept = publisher.publish(Queue.PUSHES, publications(batch))
            expected += compress(batch, kept)
    assert 5 <= len(expected) < 1_000
    consumer = broker.consumer(Queue.PUSHES, 1_000)
    assert received_bodies(consumer, len(expected)) == expected
    consumer.close()


def test_a_message_is_not_parked_when_its_new_place_is_gone(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    publish(broker, Queue.PUSHES, bodies(1))
    rabbit.delete("pushes.dead")
    with closing(broker.consumer(Queue.PUSHES, 1)) as consumer:
        (delivery,) = receive(consumer, 1)
        with pytest.raises(Misconfigured, match="schoolbell install"):
            consumer.park(delivery, "unreadable")
    after = broker.consumer(Queue.PUSHES, 1)
    assert received_bodies(after, 1) == bodies(1)
    after.close()


def test_a_message_is_not_parked_when_its_new_place_refuses_it(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    publish(broker, Queue.PUSHES, bodies(1))
    rabbit.stop_leader("pushes.dead")
    with closing(broker.consumer(Queue.PUSHES, 1)) as consumer:
        (delivery,) = receive(consumer, 1)
        with pytest.raises(Unavailable, match="stays where it is"):
            consumer.park(delivery, "unreadable")
        rabbit.start_leader("pushes.dead")
    after = broker.consumer(Queue.PUSHES, 1)
    assert received_bodies(after, 1) == bodies(1)
    after.close()


def test_a_queue_that_is_deleted_ends_its_consumer_with_the_remedy(rabbit: Rabbit) -> None:
    consumer = rabbit.installed().consumer(Queue.PUSHES, 1)
    consumer.receive(1, timeout=0)
    rabbit.delete("pushes.0")
    with pytest.raises(Misconfigured, match="schoolbell install"):
        until_it_raises(lambda: consumer.receive(1, timeout=1))
    consumer.close()


def test_install_does_not_call_a_queue_ready_that_does_not_answer(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    rabbit.freeze("outcomes.0")
    with pytest.raises(Unavailable, match="without a leader"):
        broker.install()
    rabbit.thaw("outcomes.0")
    assert list(broker.install()) == []


def test_install_needs_no_right_to_make_what_is_there(rabbit: Rabbit) -> None:
    rabbit.installed()
    rabbit.allow(configure="^$")
    assert list(rabbit.open().install()) == []


def test_who_may_not_make_what_is_missing_is_told_who_does(rabbit: Rabbit) -> None:
    rabbit.installed()
    rabbit.delete("outcomes.0")
    rabbit.allow(configure="^$")
    with pytest.raises(Misconfigured, match="schoolbell channel definitions"):
        rabbit.open().install()


def test_a_vhost_without_the_exchange_is_not_called_ready(rabbit: Rabbit) -> None:
    rabbit.installed()
    rabbit.delete_exchange()
    rabbit.allow(configure="^$")
    with pytest.raises(Misconfigured, match="schoolbell channel definitions"):
        rabbit.open().install()


def test_two_districts_in_one_vhost_do_not_get_each_others_messages(rabbit: Rabbit) -> None:
    north, south = rabbit.installed(), rabbit.open(district="south")
    publish(north, Queue.PUSHES, bodies(1))
    publisher = south.publisher()
    with pytest.raises(Misconfigured, match=r"no queue for messages with the key south\.pushes\.0"):
        publisher.publish(Queue.PUSHES, publications(bodies(1)))
    publisher.close()
    assert eventually(lambda: north.depths()[Queue.PUSHES] == Depth(ready=1, dead=0))


def test_a_broker_of_some_queues_makes_and_counts_no_other(rabbit: Rabbit) -> None:
    broker = rabbit.open(queues=(Queue.CHANGES,))
    assert sorted(broker.install()) == ["changes.0", "changes.consumers", "changes.dead"]
    assert broker.depths() == {Queue.CHANGES: Depth(ready=0, dead=0)}


@pytest.mark.parametrize("queue", ["changes.0", "outcomes.0", "pushes.dead", "pushes.consumers"])
def test_install_does_not_call_a_queue_ready_that_has_no_leader(rabbit: Rabbit, queue: str) -> None:
    broker = rabbit.installed()
    rabbit.stop_leader(queue)
    with pytest.raises(Unavailable):
        broker.install()
    rabbit.start_leader(queue)
    assert list(broker.install()) == []


@pytest.mark.parametrize("trouble", ["freeze", "stop_leader"])
def test_what_a_queue_without_a_leader_did_not_confirm_stays_with_the_caller(
    rabbit: Rabbit, trouble: str
) -> None:
    broker = rabbit.installed()
    with closing(broker.publisher()) as publisher:
        publisher.publish(Queue.PUSHES, publications(bodies(1)))
        getattr(rabbit, trouble)("pushes.0")
        assert list(publisher.publish(Queue.PUSHES, publications(bodies(3)))) == [False] * 3
        getattr(rabbit, {"freeze": "thaw", "stop_leader": "start_leader"}[trouble])("pushes.0")
        assert all_is_confirmed_in_the_end(publisher, bodies(3))


# Partitions


def test_who_still_divides_by_another_number_publishes_and_consumes_nothing(
    rabbit: Rabbit,
) -> None:
    old = rabbit.installed()
    rabbit.open(partitions=2).install()
    publisher, consumer = old.publisher(), old.consumer(Queue.PUSHES, 1)
    with pytest.raises(Misconfigured, match="schoolbell install"):
        publisher.publish(Queue.PUSHES, publications(bodies(1)))
    with pytest.raises(Misconfigured, match="schoolbell install"):
        consumer.receive(1, timeout=1)
    publisher.close()
    consumer.close()


def test_another_number_is_refused_while_a_stage_consumes(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    with closing(broker.consumer(Queue.OUTCOMES, 1)) as consumer:
        consumer.receive(1, timeout=0)
        with pytest.raises(Misconfigured, match="still consumes outcomes") as refused:
            rabbit.open(partitions=2).install()
    assert "Stop all stages" in refused.value.remedy


def test_fewer_partitions_leave_no_queue_behind(rabbit: Rabbit) -> None:
    rabbit.open(partitions=3).install()
    assert rabbit.open(partitions=1).install() == []
    assert {name for name in rabbit.queues() if name.startswith("pushes")} == {
        *("pushes.0", "pushes.consumers", "pushes.dead")
    }


def test_an_installation_that_was_cut_off_is_completed(rabbit: Rabbit) -> None:
    rabbit.open(partitions=3).install()
    for queue in ("outcomes.2", "pushes.2", "pushes.1"):
        rabbit.delete(queue)
    made = rabbit.open(partitions=2).install()
    assert sorted(made) == ["pushes.1"]
    assert {name for name in rabbit.queues() if name.endswith("2")} == set()


def test_who_may_not_divide_anew_is_told_the_number_that_is_there(rabbit: Rabbit) -> None:
    rabbit.installed()
    rabbit.allow(configure="^$")
    with pytest.raises(Misconfigured, match=r"into 1 partitions, and .* is 2") as refused:
        rabbit.open(partitions=2).install()
    assert refused.value.remedy == "Write partitions = 1 in [broker]."


def test_what_is_published_while_the_number_changes_keeps_it_as_it_was(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = rabbit.installed()
    delete = RabbitBroker._delete_exchange

    def publish_first(broker: RabbitBroker, partitions: int) -> None:
        if partitions == 1:
            publish(old, Queue.PUSHES, bodies(1))
        delete(broker, partitions)

    monkeypatch.setattr(RabbitBroker, "_delete_exchange", publish_first)
    with pytest.raises(Misconfigured, match="Messages wait"):
        rabbit.open(partitions=2).install()
    publish(old, Queue.PUSHES, [b"1"])
    with closing(old.consumer(Queue.PUSHES, 2)) as consumer:
        assert received_bodies(consumer, 2) == bodies(2)


def test_a_process_that_is_killed_leaves_its_partitions_to_the_other(rabbit: Rabbit) -> None:
    house = RabbitHouse(
        BrokerSettings(url=rabbit.vhost.amqps_url, ca_file=rabbit.server.ca_file, partitions=2)
    )
    broker = house.open()
    broker.install()
    publisher, consumer = broker.publisher(), broker.consumer(Queue.CHANGES, 2)
    seen: dict[int, list[int]] = {0: [], 1: []}
    number = 0
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(receive_and_be_killed, house, Queue.CHANGES)
        while not killed.done() or number < 20:
            messages = [Publication(str(number).encode(), partition) for partition in (0, 1)]
            assert all(publisher.publish(Queue.CHANGES, messages))
            number += 1
            take_and_ack(consumer, seen, timeout=0.05)
    assert killed.result().isdigit()
    deadline = time.monotonic() + 30
    while min(map(len, seen.values())) < number and time.monotonic() < deadline:
        take_and_ack(consumer, seen, timeout=1)
    assert seen == {0: list(range(number)), 1: list(range(number))}
    publisher.close()
    consumer.close()


def take_and_ack(consumer: Consumer, seen: dict[int, list[int]], timeout: float) -> None:
    got = consumer.receive(10, timeout)
    for delivery in got:
        seen[delivery.partition].append(int(delivery.body))
    consumer.ack([delivery.tag for delivery in got])


# Connections that are cut


def test_a_consumer_whose_connection_was_cut_gets_its_messages_again(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    publish(broker, Queue.PUSHES, bodies(4))
    consumer = broker.consumer(Queue.PUSHES, 4)
    old = receive(consumer, 4)
    rabbit.cut_all_connections()
    new = receive_in_spite_of(consumer, 4)
    assert [delivery.body for delivery in new] == bodies(4)
    assert all(delivery.redelivered for delivery in new)
    assert not {delivery.tag for delivery in old} & {delivery.tag for delivery in new}
    consumer.close()


def test_tags_from_before_the_connection_was_cut_ack_and_park_nothing(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    publish(broker, Queue.PUSHES, bodies(4))
    consumer = broker.consumer(Queue.PUSHES, 4)
    old = receive(consumer, 4)
    rabbit.cut_all_connections()
    receive_in_spite_of(consumer, 4)
    consumer.ack([delivery.tag for delivery in old])
    consumer.park(old[0], "unreadable")
    consumer.close()
    assert eventually(lambda: broker.depths()[Queue.PUSHES] == Depth(ready=4, dead=0))


def test_a_publisher_whose_connection_was_cut_opens_another(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    with closing(broker.publisher()) as publisher:
        assert list(publisher.publish(Queue.PUSHES, publications(bodies(2)))) == [True, True]
        rabbit.cut_all_connections()
        assert all_is_confirmed_in_the_end(publisher, bodies(1))


def test_who_waits_for_a_message_while_the_connection_is_cut_still_gets_it(rabbit: Rabbit) -> None:
    broker = rabbit.installed()
    consumer = broker.consumer(Queue.PUSHES, 1)
    consumer.receive(1, timeout=0)

    def cut_then_publish() -> None:
        time.sleep(0.2)
        rabbit.cut_all_connections()
        publish(broker, Queue.PUSHES, bodies(1))

    thread = Thread(target=cut_then_publish)
    thread.start()
    assert [delivery.body for delivery in receive_in_spite_of(consumer, 1)] == bodies(1)
    thread.join()
    consumer.close()


def test_no_thread_is_left_when_all_is_closed(rabbit: Rabbit) -> None:
    before = set(threading.enumerate())
    broker = rabbit.installed()
    with closing(broker.publisher()) as publisher:
        publisher.publish(Queue.PUSHES, publications(bodies(1)))
        rabbit.cut_all_connections()
        assert all_is_confirmed_in_the_end(publisher, bodies(1))
    with closing(broker.consumer(Queue.PUSHES, 1)) as consumer:
        receive(consumer, 1)
    broker.depths()
    assert eventually(lambda: set(threading.enumerate()) <= before)


def until_it_raises(action: Callable[[], object]) -> None:
    """Do it again and again; a moment without the broker is no reason to stop."""
    for _ in range(100):
        with suppress(Unavailable):
            action()
        time.sleep(0.05)


def receive_in_spite_of(consumer: Consumer, count: int) -> list[Delivery]:
    """Receive *count* messages by one consumer, as a worker does that goes on after Unavailable."""
    got: list[Delivery] = []

    def try_again() -> bool:
        with suppress(Unavailable):
            got.extend(receive(consumer, count - len(got)))
        return len(got) == count

    assert eventually(try_again, within=20)
    return got
