"""A text older than what was sent about the same place is never sent, whatever comes again.

Each test forces one way in which an older change could be told after a newer one, by the stages,
databases, broker and phones themselves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.ports import Publication, Queue
from engine.runtime import delivery, district, district_queues, district_stages, jobs, loops
from engine.services import parked
from engine.services.install import install
from engine.trial.phones.fault import Fault
from engine.trial.phones.phones import Phones
from engine.wire.messages import Pushes, decode, encode
from tests.acceptance.by_hand import ByHand, Killed, Messages, MovableClock, Publish, at_once
from tests.acceptance.faults import VHOST, without_scores
from tests.acceptance.screens import Score
from tests.benchmarks.processes import local_ports
from tests.servers import RabbitServer
from tests.site import Sections, Site, embedded_site, production_site

STUDENTS = 40
LONGER_THAN_PUSHES_ARE_HELD = 11  # seconds
IMPATIENT = 3  # seconds

pytestmark = pytest.mark.timeout(300)

NOW, BACK, HOURS_BACK = timedelta(), timedelta(seconds=-1), timedelta(hours=-20)
WHATEVER_THE_CLOCK_SAID = pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(NOW, NOW, id="in one millisecond"),
        pytest.param(NOW, BACK, id="a second back"),
        pytest.param(HOURS_BACK, HOURS_BACK, id="hours behind"),
    ],
)


@pytest.fixture(scope="module")
def clock() -> Iterator[MovableClock]:
    """The clock of the stages that run in this process."""
    clock = MovableClock()
    with pytest.MonkeyPatch.context() as patch:
        for module in (delivery, district, district_stages, jobs):
            patch.setattr(module, "utc_now", clock)
        for module in (loops, district_queues):
            patch.setattr(module, "_IDLE", 0.1)  # stages wait often for a queue that stays empty
        yield clock


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    with Phones(tmp_path_factory.mktemp("phones")) as running:
        yield running


@pytest.fixture(scope="module")
def embedded(phones: Phones) -> Iterator[Site]:
    with embedded_site(STUDENTS, _sections(phones), students_only=True) as site:
        yield site


@pytest.fixture(scope="module")
def production(phones: Phones) -> Iterator[Site]:
    with production_site(STUDENTS, _sections(phones), students_only=True) as site:
        yield site


@contextmanager
def by_hand(site: Site, phones: Phones, clock: MovableClock) -> Iterator[ByHand]:
    """The stages of *site* in this process, on phones that show nothing yet."""
    phones.reset()
    way = ByHand(site, phones, clock)
    try:
        yield way
    finally:
        phones.clear_faults()
        way.close()


@pytest.fixture(params=["embedded", "production"])
def way(request: pytest.FixtureRequest, phones: Phones, clock: MovableClock) -> Iterator[ByHand]:
    with by_hand(request.getfixturevalue(request.param), phones, clock) as way:
        yield way


@WHATEVER_THE_CLOCK_SAID
def test_of_two_changes_that_are_both_retried_the_newer_is_shown_whatever_the_clock_said(
    way: ByHand, first: timedelta, second: timedelta
) -> None:
    scores, now = way.fresh(6), way.clock()
    way.phones.inject(Fault("fcm", "UNAVAILABLE"))
    for clock in (first, second):
        way.change(*scores, at=now + clock)
        way.run_each()
    way.phones.clear_faults()

    way.settle()

    assert [way.came(score) for score in scores] == [[2]] * 6


@WHATEVER_THE_CLOCK_SAID
def test_a_change_that_is_retried_does_not_take_the_place_of_a_newer_one_whatever_the_clock_said(
    way: ByHand, first: timedelta, second: timedelta
) -> None:
    scores, now = way.fresh(6), way.clock()
    way.phones.inject(Fault("fcm", "UNAVAILABLE"))
    way.change(*scores, at=now + first)
    way.run_each()
    way.phones.clear_faults()
    way.change(*scores, at=now + second)
    way.run_each()

    way.settle()

    assert [way.came(score) for score in scores] == [[2]] * 6


@WHATEVER_THE_CLOCK_SAID
def test_of_two_changes_the_newer_is_shown_whatever_the_clock_said(
    way: ByHand, first: timedelta, second: timedelta
) -> None:
    scores, now = way.fresh(6), way.clock()
    way.change(*scores, at=now + first)
    way.change(*scores, at=now + second)

    way.settle()

    assert way.shows(*scores) == [2] * 6


def test_a_change_that_comes_again_after_a_crash_does_not_take_the_place_of_a_newer_one(
    way: ByHand,
) -> None:
    """Evaluate dies after it published the newer change's push, and before the older's."""
    (score,) = way.fresh(1)
    way.change(score)
    way.change(score)
    way.relay()

    def newest_alone(queue: Queue, messages: Messages, publish: Publish) -> Sequence[bool]:
        if queue is not Queue.PUSHES:
            return publish(queue, messages)
        (message,) = messages
        newest = decode(message.body, Pushes).items[-1:]
        publish(queue, [Publication(encode(Pushes(newest)), message.partition)])
        raise Killed

    way.broker.between = newest_alone
    with pytest.raises(Killed):
        way.evaluate()
    way.broker.between = at_once
    way.deliver()
    way.record()
    assert way.shows(score) == [2]

    way.settle()

    assert way.came(score) == [2]


def test_a_retry_that_is_due_while_a_newer_change_is_evaluated_does_not_come_after_it(
    way: ByHand,
) -> None:
    """The newer change passes between the reading of what is due and its publishing."""
    (score,) = way.fresh(1)
    way.change(score)
    way.phones.inject(Fault("fcm", "UNAVAILABLE"))
    way.run_each()
    way.phones.clear_faults()

    def pass_by() -> None:
        way.change(score)
        way.run_each()

    def after_the_newer(queue: Queue, messages: Messages, publish: Publish) -> Sequence[bool]:
        way.broker.between = at_once
        passing = other.submit(pass_by)
        wait_for([passing], timeout=3)  # who lets it wait for us has kept the order as well
        return publish(queue, messages)

    way.broker.between = after_the_newer
    with ThreadPoolExecutor(1) as other:
        way.retry()
    way.settle()

    assert way.came(score) in ([2], [1, 2])


def test_a_parked_change_that_is_tried_again_does_not_take_the_place_of_a_newer_one(
    way: ByHand, tmp_path: Path
) -> None:
    (score,) = way.fresh(1)
    way.change(score)
    way.relay()
    way.evaluate_by(without_scores(tmp_path))
    assert len(parked.look(way.site.district).changes) == 1
    way.change(score)
    way.run_each()
    assert way.shows(score) == [2]

    parked.retry(way.site.district)
    way.settle()

    assert way.came(score) == [2]


def test_a_replayed_change_that_the_broker_lost_does_not_take_the_place_of_a_newer_one(
    way: ByHand,
) -> None:
    """The broker loses the older change, the relay has sent the newer one, and all is replayed."""
    (score,) = way.fresh(1)
    since = datetime.now(UTC)
    way.broker.between = _lost
    way.change(score)
    way.relay()
    way.broker.between = at_once
    way.change(score)
    way.run_each()
    assert way.shows(score) == [2]

    assert way.site.district.outbox.replay(since) >= 2
    way.settle()

    assert way.came(score) == [2]


def test_a_replayed_change_whose_push_was_lost_does_not_take_the_place_of_a_newer_one(
    way: ByHand,
) -> None:
    """The broker loses the older change's push, the newer one is answered, and all is replayed."""
    (score,) = way.fresh(1)
    since = datetime.now(UTC)
    way.change(score)
    way.relay()
    way.broker.between = _lost
    way.evaluate()
    way.broker.between = at_once
    way.change(score)
    way.run_each()
    assert way.shows(score) == [2]

    assert way.site.district.outbox.replay(since) >= 2
    way.settle()

    assert way.came(score) == [2]


def test_an_old_push_that_is_redelivered_does_not_take_the_place_of_a_newer_one(
    way: ByHand,
) -> None:
    """Deliver dies with a message that is half answered, after it has sent a newer push."""
    chosen = way.fresh(2)
    way.phones.inject(Fault("fcm", "silence", token=chosen[0].place.token, count=1))
    way.change(*chosen)
    way.relay()
    way.evaluate()
    with way.stage("deliver") as deliver:
        way.step_until(deliver, lambda: sum(way.shows(*chosen)) == 1)
        unanswered, score = sorted(chosen, key=lambda one: way.shows(one))
        way.change(score)
        way.relay()
        way.evaluate()
        way.step_until(deliver, lambda: way.shows(score) == [2])

    way.settle()

    assert way.shows(unanswered, score) == [1, 2]
    assert way.came(score) in ([1, 2], [1, 2, 2])  # whose answer was not heard is sent again


def test_an_evaluate_that_was_stopped_publishes_no_older_text_after_its_successor(
    production: Site, phones: Phones, clock: MovableClock
) -> None:
    """It stands still before it publishes; a successor gets its changes, and newer ones."""
    with by_hand(production, phones, clock) as way:
        (score,) = way.fresh(1)
        way.change(score)
        way.relay()

        def while_a_successor_runs(
            queue: Queue, messages: Messages, publish: Publish
        ) -> Sequence[bool]:
            way.broker.between = at_once
            _rabbit(production).cut()
            way.change(score)
            way.run_each()
            assert way.shows(score) == [2]
            return publish(queue, messages)

        way.broker.between = while_a_successor_runs
        way.evaluate()
        way.settle()

        assert way.shows(score) == [2]


def test_a_deliver_that_was_stopped_sends_no_older_text_after_its_successor(
    production: Site, phones: Phones, clock: MovableClock
) -> None:
    """It is stopped with one push at the gateway and another in line, and wakes up much later."""
    with by_hand(production, phones, clock) as way, _impatient(production) as stopped:
        (score,) = way.fresh(1)
        phones.inject(Fault("fcm", "silence", token=score.place.token))
        way.change(score)
        way.relay()
        way.evaluate()
        way.wait_until(lambda: phones.active_faults[0].struck == 1)
        phones.clear_faults()
        way.change(score)
        way.relay()
        way.evaluate()
        way.wait_until(lambda: not way.waiting(Queue.PUSHES))
        os.kill(stopped.pid, signal.SIGSTOP)
        wakes = time.monotonic() + LONGER_THAN_PUSHES_ARE_HELD
        with production.running("deliver"):
            _rabbit(production).cut(local_ports(stopped.pid))
            way.change(score)
            way.wait_until(lambda: _pass(way, score) == [3])
            time.sleep(max(0.0, wakes - time.monotonic()))
            os.kill(stopped.pid, signal.SIGCONT)
            time.sleep(IMPATIENT + 2)
        way.settle()

        assert way.shows(score) == [3]
        assert way.came(score) == sorted(way.came(score))


def test_a_broker_that_lost_its_disk_and_a_replay_bring_nothing_old_and_all_that_is_new(
    production: Site, phones: Phones, clock: MovableClock
) -> None:
    with by_hand(production, phones, clock) as way:
        old, lost = way.fresh(2)
        since = datetime.now(UTC)
        way.change(old, lost)
        way.relay()
        _rabbit(production).lose_everything()
        _rabbit(production).create_vhost(VHOST)
        list(install(production.district))
        way.change(old)
        way.run_each()
        assert way.shows(old, lost) == [2, 0]

        production.district.outbox.replay(since)
        way.settle()

        assert [way.came(old), way.came(lost)] == [[2], [1]]


def _sections(phones: Phones) -> Sections:
    """Phones of one gateway, and a schedule that looks at once for what is due."""
    return {"fcm": phones.settings["fcm"], "schedule": {"retries_every": "PT0.1S"}}


def _impatient(site: Site) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A deliver that waits for an answer no longer than it has to."""
    return site.running("deliver", DELIVER__TIMEOUT=f"PT{IMPATIENT}S")


def _pass(way: ByHand, score: Score) -> Sequence[float]:
    """What is shown once each stage but deliver has done what it had to do."""
    way.relay()
    way.evaluate()
    way.record()
    way.release()
    return way.shows(score)


def _rabbit(site: Site) -> RabbitServer:
    assert site.rabbit is not None
    return site.rabbit


def _lost(queue: Queue, messages: Messages, publish: Publish) -> Sequence[bool]:
    """A broker that confirms, and then loses its disk."""
    del queue, publish
    return [True] * len(messages)
