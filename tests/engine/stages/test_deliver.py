"""Deliver: one outcome for each push, and what is newer goes after what it replaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from engine.stages.deliver import NO_GATEWAY, UNBUILDABLE, Deliver
from engine.wire.messages import Outcome, Push, Token
from rules.outcomes import EXPIRED, Verdict
from tests.builders import NOW, a_push
from tests.fakes import FakeGateway, StoppedClock

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
