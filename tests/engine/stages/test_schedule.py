"""Schedule: what is due by the clock is published again, and nothing is thought lost too early."""

import pytest

from engine.errors import Unavailable
from engine.ports import Queue
from engine.stages.schedule import plan_lost, publish_due
from engine.wire.messages import Pushes, decode
from tests.builders import a_push
from tests.fakes import FakeBroker, FakeLedger, FakePublisher


def test_what_is_due_is_published_and_counted() -> None:
    pushes, publisher = [a_push(attempt=2), a_push(attempt=3)], FakePublisher()

    assert publish_due(FakeLedger(pushes), publisher) == 2

    (body,) = publisher.bodies(Queue.PUSHES)
    assert list(decode(body, Pushes).items) == pushes


def test_what_is_due_is_handed_over_only_once_it_is_published() -> None:
    ledger = FakeLedger([a_push()])

    with pytest.raises(Unavailable):
        publish_due(ledger, FakePublisher(fails=Unavailable("Gone.", "Wait.")))

    assert not ledger.handed_over


def test_what_the_broker_never_confirms_is_not_handed_over() -> None:
    ledger = FakeLedger([a_push()])

    with pytest.raises(Unavailable):
        publish_due(ledger, FakePublisher(refuse=lambda _: True))

    assert not ledger.handed_over


def test_many_pushes_are_packed_by_the_hundred() -> None:
    publisher = FakePublisher()

    publish_due(FakeLedger([a_push() for _ in range(250)]), publisher)

    assert [len(decode(body, Pushes).items) for body in publisher.bodies(Queue.PUSHES)] == [
        100,
        100,
        50,
    ]


def test_nothing_due_publishes_nothing() -> None:
    publisher = FakePublisher()

    assert publish_due(FakeLedger(), publisher) == 0
    assert publisher.published == []


def test_pushes_without_an_outcome_are_lost_when_nothing_waits() -> None:
    assert plan_lost(FakeLedger(lost=7), FakeBroker()) == 7


@pytest.mark.parametrize("queue", [Queue.PUSHES, Queue.OUTCOMES])
def test_while_something_waits_a_push_is_late_and_not_lost(queue: Queue) -> None:
    ledger = FakeLedger(lost=7)

    assert plan_lost(ledger, FakeBroker({queue: 1})) == 0
    assert ledger.swept == 0


def test_changes_that_wait_are_no_reason_to_wait_for_pushes() -> None:
    assert plan_lost(FakeLedger(lost=7), FakeBroker({Queue.CHANGES: 1_000})) == 7
