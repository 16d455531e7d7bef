"""The deliver stage: a message is done when all of its pushes are, and no district is another's."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event as Flag

import pytest

from engine.errors import Unavailable
from engine.ports import Delivery, Publication, Queue
from engine.runtime.district_queues import STALLED_AFTER, DeliverStage, DistrictQueues
from engine.stages.deliver import BROADCASTS_AT_A_GATEWAY, UNBUILDABLE, Deliver
from engine.wire.messages import MAX_PACKED, Outcome, Outcomes, Push, Pushes, Token, decode, encode
from rules.lanes import Lane
from rules.outcomes import REDELIVERED, Verdict
from tests.builders import a_push
from tests.fakes import (
    FakeBroker,
    FakeConsumer,
    FakeGateway,
    FakePublisher,
    Seconds,
    StoppedClock,
)

ANDROID = Token("fcm_token", "a-token-that-is-secret")
IPHONE = Token("apns", "ab" * 32)
PREFETCH = 80
OUTAGE = Unavailable("The broker does not answer.", "Wait.")


def phones(count: int, **differences: object) -> list[Push]:
    """A push to each of so many phones."""
    return [a_push(device_id=f"phone-{number}", **differences) for number in range(count)]


def fates(outcomes: Sequence[Outcome]) -> Counter[tuple[Verdict, str]]:
    return Counter((outcome.verdict, outcome.reason) for outcome in outcomes)


class QueuesByHand(DistrictQueues):
    """Has no thread: a test says when it has its turn."""

    def start(self) -> None:
        pass


def by_hand(
    district: str,
    consumer: FakeConsumer,
    publisher: FakePublisher,
    seconds: Seconds,
    lane: Lane = Lane.ORDINARY,
) -> QueuesByHand:
    broker = FakeBroker(made=publisher, waiting=consumer)
    return QueuesByHand(district, broker, PREFETCH, StoppedClock(), seconds, lane)


def queue_of(*messages: Sequence[Push] | bytes) -> FakeConsumer:
    bodies = [one if isinstance(one, bytes) else encode(Pushes(one)) for one in messages]
    return FakeConsumer([Delivery(tag, body) for tag, body in enumerate(bodies, 1)])


class Bench:
    """A stage between a consumer, a gateway and a publisher that a test looks into."""

    def __init__(
        self,
        *messages: Sequence[Push] | bytes,
        consumer: FakeConsumer | None = None,
        publisher: FakePublisher | None = None,
        gateway: FakeGateway | None = None,
        waiting: int = 1_000,
    ) -> None:
        self.consumer = consumer or queue_of(*messages)
        self.publisher = publisher or FakePublisher()
        self.gateway = gateway or FakeGateway()
        self.seconds = Seconds()
        self.queues = by_hand("district", self.consumer, self.publisher, self.seconds)
        deliver = Deliver(
            {"fcm_token": self.gateway}, StoppedClock(), waiting=waiting, elapsed=self.seconds
        )
        self.stage = DeliverStage([self.queues], deliver, self.seconds)

    def step(self) -> None:
        self.stage.step(stopped())
        self.queues.turn()
        self.stage.step(stopped())

    def steps_until(self, count: int) -> None:
        """Step until so many outcomes are published."""
        while len(self.outcomes) < count:
            self.gateway.answer()
            self.step()

    @property
    def groups(self) -> list[Sequence[Outcome]]:
        """The outcomes of each published message."""
        return [decode(body, Outcomes).items for body in self.publisher.bodies(Queue.OUTCOMES)]

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for group in self.groups for outcome in group]


def test_every_push_of_a_message_becomes_an_outcome_and_the_message_is_acked() -> None:
    pushes = phones(3)
    bench = Bench(pushes)
    bench.step()
    assert bench.outcomes == []
    assert bench.consumer.acked == []
    bench.steps_until(3)
    assert {outcome.push_id for outcome in bench.outcomes} == {push.id for push in pushes}
    assert bench.consumer.acked == [1]


def test_a_message_waits_for_its_last_push() -> None:
    quick, slow = phones(2)
    bench = Bench([quick, slow])
    bench.step()
    bench.gateway.answer(quick)
    while not bench.outcomes:
        bench.step()
    assert bench.consumer.acked == []
    bench.steps_until(2)
    assert bench.consumer.acked == [1]


def test_a_message_whose_pushes_are_done_does_not_wait_for_another() -> None:
    first, second = phones(2)
    bench = Bench([first], [second])
    bench.step()
    bench.gateway.answer(second)
    while not bench.outcomes:
        bench.step()
    assert bench.consumer.acked == [2]


def test_outcomes_are_packed() -> None:
    pushes = phones(2 * MAX_PACKED + 50)
    bench = Bench(pushes[:MAX_PACKED], pushes[MAX_PACKED : 2 * MAX_PACKED], pushes[-50:])
    bench.step()
    bench.steps_until(len(pushes))
    assert [len(group) for group in bench.groups] == [MAX_PACKED, MAX_PACKED, 50]
    assert sorted(bench.consumer.acked) == [1, 2, 3]


def test_no_more_is_submitted_than_may_wait_for_a_gateway_that_moves() -> None:
    pushes = phones(60 * MAX_PACKED)
    messages = [pushes[at : at + MAX_PACKED] for at in range(0, len(pushes), MAX_PACKED)]
    bench = Bench(*messages, waiting=2 * MAX_PACKED, gateway=FakeGateway(room=MAX_PACKED))
    for _ in range(3):
        bench.step()
    assert len(bench.gateway.submitted) == MAX_PACKED
    assert len(bench.consumer.deliveries) > 30
    bench.steps_until(len(pushes))
    assert len(bench.consumer.acked) == 60
    assert fates(bench.outcomes) == {(Verdict.ACCEPTED, ""): len(pushes)}


def test_an_unreadable_message_is_parked_and_its_neighbours_are_delivered() -> None:
    bench = Bench(b"no JSON", phones(1))
    bench.step()
    bench.steps_until(1)
    ((tag, reason),) = bench.consumer.parked
    assert tag == 1
    assert "not readable as pushes" in reason
    assert bench.consumer.acked == [2]


def test_a_message_without_pushes_is_acked() -> None:
    bench = Bench([])
    bench.step()
    assert bench.consumer.acked == [1]
    assert bench.outcomes == []


def test_outcomes_that_the_broker_did_not_confirm_are_published_again_before_the_ack() -> None:
    refusals = iter([True, True, False])
    publisher = FakePublisher(refuse=lambda _: next(refusals))
    bench = Bench(phones(1), publisher=publisher)
    bench.step()
    bench.steps_until(1)
    assert publisher.calls == 3
    assert bench.consumer.acked == [1]


def test_nothing_is_acked_or_forgotten_while_the_broker_cannot_be_reached() -> None:
    bench = Bench(phones(2), publisher=FakePublisher(fails=OUTAGE))
    bench.step()
    bench.gateway.answer()
    with pytest.raises(Unavailable):
        bench.steps_until(2)
    assert bench.consumer.acked == []
    bench.steps_until(2)
    assert bench.consumer.acked == [1]
    assert len(bench.gateway.submitted) == 2


def test_a_message_that_comes_again_is_sent_again_under_the_same_collapse_id() -> None:
    pushes = phones(2)
    bench = Bench(pushes, pushes)
    bench.step()
    bench.steps_until(4)
    assert sorted(bench.consumer.acked) == [1, 2]
    assert Counter(push.collapse_id for push in bench.gateway.submitted) == {
        pushes[0].collapse_id: 4
    }


def test_a_push_that_cannot_be_built_is_published_as_refused() -> None:
    good, bad = phones(2)
    bench = Bench([good, bad], gateway=FakeGateway(unbuildable=frozenset({bad.id})))
    bench.step()
    bench.steps_until(2)
    assert fates(bench.outcomes) == {
        (Verdict.REFUSED, UNBUILDABLE): 1,
        (Verdict.ACCEPTED, ""): 1,
    }
    assert bench.consumer.acked == [1]


class AnsweringGateway(FakeGateway):
    """Answers one push at each look."""

    def collect(self, timeout: float) -> Sequence[Outcome]:
        if self.waiting:
            self.answer(self.waiting[0])
        return super().collect(timeout)


def test_draining_waits_for_what_is_in_flight_and_takes_nothing_new() -> None:
    first, second = phones(5), phones(5)
    bench = Bench(first, gateway=AnsweringGateway())
    bench.step()
    bench.consumer.deliveries.append(Delivery(9, encode(Pushes(second))))
    bench.stage.drain()
    bench.queues.turn()
    assert len(bench.outcomes) == 5
    assert bench.consumer.acked == [1]
    assert bench.gateway.submitted == first


def test_closing_gives_everything_back() -> None:
    bench = Bench(phones(1))
    bench.step()
    bench.stage.close()
    assert bench.gateway.closed
    assert bench.consumer.closed
    assert bench.publisher.closed
    assert bench.consumer.acked == []


# --- what may have been sent before ---------------------------------------------------------------


class RequeueingConsumer(FakeConsumer):
    """Gives what is not acked again when it is closed, under other tags, as RabbitMQ does."""

    def __init__(self, deliveries: list[Delivery]) -> None:
        super().__init__(deliveries)
        self.held: dict[int, Delivery] = {}

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        handed_out = super().receive(limit, timeout)
        self.held |= {delivery.tag: delivery for delivery in handed_out}
        return handed_out

    def ack(self, tags: Sequence[int]) -> None:
        super().ack(tags)
        for tag in tags:
            del self.held[tag]

    def close(self) -> None:
        super().close()
        again = [Delivery(1_000 + tag, one.body, True) for tag, one in self.held.items()]
        self.held.clear()
        self.deliveries = [*again, *self.deliveries]


def redelivered(pushes: Sequence[Push], tag: int = 9) -> Delivery:
    return Delivery(tag, encode(Pushes(pushes)), redelivered=True)


def test_a_redelivered_message_is_not_sent_and_its_pushes_come_back_by_the_ledger() -> None:
    bench = Bench(consumer=FakeConsumer([redelivered(phones(3), tag=1)]))
    bench.steps_until(3)
    assert bench.gateway.submitted == []
    assert fates(bench.outcomes) == {(Verdict.DEFERRED, REDELIVERED): 3}
    assert {outcome.district for outcome in bench.outcomes} == {"district"}
    assert bench.consumer.acked == [1]


def test_a_message_that_is_redelivered_while_it_is_held_here_is_sent_once() -> None:
    pushes = phones(2)
    bench = Bench(pushes)
    bench.step()
    bench.consumer.deliveries.append(redelivered(pushes))
    bench.step()
    bench.steps_until(2)
    assert bench.gateway.submitted == pushes
    assert fates(bench.outcomes) == {(Verdict.ACCEPTED, ""): 2}
    assert sorted(bench.consumer.acked) == [1, 9]


def test_a_process_that_was_stalled_sends_nothing_of_what_it_held() -> None:
    """What a gateway has is still answered; the rest comes back to whoever consumes then."""
    pushes = phones(4)
    consumer = RequeueingConsumer(queue_of(pushes).deliveries)
    bench = Bench(consumer=consumer, gateway=FakeGateway(room=1))
    bench.step()
    bench.seconds.forward(STALLED_AFTER + 0.1)
    bench.gateway.room = 10
    bench.step()
    bench.step()
    assert consumer.closed
    assert bench.gateway.submitted == pushes[:1]
    bench.gateway.answer()
    bench.steps_until(4)
    assert bench.gateway.submitted == pushes[:1]
    assert fates(bench.outcomes) == {
        (Verdict.ACCEPTED, ""): 1,
        (Verdict.DEFERRED, REDELIVERED): 3,
    }
    assert consumer.acked == [1_001]


def test_what_had_arrived_when_the_process_was_stalled_is_not_sent() -> None:
    consumer = RequeueingConsumer(queue_of(phones(2)).deliveries)
    bench = Bench(consumer=consumer)
    bench.queues.turn()
    assert bench.queues.has_more
    bench.seconds.forward(STALLED_AFTER + 0.1)
    bench.steps_until(2)
    assert bench.gateway.submitted == []
    assert fates(bench.outcomes) == {(Verdict.DEFERRED, REDELIVERED): 2}


def test_what_was_answered_before_the_process_was_stalled_is_published_first() -> None:
    pushes = phones(2)
    consumer = RequeueingConsumer(queue_of(pushes[:1], pushes[1:]).deliveries)
    bench = Bench(consumer=consumer)
    bench.step()
    bench.gateway.answer(pushes[0])
    bench.stage.step(stopped())
    bench.seconds.forward(STALLED_AFTER + 0.1)
    bench.step()
    first, *_ = bench.outcomes
    assert (first.push_id, first.verdict) == (pushes[0].id, Verdict.ACCEPTED)
    bench.steps_until(2)
    assert sorted(consumer.acked) == [1, 1_002]


def test_steps_that_follow_each_other_drop_nothing() -> None:
    pushes = phones(3)
    bench = Bench(pushes, gateway=FakeGateway(room=1))
    bench.step()
    for _ in range(3):
        bench.seconds.forward(STALLED_AFTER - 0.5)
        bench.gateway.answer()
        bench.stage.step(stopped())
    bench.steps_until(3)
    assert fates(bench.outcomes)[Verdict.ACCEPTED, ""] == 2
    assert not bench.consumer.closed


def test_what_waits_is_dropped_when_the_broker_is_lost() -> None:
    class Broken(RequeueingConsumer):
        is_broken = False

        def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
            if self.is_broken:
                self.is_broken = False
                raise OUTAGE
            return super().receive(limit, timeout)

    pushes = phones(2)
    consumer = Broken(queue_of(pushes).deliveries)
    bench = Bench(consumer=consumer, gateway=FakeGateway(room=1))
    bench.step()
    consumer.is_broken = True
    with pytest.raises(Unavailable):
        bench.queues.turn()
    bench.stage.step(stopped())
    bench.queues.turn()
    bench.gateway.answer()
    bench.steps_until(2)
    assert bench.gateway.submitted == pushes[:1]
    assert fates(bench.outcomes) == {
        (Verdict.ACCEPTED, ""): 1,
        (Verdict.DEFERRED, REDELIVERED): 1,
    }


# --- two gateways ---------------------------------------------------------------------------------


def shared(messages: int) -> list[list[Push]]:
    """Messages that hold pushes to Android phones and to iPhones alike."""
    return [
        [
            a_push(device_id=f"{message}-{number}", token=IPHONE if number % 2 else ANDROID)
            for number in range(MAX_PACKED)
        ]
        for message in range(messages)
    ]


@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "ramping"])
def test_thousands_that_wait_for_one_gateway_hold_up_none_of_the_other(is_silent: bool) -> None:
    """All came in shared messages, which are not done before the slow gateway's part is."""
    messages = shared(100)
    consumer, publisher, seconds = queue_of(*messages), FakePublisher(), Seconds()
    fcm, apns = FakeGateway(room=5, is_held_back=not is_silent), FakeGateway()
    queues = by_hand("district", consumer, publisher, seconds)
    deliver = Deliver(
        {"fcm_token": fcm, "apns": apns}, StoppedClock(), waiting=1_000, elapsed=seconds
    )
    stage = DeliverStage([queues], deliver, seconds)
    for _ in range(30):
        apns.answer()
        if not is_silent:
            fcm.answer()
        stage.step(stopped())
        queues.turn()
        seconds.forward(0.1)
    assert consumer.deliveries == []
    assert len(apns.submitted) == 100 * MAX_PACKED // 2
    assert 0 < len(fcm.submitted) <= 5 * 30

    for _ in range(12):
        seconds.forward(1.0)
        fcm.answer()
        apns.answer()
        stage.step(stopped())
        queues.turn()
    fcm.answer()
    stage.step(stopped())
    queues.turn()
    assert sorted(consumer.acked) == list(range(1, 101))


# --- a hub: many districts ------------------------------------------------------------------------


class Hub:
    """A stage that serves several districts, each with a queue and a publisher of its own."""

    def __init__(
        self, waiting: int = 1_000, gateway: FakeGateway | None = None, **queues: FakeConsumer
    ) -> None:
        self.queues = queues
        self.publishers = {district: FakePublisher() for district in queues}
        self.gateway = gateway or FakeGateway()
        seconds = Seconds()
        self.districts = [
            by_hand(name, queue, self.publishers[name], seconds) for name, queue in queues.items()
        ]
        deliver = Deliver(
            {"fcm_token": self.gateway}, StoppedClock(), waiting=waiting, elapsed=seconds
        )
        self.stage = DeliverStage(self.districts, deliver, seconds)

    def steps(self, count: int) -> None:
        """Do so many steps; the gateway answers all before each."""
        for _ in range(count):
            self.gateway.answer()
            self.step()

    def step(self) -> None:
        """Let each have its turn once."""
        self.stage.step(stopped())
        for district in self.districts:
            district.turn()
        self.stage.step(stopped())

    def outcomes(self, district: str) -> list[Outcome]:
        """What went back to a district."""
        bodies = self.publishers[district].bodies(Queue.OUTCOMES)
        return [outcome for body in bodies for outcome in decode(body, Outcomes).items]


def stopped() -> Flag:
    """A flag that lets nobody wait."""
    flag = Flag()
    flag.set()
    return flag


def test_outcomes_go_back_to_the_district_that_sent_though_ids_are_the_same() -> None:
    of_north = a_push(district="north")
    of_south = a_push(district="south", id=of_north.id)
    hub = Hub(north=queue_of([of_north]), south=queue_of([of_south]))
    hub.steps(3)
    for district in ("north", "south"):
        (outcome,) = hub.outcomes(district)
        assert outcome.district == district
        assert hub.queues[district].acked == [1]


def test_a_district_cannot_send_in_the_name_of_another() -> None:
    mixed = [a_push(district="south"), a_push(district="north")]
    hub = Hub(north=queue_of([a_push(district="south")], mixed), south=queue_of())
    hub.steps(3)
    assert hub.gateway.submitted == []
    assert [tag for tag, _ in hub.queues["north"].parked] == [1, 2]
    assert "another district" in hub.queues["north"].parked[0][1]


def test_a_message_beyond_all_measure_is_set_aside() -> None:
    hub = Hub(north=queue_of(phones(20 * MAX_PACKED, district="north")), south=queue_of())
    hub.steps(2)
    assert hub.gateway.submitted == []
    ((_, reason),) = hub.queues["north"].parked
    assert "Pack at most" in reason


def storm_of(district: str, messages: int = 60) -> FakeConsumer:
    pushes = phones(messages * MAX_PACKED, district=district)
    return queue_of(*(pushes[at : at + MAX_PACKED] for at in range(0, len(pushes), MAX_PACKED)))


def test_the_storm_of_one_district_leaves_room_for_another() -> None:
    late = FakeConsumer()
    hub = Hub(
        waiting=10 * MAX_PACKED, gateway=FakeGateway(room=10), north=storm_of("north"), south=late
    )
    for _ in range(30):
        hub.step()
    late.deliveries.append(Delivery(1, encode(Pushes([a_push(district="south")]))))
    hub.steps(2)
    assert hub.queues["north"].deliveries, "the storm is not over"
    assert "south" in {push.district for push in hub.gateway.submitted[-2 * 10 :]}


def test_two_storms_share_what_a_gateway_takes() -> None:
    gateway = FakeGateway(room=100)
    hub = Hub(
        waiting=30 * MAX_PACKED, gateway=gateway, north=storm_of("north"), south=storm_of("south")
    )
    hub.steps(5)
    sent = Counter(push.district for push in gateway.waiting)
    assert sent == {"north": 50, "south": 50}


def test_outcomes_wait_for_a_broker_that_is_out_of_reach() -> None:
    hub = Hub(north=queue_of(phones(3, district="north")), south=queue_of())
    hub.publishers["north"].fails = OUTAGE
    hub.step()
    hub.gateway.answer()
    with pytest.raises(Unavailable):
        hub.steps(2)
    hub.steps(2)
    assert len(hub.outcomes("north")) == 3
    assert hub.queues["north"].acked == [1]
    assert len(hub.gateway.submitted) == 3


def test_an_id_that_is_used_twice_holds_up_nothing_for_ever() -> None:
    """Nothing but honesty keeps a district from it."""
    first, second = phones(2, district="north", id=a_push().id)
    hub = Hub(north=queue_of([first, second]), south=queue_of())
    hub.steps(3)
    assert len(hub.outcomes("north")) == 2
    for push in (first, second):
        hub.queues["north"].deliveries.append(Delivery(7, encode(Pushes([push]))))
        hub.steps(3)
    assert len(hub.outcomes("north")) == 4


def test_a_message_that_cannot_be_parked_now_holds_up_none_that_came_with_it() -> None:
    class NoParking(FakeConsumer):
        tries = 0

        def park(self, delivery: Delivery, reason: str) -> None:
            self.tries += 1
            if self.tries == 1:
                raise OUTAGE
            super().park(delivery, reason)

    made = queue_of(phones(1), b"no JSON", phones(1))
    bench = Bench(consumer=NoParking(made.deliveries))
    with pytest.raises(Unavailable):
        bench.step()
    bench.steps_until(2)
    assert len(bench.consumer.parked) == 1
    assert sorted(bench.consumer.acked) == [1, 3]


# --- two lanes ----------------------------------------------------------------------------------


class TwoLanes:
    """A stage with both lanes of a district, whose gateway takes so many and answers each look."""

    def __init__(
        self, news: FakeConsumer, broadcasts: FakeConsumer, gateway: FakeGateway | None = None
    ) -> None:
        self.gateway = gateway or FakeGateway(room=100)
        self.seconds = Seconds()
        self.consumers = {Lane.ORDINARY: news, Lane.BROADCASTS: broadcasts}
        self.publishers = {lane: FakePublisher() for lane in Lane}
        self.lanes = {
            lane: by_hand("district", queue, self.publishers[lane], self.seconds, lane)
            for lane, queue in self.consumers.items()
        }
        deliver = Deliver({"fcm_token": self.gateway}, StoppedClock(), elapsed=self.seconds)
        self.stage = DeliverStage(list(self.lanes.values()), deliver, self.seconds)

    def step(self) -> None:
        """Each lane has its turn, and the gateway answers all that it has."""
        self.stage.step(stopped())
        for one in self.lanes.values():
            with suppress(Unavailable):
                one.turn()
        self.stage.step(stopped())
        self.gateway.answer()

    def outcomes(self, lane: Lane) -> list[Outcome]:
        bodies = self.publishers[lane].bodies(Queue.OUTCOMES)
        return [one for body in bodies for one in decode(body, Outcomes).items]


def storm(messages: int) -> FakeConsumer:
    """A broadcast in so many messages; its phones share a push, for only their number counts."""
    body = encode(Pushes(phones(MAX_PACKED, kind="broadcast")))
    return FakeConsumer([Delivery(1_000 + number, body) for number in range(messages)])


def test_news_overtakes_a_hundred_thousand_waiting_pushes_of_broadcasts() -> None:
    """Between the arrival of news and its handing over, a bounded number of broadcasts goes."""
    bench = TwoLanes(FakeConsumer(), storm(1_000))
    for _ in range(5):
        bench.step()
    assert len(bench.consumers[Lane.BROADCASTS].deliveries) > 900
    for number in range(20):
        news = a_push(device_id=f"late-{number}")
        bench.consumers[Lane.ORDINARY].deliveries.append(Delivery(number, encode(Pushes([news]))))
        before = len(bench.gateway.submitted)
        while news not in bench.gateway.submitted[before:]:
            bench.step()
        went_first = bench.gateway.submitted[before:].index(news)
        assert went_first <= 2 * BROADCASTS_AT_A_GATEWAY
    assert len(bench.consumers[Lane.BROADCASTS].deliveries) > 500, "all waited when news came"


def test_a_broadcast_is_not_starved_by_a_storm_of_news() -> None:
    bench = TwoLanes(storm_of("district", 500), storm(10))
    while bench.consumers[Lane.BROADCASTS].acked == []:
        bench.step()
    assert bench.consumers[Lane.ORDINARY].deliveries, "the storm is not over"


def test_outcomes_of_a_lane_are_published_and_acked_by_that_lane() -> None:
    news, message = phones(2), phones(3, kind="broadcast")
    bench = TwoLanes(queue_of(news), queue_of(message))
    while len(bench.outcomes(Lane.BROADCASTS)) < 3 or len(bench.outcomes(Lane.ORDINARY)) < 2:
        bench.step()
    assert {one.push_id for one in bench.outcomes(Lane.ORDINARY)} == {one.id for one in news}
    assert [bench.consumers[lane].acked for lane in Lane] == [[1], [1]]


@pytest.mark.parametrize("broken", Lane)
def test_a_lane_that_is_broken_does_not_stop_the_other(broken: Lane) -> None:
    whole = next(lane for lane in Lane if lane is not broken)
    queues = {broken: Cut(), whole: queue_of(phones(3), phones(3))}
    bench = TwoLanes(queues[Lane.ORDINARY], queues[Lane.BROADCASTS])
    while sorted(bench.consumers[whole].acked) != [1, 2]:
        bench.step()
    assert bench.outcomes(broken) == []


@pytest.mark.parametrize("stuck", Lane)
def test_a_lane_whose_outcomes_are_not_confirmed_does_not_stop_the_other(stuck: Lane) -> None:
    moving = next(lane for lane in Lane if lane is not stuck)
    bench = TwoLanes(queue_of(phones(3)), queue_of(phones(3)))
    bench.publishers[stuck].refuse = lambda _: True
    while bench.consumers[moving].acked != [1]:
        bench.step()
    assert bench.consumers[stuck].acked == []
    bench.publishers[stuck].refuse = lambda _: False
    while bench.consumers[stuck].acked != [1]:
        bench.step()
    assert len(bench.gateway.submitted) == 6, "nothing was sent a second time"


@pytest.mark.parametrize("lane", Lane)
def test_what_is_redelivered_is_deferred_in_its_own_lane(lane: Lane) -> None:
    again = FakeConsumer([redelivered(phones(3))])
    other = queue_of(phones(1))
    queues = {lane: again} | {one: other for one in Lane if one is not lane}
    bench = TwoLanes(queues[Lane.ORDINARY], queues[Lane.BROADCASTS])
    while again.acked != [9] or other.acked != [1]:
        bench.step()
    assert fates(bench.outcomes(lane)) == {(Verdict.DEFERRED, REDELIVERED): 3}
    assert len(bench.gateway.submitted) == 1


@pytest.mark.parametrize("lost", Lane)
def test_when_one_lane_is_lost_only_what_it_held_is_dropped(lost: Lane) -> None:
    """It comes again, redelivered; the other lane's is sent."""
    kept = next(lane for lane in Lane if lane is not lost)
    queues = {lane: RequeueingConsumer(queue_of(phones(2)).deliveries) for lane in Lane}
    bench = TwoLanes(queues[Lane.ORDINARY], queues[Lane.BROADCASTS], FakeGateway(room=0))
    bench.step()
    bench.lanes[lost]._is_lost = True
    bench.stage.step(stopped())
    bench.gateway.room = 10
    while not queues[lost].acked or not queues[kept].acked:
        bench.step()
    assert fates(bench.outcomes(lost)) == {(Verdict.DEFERRED, REDELIVERED): 2}
    assert fates(bench.outcomes(kept)) == {(Verdict.ACCEPTED, ""): 2}


def test_districts_take_turns_with_their_broadcasts() -> None:
    gateway, seconds = FakeGateway(room=0), Seconds()
    queues = [
        by_hand(name, storm_of(name, 5), FakePublisher(), seconds, Lane.BROADCASTS)
        for name in ("north", "south")
    ]
    deliver = Deliver({"fcm_token": gateway}, StoppedClock(), elapsed=seconds)
    stage = DeliverStage(queues, deliver, seconds)
    for one in queues:
        one.turn()
    stage.step(stopped())
    stage.step(stopped())
    gateway.room = 100
    stage.step(stopped())
    assert Counter(push.district for push in gateway.submitted) == {"north": 50, "south": 50}


# --- with threads -----------------------------------------------------------------------------


class Stuck(FakePublisher):
    """A broker that confirms nothing until a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = Flag()

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        self.let_go.wait()
        return super().publish(queue, messages)


class Cut(FakeConsumer):
    """A broker that cannot be reached."""

    def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
        del limit, timeout
        raise OUTAGE


@contextmanager
def running(**consumers: tuple[FakeConsumer, FakePublisher]) -> Iterator[FakeGateway]:
    """A stage that goes on by itself, with a gateway that answers at once."""
    gateway, stop = AnsweringGateway(), Flag()
    districts = [
        DistrictQueues(name, FakeBroker(made=made, waiting=queue), PREFETCH, StoppedClock())
        for name, (queue, made) in consumers.items()
    ]
    stage = DeliverStage(districts, Deliver({"fcm_token": gateway}, StoppedClock()))

    def run() -> None:
        while not stop.is_set():
            with suppress(Unavailable):
                stage.step(stop)
        stage.drain()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield gateway
    finally:
        stop.set()
        thread.join()
        stage.close()


def wait_for(is_so: Callable[[], object]) -> None:
    limit = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < limit
        time.sleep(0.005)


@pytest.mark.parametrize("trouble", ["no confirm", "out of reach"])
def test_a_districts_broker_in_trouble_is_nobody_elses_trouble(trouble: str) -> None:
    stuck, fine = Stuck(), FakePublisher()
    of_north = Cut() if trouble == "out of reach" else queue_of(phones(3, district="north"))
    of_south = queue_of(phones(3, district="south"), phones(3, district="south"))
    with running(north=(of_north, stuck), south=(of_south, fine)):
        wait_for(lambda: sorted(of_south.acked) == [1, 2])
        stuck.let_go.set()


def test_an_unexpected_error_of_one_district_is_logged_with_its_frames(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Odd(FakeConsumer):
        def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
            del limit, timeout
            raise KeyError(IPHONE.value)

    fine = queue_of(phones(1, district="south"))
    with running(north=(Odd(), FakePublisher()), south=(fine, FakePublisher())):
        wait_for(lambda: fine.acked == [1])
    logged = capsys.readouterr().out
    assert "district.failed" in logged
    assert "in receive" in logged
    assert IPHONE.value not in logged


def test_all_is_published_and_given_back_at_the_end() -> None:
    queue, publisher = queue_of(phones(3)), FakePublisher()
    with running(district=(queue, publisher)) as gateway:
        wait_for(lambda: gateway.submitted)
    assert queue.acked == [1]
    assert queue.closed
    assert publisher.closed


def test_a_broker_that_comes_back_is_found() -> None:
    class Returning(FakeConsumer):
        looks = 0

        def receive(self, limit: int, timeout: float) -> Sequence[Delivery]:
            self.looks += 1
            if self.looks == 1:
                raise OUTAGE
            return super().receive(limit, timeout)

    queue = Returning(queue_of(phones(1)).deliveries)
    with running(district=(queue, FakePublisher())):
        wait_for(lambda: queue.acked == [1])
