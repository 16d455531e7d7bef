"""Deliver: one outcome for each push, and a message is done when all of its pushes have one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from threading import Event as Flag

import pytest

from engine.deliver import EXPIRED, NO_GATEWAY, UNBUILDABLE, Deliver, DeliverStage
from engine.errors import Unavailable
from engine.messages import MAX_PACKED, Outcome, Outcomes, Push, Pushes, Token, decode, encode
from engine.ports import Delivery, Queue
from rules.outcomes import Verdict
from tests.builders import NOW, a_push
from tests.fakes import FakeConsumer, FakeGateway, FakePublisher, StoppedClock

IPHONE = Token("apns", "ab" * 32)


def a_phone(number: int, **differences: object) -> Push:
    """A push to a phone of its own."""
    return a_push(device_id=f"phone-{number}", **differences)


def phones(count: int) -> list[Push]:
    return [a_phone(number) for number in range(count)]


def deliver_to(*, fcm: FakeGateway | None = None, apns: FakeGateway | None = None) -> Deliver:
    gateways: dict[str, FakeGateway] = {}
    if fcm:
        gateways |= {"fcm_token": fcm, "fcm_fid": fcm}
    if apns:
        gateways["apns"] = apns
    return Deliver(gateways, StoppedClock())


def fates(outcomes: Sequence[Outcome]) -> Counter[tuple[Verdict, str]]:
    return Counter((outcome.verdict, outcome.reason) for outcome in outcomes)


# --- deliver ---------------------------------------------------------------------------------


def test_each_push_goes_to_the_gateway_of_its_tokens_kind() -> None:
    fcm, apns = FakeGateway(), FakeGateway()
    android, web, iphone = (
        a_phone(1),
        a_phone(2, token=Token("fcm_fid", "an-installation")),
        a_phone(3, token=IPHONE),
    )
    deliver_to(fcm=fcm, apns=apns).submit([android, web, iphone])
    assert fcm.submitted == [android, web]
    assert apns.submitted == [iphone]


def test_outcomes_of_all_gateways_come_in_together() -> None:
    fcm, apns = FakeGateway(), FakeGateway()
    deliver = deliver_to(fcm=fcm, apns=apns)
    deliver.submit([a_phone(1), a_phone(2, token=IPHONE)])
    assert deliver.in_flight == 2
    assert deliver.collect(0.0) == []
    fcm.answer()
    apns.answer()
    assert len(deliver.collect(0.0)) == 2
    assert deliver.in_flight == 0


def test_a_gateway_for_two_kinds_of_token_is_counted_and_asked_once() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    deliver.submit([a_phone(1), a_phone(2, token=Token("fcm_fid", "an-installation"))])
    assert deliver.in_flight == 2
    fcm.answer()
    assert len(deliver.collect(0.0)) == 2


def test_an_expired_push_is_refused_without_sending() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    deliver.submit([a_phone(1, expires_at=NOW), a_phone(2, expires_at=NOW + timedelta(seconds=1))])
    assert len(fcm.submitted) == 1
    assert fates(deliver.collect(0.0)) == {(Verdict.REFUSED, EXPIRED): 1}


def test_a_token_that_no_gateway_is_set_up_for_is_deferred_as_our_fault() -> None:
    deliver = deliver_to(fcm=FakeGateway())
    deliver.submit([a_phone(1, token=IPHONE)])
    (outcome,) = deliver.collect(0.0)
    assert (outcome.verdict, outcome.reason) == (Verdict.DEFERRED, NO_GATEWAY)
    assert outcome.misconfigured


def test_a_push_that_cannot_be_built_disturbs_no_other() -> None:
    one, bad, other = phones(3)
    fcm = FakeGateway(unbuildable=frozenset({bad.id}))
    deliver = deliver_to(fcm=fcm)
    deliver.submit([one, bad, other])
    assert deliver.in_flight == 3
    fcm.answer()
    outcomes = deliver.collect(0.0)
    assert fates(outcomes) == {(Verdict.REFUSED, UNBUILDABLE): 1, (Verdict.ACCEPTED, ""): 2}
    assert deliver.in_flight == 0


def test_a_silent_gateway_holds_up_none_of_the_other() -> None:
    fcm, apns = FakeGateway(), FakeGateway()
    deliver = deliver_to(fcm=fcm, apns=apns)
    deliver.submit([a_phone(1), a_phone(2, token=IPHONE)])
    apns.answer()
    (outcome,) = deliver.collect(0.0)
    assert outcome.device_id == "phone-2"
    assert deliver.in_flight == 1


def test_closing_closes_every_gateway() -> None:
    fcm, apns = FakeGateway(), FakeGateway()
    deliver_to(fcm=fcm, apns=apns).close()
    assert fcm.closed
    assert apns.closed


# --- what replaces what --------------------------------------------------------------------------


def test_a_newer_text_is_sent_when_the_older_one_is_answered() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    older, newer = a_phone(1, body="16/20"), a_phone(1, body="17/20")
    deliver.submit([older, newer])
    assert fcm.submitted == [older]
    assert deliver.in_flight == 2
    fcm.answer()
    assert len(deliver.collect(0.0)) == 1
    assert fcm.submitted == [older, newer]
    fcm.answer()
    assert len(deliver.collect(0.0)) == 1
    assert deliver.in_flight == 0


@pytest.mark.parametrize(
    "other",
    [a_push(device_id="another"), a_push(device_id="phone-1", collapse_id="another-record")],
    ids=["another phone", "another record"],
)
def test_what_replaces_nothing_does_not_wait(other: Push) -> None:
    fcm = FakeGateway()
    first = a_phone(1)
    deliver_to(fcm=fcm).submit([first, other])
    assert fcm.submitted == [first, other]


def test_texts_about_one_record_are_sent_in_their_order() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    texts = [a_phone(1, body=str(score)) for score in range(5)]
    deliver.submit(texts)
    while deliver.in_flight:
        fcm.answer()
        deliver.collect(0.0)
    assert fcm.submitted == texts


def test_a_text_that_cannot_be_built_lets_the_next_one_pass() -> None:
    older, bad, newer = (a_phone(1, body=body) for body in ("16/20", "half", "17/20"))
    fcm = FakeGateway(unbuildable=frozenset({bad.id}))
    deliver = deliver_to(fcm=fcm)
    deliver.submit([older, bad, newer])
    outcomes: list[Outcome] = []
    while deliver.in_flight:
        fcm.answer()
        outcomes += deliver.collect(0.0)
    assert fcm.submitted == [older, newer]
    assert [outcome.reason for outcome in outcomes] == ["", UNBUILDABLE, ""]


# --- the stage -----------------------------------------------------------------------------------


class Bench:
    """A stage between a consumer, a gateway and a publisher that a test looks into."""

    def __init__(
        self,
        *messages: Sequence[Push] | bytes,
        publisher: FakePublisher | None = None,
        gateway: FakeGateway | None = None,
        in_flight: int = 1_000,
    ) -> None:
        bodies = [
            message if isinstance(message, bytes) else encode(Pushes(message))
            for message in messages
        ]
        self.consumer = FakeConsumer([Delivery(tag, body) for tag, body in enumerate(bodies, 1)])
        self.publisher = publisher or FakePublisher()
        self.gateway = gateway or FakeGateway()
        self.stage = DeliverStage(
            self.consumer, self.publisher, deliver_to(fcm=self.gateway), in_flight=in_flight
        )

    def step(self) -> None:
        self.stage.step(Flag())

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


def test_no_more_is_taken_than_may_be_in_flight() -> None:
    pushes = phones(4 * MAX_PACKED)
    messages = [pushes[at : at + MAX_PACKED] for at in range(0, len(pushes), MAX_PACKED)]
    bench = Bench(*messages, in_flight=2 * MAX_PACKED)
    for _ in range(3):
        bench.step()
    assert len(bench.gateway.submitted) == 2 * MAX_PACKED
    bench.steps_until(len(pushes))
    assert sorted(bench.consumer.acked) == [1, 2, 3, 4]


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
    outage = Unavailable("The broker does not answer.", "Wait.")
    bench = Bench(phones(2), publisher=FakePublisher(fails=outage))
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
    bench = Bench(first, in_flight=5, gateway=AnsweringGateway())
    bench.step()
    bench.consumer.deliveries.append(Delivery(9, encode(Pushes(second))))
    bench.stage.drain()
    assert len(bench.outcomes) == 5
    assert bench.consumer.acked == [1]
    assert len(bench.consumer.deliveries) == 1


def test_closing_gives_everything_back() -> None:
    bench = Bench(phones(1))
    bench.step()
    bench.stage.close()
    assert bench.gateway.closed
    assert bench.consumer.closed
    assert bench.publisher.closed
    assert bench.consumer.acked == []
