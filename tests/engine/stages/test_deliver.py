"""Deliver: one outcome for each push; no gateway waits for another; old texts never follow new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from engine.stages.deliver import (
    BROADCASTS_AT_A_GATEWAY,
    BROADCASTS_WAITING,
    HELD_FOR,
    NO_GATEWAY,
    SLOW,
    UNBUILDABLE,
    Deliver,
)
from engine.wire.messages import Outcome, Push, Token
from rules.lanes import Lane
from rules.outcomes import EXPIRED, GATEWAY_BUSY, SUPERSEDED, Verdict
from tests.builders import NOW, a_push
from tests.fakes import FakeGateway, Seconds, StoppedClock

IPHONE = Token("apns", "ab" * 32)


def a_phone(number: int, **differences: object) -> Push:
    """A push to a phone of its own."""
    return a_push(device_id=f"phone-{number}", **differences)


def phones(count: int) -> list[Push]:
    return [a_phone(number) for number in range(count)]


def deliver_to(
    *,
    fcm: FakeGateway | None = None,
    apns: FakeGateway | None = None,
    waiting: int = 1_000,
    seconds: Seconds | None = None,
    clock: StoppedClock | None = None,
) -> Deliver:
    gateways: dict[str, FakeGateway] = {}
    if fcm:
        gateways |= {"fcm_token": fcm, "fcm_fid": fcm}
    if apns:
        gateways["apns"] = apns
    return Deliver(gateways, clock or StoppedClock(), waiting=waiting, elapsed=seconds or Seconds())


def collected(deliver: Deliver) -> list[Outcome]:
    return [answer.outcome for answer in deliver.collect(0.0)]


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
    assert collected(deliver) == []
    fcm.answer()
    apns.answer()
    assert len(collected(deliver)) == 2
    assert deliver.in_flight == 0


def test_a_gateway_for_two_kinds_of_token_is_counted_and_asked_once() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    deliver.submit([a_phone(1), a_phone(2, token=Token("fcm_fid", "an-installation"))])
    assert deliver.in_flight == 2
    fcm.answer()
    assert len(collected(deliver)) == 2


def test_an_expired_push_is_refused_without_sending() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    deliver.submit([a_phone(1, expires_at=NOW), a_phone(2, expires_at=NOW + timedelta(seconds=1))])
    assert len(fcm.submitted) == 1
    assert fates(collected(deliver)) == {(Verdict.REFUSED, EXPIRED): 1}


def test_a_token_that_no_gateway_is_set_up_for_is_deferred_as_our_fault() -> None:
    deliver = deliver_to(fcm=FakeGateway())
    deliver.submit([a_phone(1, token=IPHONE)])
    (outcome,) = collected(deliver)
    assert (outcome.verdict, outcome.reason) == (Verdict.DEFERRED, NO_GATEWAY)
    assert outcome.misconfigured


def test_a_push_that_cannot_be_built_disturbs_no_other() -> None:
    one, bad, other = phones(3)
    fcm = FakeGateway(unbuildable=frozenset({bad.id}))
    deliver = deliver_to(fcm=fcm)
    deliver.submit([one, bad, other])
    assert deliver.in_flight == 3
    fcm.answer()
    outcomes = collected(deliver)
    assert fates(outcomes) == {(Verdict.REFUSED, UNBUILDABLE): 1, (Verdict.ACCEPTED, ""): 2}
    assert deliver.in_flight == 0


def test_a_silent_gateway_holds_up_none_of_the_other() -> None:
    fcm, apns = FakeGateway(), FakeGateway()
    deliver = deliver_to(fcm=fcm, apns=apns)
    deliver.submit([a_phone(1), a_phone(2, token=IPHONE)])
    apns.answer()
    (outcome,) = collected(deliver)
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
    assert len(collected(deliver)) == 1
    assert fcm.submitted == [older, newer]
    fcm.answer()
    assert len(collected(deliver)) == 1
    assert deliver.in_flight == 0


@pytest.mark.parametrize(
    "other",
    [
        a_push(device_id="another"),
        a_push(device_id="phone-1", collapse_id="another-record"),
        a_push(device_id="phone-1", district="another-district"),
    ],
    ids=["another phone", "another record", "a phone of another district"],
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
        collected(deliver)
    assert fcm.submitted == texts


def test_a_text_that_cannot_be_built_lets_the_next_one_pass() -> None:
    older, bad, newer = (a_phone(1, body=body) for body in ("16/20", "half", "17/20"))
    fcm = FakeGateway(unbuildable=frozenset({bad.id}))
    deliver = deliver_to(fcm=fcm)
    deliver.submit([older, bad, newer])
    outcomes: list[Outcome] = []
    while deliver.in_flight:
        fcm.answer()
        outcomes += collected(deliver)
    assert fcm.submitted == [older, newer]
    assert [outcome.reason for outcome in outcomes] == ["", UNBUILDABLE, ""]


def test_a_newer_text_takes_the_place_of_an_older_one_that_was_not_handed_over() -> None:
    fcm = FakeGateway(room=0)
    deliver = deliver_to(fcm=fcm)
    older, newer = a_phone(1, position=7), a_phone(1, position=8)
    deliver.submit([older, newer])
    (outcome,) = collected(deliver)
    assert (outcome.push_id, outcome.reason) == (older.id, SUPERSEDED)
    fcm.room = 10
    assert sent_to_the_end(deliver, fcm) == [newer]


def test_an_older_text_that_comes_later_is_not_sent() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    newer, older = a_phone(1, position=8), a_phone(1, position=7)
    deliver.submit([newer, older])
    (outcome,) = collected(deliver)
    assert (outcome.push_id, outcome.verdict) == (older.id, Verdict.REFUSED)
    assert sent_to_the_end(deliver, fcm) == [newer]


def test_behind_a_text_that_was_handed_over_only_the_newest_waits() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    first, second, third = (a_phone(1, position=position) for position in (6, 7, 8))
    deliver.submit([first])
    deliver.submit([second, third])
    assert fates(collected(deliver)) == {(Verdict.REFUSED, SUPERSEDED): 1}
    assert sent_to_the_end(deliver, fcm) == [first, third]


def sent_to_the_end(deliver: Deliver, gateway: FakeGateway) -> list[Push]:
    """What the gateway was handed over when all is answered."""
    while deliver.in_flight:
        gateway.answer()
        collected(deliver)
    return gateway.submitted


# --- what waits for a gateway --------------------------------------------------------------------


def mixed(first: int) -> list[Push]:
    """Fifty pushes to Android phones and fifty to iPhones, as they come in one message."""
    return [
        push
        for number in range(first, first + 100, 2)
        for push in (a_phone(number), a_phone(number + 1, token=IPHONE))
    ]


def test_a_gateway_is_handed_over_no_more_than_it_admits() -> None:
    fcm = FakeGateway(room=3)
    deliver = deliver_to(fcm=fcm)
    deliver.submit(phones(10))
    assert len(fcm.submitted) == 3
    fcm.answer()
    collected(deliver)
    assert len(fcm.submitted) == 6


def test_districts_take_turns_at_a_gateway() -> None:
    fcm = FakeGateway(room=0)
    deliver = deliver_to(fcm=fcm)
    deliver.submit([a_phone(number, district="storm") for number in range(100)])
    deliver.submit([a_phone(1, district="quiet")])
    fcm.room = 4
    collected(deliver)
    assert [push.district for push in fcm.submitted] == ["storm", "quiet", "storm", "storm"]


def test_while_a_gateway_moves_what_is_too_much_for_it_is_not_taken() -> None:
    deliver = deliver_to(fcm=FakeGateway(room=0), waiting=10)
    deliver.submit(phones(9))
    assert deliver.has_room("district")
    deliver.submit([a_phone(9)])
    assert not deliver.has_room("district")
    assert deliver.has_room("another")


def test_a_stopped_gateway_holds_up_none_of_the_other_though_all_come_in_shared_messages() -> None:
    fcm, apns, seconds = FakeGateway(room=0), FakeGateway(), Seconds()
    deliver = deliver_to(fcm=fcm, apns=apns, waiting=100, seconds=seconds)
    messages = [mixed(100 * number) for number in range(50)]
    while deliver.has_room("district"):
        deliver.submit(messages.pop())
    seconds.forward(SLOW + 0.1)
    while messages and deliver.has_room("district"):
        deliver.submit(messages.pop())
    assert len(apns.submitted) == 50 * 50
    apns.answer()
    outcomes = collected(deliver)
    assert fates(outcomes)[Verdict.ACCEPTED, ""] == 50 * 50
    assert fates(outcomes)[Verdict.DEFERRED, GATEWAY_BUSY] >= 48 * 50


def test_in_the_ramp_of_a_gateway_more_may_wait_and_what_is_too_much_is_deferred() -> None:
    fcm, apns = FakeGateway(room=0, is_held_back=True), FakeGateway()
    deliver = deliver_to(fcm=fcm, apns=apns, waiting=100)
    for number in range(20):
        assert deliver.has_room("district")
        deliver.submit(mixed(100 * number))
    assert len(apns.submitted) == 20 * 50
    assert fates(collected(deliver)) == {(Verdict.DEFERRED, GATEWAY_BUSY): 20 * 50 - 500}


def test_a_gateway_that_is_alone_is_waited_for_however_slow_it_is() -> None:
    fcm, seconds = FakeGateway(room=0, is_held_back=True), Seconds()
    deliver = deliver_to(fcm=fcm, waiting=2, seconds=seconds)
    deliver.submit(phones(10))
    seconds.forward(SLOW + 0.1)
    assert not deliver.has_room("district")
    assert collected(deliver) == []


def test_whoever_holds_many_messages_waits_for_no_slow_gateway() -> None:
    fcm, seconds = FakeGateway(room=0), Seconds()
    deliver = deliver_to(fcm=fcm, apns=FakeGateway(), seconds=seconds)
    deliver.submit([a_phone(1)], crowded=True)
    seconds.forward(SLOW + 0.1)
    deliver.submit([a_phone(2)])
    deliver.submit([a_phone(3)], crowded=True)
    (outcome,) = collected(deliver)
    assert (outcome.device_id, outcome.reason) == ("phone-3", GATEWAY_BUSY)


def test_what_expired_while_it_waited_is_not_sent_any_more() -> None:
    fcm, clock = FakeGateway(room=0), StoppedClock()
    deliver = deliver_to(fcm=fcm, clock=clock)
    short, long = a_phone(1, expires_at=NOW + timedelta(seconds=3)), a_phone(2)
    deliver.submit([short, long])
    clock.forward(timedelta(seconds=3))
    fcm.room = 2
    assert fates(collected(deliver)) == {(Verdict.REFUSED, EXPIRED): 1}
    assert fcm.submitted == [long]


def test_what_waited_so_long_that_another_may_have_it_is_not_sent() -> None:
    fcm, seconds = FakeGateway(room=0), Seconds()
    deliver = deliver_to(fcm=fcm, seconds=seconds)
    deliver.submit(phones(3))
    seconds.forward(HELD_FOR + 0.1)
    fcm.room = 10
    late = a_phone(9)
    deliver.submit([late])
    assert fates(collected(deliver)) == {(Verdict.DEFERRED, GATEWAY_BUSY): 3}
    assert fcm.submitted == [late]


def test_what_was_received_long_ago_is_not_sent() -> None:
    fcm, seconds = FakeGateway(), Seconds()
    deliver = deliver_to(fcm=fcm, seconds=seconds)
    deliver.submit([a_phone(1)], seconds() - HELD_FOR - 0.1)
    assert fates(collected(deliver)) == {(Verdict.DEFERRED, GATEWAY_BUSY): 1}
    assert fcm.submitted == []


def test_a_process_that_is_stopped_in_the_middle_of_a_turn_sends_none_of_the_rest() -> None:
    seconds = Seconds()

    class StoppedAfterTwo(FakeGateway):
        def submit(self, push: Push) -> None:
            super().submit(push)
            if len(self.submitted) == 2:
                seconds.forward(60.0)

    fcm = StoppedAfterTwo()
    deliver = deliver_to(fcm=fcm, seconds=seconds)
    deliver.submit(phones(10))
    assert len(fcm.submitted) == 2
    assert fates(collected(deliver)) == {(Verdict.DEFERRED, GATEWAY_BUSY): 8}


def test_what_is_dropped_is_not_sent_and_what_was_handed_over_is_still_answered() -> None:
    fcm = FakeGateway(room=1)
    deliver = deliver_to(fcm=fcm)
    sent, behind, waiting = a_phone(1), a_phone(1), a_phone(2)
    other = a_phone(1, district="another")
    deliver.submit([sent, behind, waiting, other])
    assert deliver.forget("district") == {(sent.id, 1)}
    assert deliver.in_flight == 2
    fcm.room = 10
    again = a_phone(1)
    deliver.submit([again])
    assert sent_to_the_end(deliver, fcm) == [sent, other, again]


# --- two lanes -----------------------------------------------------------------------------------


def a_broadcast(phones_: int, **differences: object) -> list[Push]:
    """A message of staff to so many phones."""
    return [
        a_push(device_id=f"phone-{number}", kind="broadcast", **differences)
        for number in range(phones_)
    ]


def test_a_push_comes_back_with_the_lane_that_it_came_by() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    news, message = a_phone(1), a_phone(2)
    deliver.submit([message, a_phone(3, token=IPHONE)], lane=Lane.BROADCASTS)
    deliver.submit([news, a_phone(4, expires_at=NOW)])
    fcm.answer()
    lanes = {answer.outcome.device_id: answer.lane for answer in deliver.collect(0.0)}
    assert lanes == {
        "phone-1": Lane.ORDINARY,
        "phone-2": Lane.BROADCASTS,
        "phone-3": Lane.BROADCASTS,
        "phone-4": Lane.ORDINARY,
    }


def test_news_goes_before_all_of_a_broadcast_that_waits() -> None:
    fcm = FakeGateway(room=0)
    deliver = deliver_to(fcm=fcm)
    deliver.submit(a_broadcast(500), lane=Lane.BROADCASTS)
    news = a_phone(1)
    deliver.submit([news])
    fcm.room = 1
    collected(deliver)
    assert fcm.submitted == [news]


def test_a_gateway_has_never_so_much_of_a_broadcast_that_news_finds_no_room() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    deliver.submit(a_broadcast(BROADCASTS_WAITING), lane=Lane.BROADCASTS)
    assert fcm.in_flight == BROADCASTS_AT_A_GATEWAY
    news = phones(50)
    deliver.submit(news)
    assert [push for push in fcm.submitted if push.kind != "broadcast"] == news
    assert fcm.in_flight <= BROADCASTS_AT_A_GATEWAY + 50 + 50 // 9


def test_a_broadcast_goes_on_beside_news_that_never_ends() -> None:
    """At a gateway that is full of news all the time, and takes ten at each look."""
    fcm = FakeGateway(room=10)
    deliver = deliver_to(fcm=fcm)
    deliver.submit(a_broadcast(20), lane=Lane.BROADCASTS)
    for number in range(20):
        deliver.submit(phones(10), number)
        fcm.answer()
        collected(deliver)
    kinds = Counter(push.kind for push in fcm.submitted)
    assert kinds["broadcast"] >= len(fcm.submitted) // 10 > 0


def test_a_broadcast_that_fills_its_lane_leaves_the_room_of_news_alone() -> None:
    deliver = deliver_to(fcm=FakeGateway(room=0), waiting=10)
    deliver.submit(a_broadcast(10), lane=Lane.BROADCASTS)
    assert not deliver.has_room("district", Lane.BROADCASTS)
    assert deliver.has_room("district")


def test_order_for_one_place_on_a_screen_is_kept_in_each_lane() -> None:
    fcm = FakeGateway()
    deliver = deliver_to(fcm=fcm)
    older, newer = a_phone(1, position=1, body="at 9"), a_phone(1, position=2, body="at 10")
    news = a_phone(1, position=3)
    deliver.submit([older], lane=Lane.BROADCASTS)
    deliver.submit([newer], lane=Lane.BROADCASTS)
    deliver.submit([news])
    assert fcm.submitted == [older, news]
    assert sent_to_the_end(deliver, fcm) == [older, news, newer]


def test_what_is_dropped_of_one_lane_leaves_the_other() -> None:
    fcm = FakeGateway(room=1)
    deliver = deliver_to(fcm=fcm)
    sent, *rest = a_broadcast(3)
    deliver.submit([sent, *rest], lane=Lane.BROADCASTS)
    news = phones(2)
    deliver.submit(news)
    assert deliver.forget("district", Lane.ORDINARY) == frozenset()
    assert deliver.forget("district", Lane.BROADCASTS) == {(sent.id, 1)}
    fcm.room = 10
    assert sent_to_the_end(deliver, fcm) == [sent]
