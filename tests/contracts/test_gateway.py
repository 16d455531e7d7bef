"""What every gateway promises to the deliver stage: the same suite for FCM, APNs and Web Push."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from h2.errors import ErrorCodes

from engine.trial.phones.phones import Phones
from engine.wire.messages import Outcome
from rules.outcomes import Verdict
from tests.contracts.gateways import (
    ApnsHouse,
    FcmHouse,
    House,
    WebPushHouse,
    collected,
    send,
)
from tests.engine.gateways.peer import Cut, GoAway, Peer, Reaction, Reset, Say, Seen, Silence
from tests.servers import CertificateAuthority, free_port

SHORT = timedelta(seconds=0.5)
HTML = b"<!DOCTYPE html><html><title>Error</title></html>"


HOUSES = [FcmHouse, ApnsHouse, WebPushHouse]


@pytest.fixture(params=HOUSES, ids=[one.name for one in HOUSES])
def house(request: pytest.FixtureRequest, tmp_path: Path, shared_phones: Phones) -> Iterator[House]:
    """A gateway's server, and what differs between the three."""
    streams = 1 if request.param is ApnsHouse else 100
    with ExitStack() as closing:
        peer = closing.enter_context(Peer(tmp_path, streams=streams))
        yield request.param(tmp_path, peer, shared_phones, closing)


of_texts = pytest.mark.parametrize("house", [FcmHouse, ApnsHouse], indirect=True)
"""Those that are given the text to send; for a browser it is encrypted before."""
of_a_project = of_texts
"""Those whose address is a setting of ours; a browser brings its own."""


def verdicts(outcomes: list[Outcome]) -> Counter[tuple[str, str]]:
    return Counter((outcome.verdict.value, outcome.reason) for outcome in outcomes)


ACCEPTED = ("accepted", "")

# --- one outcome for each push ---------------------------------------------------------------


def test_each_push_has_exactly_one_outcome(house: House) -> None:
    pushes = house.pushes(1_500)
    outcomes = send(house.open(), pushes)
    assert Counter(outcome.push_id for outcome in outcomes) == Counter(push.id for push in pushes)
    assert verdicts(outcomes) == {ACCEPTED: 1_500}
    assert Counter(map(house.address, house.peer.seen)) == Counter(
        push.token.value for push in pushes
    )


def test_an_outcome_names_its_push_and_its_try(house: House) -> None:
    push = house.push(attempt=3, device_id="d7")
    (outcome,) = send(house.open(), [push])
    assert (outcome.push_id, outcome.device_id, outcome.attempt) == (push.id, "d7", 3)
    assert outcome.at.tzinfo is not None


def test_an_outcome_names_its_gateway(house: House) -> None:
    house.peer.script = lambda seen: house.dead() if seen.nth % 2 else house.accept(seen)
    outcomes = send(house.open(), house.pushes(4))
    assert {outcome.gateway for outcome in outcomes} == {house.name}


@of_texts
def test_a_text_that_is_too_long_is_sent_shortened_and_the_outcome_says_so(house: House) -> None:
    long, short = house.push(1, body="👩‍👩‍👧 " * 1_000), house.push(2)
    outcomes = send(house.open(), [long, short])
    assert verdicts(outcomes) == {ACCEPTED: 2}
    assert {one.push_id: one.shortened for one in outcomes} == {long.id: True, short.id: False}


def test_the_same_push_submitted_twice_has_two_outcomes(house: House) -> None:
    push = house.push()
    assert verdicts(send(house.open(), [push, push])) == {ACCEPTED: 2}


def test_what_is_in_flight_is_counted(house: House) -> None:
    gateway = house.open()
    for number, push in enumerate(house.pushes(2_000), start=1):
        gateway.submit(push)
        assert gateway.in_flight == number
    outcomes = 0
    while gateway.in_flight:
        outcomes += len(gateway.collect(1.0))
        assert gateway.in_flight == 2_000 - outcomes


def test_collecting_with_nothing_in_flight_gives_nothing(house: House) -> None:
    assert list(house.open().collect(0.0)) == []


def test_closing_twice_is_safe_while_a_push_is_in_flight(house: House) -> None:
    house.peer.script = lambda _: Silence()
    gateway = house.open()
    gateway.submit(house.push())
    while not house.peer.seen:
        gateway.collect(0.01)
    gateway.close()
    gateway.close()


@of_texts
@pytest.mark.parametrize("field", ["title", "body"])
def test_a_text_that_cannot_be_sent_is_refused_at_once_and_disturbs_no_other(
    house: House, field: str
) -> None:
    gateway = house.open()
    gateway.submit(house.push(1))
    with pytest.raises(ValueError, match="surrogate"):
        gateway.submit(house.push(2, **{field: "half \ud83d"}))
    gateway.submit(house.push(3))
    assert gateway.in_flight == 2
    assert verdicts(collected(gateway)) == {ACCEPTED: 2}


# --- connections -----------------------------------------------------------------------------


def test_thousands_of_pushes_share_a_few_connections(house: House) -> None:
    send(house.open(), house.pushes(2_000))
    assert house.peer.connections <= 8
    assert house.peer.overruns == 0


def test_connections_are_kept_from_one_batch_to_the_next(house: House) -> None:
    gateway = house.open()
    for _ in range(10):
        assert verdicts(send(gateway, house.pushes(10))) == {ACCEPTED: 10}
    assert house.peer.connections == 1


def test_a_goaway_in_the_middle_loses_nothing_and_repeats_nothing(house: House) -> None:
    def leave(seen: Seen) -> Reaction:
        is_last = seen.connection == 1 and seen.nth == 41
        return GoAway() if is_last else house.accept(seen)

    house.peer.script = leave
    assert verdicts(send(house.open(), house.pushes(100))) == {ACCEPTED: 100}
    assert max(Counter(map(house.address, house.peer.seen)).values()) == 1


def test_refused_streams_lose_nothing_and_repeat_nothing(house: House) -> None:
    refused: set[str] = set()

    def refuse_once(seen: Seen) -> Reaction:
        address = house.address(seen)
        if seen.nth % 10 == 3 and address not in refused:
            refused.add(address)
            return Reset(ErrorCodes.REFUSED_STREAM)
        return house.accept(seen)

    house.peer.script = refuse_once
    assert verdicts(send(house.open(), house.pushes(100))) == {ACCEPTED: 100}
    assert refused
    assert max(Counter(map(house.address, house.peer.seen)).values()) == 1


# --- what cannot be known is deferred --------------------------------------------------------


def test_silence_is_deferred_within_the_timeout_while_the_others_are_answered(
    house: House,
) -> None:
    silent = house.push(7)

    def script(seen: Seen) -> Reaction:
        quiet = house.address(seen) == silent.token.value
        return Silence() if quiet else house.accept(seen)

    house.peer.script = script
    gateway = house.open(SHORT)
    send(gateway, [house.push(1)])
    outcomes = send(gateway, [silent, *house.pushes(7)])
    assert verdicts(outcomes) == {ACCEPTED: 7, ("deferred", "TIMED_OUT"): 1}
    (deferred,) = (outcome for outcome in outcomes if outcome.verdict is Verdict.DEFERRED)
    assert deferred.push_id == silent.id


def test_a_gateway_that_says_nothing_at_all_defers_everything(house: House) -> None:
    house.peer.script = lambda _: Silence()
    gateway = house.open(SHORT)
    for push in house.pushes(300):  # more than it admits
        gateway.submit(push)
    outcomes = collected(gateway)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.DEFERRED}
    assert len(outcomes) == 300


@pytest.mark.parametrize("quietly", [False, True], ids=["reset", "end of file"])
def test_a_lost_connection_defers_what_was_written_and_repeats_nothing(
    house: House, quietly: bool
) -> None:
    def cut(seen: Seen) -> Reaction:
        is_last = seen.connection == 1 and seen.nth == 41
        return Cut(quietly=quietly) if is_last else house.accept(seen)

    house.peer.script = cut
    gateway = house.open()
    outcomes = send(gateway, house.pushes(100))
    assert len(outcomes) == 100
    assert set(verdicts(outcomes)) <= {ACCEPTED, ("deferred", "CONNECTION_LOST")}
    assert max(Counter(map(house.address, house.peer.seen)).values()) == 1
    assert verdicts(send(gateway, house.pushes(5))) == {ACCEPTED: 5}


def test_an_unreachable_gateway_defers_everything(house: House) -> None:
    nobody = f"https://localhost:{free_port()}"
    outcomes = send(house.open(endpoint=nobody), house.pushes(50))
    assert verdicts(outcomes) == {("deferred", "UNREACHABLE"): 50}
    assert not any(outcome.misconfigured for outcome in outcomes)


@pytest.mark.parametrize(
    "answer",
    [Say(502, HTML), Say(503), Say(500, b"{"), Say(429), Say(299, b"?")],
    ids=["502 in HTML", "503", "500 cut short", "429", "299"],
)
def test_no_answer_breaks_a_gateway(house: House, answer: Say) -> None:
    house.peer.script = lambda _: answer
    outcomes = send(house.open(), house.pushes(20))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.DEFERRED}
    assert len(outcomes) == 20


def test_a_large_error_breaks_nothing(house: House) -> None:
    house.peer.script = lambda _: Say(500, b"e" * 100_000)
    assert len(send(house.open(), house.pushes(50))) == 50


def test_what_a_gateway_asks_to_wait_is_passed_on(house: House) -> None:
    house.peer.script = lambda _: Say(503, headers={"retry-after": "1800"})
    (outcome,) = send(house.open(), [house.push()])
    assert outcome.retry_after == 1_800


def test_a_gateway_may_say_at_what_moment_to_come_again(house: House) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(minutes=30), usegmt=True)
    house.peer.script = lambda _: Say(503, headers={"retry-after": moment})
    (outcome,) = send(house.open(), [house.push()])
    assert 1_740 <= (outcome.retry_after or 0) <= 1_800


# --- what is wrong on our side is nobody's death ---------------------------------------------


@of_a_project
def test_a_page_that_is_not_there_is_our_configuration(house: House) -> None:
    house.peer.script = lambda _: Say(404, HTML)
    outcomes = send(house.open(), house.pushes(20))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.DEFERRED}
    assert all(outcome.misconfigured for outcome in outcomes)


def test_a_server_that_nobody_vouches_for_is_our_configuration(
    house: House, tmp_path: Path
) -> None:
    folder = tmp_path / "stranger"
    folder.mkdir()
    stranger = CertificateAuthority(folder, "A stranger")
    bundle = folder / "bundle.pem"
    bundle.write_text(stranger.ca_file.read_text() + Path(house.keys["fcm"]["ca_file"]).read_text())
    outcomes = send(house.open(ca_file=bundle), house.pushes(5))
    assert verdicts(outcomes) == {("deferred", "UNTRUSTED"): 5}
    assert all(outcome.misconfigured for outcome in outcomes)
    assert house.peer.seen == []


def test_a_dead_token_is_told_apart_from_its_neighbours(house: House) -> None:
    dead = house.push(3)

    def script(seen: Seen) -> Reaction:
        return house.dead() if house.address(seen) == dead.token.value else house.accept(seen)

    house.peer.script = script
    outcomes = send(house.open(), [*house.pushes(3), dead, house.push(4)])
    gone = [outcome for outcome in outcomes if outcome.verdict is Verdict.UNREGISTERED]
    assert [outcome.push_id for outcome in gone] == [dead.id]
    assert verdicts(outcomes)[ACCEPTED] == 4


# --- shown once ------------------------------------------------------------------------------


def test_every_try_of_a_push_replaces_the_one_before(house: House) -> None:
    gateway = house.open()
    send(gateway, [house.push(collapse_id="the-same-record"), house.push(collapse_id="another")])
    send(gateway, [house.push(collapse_id="the-same-record", attempt=2)])
    shown = sorted(str(house.replaces(seen)) for seen in house.peer.seen)
    assert shown == ["{'another'}", "{'the-same-record'}", "{'the-same-record'}"]


def test_phones_that_check_everything_show_a_push_once_however_often_it_is_sent(
    house: House, shared_phones: Phones
) -> None:
    shared_phones.devices.reset()
    gateway = house.open(endpoint=house.endpoint_of(shared_phones))
    push = house.push()
    for _ in range(3):
        assert verdicts(send(gateway, [push])) == {ACCEPTED: 1}
    counts = shared_phones.devices.counts()
    assert (counts.shown, counts.repeated) == (1, 2)


def test_phones_that_check_everything_get_every_push(house: House, shared_phones: Phones) -> None:
    shared_phones.devices.reset()
    outcomes = send(house.open(endpoint=house.endpoint_of(shared_phones)), house.pushes(1_000))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    # of Web Push the name of a message stands in a header, which nobody asks for
    assert all(outcome.gateway_id for outcome in outcomes) or house.name == "web_push"
    counts = shared_phones.devices.counts()
    assert (counts.shown, counts.repeated, counts.phones) == (1_000, 0, 1_000)
