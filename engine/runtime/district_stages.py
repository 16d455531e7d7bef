"""The stages of a district, put together of its parts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Final

from engine.ports import Publisher, Queue
from engine.runtime.clock import utc_now
from engine.runtime.delivery import make_deliver
from engine.runtime.district import District
from engine.runtime.jobs import (
    ReleaseBroadcasts,
    check_capture,
    check_source,
    forget,
    keep_audiences,
    look_again_at_all,
    parked_changes,
    relay_lost,
    release_all,
    retry_parked,
    sync_or_report,
)
from engine.runtime.loops import RelayStage, ScheduleStage, consuming
from engine.runtime.stage import Makers, Stage
from engine.stages.deciding_in_order import DecideInOrder
from engine.stages.opening import LookAgain
from engine.stages.publishing import publish_changes
from engine.stages.release import Release
from engine.stages.schedule import LostChanges, plan_lost
from engine.store.lease import Lease
from engine.telemetry import Event, emit
from engine.wire.messages import Outcome
from rules.change import Change
from rules.lanes import Lane

_SCHEDULE_LOCK: Final = 0x5C4001BE12
_OUTCOMES_BATCH: Final = 50  # messages
_OUTCOMES_LINGER: Final = 0.1  # seconds; who waits for a text has it by then
_SWEEP_EVERY: Final = timedelta(minutes=1)
_FORGET_EVERY: Final = timedelta(minutes=10)


def makers(district: District) -> Makers:
    """How to make each stage that runs here."""
    every: Makers = {
        "relay": lambda: _relay(district),
        "evaluate": lambda: _evaluate(district),
        "deliver": lambda: make_deliver(
            district.config, {district.config.district.id: district.broker}
        ),
        "record": lambda: _record(district),
        "schedule": lambda: _schedule(district),
    }
    return {name: every[name] for name in district.stages}


def _relay(district: District) -> Stage:
    settings, publisher = district.config.relay, district.broker.publisher()
    return RelayStage(
        district.outbox, publisher, district.source.is_of_directory, settings.batch,
        settings.poll_interval,
    )  # fmt: skip


def _evaluate(district: District) -> Stage:
    publisher = district.broker.publisher()
    evaluate = DecideInOrder(district.evaluate, district.ledger, publisher, utc_now)

    def handle(changes: Sequence[Change]) -> None:
        evaluate(changes)
        emit(Event.CHANGES_EVALUATED, level=logging.DEBUG, count=len(changes))

    batch = district.config.evaluate.batch
    return consuming(district.broker, Queue.CHANGES, handle, batch, publisher.close)


def _record(district: District) -> Stage:
    record = district.record

    def handle(outcomes: Sequence[Outcome]) -> None:
        count = record(outcomes)
        emit(Event.OUTCOMES_RECORDED, level=logging.DEBUG, count=count)

    return consuming(
        district.broker, Queue.OUTCOMES, handle, _OUTCOMES_BATCH, lambda: None, _OUTCOMES_LINGER
    )


def _schedule(district: District) -> Stage:
    lease = Lease(district.database, _SCHEDULE_LOCK)
    with ExitStack() as opened:
        opened.callback(lease.release)
        jobs = _jobs(district, lambda: opened.enter_context(closing(district.broker.publisher())))
        return ScheduleStage(jobs, lease.acquire, opened.pop_all().close)


def _jobs(
    district: District, publisher: Callable[[], Publisher]
) -> Sequence[tuple[Callable[[], object], timedelta]]:
    """What schedule does, and how often; who publishes has a publisher, for jobs are threads."""
    settings, ledger, composer = district.config.schedule, district.ledger, district.composer
    release = Release(ledger, composer, publisher(), utc_now)
    broadcasts = Release(ledger, composer, publisher(), utc_now, Lane.BROADCASTS)
    of_lost = publisher()
    lost = LostChanges(
        district.outbox, ledger, district.broker,
        lambda changes: publish_changes(of_lost, changes, district.source.is_of_directory),
        settings.lost_after, utc_now,
    )  # fmt: skip
    look_again = LookAgain(ledger, publisher(), utc_now, settings.lost_after)
    return (
        (lambda: release_all(release), settings.retries_every),
        (district.expand, settings.retries_every),
        (ReleaseBroadcasts(broadcasts, district.broker), settings.retries_every),
        (lambda: look_again_at_all(look_again), settings.retries_every),
        (lambda: keep_audiences(district.database), settings.retries_every),
        (
            lambda: plan_lost(ledger, district.broker, settings.lost_after, utc_now()),
            _SWEEP_EVERY,
        ),
        (lambda: relay_lost(lost), _SWEEP_EVERY),
        (
            lambda: sync_or_report(
                district.directory,
                district.alarms,
                lambda: retry_parked(district.broker, parked_changes(district.database)),
            ),
            settings.directory_every,
        ),
        (lambda: check_capture(district.capture, district.alarms), settings.capture_check_every),
        (
            lambda: check_source(
                district.source,
                district.alarms,
                lambda: parked_changes(district.database),
                lambda changes: retry_parked(district.broker, changes),
            ),
            settings.capture_check_every,
        ),
        (
            lambda: forget(district.database, district.outbox, district.config),
            _FORGET_EVERY,
        ),
    )
