"""The embedded broker's own: one table, threads that share it, and processes that die."""

import sqlite3
import threading
import time

import pytest
from sqlalchemy import text

from engine.broker import open_broker
from engine.broker.embedded import EmbeddedBroker
from engine.broker.promises import DELIVERY_LIMIT
from engine.config import BrokerSettings
from engine.database import Database
from engine.errors import ConfigError
from engine.ports import Depth, Queue
from tests.builders import publications
from tests.contracts.brokers import (
    bodies,
    publish,
    receive,
    received_bodies,
)

PARTITIONS = 4


@pytest.fixture
def database(sqlite_url: str) -> Database:
    return Database(sqlite_url)


@pytest.fixture
def broker(database: Database) -> EmbeddedBroker:
    broker = EmbeddedBroker(database, PARTITIONS)
    broker.install()
    return broker


def test_another_database_than_sqlite_is_refused_with_the_remedy() -> None:
    database = Database("postgresql://u:p@localhost/x")
    with pytest.raises(ConfigError, match="needs SQLite"):
        open_broker(BrokerSettings(), database, "north")


def test_threads_of_one_process_pass_everything_on_in_order(broker: EmbeddedBroker) -> None:
    received: list[bytes] = []

    def consume() -> None:
        consumer = broker.consumer(Queue.CHANGES, 50)
        while len(received) < 300:
            received.extend(received_bodies(consumer, 1))
        consumer.close()

    thread = threading.Thread(target=consume)
    thread.start()
    publisher = broker.publisher()
    for body in bodies(300):
        publisher.publish(Queue.CHANGES, publications([body]))
    thread.join()
    assert received == bodies(300)


def test_many_publishers_and_consumers_lose_and_double_nothing(broker: EmbeddedBroker) -> None:
    received: list[bytes] = []

    def produce(number: int) -> None:
        for start in range(0, 200, 20):
            publish(broker, Queue.PUSHES, bodies(200, f"{number}-")[start : start + 20])

    def consume() -> None:
        consumer = broker.consumer(Queue.PUSHES, 30)
        while got := consumer.receive(30, timeout=1.5):
            received.extend(delivery.body for delivery in got)
            consumer.ack([delivery.tag for delivery in got])
        consumer.close()

    threads = [threading.Thread(target=produce, args=(number,)) for number in range(4)]
    threads += [threading.Thread(target=consume) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [body for number in range(4) for body in bodies(200, f"{number}-")]
    assert sorted(received) == sorted(expected)


def test_a_consumer_that_closes_in_order_does_not_wear_its_messages_out(
    broker: EmbeddedBroker,
) -> None:
    publish(broker, Queue.PUSHES, bodies(1))
    for _ in range(3 * DELIVERY_LIMIT):
        consumer = broker.consumer(Queue.PUSHES, 1)
        assert [delivery.body for delivery in receive(consumer, 1)] == [b"0"]
        consumer.close()
    assert broker.depths()[Queue.PUSHES] == Depth(ready=1, dead=0)


def test_a_consumer_closes_also_when_the_database_is_gone(
    broker: EmbeddedBroker, database: Database
) -> None:
    publish(broker, Queue.PUSHES, bodies(1))
    consumer = broker.consumer(Queue.PUSHES, 1)
    receive(consumer, 1)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE schoolbell_queue_messages RENAME TO away"))
    consumer.close()
    with database.write() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO schoolbell_queue_messages"))
    after = broker.consumer(Queue.PUSHES, 1)
    assert received_bodies(after, 1) == bodies(1)
    after.close()


def test_what_another_process_requeues_comes_at_the_next_look(
    broker: EmbeddedBroker, sqlite_url: str
) -> None:
    publish(broker, Queue.PUSHES, bodies(1))
    consumer = broker.consumer(Queue.PUSHES, 1)
    consumer.park(receive(consumer, 1)[0], "not now")
    tool = EmbeddedBroker(Database(sqlite_url), PARTITIONS)
    assert tool.requeue_parked(Queue.PUSHES, 1) == 1
    assert received_bodies(consumer, 1) == bodies(1)
    consumer.close()


def test_a_batch_is_published_as_a_whole_or_not_at_all(
    broker: EmbeddedBroker, database: Database
) -> None:
    with database.write() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER full BEFORE INSERT ON schoolbell_queue_messages "
                "WHEN NEW.body = x'FF' BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            )
        )
    with pytest.raises(sqlite3.IntegrityError):
        broker.publisher().publish(Queue.PUSHES, publications([b"0", b"\xff", b"2"]))
    assert broker.depths()[Queue.PUSHES].ready == 0


@pytest.mark.parametrize("given_back", [False, True])
def test_the_next_messages_are_found_by_an_index_however_many_wait(
    broker: EmbeddedBroker, database: Database, given_back: bool
) -> None:
    statements: list[str] = []
    with database.read() as connection:
        raw = connection.connection.dbapi_connection
    publish(broker, Queue.PUSHES, bodies(10))
    consumer = broker.consumer(Queue.PUSHES, 5)
    if given_back:
        receive(consumer, 5)
        consumer.close()
    assert raw is not None
    raw.set_trace_callback(statements.append)
    receive(consumer, 5)
    raw.set_trace_callback(None)
    (asked,) = [sql for sql in statements if sql.startswith("SELECT") and "body" in sql]
    plan = " ".join(row[-1] for row in raw.execute(f"EXPLAIN QUERY PLAN {asked}"))
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan


def test_taking_is_no_slower_with_a_long_backlog(broker: EmbeddedBroker) -> None:
    short = seconds_to_take(broker, waiting=1_000)
    long = seconds_to_take(broker, waiting=50_000)
    assert long < 3 * short + 0.2


def seconds_to_take(broker: EmbeddedBroker, waiting: int) -> float:
    publish(broker, Queue.OUTCOMES, bodies(waiting))
    consumer = broker.consumer(Queue.OUTCOMES, 20)
    started = time.perf_counter()
    for _ in range(25):
        consumer.ack([delivery.tag for delivery in receive(consumer, 20)])
    taken = time.perf_counter() - started
    consumer.close()
    return taken
