"""What every broker promises: one suite for RabbitMQ and for the queue in the database."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from engine.broker.promises import DELIVERY_LIMIT, DELIVERY_LIMIT_REASON
from engine.config import BrokerSettings
from engine.errors import Misconfigured
from engine.ports import (
    Broker,
    Consumer,
    Delivery,
    Depth,
    Parked,
    Publication,
    Publisher,
    Queue,
)
from engine.wire.messages import Pushes, decode, encode
from engine.wire.partitions import divided, hash_of_push
from tests.builders import a_push, publications
from tests.contracts.brokers import (
    PARTITIONS,
    EmbeddedHouse,
    House,
    RabbitHouse,
    all_is_confirmed_in_the_end,
    bodies,
    eventually,
    nothing_comes,
    publish,
    receive,
    receive_and_be_killed,
    received_bodies,
)
from tests.servers import RabbitServer

PLENTY = 100


@pytest.fixture(params=["embedded", "rabbitmq"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """An empty broker, without queues."""
    if request.param == "embedded":
        house = EmbeddedHouse(request.getfixturevalue("sqlite_url"))
    else:
        url, ca_file = map(request.getfixturevalue, ("amqps_url", "amqp_ca_file"))
        house = RabbitHouse(BrokerSettings(url=url, ca_file=ca_file, partitions=PARTITIONS))
    yield house
    house.close()


@pytest.fixture
def broker(house: House) -> Broker:
    """A broker with its queues."""
    broker = house.open()
    broker.install()
    return broker


@pytest.fixture
def broker_of_four(house: House) -> Broker:
    """A broker with its queues, each in four partitions."""
    house.settings = house.settings.model_copy(update={"partitions": 4})
    broker = house.open()
    broker.install()
    return broker


@pytest.fixture(scope="module")
def own_rabbit_server() -> Iterator[RabbitServer]:
    """A RabbitMQ that these tests may restart."""
    with RabbitServer() as server:
        yield server


@pytest.fixture(params=["embedded", "rabbitmq"])
def house_to_restart(request: pytest.FixtureRequest) -> Iterator[House]:
    """An empty broker that may be restarted."""
    if request.param == "embedded":
        house = EmbeddedHouse(request.getfixturevalue("sqlite_url"))
    else:
        server: RabbitServer = request.getfixturevalue("own_rabbit_server")
        url = server.create_vhost(request.node.name).amqps_url
        house = RabbitHouse(
            BrokerSettings(url=url, ca_file=server.ca_file, partitions=PARTITIONS), server
        )
    yield house
    house.close()


# Publishing


def test_bodies_come_in_the_order_in_which_they_were_published(broker: Broker) -> None:
    publisher, consumer = broker.publisher(), broker.consumer(Queue.PUSHES, 1_000)
    for start in (0, 500):
        publisher.publish(Queue.PUSHES, publications(bodies(1_000)[start : start + 500]))
    assert received_bodies(consumer, 1_000) == bodies(1_000)
    consumer.close()
    publisher.close()


def test_each_body_is_confirmed_for_itself(broker: Broker) -> None:
    publisher = broker.publisher()
    assert list(publisher.publish(Queue.CHANGES, publications(bodies(3)))) == [True, True, True]
    publisher.close()


def test_publishing_nothing_is_no_work(broker: Broker) -> None:
    assert list(broker.publisher().publish(Queue.CHANGES, publications([]))) == []


def test_what_was_confirmed_survives_a_restart_of_the_broker(house_to_restart: House) -> None:
    broker = house_to_restart.open()
    broker.install()
    publish(broker, Queue.OUTCOMES, bodies(PLENTY))
    house_to_restart.restart()
    consumer = house_to_restart.open().consumer(Queue.OUTCOMES, PLENTY)
    assert received_bodies(consumer, PLENTY) == bodies(PLENTY)
    consumer.close()


@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe", bytes(range(256)) * 4_096])
def test_a_body_is_any_bytes(broker: Broker, body: bytes) -> None:
    publish(broker, Queue.PUSHES, [body])
    consumer = broker.consumer(Queue.PUSHES, 1)
    assert received_bodies(consumer, 1) == [body]
    consumer.close()


def test_each_queue_has_its_own_messages(broker: Broker) -> None:
    for queue in Queue:
        publish(broker, queue, [queue.encode()])
    for queue in Queue:
        consumer = broker.consumer(queue, PLENTY)
        assert received_bodies(consumer, 1) == [queue.encode()]
        assert nothing_comes(consumer)
        consumer.close()


def test_a_closed_publisher_can_be_closed_again(broker: Broker) -> None:
    publisher = broker.publisher()
    publisher.publish(Queue.PUSHES, publications(bodies(1)))
    publisher.close()
    publisher.close()


# Receiving


def test_who_waits_gets_a_message_as_soon_as_it_is_there(broker: Broker) -> None:
    consumer = broker.consumer(Queue.PUSHES, 1)
    consumer.receive(1, timeout=0)
    late = threading.Timer(0.3, publish, [broker, Queue.PUSHES, bodies(1)])
    started = time.monotonic()
    late.start()
    assert received_bodies(consumer, 1) == bodies(1)
    assert time.monotonic() - started < 2
    late.join()
    consumer.close()


def test_who_waits_for_nothing_is_told_so_when_time_is_over(broker: Broker) -> None:
    consumer = broker.consumer(Queue.PUSHES, 1)
    started = time.monotonic()
    assert list(consumer.receive(1, timeout=0.4)) == []
    assert 0.4 <= time.monotonic() - started < 3
    consumer.close()


def test_no_more_than_the_limit_come_at_once(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(PLENTY))
    consumer = broker.consumer(Queue.PUSHES, PLENTY)
    got = receive(consumer, PLENTY, limit=7)
    assert [delivery.body for delivery in got] == bodies(PLENTY)
    assert all(len(consumer.receive(7, timeout=0)) <= 7 for _ in range(3))
    consumer.close()


def test_no_more_than_prefetch_are_held_unacked(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(10))
    consumer = broker.consumer(Queue.PUSHES, 4)
    held = receive(consumer, 4)
    assert nothing_comes(consumer)
    consumer.ack([held[0].tag])
    assert [delivery.body for delivery in receive(consumer, 1)] == [b"4"]
    assert nothing_comes(consumer)
    consumer.close()


def test_what_was_never_handed_out_is_not_marked_as_redelivered(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(3))
    consumer = broker.consumer(Queue.PUSHES, 3)
    assert not any(delivery.redelivered for delivery in receive(consumer, 3))
    consumer.close()


def test_a_second_consumer_of_a_partition_stands_by_so_that_order_holds(broker: Broker) -> None:
    publish(broker, Queue.CHANGES, bodies(4))
    first, second = broker.consumer(Queue.CHANGES, 2), broker.consumer(Queue.CHANGES, 2)
    held = receive(first, 2)
    assert nothing_comes(second)
    first.ack([delivery.tag for delivery in held])
    assert eventually(lambda: broker.depths()[Queue.CHANGES].ready <= 2)
    first.close()
    assert received_bodies(second, 2) == [b"2", b"3"]
    second.close()


def test_what_a_consumer_of_a_partition_held_comes_first_to_the_one_that_stood_by(
    broker: Broker,
) -> None:
    publish(broker, Queue.CHANGES, bodies(PLENTY))
    first, second = broker.consumer(Queue.CHANGES, 10), broker.consumer(Queue.CHANGES, PLENTY)
    receive(first, 5)
    assert nothing_comes(second)
    first.close()
    assert [delivery.body for delivery in receive(second, PLENTY)] == bodies(PLENTY)
    second.close()


def test_a_delivery_does_not_show_its_body(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, [b"Ada has 4.75 left"])
    consumer = broker.consumer(Queue.PUSHES, 1)
    assert "Ada" not in repr(receive(consumer, 1))
    consumer.close()


# Sharing a queue


def test_a_delivery_says_of_which_partition_it_is(broker_of_four: Broker) -> None:
    publish_to_each(broker_of_four, Queue.PUSHES, 1)
    consumer = broker_of_four.consumer(Queue.PUSHES, PLENTY)
    got = {delivery.body: delivery.partition for delivery in receive(consumer, 4)}
    assert got == {b"0/0": 0, b"1/0": 1, b"2/0": 2, b"3/0": 3}
    consumer.close()


def test_one_consumer_gets_all_partitions_each_in_order(broker_of_four: Broker) -> None:
    publish_to_each(broker_of_four, Queue.CHANGES, 50)
    consumer = broker_of_four.consumer(Queue.CHANGES, PLENTY)
    assert by_partition(received_bodies(consumer, 200)) == each_in_order(50)
    consumer.close()


def test_prefetch_is_of_each_partition(broker_of_four: Broker) -> None:
    publish_to_each(broker_of_four, Queue.PUSHES, 5)
    consumer = broker_of_four.consumer(Queue.PUSHES, 2)
    held = [delivery.body for delivery in receive(consumer, 8)]
    assert by_partition(held) == each_in_order(2)
    assert nothing_comes(consumer)
    consumer.close()


@pytest.mark.parametrize("queue", Queue)
def test_two_consumers_share_the_partitions_and_no_message_comes_to_both(
    broker_of_four: Broker, queue: Queue
) -> None:
    publisher = broker_of_four.publisher()
    one, other = (
        Taker(broker_of_four.consumer(queue, 10)),
        Taker(broker_of_four.consumer(queue, 10)),
    )
    rounds = 0
    while rounds < 5 or not one.shares_with(other):
        assert rounds < 100, "The first consumer keeps more than its share."
        publish_round(publisher, queue, rounds)
        one.take()
        other.take()
        rounds += 1
    one.take_all()
    other.take_all()
    one.take_all()
    assert len(one.bodies) + len(other.bodies) == 4 * rounds
    assert by_partition(one.bodies + other.bodies) == each_in_order(rounds)
    for taker in (one, other):
        taker.consumer.close()
    publisher.close()


def test_a_partition_is_handed_over_when_nothing_of_it_is_in_hand(broker_of_four: Broker) -> None:
    publish_to_each(broker_of_four, Queue.CHANGES, 3)
    first, second = (broker_of_four.consumer(Queue.CHANGES, 2) for _ in range(2))
    held = receive(first, 8)
    assert nothing_comes(second, within=2)
    for _ in range(3):  # until the first has heard of the second
        assert nothing_comes(first)
    first.ack([delivery.tag for delivery in held])
    last = taken_by_both(first, second, 4)
    assert sorted(one.body for one in last) == [b"0/2", b"1/2", b"2/2", b"3/2"]
    assert not any(one.redelivered for one in last)
    first.close()
    second.close()


def test_who_is_left_gets_everything_that_the_other_held_in_order(broker_of_four: Broker) -> None:
    publisher = broker_of_four.publisher()
    gone, left = (Taker(broker_of_four.consumer(Queue.PUSHES, 10)) for _ in range(2))
    rounds = 0
    while not gone.shares_with(left):
        assert rounds < 100, "The first consumer keeps more than its share."
        publish_round(publisher, Queue.PUSHES, rounds)
        gone.take()
        left.take()
        rounds += 1
    gone.take_all()
    left.take_all()
    for number in range(rounds, rounds + 5):
        publish_round(publisher, Queue.PUSHES, number)
    receive(gone.consumer, 4)
    gone.consumer.close()
    left.take_all()
    assert by_partition(left.last_of(20)) == {
        number: list(range(rounds, rounds + 5)) for number in range(4)
    }
    left.consumer.close()
    publisher.close()


# Acking, and coming again


def test_what_was_acked_does_not_come_again(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(5))
    consumer = broker.consumer(Queue.PUSHES, 5)
    assert received_bodies(consumer, 5) == bodies(5)
    consumer.close()
    after = broker.consumer(Queue.PUSHES, 5)
    assert nothing_comes(after)
    after.close()


def test_what_was_not_acked_comes_again_in_order_and_says_so(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(6))
    consumer = broker.consumer(Queue.PUSHES, 6)
    receive(consumer, 6)
    consumer.close()
    after = broker.consumer(Queue.PUSHES, 6)
    again = receive(after, 6)
    assert [delivery.body for delivery in again] == bodies(6)
    assert all(delivery.redelivered for delivery in again)
    after.close()


def test_what_was_not_acked_comes_again_before_what_is_new(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(2, "old"))
    consumer = broker.consumer(Queue.PUSHES, 2)
    receive(consumer, 2)
    publish(broker, Queue.PUSHES, bodies(2, "new"))
    consumer.close()
    after = broker.consumer(Queue.PUSHES, PLENTY)
    assert received_bodies(after, 4) == [b"old0", b"old1", b"new0", b"new1"]
    after.close()


def test_messages_are_acked_in_any_order_and_with_gaps(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(8))
    consumer = broker.consumer(Queue.PUSHES, 8)
    tags = [delivery.tag for delivery in receive(consumer, 8)]
    consumer.ack([tags[6], tags[0], tags[1]])
    consumer.ack([tags[3]])
    consumer.close()
    after = broker.consumer(Queue.PUSHES, 8)
    assert received_bodies(after, 4) == [b"2", b"4", b"5", b"7"]
    assert nothing_comes(after)
    after.close()


def test_what_was_acked_just_before_the_end_does_not_come_again(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(1_000))
    consumer = broker.consumer(Queue.PUSHES, 1_000)
    consumer.ack([delivery.tag for delivery in receive(consumer, 1_000)[1::2]])
    consumer.close()
    after = broker.consumer(Queue.PUSHES, 1_000)
    assert received_bodies(after, 500) == bodies(1_000)[0::2]
    assert nothing_comes(after)
    after.close()


def test_acking_twice_or_what_nobody_has_is_ignored(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(2))
    consumer = broker.consumer(Queue.PUSHES, 1)
    (first,) = receive(consumer, 1)
    consumer.ack([first.tag, first.tag])
    consumer.ack([first.tag, 987_654_321])
    assert received_bodies(consumer, 1) == [b"1"]
    consumer.close()


def test_a_tag_of_a_closed_consumer_acks_nothing(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(1))
    gone = broker.consumer(Queue.PUSHES, 1)
    (delivery,) = receive(gone, 1)
    gone.close()
    gone.ack([delivery.tag])
    after = broker.consumer(Queue.PUSHES, 1)
    assert received_bodies(after, 1) == [b"0"]
    after.close()


def test_a_closed_consumer_can_be_closed_again(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(1))
    consumer = broker.consumer(Queue.PUSHES, 1)
    receive(consumer, 1)
    consumer.close()
    consumer.close()
    assert broker.depths()[Queue.PUSHES].ready == 1


def test_a_process_that_is_killed_leaves_its_message_for_the_next(house: House) -> None:
    house.open().install()
    publish(house.open(), Queue.PUSHES, bodies(2))
    assert receive_and_be_killed(house, Queue.PUSHES) == b"0"
    consumer = house.open().consumer(Queue.PUSHES, 2)
    again = receive(consumer, 2)
    assert [(delivery.body, delivery.redelivered) for delivery in again] == [
        (b"0", True),
        (b"1", False),
    ]
    consumer.close()


# Parking


def test_a_parked_message_keeps_its_body_and_its_reason(broker: Broker) -> None:
    publish(broker, Queue.CHANGES, bodies(2))
    consumer = broker.consumer(Queue.CHANGES, 2)
    first, second = receive(consumer, 2)
    consumer.park(first, "unreadable")
    consumer.ack([second.tag])
    assert list(broker.parked(Queue.CHANGES, PLENTY)) == [Parked(b"0", "unreadable")]
    assert eventually(lambda: broker.depths()[Queue.CHANGES] == Depth(ready=0, dead=1))
    consumer.close()


def test_a_parked_message_does_not_come_again(broker: Broker) -> None:
    publish(broker, Queue.CHANGES, bodies(1))
    consumer = broker.consumer(Queue.CHANGES, 1)
    consumer.park(receive(consumer, 1)[0], "unreadable")
    consumer.close()
    after = broker.consumer(Queue.CHANGES, 1)
    assert nothing_comes(after)
    after.close()


def test_what_the_consumer_does_not_hold_any_more_is_not_parked(broker: Broker) -> None:
    publish(broker, Queue.CHANGES, bodies(2))
    gone = broker.consumer(Queue.CHANGES, 2)
    acked, unacked = receive(gone, 2)
    gone.ack([acked.tag])
    gone.park(acked, "too late")
    gone.close()
    gone.park(unacked, "too late")
    assert list(broker.parked(Queue.CHANGES, PLENTY)) == []
    after = broker.consumer(Queue.CHANGES, 2)
    assert received_bodies(after, 1) == [b"1"]
    after.close()


def test_looking_at_parked_messages_leaves_them_there(broker: Broker) -> None:
    park_all(broker, Queue.PUSHES, bodies(3))
    assert [parked.body for parked in broker.parked(Queue.PUSHES, 2)] == bodies(2)
    assert [parked.body for parked in broker.parked(Queue.PUSHES, 2)] == bodies(2)
    assert eventually(lambda: broker.depths()[Queue.PUSHES].dead == 3)


def test_what_was_just_looked_at_is_requeued(broker: Broker) -> None:
    park_all(broker, Queue.PUSHES, bodies(5))
    for _ in range(20):
        assert len(broker.parked(Queue.PUSHES, PLENTY)) == 5
        assert broker.depths()[Queue.PUSHES].dead == 5
    assert broker.requeue_parked(Queue.PUSHES, PLENTY) == 5


def test_requeued_messages_are_delivered_as_if_new(broker: Broker) -> None:
    park_all(broker, Queue.PUSHES, bodies(3))
    assert broker.requeue_parked(Queue.PUSHES, PLENTY) == 3
    assert list(broker.parked(Queue.PUSHES, PLENTY)) == []
    consumer = broker.consumer(Queue.PUSHES, PLENTY)
    again = receive(consumer, 3)
    assert [delivery.body for delivery in again] == bodies(3)
    assert not any(delivery.redelivered for delivery in again)
    consumer.close()


def test_who_waits_gets_what_is_requeued(broker: Broker) -> None:
    park_all(broker, Queue.PUSHES, bodies(1))
    consumer = broker.consumer(Queue.PUSHES, 1)
    consumer.receive(1, timeout=0)
    later = threading.Timer(0.2, broker.requeue_parked, [Queue.PUSHES, 1])
    later.start()
    assert received_bodies(consumer, 1) == bodies(1)
    later.join()
    consumer.close()


def test_no_more_than_the_limit_are_requeued_the_oldest_first(broker: Broker) -> None:
    park_all(broker, Queue.PUSHES, bodies(3))
    assert broker.requeue_parked(Queue.PUSHES, 2) == 2
    assert [parked.body for parked in broker.parked(Queue.PUSHES, PLENTY)] == [b"2"]
    consumer = broker.consumer(Queue.PUSHES, PLENTY)
    assert received_bodies(consumer, 2) == bodies(2)
    consumer.close()


def test_many_parked_messages_are_requeued_at_once(broker: Broker) -> None:
    park_all(broker, Queue.PUSHES, bodies(600))
    assert broker.requeue_parked(Queue.PUSHES, 1_000) == 600
    assert eventually(lambda: broker.depths()[Queue.PUSHES] == Depth(ready=600, dead=0))


def test_where_nothing_is_parked_nothing_is_requeued(broker: Broker) -> None:
    assert broker.requeue_parked(Queue.OUTCOMES, PLENTY) == 0
    assert list(broker.parked(Queue.OUTCOMES, PLENTY)) == []


def test_a_message_that_kills_its_consumers_is_parked_until_it_is_requeued(house: House) -> None:
    broker = house.open()
    broker.install()
    publish(broker, Queue.PUSHES, [b"poison"])
    for _ in range(DELIVERY_LIMIT + 1):
        assert receive_and_be_killed(house, Queue.PUSHES) == b"poison"
    publish(broker, Queue.PUSHES, [b"innocent"])
    consumer = house.open().consumer(Queue.PUSHES, 1)
    assert received_bodies(consumer, 1) == [b"innocent"]
    assert eventually(lambda: broker.depths()[Queue.PUSHES].dead == 1)
    assert list(broker.parked(Queue.PUSHES, 1)) == [Parked(b"poison", DELIVERY_LIMIT_REASON)]
    consumer.close()
    assert broker.requeue_parked(Queue.PUSHES, 1) == 1
    assert receive_and_be_killed(house, Queue.PUSHES) == b"poison"


# Depths


def test_depths_count_what_waits_and_not_what_is_held(broker: Broker) -> None:
    publish(broker, Queue.PUSHES, bodies(5))
    consumer = broker.consumer(Queue.PUSHES, 2)
    assert eventually(lambda: broker.depths()[Queue.PUSHES] == Depth(ready=5, dead=0))
    receive(consumer, 2)
    assert eventually(lambda: broker.depths()[Queue.PUSHES] == Depth(ready=3, dead=0))
    consumer.close()
    assert eventually(lambda: broker.depths()[Queue.PUSHES] == Depth(ready=5, dead=0))


def test_depths_name_every_queue(broker: Broker) -> None:
    assert broker.depths() == {queue: Depth(ready=0, dead=0) for queue in Queue}


# Installing


def test_install_names_what_it_made_and_the_second_time_nothing(house: House) -> None:
    broker = house.open()
    assert sorted(broker.install()) == house.queues
    assert list(broker.install()) == []
    assert list(house.open().install()) == []


def test_installing_again_leaves_messages_alone(broker: Broker) -> None:
    publish(broker, Queue.CHANGES, bodies(3))
    broker.install()
    consumer = broker.consumer(Queue.CHANGES, 3)
    got = receive(consumer, 3)
    assert [delivery.body for delivery in got] == bodies(3)
    assert not any(delivery.redelivered for delivery in got)
    consumer.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda broker: broker.publisher().publish(Queue.PUSHES, publications(bodies(2))),
        lambda broker: broker.consumer(Queue.PUSHES, 1).receive(1, timeout=5),
        lambda broker: broker.depths(),
        lambda broker: broker.parked(Queue.PUSHES, 1),
        lambda broker: broker.requeue_parked(Queue.PUSHES, 1),
    ],
    ids=["publish", "receive", "depths", "parked", "requeue_parked"],
)
def test_without_queues_the_error_names_the_install_command(
    house: House, use: Callable[[Broker], object]
) -> None:
    with pytest.raises(Misconfigured, match="schoolbell install"):
        use(house.open())


def test_who_started_before_the_install_works_after_it(house: House) -> None:
    broker = house.open()
    publisher = broker.publisher()
    with pytest.raises(Misconfigured):
        publisher.publish(Queue.PUSHES, publications(bodies(1)))
    house.open().install()
    assert all_is_confirmed_in_the_end(publisher, bodies(1))
    publisher.close()


# Another number of partitions


def test_another_number_is_refused_while_a_message_waits(house: House) -> None:
    house.open().install()
    publish(house.open(), Queue.PUSHES, bodies(1))
    with pytest.raises(Misconfigured, match=f"{PARTITIONS} partitions") as refused:
        divided_into(house, 3).install()
    assert f"Write partitions = {PARTITIONS} again" in refused.value.remedy
    consumer = divided_into(house, PARTITIONS).consumer(Queue.PUSHES, 1)
    assert received_bodies(consumer, 1) == bodies(1)
    consumer.close()


def test_what_was_divided_by_another_number_is_never_passed_over(house: House) -> None:
    house.open().install()
    publisher = house.open().publisher()
    assert all(publisher.publish(Queue.CHANGES, publications(bodies(2), PARTITIONS - 1)))
    publisher.close()
    with pytest.raises(Misconfigured):
        divided_into(house, 1).depths()
    consumer = divided_into(house, PARTITIONS).consumer(Queue.CHANGES, 2)
    assert received_bodies(consumer, 2) == bodies(2)
    consumer.close()


@pytest.mark.parametrize("number", [1, 4])
def test_another_number_is_installed_when_nothing_waits(house: House, number: int) -> None:
    broker = house.open()
    broker.install()
    publish(broker, Queue.OUTCOMES, bodies(3))
    consumer = broker.consumer(Queue.OUTCOMES, 3)
    received_bodies(consumer, 3)
    consumer.close()
    assert eventually(lambda: broker.depths()[Queue.OUTCOMES] == Depth(ready=0, dead=0))

    other = divided_into(house, number)
    assert eventually(lambda: is_installed(other))

    publisher = other.publisher()
    assert publisher.partitions(Queue.OUTCOMES) == number
    messages = [Publication(str(one).encode(), one) for one in range(number)]
    assert all(publisher.publish(Queue.OUTCOMES, messages))
    after = other.consumer(Queue.OUTCOMES, 1)
    assert sorted(received_bodies(after, number)) == bodies(number)
    after.close()
    publisher.close()


def test_what_was_parked_under_another_number_goes_where_its_items_belong(house: House) -> None:
    broker = house.open()
    broker.install()
    pushes = [a_push(device_id=str(number)) for number in range(20)]
    park_all(broker, Queue.PUSHES, [encode(Pushes(pushes))])
    other = divided_into(house, 4)
    assert eventually(lambda: is_installed(other))
    assert other.requeue_parked(Queue.PUSHES, PLENTY) == 1
    consumer = other.consumer(Queue.PUSHES, 1)
    found = {
        delivery.partition: decode(delivery.body, Pushes).items for delivery in receive(consumer, 4)
    }
    consumer.close()
    assert [list(found[number]) for number in range(4)] == divided(pushes, hash_of_push, 4)


def divided_into(house: House, partitions: int) -> Broker:
    """The same broker, seen with another number in the configuration."""
    house.settings = house.settings.model_copy(update={"partitions": partitions})
    return house.open()


def is_installed(broker: Broker) -> bool:
    """Whether it can be installed: RabbitMQ counts a consumer for a moment after it has left."""
    with suppress(Misconfigured):
        broker.install()
        return True
    return False


def park_all(broker: Broker, queue: Queue, messages: list[bytes]) -> None:
    publish(broker, queue, messages)
    consumer = broker.consumer(queue, len(messages))
    for delivery in receive(consumer, len(messages)):
        consumer.park(delivery, "not now")
    consumer.close()
    assert eventually(lambda: broker.depths()[queue].dead == len(messages))


def publish_round(publisher: Publisher, queue: Queue, number: int) -> None:
    """Publish one message to each of four partitions: `<partition>/<number>`."""
    messages = [Publication(f"{partition}/{number}".encode(), partition) for partition in range(4)]
    assert all(publisher.publish(queue, messages))


def publish_to_each(broker: Broker, queue: Queue, count: int) -> None:
    publisher = broker.publisher()
    for number in range(count):
        publish_round(publisher, queue, number)
    publisher.close()


def by_partition(messages: Iterable[bytes]) -> dict[int, list[int]]:
    """The numbers of the messages of each partition, as they came."""
    found: dict[int, list[int]] = {number: [] for number in range(4)}
    for body in messages:
        partition, _, number = body.partition(b"/")
        found[int(partition)].append(int(number))
    return found


def each_in_order(count: int) -> dict[int, list[int]]:
    return {partition: list(range(count)) for partition in range(4)}


def taken_by_both(one: Consumer, other: Consumer, count: int) -> list[Delivery]:
    """Let two consumers take in turn until they have *count* in hand."""
    got: list[Delivery] = []
    deadline = time.monotonic() + 30
    while len(got) < count and time.monotonic() < deadline:
        got += one.receive(count, timeout=0.1)
        got += other.receive(count, timeout=0.1)
    return got


@dataclass
class Taker:
    """A consumer that acks what it gets, and remembers it."""

    consumer: Consumer
    got: list[Delivery] = field(default_factory=list)
    recent: set[int] = field(default_factory=set)

    def take(self) -> bool:
        """Take what is there now, and ack it."""
        more = self.consumer.receive(PLENTY, timeout=0.05)
        self.consumer.ack([delivery.tag for delivery in more])
        self.got += more
        self.recent = {delivery.partition for delivery in more} or self.recent
        return bool(more)

    def take_all(self) -> None:
        """Take until nothing comes for a while."""
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if self.take():
                deadline = time.monotonic() + 2

    def shares_with(self, other: "Taker") -> bool:
        """Whether each has taken of two partitions, and none of the other's, the last time."""
        return len(self.recent) == len(other.recent) == 2 and not self.recent & other.recent

    @property
    def bodies(self) -> list[bytes]:
        return [delivery.body for delivery in self.got]

    def last_of(self, count: int) -> list[bytes]:
        return self.bodies[-count:]
