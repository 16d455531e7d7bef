"""The stages at work: what they take, give back and park, whatever goes wrong."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Event as Flag
from threading import Thread

import pytest
from structlog.testing import capture_logs

from engine.errors import Misconfigured, Unavailable
from engine.ports import Delivery, Queue
from engine.runtime.loops import (
    ConsumingStage,
    RelayStage,
    ScheduleStage,
    consuming,
)
from engine.stages.publishing import MOST_BYTES, publish_pushes
from engine.wire.messages import MAX_PACKED, Changes, Outcomes, Pushes, decode, encode
from rules.change import Change
from tests.builders import a_change, a_push, an_outcome
from tests.fakes import FakeBroker, FakeConsumer, FakeOutbox, FakePublisher

SECRET = "Ada Reyes scored 3/20"
OFTEN = timedelta(milliseconds=1)


class Handler:
    """Keeps what it is handed, batch by batch, and what was acked by then. May fail."""

    def __init__(self, consumer: FakeConsumer, fails_on: Change | None = None) -> None:
        self.consumer = consumer
        self.fails_on = fails_on
        self.batches: list[list[Change]] = []
        self.acked_before: list[list[int]] = []

    def __call__(self, items: Sequence[Change]) -> None:
        if self.fails_on in items:
            raise Unavailable("The database does not answer.", "Wait.")
        self.batches.append(list(items))
        self.acked_before.append(list(self.consumer.acked))


def holding(tag: int, *changes: Change, redelivered: bool = False) -> Delivery:
    return Delivery(tag, encode(Changes(changes)), redelivered)


def changes(body: bytes) -> Sequence[Change]:
    return decode(body, Changes).items


def stage_over(consumer: FakeConsumer, handler: Handler) -> ConsumingStage:
    return ConsumingStage(consumer, changes, handler, batch=10, close=lambda: None)


# Consuming

ONE, TWO, THREE = (a_change(key=str(number), after={"points": number}) for number in (1, 2, 3))


def test_a_batch_of_messages_is_handled_together_and_acked() -> None:
    consumer = FakeConsumer([holding(1, ONE), holding(2, TWO, THREE)])
    handler = Handler(consumer)

    stage_over(consumer, handler).step(Flag())

    assert handler.batches == [[ONE, TWO, THREE]]
    assert consumer.acked == [1, 2]


def test_nothing_is_acked_before_it_is_handled() -> None:
    consumer = FakeConsumer([holding(1, ONE)])
    handler = Handler(consumer)

    stage_over(consumer, handler).step(Flag())

    assert handler.acked_before == [[]]


def test_what_could_not_be_handled_is_not_acked() -> None:
    consumer = FakeConsumer([holding(1, ONE)])

    with pytest.raises(Unavailable):
        stage_over(consumer, Handler(consumer, fails_on=ONE)).step(Flag())

    assert consumer.acked == []


def test_what_could_not_be_handled_is_handled_again_from_the_hand_and_not_given_back() -> None:
    consumer = FakeConsumer([holding(1, ONE)])
    handler = Handler(consumer, fails_on=ONE)
    stage = stage_over(consumer, handler)
    with pytest.raises(Unavailable):
        stage.step(Flag())
    handler.fails_on = None

    stage.step(Flag())

    assert handler.batches[-1] == [ONE]
    assert consumer.acked == [1]


def test_a_message_that_nobody_can_handle_is_parked_and_its_neighbours_are_handled() -> None:
    consumer = FakeConsumer([holding(1, ONE), holding(2, TWO), holding(3, THREE)])
    done: list[Change] = []

    def handle(items: Sequence[Change]) -> None:
        if TWO in items:
            raise ValueError("Ada Reyes scored 3/20")
        done.extend(items)

    ConsumingStage(consumer, changes, handle, batch=10, close=lambda: None).step(Flag())

    assert done == [ONE, THREE]
    assert consumer.acked == [1, 3]
    ((tag, reason),) = consumer.parked
    assert tag == 2
    assert "ValueError" in reason
    assert "Ada" not in reason


def test_the_log_says_where_a_fault_of_ours_parked_a_message_and_no_value() -> None:
    consumer = FakeConsumer([holding(1, ONE)])

    def handle(_items: Sequence[Change]) -> None:
        raise ValueError(SECRET)

    with capture_logs() as lines:
        ConsumingStage(consumer, changes, handle, batch=10, close=lambda: None).step(Flag())

    (line,) = lines
    assert line["event"] == "message.parked"
    assert "in handle" in line["trace"]
    assert SECRET not in str(line)


def test_an_unreadable_message_is_parked_with_its_reason_and_its_neighbours_are_handled() -> None:
    consumer = FakeConsumer([holding(1, ONE), Delivery(2, b"not for us"), holding(3, TWO)])
    handler = Handler(consumer)

    stage_over(consumer, handler).step(Flag())

    ((tag, reason),) = consumer.parked
    assert (tag, "not readable as changes" in reason) == (2, True)
    assert handler.batches == [[ONE, TWO]]
    assert consumer.acked == [1, 3]


def test_a_message_of_another_queue_is_parked() -> None:
    consumer = FakeConsumer([Delivery(1, encode(Pushes([a_push()])))])

    stage_over(consumer, Handler(consumer)).step(Flag())

    assert [tag for tag, _ in consumer.parked] == [1]


def test_the_reason_of_a_parked_message_says_nothing_of_its_content() -> None:
    consumer = FakeConsumer([Delivery(1, b'{"type":"Ada Reyes"}')])

    stage_over(consumer, Handler(consumer)).step(Flag())

    assert "Ada" not in consumer.parked[0][1]


def test_redelivered_messages_are_handled_one_by_one() -> None:
    consumer = FakeConsumer([holding(1, ONE, redelivered=True), holding(2, TWO)])
    handler = Handler(consumer)

    stage_over(consumer, handler).step(Flag())

    assert handler.batches == [[ONE], [TWO]]
    assert handler.acked_before == [[], [1]]


def test_a_redelivered_message_that_fails_does_not_take_those_before_it_along() -> None:
    consumer = FakeConsumer([holding(1, ONE, redelivered=True), holding(2, TWO)])

    with pytest.raises(Unavailable):
        stage_over(consumer, Handler(consumer, fails_on=TWO)).step(Flag())

    assert consumer.acked == [1]


def test_an_empty_message_is_acked_without_troubling_the_handler() -> None:
    consumer = FakeConsumer([holding(1)])
    handler = Handler(consumer)

    stage_over(consumer, handler).step(Flag())

    assert (handler.batches, consumer.acked) == ([], [1])


def test_nothing_to_receive_is_nothing_to_do() -> None:
    consumer = FakeConsumer()
    handler = Handler(consumer)

    stage_over(consumer, handler).step(Flag())

    assert (handler.batches, consumer.acked) == ([], [])


def test_no_more_than_a_batch_is_taken_at_once() -> None:
    consumer = FakeConsumer([holding(tag) for tag in range(15)])

    stage_over(consumer, Handler(consumer)).step(Flag())

    assert len(consumer.acked) == 10


class BrokenConsumer(FakeConsumer):
    def close(self) -> None:
        raise Unavailable("The broker is gone.", "Wait.")


def test_what_a_stage_holds_is_given_back_even_when_its_consumer_cannot_be_closed() -> None:
    closed = Flag()
    consumer = BrokenConsumer()
    stage = ConsumingStage(consumer, changes, Handler(consumer), batch=1, close=closed.set)

    with pytest.raises(Unavailable):
        stage.close()

    assert closed.is_set()


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        (Queue.CHANGES, Changes([ONE])),
        (Queue.PUSHES, Pushes([a_push()])),
        (Queue.OUTCOMES, Outcomes([an_outcome("p")])),
    ],
)
def test_each_queue_is_read_as_its_own_kind_of_message(
    queue: Queue, message: Changes | Pushes | Outcomes
) -> None:
    handled: list[object] = []
    broker = FakeBroker(waiting=FakeConsumer([Delivery(1, encode(message))]))

    consuming(broker, queue, handled.extend, 10, lambda: None).step(Flag())

    assert handled == list(message.items)


def test_what_can_be_read_of_a_message_of_outcomes_is_recorded() -> None:
    """A hub may be a release apart, and be wrong about one push of a hundred."""
    good = an_outcome(a_push())
    body = encode(Outcomes([good, an_outcome("p", attempt=2), good]))
    spoilt = body.replace(b'"attempt":2', b'"attempt":"two"')
    consumer, handled = FakeConsumer([Delivery(1, spoilt)]), list[object]()

    consuming(FakeBroker(waiting=consumer), Queue.OUTCOMES, handled.extend, 10, lambda: None).step(
        Flag()
    )

    assert (handled, consumer.acked, consumer.parked) == ([good, good], [1], [])


@pytest.mark.parametrize(
    "body",
    [
        encode(Outcomes([an_outcome("p")])).replace(b'"attempt":1', b'"attempt":"one"'),
        encode(Outcomes([an_outcome("p")], version=9)),
        encode(Pushes([a_push()])),
        b"not for us",
    ],
)
def test_a_message_without_any_readable_outcome_is_parked(body: bytes) -> None:
    consumer, handled = FakeConsumer([Delivery(1, body)]), list[object]()

    consuming(FakeBroker(waiting=consumer), Queue.OUTCOMES, handled.extend, 10, lambda: None).step(
        Flag()
    )

    assert (handled, [tag for tag, _ in consumer.parked]) == ([], [1])


def test_a_consumer_may_hold_one_batch_in_hand_and_one_on_its_way() -> None:
    broker = FakeBroker()

    consuming(broker, Queue.CHANGES, lambda _: None, 10, lambda: None)

    assert broker.asked == [(Queue.CHANGES, 20)]


# Relaying


def rows(count: int) -> list[Change]:
    return [a_change(key=number, after={}, position=number) for number in range(count)]


def relay_stage(outbox: FakeOutbox, publisher: FakePublisher) -> RelayStage:
    return RelayStage(outbox, publisher, lambda _: False, batch=10, poll_interval=timedelta())


def test_a_relay_publishes_and_marks_what_waits() -> None:
    outbox, publisher = FakeOutbox(rows(3)), FakePublisher()

    relay_stage(outbox, publisher).step(Flag())

    assert (len(publisher.bodies(Queue.CHANGES)), outbox.rows) == (1, [])


def test_a_relay_whose_outbox_is_another_ones_leaves_it_alone() -> None:
    outbox, publisher = FakeOutbox(rows(3), ours=False), FakePublisher()
    stopped = Flag()
    stopped.set()  # standing by would wait

    relay_stage(outbox, publisher).step(stopped)

    assert (publisher.published, len(outbox.rows)) == ([], 3)


class BrokenPublisher(FakePublisher):
    def close(self) -> None:
        raise Unavailable("The broker is gone.", "Wait.")


def test_a_relay_gives_up_its_lock_even_when_its_publisher_cannot_be_closed() -> None:
    outbox = FakeOutbox()

    with pytest.raises(Unavailable):
        relay_stage(outbox, BrokenPublisher()).close()

    assert outbox.released == 1


# Scheduling


def schedule_stage(
    *jobs: Callable[[], object],
    may_run: Callable[[], bool] = lambda: True,
    close: Callable[[], None] = lambda: None,
) -> ScheduleStage:
    return ScheduleStage([(job, OFTEN) for job in jobs], may_run, close)


def failing(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def test_a_jobs_fault_is_raised_in_step() -> None:
    stage = schedule_stage(failing(Misconfigured("The key is wrong.", "Mend it.")))

    with pytest.raises(Misconfigured, match="The key is wrong"):
        stage.step(Flag())

    stage.close()


def test_a_step_ends_with_a_job_that_went_well() -> None:
    ran = Flag()
    stage = schedule_stage(ran.set)

    stage.step(Flag())

    assert ran.is_set()
    stage.close()


def test_a_step_that_ran_no_job_is_not_over() -> None:
    """Else a stage whose every job fails would recover each second, by standing still."""
    stop, ran = Flag(), Flag()

    def job() -> None:
        ran.set()
        stop.set()

    stage = ScheduleStage([(job, timedelta(seconds=0.7))], lambda: True, lambda: None)

    stage.step(stop)

    assert ran.is_set()
    stage.close()


def test_a_step_ends_when_the_worker_stops() -> None:
    stop = Flag()
    stop.set()
    stage = ScheduleStage([(lambda: None, timedelta(days=1))], lambda: True, lambda: None)

    stage.step(stop)

    stage.close()


def test_a_long_row_of_failures_is_over_when_the_next_job_goes_well() -> None:
    """An outage of an hour must not be reported for hours after it."""
    outcomes: list[Exception | None] = [Unavailable("Gone.", "Wait.") for _ in range(20)]
    all_failed = Flag()

    def job() -> None:
        if not outcomes:
            all_failed.set()
        elif error := outcomes.pop():
            raise error

    stage, stop = schedule_stage(job), Flag()
    with pytest.raises(Unavailable):
        stage.step(stop)  # the first failure; nobody steps while the others come
    all_failed.wait()
    with pytest.raises(Unavailable):
        stage.step(stop)

    stage.step(stop)

    stage.close()


def test_jobs_rest_while_another_process_has_the_schedule_and_go_on_afterwards() -> None:
    ours, ran = Flag(), Flag()
    runs: list[None] = []

    def job() -> None:
        runs.append(None)
        ran.set()

    ours.set()
    stage = schedule_stage(job, may_run=ours.is_set)
    stage.step(Flag())
    ours.clear()
    stage.step(WatchfulFlag())  # from here on the jobs rest
    before = len(runs)
    stage.step(WatchfulFlag())
    while_resting = len(runs) - before
    ran.clear()
    ours.set()
    stage.step(Flag())
    went_on = ran.wait(30)
    stage.close()

    assert while_resting <= 1  # one may have been on its way
    assert went_on


class WatchfulFlag(Flag):
    """A flag on which to wait takes a moment."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return super().wait(0.05)


def test_nothing_runs_while_another_process_has_the_schedule() -> None:
    ran, stop = Flag(), Flag()

    def may_run() -> bool:
        stop.set()  # so that standing by is short
        return False

    stage = schedule_stage(ran.set, may_run=may_run)

    stage.step(stop)
    stage.close()

    assert not ran.is_set()


def test_closing_waits_for_the_job_that_runs_before_it_gives_everything_back() -> None:
    begun, closed = Flag(), Flag()
    moments: list[str] = []

    def job() -> None:
        begun.set()
        closed.wait(0.2)  # in vain
        moments.append("done")

    def close() -> None:
        closed.set()
        moments.append("closed")

    stage = schedule_stage(job, close=close)
    stop = Flag()
    stepping = Thread(target=stage.step, args=(stop,))
    stepping.start()
    begun.wait()
    stop.set()
    stage.close()
    stepping.join()

    assert moments[-2:] == ["done", "closed"]


def test_a_schedule_that_never_began_can_be_closed() -> None:
    closed = Flag()

    schedule_stage(close=closed.set).close()

    assert closed.is_set()


# Publishing pushes


def test_pushes_are_published_packed() -> None:
    publisher = FakePublisher()

    publish_pushes(publisher, [a_push() for _ in range(2 * MAX_PACKED + 1)])

    assert len(publisher.bodies(Queue.PUSHES)) == 3


def test_a_message_of_long_texts_is_cut_before_a_broker_refuses_it() -> None:
    pushes = [a_push(body="é" * 4_000) for _ in range(300)]
    publisher = FakePublisher()

    publish_pushes(publisher, pushes)

    assert publisher.pushes() == pushes
    assert max(len(body) for body in publisher.bodies(Queue.PUSHES)) <= MOST_BYTES


def test_no_pushes_make_no_message() -> None:
    publisher = FakePublisher()

    publish_pushes(publisher, [])

    assert publisher.calls == 0
