"""The brokers that the behaviour suite is held against, and how a program sees each of them."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.broker import open_broker
from engine.config import BrokerSettings
from engine.database import Database
from engine.errors import Misconfigured, Unavailable
from engine.ports import Broker, Consumer, Delivery, Publisher, Queue
from tests.builders import publications
from tests.servers import RabbitServer

DISTRICT = "north"
PARTITIONS = 2

EMBEDDED_QUEUES = [name for queue in sorted(Queue) for name in (queue.value, queue.dead)]
RABBIT_QUEUES = sorted(
    f"{queue}.{suffix}" for queue in Queue for suffix in ("0", "1", "dead", "consumers")
)


class House(Protocol):
    """A broker somewhere."""

    settings: BrokerSettings
    database_url: str

    @property
    def queues(self) -> Sequence[str]:
        """What an installation makes."""
        ...

    def open(self) -> Broker:
        """The broker as a program sees it that has just started."""
        ...

    def restart(self) -> None:
        """End the broker in order and start it again."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


@dataclass
class EmbeddedHouse:
    """A SQLite file; each program that starts opens it anew."""

    database_url: str
    settings: BrokerSettings = field(default_factory=lambda: BrokerSettings(partitions=PARTITIONS))
    _databases: list[Database] = field(default_factory=list)
    queues: Sequence[str] = field(default_factory=lambda: EMBEDDED_QUEUES)

    def open(self) -> Broker:
        self._databases.append(Database(self.database_url))
        return open_broker(self.settings, self._databases[-1], DISTRICT)

    def restart(self) -> None:
        self.close()

    def close(self) -> None:
        while self._databases:
            self._databases.pop().close()


@dataclass
class RabbitHouse:
    """A vhost of a private RabbitMQ, reached over TLS."""

    settings: BrokerSettings
    server: RabbitServer | None = None
    database_url: str = "sqlite://"
    queues: Sequence[str] = field(default_factory=lambda: RABBIT_QUEUES)

    def open(self) -> Broker:
        return open_broker(self.settings, Database(self.database_url), DISTRICT)

    def restart(self) -> None:
        assert self.server is not None, "A broker that tests share is not restarted."
        self.server.restart()

    def close(self) -> None:
        """The vhost is removed by who made it."""


_RECEIVE_AND_BE_KILLED = """
import os, signal, sys
from engine.broker import open_broker
from engine.config import BrokerSettings
from engine.database import Database
from engine.ports import Queue

settings, database, district, queue = sys.argv[1:]
broker = open_broker(BrokerSettings.model_validate_json(settings), Database(database), district)
(delivery,) = broker.consumer(Queue(queue), 1).receive(1, timeout=10)
print(delivery.body.decode(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def receive_and_be_killed(house: House, queue: Queue) -> bytes:
    """Let another process receive one message and be killed with it; the body."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", _RECEIVE_AND_BE_KILLED),
            *(house.settings.model_dump_json(), house.database_url, DISTRICT, queue.value),
        ],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    return done.stdout.splitlines()[-1]


def bodies(count: int, prefix: str = "") -> list[bytes]:
    """Messages that can be told apart."""
    return [f"{prefix}{number}".encode() for number in range(count)]


def publish(broker: Broker, queue: Queue, messages: Sequence[bytes]) -> None:
    """Publish, and insist that the broker has it all."""
    publisher = broker.publisher()
    assert all(publisher.publish(queue, publications(messages)))
    publisher.close()


def receive(consumer: Consumer, count: int, limit: int = 1_000) -> list[Delivery]:
    """Receive until there are *count*; fewer when nothing comes for a while."""
    got: list[Delivery] = []
    while len(got) < count:
        more = consumer.receive(min(limit, count - len(got)), timeout=5)
        if not more:
            break
        got.extend(more)
    return got


def received_bodies(consumer: Consumer, count: int) -> list[bytes]:
    """The bodies of what comes, acked."""
    got = receive(consumer, count)
    consumer.ack([delivery.tag for delivery in got])
    return [delivery.body for delivery in got]


def nothing_comes(consumer: Consumer, within: float = 0.3) -> bool:
    """Whether a consumer stays without a message for a moment."""
    return not consumer.receive(1, timeout=within)


def eventually(claim: Callable[[], bool], within: float = 10) -> bool:
    """Whether a claim comes true in time: RabbitMQ counts and returns messages a moment later."""
    deadline = time.monotonic() + within
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def all_is_confirmed_in_the_end(publisher: Publisher, messages: Sequence[bytes]) -> bool:
    """Whether a publisher recovers: a moment without the broker, or without queues, passes."""

    def try_again() -> bool:
        with suppress(Unavailable, Misconfigured):
            return all(publisher.publish(Queue.PUSHES, publications(messages)))
        return False

    return eventually(try_again)
