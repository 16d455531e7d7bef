"""What opens by a date is told once through RabbitMQ, though schedule is killed in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest

from engine.broker.rabbitmq.broker import RabbitBroker
from engine.ports import Opening, Queue
from engine.stages.opening import LookAgain
from engine.store.ledger import SqlLedger
from engine.store.tables import openings
from engine.wire.messages import Changes, Push, decode
from tests.district import LOST_AFTER, District
from tests.engine.broker.rabbits import Rabbit
from tests.engine.stages.test_opening import OPENS, before_it_opens
from tests.servers import RabbitServer, Vhost

TEXTS = {"Ada obtuvo 60/100.", "Ada scored 60/100.", "You scored 60/100."}
PUBLISHED, CONFIRMED = "when it is about to publish", "when the broker has confirmed"


@dataclass
class Dying:
    """A ledger of a process that is killed at one moment."""

    ledger: SqlLedger
    when: str

    def __getattr__(self, name: str) -> object:
        return getattr(self.ledger, name)

    def opened(self, *words: object) -> Sequence[Opening]:
        found = self.ledger.opened(*words)  # type: ignore[arg-type]
        if self.when == PUBLISHED:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    def opening_published(self, *_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def die(url: str, amqps_url: str, ca_file: str, when: str) -> None:
    """Look again in this process, which does not survive it."""
    from pathlib import Path

    rabbit = Rabbit(None, None)  # type: ignore[arg-type]
    broker = rabbit.open(amqps_url, Path(ca_file))
    district = District(url)
    district.clock.now = OPENS
    ledger = Dying(district.ledger, when)
    LookAgain(ledger, broker.publisher(), district.clock, LOST_AFTER)()  # type: ignore[arg-type]


@pytest.fixture
def district(postgres_district: District) -> District:
    return postgres_district


@pytest.fixture
def broker(rabbit_server: RabbitServer, vhost: Vhost) -> RabbitBroker:
    return Rabbit(rabbit_server, vhost).installed()


def killed(district: District, server: RabbitServer, vhost: Vhost, when: str) -> None:
    """Schedule looks again in a process of its own, and is killed."""
    words = (district.url, vhost.amqps_url, str(server.ca_file), when)
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import die; die(*{words!r})"], check=False
    )
    assert done.returncode == -signal.SIGKILL


def looked(district: District, broker: RabbitBroker) -> int:
    """Schedule looks again, and survives."""
    publisher = broker.publisher()
    count = LookAgain(district.ledger, publisher, district.clock, LOST_AFTER)()
    publisher.close()
    return count


def told(district: District, broker: RabbitBroker) -> list[Push]:
    """What evaluate makes of all that waits."""
    consumer, found = broker.consumer(Queue.CHANGES, 10), []
    while messages := consumer.receive(10, 3.0):
        for message in messages:
            found += district.evaluate(*decode(message.body, Changes).items)
        consumer.ack([message.tag for message in messages])
    consumer.close()
    return found


@pytest.mark.parametrize("when", [PUBLISHED, CONFIRMED])
def test_schedule_that_is_killed_in_between_tells_once(
    district: District, rabbit_server: RabbitServer, vhost: Vhost, broker: RabbitBroker, when: str
) -> None:
    before_it_opens(district)
    district.clock.now = OPENS
    killed(district, rabbit_server, vhost, when)

    first = told(district, broker)
    assert ({push.body for push in first} == TEXTS) is (when == CONFIRMED)
    assert looked(district, broker) == 1  # nobody had noted that it was on its way
    again = told(district, broker)

    assert {push.body for push in (*first, *again)} == TEXTS
    assert len({push.id for push in (*first, *again)}) == len(TEXTS)
    district.clock.forward(LOST_AFTER + timedelta(minutes=1))
    assert (looked(district, broker), district.count(openings)) == (0, 0)


def test_what_a_purge_took_is_looked_at_again(
    district: District, vhost: Vhost, broker: RabbitBroker
) -> None:
    before_it_opens(district)
    district.clock.now = OPENS
    assert looked(district, broker) == 1
    Rabbit(None, vhost).purge(Queue.CHANGES)  # type: ignore[arg-type]

    assert (looked(district, broker), told(district, broker)) == (0, [])
    district.clock.forward(LOST_AFTER + timedelta(minutes=1))
    assert looked(district, broker) == 1
    assert {push.body for push in told(district, broker)} == TEXTS
