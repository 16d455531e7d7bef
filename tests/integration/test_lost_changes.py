"""Changes that a broker lost: somebody purges a queue, and they are told all the same, once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, text

from engine.config import BrokerSettings, Config, DatabaseSettings, KeysSettings
from engine.ports import Queue
from engine.runtime.clock import utc_now
from engine.runtime.district import District
from engine.services import people, settings
from engine.services.actor import Actor
from engine.services.install import install
from engine.stages.publishing import publish_changes
from engine.stages.relay import relay
from engine.stages.schedule import LostChanges
from engine.store.tables import queue_messages
from engine.wire.messages import Changes, Token, decode
from rules.change import Kind, PersonId, StudentId
from rules.privacy import Level
from tests.district import ADA, FATHER, QUIZ_SCORE, build_sis
from tests.engine.broker.rabbits import Rabbit
from tests.servers import Vhost

PARTITIONS = 3
AFTER = timedelta(minutes=15)
TOLD = "Ada scored 18/20 (was 17/20)."


class Place:
    """A district and its broker: capture, relay and evaluate, one step at a time."""

    def __init__(
        self, here: District, purge: Callable[[], None], rabbit: Rabbit | None = None
    ) -> None:
        self.here, self.purge, self.rabbit = here, purge, rabbit
        list(install(here))
        somebody = Actor("a test", utc_now())
        settings.enable(here.database, somebody)
        settings.set_privacy(here.database, somebody, Level.FULL)
        token = Token("fcm_token", "token-of-the-father-s-phone")
        people.sign_in(here.database, here.keyring, PersonId(FATHER), token, utc_now())
        people.subscribe(here.database, PersonId(FATHER), StudentId(ADA), Kind.ASSIGNMENT)

    def score(self, points: int) -> None:
        """A teacher scores Ada's quiz, and it is relayed."""
        with self.here.source.database.write() as connection:
            connection.execute(
                text("UPDATE score SET points = :points WHERE score_id = :id"),
                {"points": points, "id": int(QUIZ_SCORE)},
            )
        publisher, outbox = self.here.broker.publisher(), self.here.outbox
        assert outbox.acquire()
        assert relay(outbox, publisher, self.here.source.is_of_directory, limit=100) == 1
        outbox.release()
        publisher.close()

    def looking(self) -> LostChanges:
        """What schedule does every few minutes, a quarter of an hour from now."""
        publisher = self.here.broker.publisher()
        return LostChanges(
            self.here.outbox, self.here.ledger, self.here.broker,
            lambda lost: publish_changes(publisher, lost, self.here.source.is_of_directory),
            AFTER, lambda: utc_now() + 2 * AFTER,
        )  # fmt: skip

    def told(self) -> Sequence[str]:
        """What evaluate makes of all that waits in the queue."""
        consumer, bodies = self.here.broker.consumer(Queue.CHANGES, 10), []
        while found := consumer.receive(10, 3.0):
            for message in found:
                changes = decode(message.body, Changes).items
                bodies += [push.body for push in self.here.evaluate(changes)]
            consumer.ack([message.tag for message in found])
        consumer.close()
        return bodies


@pytest.fixture(params=["embedded", "rabbitmq"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The small district beside the embedded broker, and beside a real RabbitMQ."""
    with ExitStack() as stack:
        keys = KeysSettings(file=tmp_path / "keys")
        if request.param == "embedded":
            url = f"sqlite:///{tmp_path / 'schoolbell.db'}"
            config = Config(database=DatabaseSettings(url=url), keys=keys)
        else:
            url = request.getfixturevalue("postgres_url")
            vhost: Vhost = request.getfixturevalue("vhost")
            broker = BrokerSettings(
                url=vhost.amqps_url, ca_file=request.getfixturevalue("amqp_ca_file"),
                partitions=PARTITIONS,
            )  # fmt: skip
            config = Config(database=DatabaseSettings(url=url), broker=broker, keys=keys)
        build_sis(url)
        here = stack.enter_context(closing(District(config)))

        rabbit = None
        if request.param == "rabbitmq":
            rabbit = Rabbit(request.getfixturevalue("rabbit_server"), vhost)

        def purge() -> None:
            if rabbit is None:
                with here.database.write() as connection:
                    assert connection.execute(delete(queue_messages)).rowcount > 0
                return
            assert rabbit.purge(Queue.CHANGES, PARTITIONS) > 0

        yield Place(here, purge, rabbit)


def test_what_a_purge_took_is_relayed_again_and_told_once(place: Place) -> None:
    place.score(18)
    assert place.looking()() == 0  # it waits
    place.purge()
    looking = place.looking()

    assert (looking(), looking()) == (1, 0)
    assert place.told() == [TOLD]
    assert place.looking()() == 0  # also for a schedule that has begun anew
    assert place.told() == []


def test_what_was_evaluated_is_not_lost_however_empty_the_queue_is(place: Place) -> None:
    place.score(18)
    assert place.told() == [TOLD]

    assert place.looking()() == 0


def test_what_was_taken_for_lost_and_comes_after_all_is_told_once(place: Place) -> None:
    place.score(18)
    place.purge()
    place.looking()()
    place.looking()()  # another schedule, which knows of nothing
    assert place.told() == [TOLD]


@pytest.mark.parametrize("place", ["rabbitmq"], indirect=True)
@pytest.mark.parametrize("retried", [False, True])
def test_what_a_policy_let_expire_is_told_once(place: Place, retried: bool) -> None:
    """It is dead-lettered, where an operator may retry it besides."""
    assert place.rabbit is not None
    place.rabbit.let_expire(Queue.CHANGES, 50)
    place.score(18)
    broker = place.here.broker
    wait_for(lambda: broker.depths()[Queue.CHANGES].dead == 1)
    place.rabbit.let_expire(Queue.CHANGES, 600_000)
    if retried:
        assert broker.requeue_parked(Queue.CHANGES, 10) == 1

    assert place.looking()() == (0 if retried else 1)
    assert place.told() == [TOLD]

    assert place.looking()() == 0
    assert place.told() == []


def wait_for(is_so: Callable[[], bool]) -> None:
    """At most a minute, which says that it never comes."""
    for _ in range(600):
        if is_so():
            return
        threading.Event().wait(0.1)
    raise TimeoutError
