"""Two evaluates that publish in another order than they decided: the phone ends with the newest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from engine.ports import Publication, Publisher, Queue
from engine.stages.deciding_in_order import DecideInOrder
from engine.stages.deliver import Deliver
from engine.stages.release import Release
from engine.wire.messages import Pushes, decode
from rules.change import Change
from tests.builders import a_change
from tests.district import HIDDEN_SCORE, MOTHER, District, scored
from tests.engine.broker.rabbits import Rabbit
from tests.fakes import FakeGateway
from tests.servers import RabbitServer, Vhost


@dataclass
class Stopped:
    """A publisher whose process stands still before it publishes for the first time."""

    real: Publisher
    meanwhile: list[Callable[[], None]]

    def partitions(self, queue: Queue) -> int:
        return self.real.partitions(queue)

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        if self.meanwhile:
            self.meanwhile.pop()()
        return self.real.publish(queue, messages)

    def close(self) -> None:
        self.real.close()


@dataclass
class Streets:
    """A district, a RabbitMQ, and the way from there to the mother's phone."""

    district: District
    rabbit: Rabbit
    shown: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.broker = self.rabbit.installed()
        self.publisher = self.broker.publisher()

    def evaluate(self, publisher: Publisher | None = None) -> DecideInOrder:
        district = self.district
        return DecideInOrder(
            lambda changes: district.evaluate(*changes), district.ledger,
            publisher or self.publisher, district.clock,
        )  # fmt: skip

    def delivered(self) -> None:
        """Whatever waits at the broker is sent, shown and recorded."""
        gateway = FakeGateway()
        kinds = ("fcm_token", "fcm_fid", "apns")
        deliver = Deliver(dict.fromkeys(kinds, gateway), self.district.clock)
        with closing(self.broker.consumer(Queue.PUSHES, 100)) as consumer:
            while deliveries := consumer.receive(100, 0.5):
                for one in deliveries:
                    deliver.submit(decode(one.body, Pushes).items)
                consumer.ack([one.tag for one in deliveries])
                while deliver.in_flight:
                    gateway.answer()
                    self.district.record([one.outcome for one in deliver.collect(0)])
        for push in gateway.submitted:
            if push.device_id == self.district.devices()[MOTHER]:
                self.shown[push.collapse_id] = push.body

    def later(self) -> None:
        """Two seconds pass, and release does its work."""
        self.district.clock.forward(timedelta(seconds=2))
        Release(self.district.ledger, self.district.composer, self.publisher,
                self.district.clock)()  # fmt: skip
        self.delivered()


@pytest.fixture
def streets(postgres_district: District, rabbit_server: RabbitServer, vhost: Vhost
) -> Iterator[Streets]:  # fmt: skip
    postgres_district.sis("DELETE FROM score WHERE score_id = 93")  # of a sibling
    found = Streets(postgres_district, Rabbit(rabbit_server, vhost))
    yield found
    found.publisher.close()


def at(position: int, change: Change) -> Change:
    return a_change(change.watch, change.key, change.before, change.after, position=position)


def test_a_release_that_is_published_after_a_newer_score_does_not_stay_on_the_phone(
    streets: Streets,
) -> None:
    release = at(1, streets.district.release())

    def another_evaluate() -> None:
        streets.district.sis(f"UPDATE score SET points = 70 WHERE score_id = {HIDDEN_SCORE}")
        streets.evaluate()([scored(60, 70, HIDDEN_SCORE, position=2)])
        streets.delivered()
        assert list(streets.shown.values()) == ["Ada obtuvo 70/100 (antes 60/100)."]

    streets.evaluate(Stopped(streets.publisher, [another_evaluate]))([release])
    streets.delivered()
    assert list(streets.shown.values()) == ["Ada obtuvo 60/100."]

    streets.later()

    assert list(streets.shown.values()) == ["Ada obtuvo 70/100 (antes 60/100)."]


def test_a_score_that_is_published_after_a_newer_release_does_not_stay_on_the_phone(
    streets: Streets,
) -> None:
    streets.district.release()

    def another_evaluate() -> None:
        streets.district.sis(f"UPDATE score SET points = 70 WHERE score_id = {HIDDEN_SCORE}")
        streets.evaluate()([at(2, streets.district.release())])
        streets.delivered()

    first = scored(None, 60, HIDDEN_SCORE, position=1)
    streets.evaluate(Stopped(streets.publisher, [another_evaluate]))([first])
    streets.delivered()
    assert list(streets.shown.values()) == ["Ada obtuvo 60/100."]

    streets.later()

    assert list(streets.shown.values()) == ["Ada obtuvo 70/100 (antes 60/100)."]


def test_what_is_published_in_order_is_published_once(streets: Streets) -> None:
    streets.evaluate()([at(1, streets.district.release())])
    streets.district.sis(f"UPDATE score SET points = 70 WHERE score_id = {HIDDEN_SCORE}")
    streets.evaluate()([scored(60, 70, HIDDEN_SCORE, position=2)])
    streets.delivered()
    shown = dict(streets.shown)
    streets.shown.clear()

    streets.later()

    assert list(shown.values()) == ["Ada obtuvo 70/100 (antes 60/100)."]
    assert streets.shown == {}
