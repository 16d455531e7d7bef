"""A district: everything that its engine is made of, wired in one place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from engine.broker.hub_link import open_district
from engine.config import Config
from engine.database import Database
from engine.ports import Broker, Publisher, Queue
from engine.runtime.alarms import Alarms
from engine.runtime.clock import utc_now
from engine.runtime.delivery import make_deliver
from engine.runtime.directory import SisDirectory
from engine.runtime.embedded_lock import EmbeddedLock
from engine.runtime.jobs import check_capture, forget, republish, sync_directory, sync_or_report
from engine.runtime.loops import RelayStage, ScheduleStage, consuming, publish_pushes
from engine.runtime.stage import DELIVER, STAGES, Makers, Stage
from engine.runtime.templates import read_wording
from engine.secrets import keyring
from engine.secrets.keyring import Keyring
from engine.sources import capture, outbox
from engine.sources.definition import load
from engine.sources.source import SqlSource
from engine.stages.evaluate import evaluate
from engine.stages.record import record
from engine.stages.schedule import plan_lost
from engine.store import migrate
from engine.store.evaluations import SqlRecords
from engine.store.lease import Lease
from engine.store.lock_screen import LockScreens
from engine.store.sql_ledger import SqlLedger
from engine.telemetry import Event, emit
from engine.wire.messages import Outcome
from rules.change import Change
from rules.wording import Wording

_SCHEDULE_LOCK: Final = 0x5C4001BE12
_OUTCOMES_BATCH: Final = 50  # messages
_SWEEP_EVERY: Final = timedelta(minutes=1)
_FORGET_EVERY: Final = timedelta(minutes=10)


class District:
    """The parts of one district's engine, each made when it is first asked for."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @cached_property
    def database(self) -> Database:
        """The engine's own database."""
        return Database(self.config.database.url, by_key=True)

    @cached_property
    def source(self) -> SqlSource:
        """The SIS: one database object where it is the same as ours, for SQLite's sake."""
        same = self.config.source_url == self.config.database.url
        database = self.database if same else Database(self.config.source_url)
        return SqlSource(database, load(self.config.source.definition))

    @cached_property
    def directory(self) -> SisDirectory:
        """Our copy of who and what the SIS is about."""
        return SisDirectory(self.database, self.source)

    @cached_property
    def broker(self) -> Broker:
        """The message broker, the hub's queues among its own where a hub delivers."""
        return open_district(self.config, self.database)

    @cached_property
    def ledger(self) -> SqlLedger:
        """Pushes and outcomes."""
        return SqlLedger(
            self.database, self.screens, self.config.schedule.lost_after, utc_now,
            by_hub=self.config.hub.used,
        )  # fmt: skip

    @cached_property
    def records(self) -> SqlRecords:
        """What evaluate reads and writes."""
        timezone = self.config.district.timezone
        return SqlRecords(self.database, timezone, self.screens, utc_now)

    @cached_property
    def screens(self) -> LockScreens:
        """How pushes are made of what was told."""
        return LockScreens(self.config.district.id, self.wording, self.keyring)

    @cached_property
    def keyring(self) -> Keyring:
        """The keys of device tokens; raises ConfigError that says why it cannot be used."""
        return keyring.in_file(self.config.keys.file)

    @cached_property
    def wording(self) -> Wording:
        """The templates; raises ConfigError naming each that cannot be used."""
        return read_wording(self.config.wording.templates_file)

    @cached_property
    def alarms(self) -> Alarms:
        """Where trouble is reported for `status` to show."""
        return Alarms(self.database, utc_now)

    @cached_property
    def lock(self) -> EmbeddedLock | None:
        """What lets only one embedded engine run; None where each stage is its own process."""
        if not self.config.broker.embedded:
            return None
        return EmbeddedLock(str(self.database.engine.url.database))

    def require_installed(self) -> None:
        """Raise Misconfigured with the remedy unless `install` was run with this release."""
        migrate.require_newest(self.database)
        self.source.check()
        capture.require(self.source.database, self.source.definition)
        _ = self.keyring
        self.broker.depths()

    def sync_directory(self, *, may_shrink: bool = False) -> Mapping[str, int]:
        """Read the whole directory again from the SIS; return how many rows of each part."""
        return sync_directory(self.directory, may_shrink=may_shrink)

    def today(self, now: datetime) -> date:
        """The district's date."""
        return now.astimezone(ZoneInfo(self.config.district.timezone)).date()

    @property
    def stages(self) -> Sequence[str]:
        """The stages that run here: all, but where a hub delivers not deliver."""
        return [name for name in STAGES if not (self.config.hub.used and name == DELIVER)]

    @property
    def makers(self) -> Makers:
        """How to make each stage that runs here."""
        made: dict[str, Callable[[], Stage]] = {
            "relay": self._relay,
            "evaluate": self._evaluate,
            "deliver": self._deliver,
            "record": self._record,
            "schedule": self._schedule,
        }
        return {name: made[name] for name in self.stages}

    def close(self) -> None:
        """Close the databases."""
        for part in ("database", "source"):
            if part in self.__dict__:
                held = getattr(self, part)
                (held if isinstance(held, Database) else held.database).close()

    def _relay(self) -> Stage:
        settings = self.config.relay
        box = outbox.open_outbox(self.source.database, self.source.definition.name)
        return RelayStage(box, self.broker.publisher(), settings.batch, settings.poll_interval)

    def _evaluate(self) -> Stage:
        publisher = self.broker.publisher()

        def handle(changes: Sequence[Change]) -> None:
            pushes = evaluate(changes, self.source, self.directory, self.records, self.wording)
            publish_pushes(publisher, pushes)
            emit(Event.CHANGES_EVALUATED, level=logging.DEBUG, count=len(changes))

        return consuming(
            self.broker, Queue.CHANGES, handle, self.config.evaluate.batch, publisher.close
        )

    def _deliver(self) -> Stage:
        return make_deliver(self.config, {self.config.district.id: self.broker})

    def _record(self) -> Stage:
        def handle(outcomes: Sequence[Outcome]) -> None:
            count = record(outcomes, self.ledger)
            emit(Event.OUTCOMES_RECORDED, level=logging.DEBUG, count=count)

        return consuming(self.broker, Queue.OUTCOMES, handle, _OUTCOMES_BATCH, lambda: None)

    def _schedule(self) -> Stage:
        publisher = self.broker.publisher()
        lease = Lease(self.database, _SCHEDULE_LOCK)

        def close() -> None:
            try:
                publisher.close()
            finally:
                lease.release()

        return ScheduleStage(self._jobs(publisher), lease.acquire, close)

    def _jobs(self, publisher: Publisher) -> Sequence[tuple[Callable[[], object], timedelta]]:
        """What schedule does, and how often."""
        settings = self.config.schedule
        return (
            (lambda: republish(self.ledger, publisher), settings.retries_every),
            (lambda: plan_lost(self.ledger, self.broker), _SWEEP_EVERY),
            (lambda: sync_or_report(self.directory, self.alarms), settings.directory_every),
            (lambda: check_capture(self.source, self.alarms), settings.capture_check_every),
            (lambda: forget(self.database, self.source.database, self.config), _FORGET_EVERY),
        )
