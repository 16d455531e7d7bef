"""Bootstrap: from a configuration to everything that runs, wired in one place."""

from __future__ import annotations

import fcntl
import logging
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final
from zoneinfo import ZoneInfo

from engine.broker.hub_link import open_district, open_spokes
from engine.config import Config
from engine.database import Database
from engine.errors import ConfigError, SchoolbellError, Unavailable
from engine.gateways.apns import APNS, ApnsGateway
from engine.gateways.circuit_breaker import Stoppable
from engine.gateways.fcm import FCM, FcmGateway
from engine.ports import Broker, Gateway, Publisher, Queue
from engine.runtime.district_queues import DeliverStage, Spoke
from engine.runtime.loops import RelayStage, ScheduleStage, Stage, consuming, publish_pushes
from engine.secrets import keyring
from engine.secrets.keyring import Keyring
from engine.sources import capture, outbox
from engine.sources.definition import load
from engine.sources.source import SqlSource
from engine.stages.deliver import Deliver
from engine.stages.evaluate import evaluate
from engine.stages.record import record
from engine.stages.schedule import plan_lost, publish_due
from engine.store import alarms, devices, directory, district, housekeeping, migrate
from engine.store.evaluations import SqlRecords
from engine.store.lease import Lease
from engine.store.lock_screen import LockScreens
from engine.store.sql_ledger import SqlLedger
from engine.telemetry import Event, emit
from engine.wire.messages import Outcome
from rules.audience import Audience
from rules.change import Change, Kind
from rules.privacy import Level
from rules.wording import Template, TemplateKey, Wording

STAGES: Final = ("relay", "evaluate", "deliver", "record", "schedule")
DELIVER: Final = "deliver"
STAGE_TASK: Final = "stage"
CAPTURE_TASK: Final = "capture"
DIRECTORY_TASK: Final = "directory"

_SCHEDULE_LOCK: Final = 0x5C4001BE12
_OUTCOMES_BATCH: Final = 50  # messages
_SWEEP_EVERY: Final = timedelta(minutes=1)
_FORGET_EVERY: Final = timedelta(minutes=10)


def utc_now() -> datetime:
    """The clock of the product; tests pass their own."""
    return datetime.now(UTC)


class Engine:
    """The parts of one district's engine, each made when it is first asked for."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @cached_property
    def database(self) -> Database:
        """The engine's own database; raises ConfigError at a hub, which has none."""
        if self.is_hub:
            raise ConfigError(
                "A hub holds no school's data, so this has to be asked in the district.",
                "Run it there; or take `districts` out of [deliver] if this is no hub.",
            )
        return Database(self.config.database.url)

    @cached_property
    def source(self) -> SqlSource:
        """The SIS: one database object where it is the same as ours, for SQLite's sake."""
        same = self.config.source_url == self.config.database.url
        database = self.database if same else Database(self.config.source_url)
        return SqlSource(database, load(self.config.source.definition))

    @cached_property
    def broker(self) -> Broker:
        """The message broker, the hub's queues among its own where a hub delivers."""
        return open_district(self.config, self.database)

    @cached_property
    def brokers(self) -> Mapping[str, Broker]:
        """For each district for which we deliver, the broker with its pushes and outcomes."""
        if self.is_hub:
            return open_spokes(self.config)
        return {self.config.district.id: self.broker}

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
        return SqlRecords(self.database, self.source, timezone, self.screens, utc_now)

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
        return _wording(self.config.wording.templates_file)

    def install(self) -> Iterator[str]:
        """Make everything that the engine needs, saying what; running it again changes nothing."""
        migrate.upgrade(self.database)
        yield f"The engine's tables in {self.database.name} are at revision {migrate.newest()}."
        self.source.check()
        findings = capture.install(self.source.database, self.source.definition)
        yield f"Changes of {len(findings)} tables are captured in {self.source.database.name}."
        with self.database.write() as connection:
            district.found(connection)
        devices.make_keyring(self.database, self.config.keys.file, utc_now())
        yield f"Device tokens are encrypted with {self.config.keys.file}: keep a copy of it."
        counted = self.sync_directory()
        yield "The directory lists " + ", ".join(f"{n} {name}" for name, n in counted.items()) + "."
        made = self.broker.install()
        whose = (
            "The broker and the hub have their" if self.config.hub.used else "The broker has its"
        )
        yield f"{whose} queues{': made ' + ', '.join(made) if made else ''}."

    def require_installed(self) -> None:
        """Raise Misconfigured with the remedy unless `install` was run with this release."""
        migrate.require_newest(self.database)
        self.source.check()
        capture.require(self.source.database, self.source.definition)
        _ = self.keyring
        self.broker.depths()

    def sync_directory(self, *, may_shrink: bool = False) -> Mapping[str, int]:
        """Read the whole directory again from the SIS; return how many rows of each part."""
        with self.database.write() as connection:
            counted = directory.sync(
                self.source.database, self.source.definition, connection, may_shrink=may_shrink
            )
        emit(Event.DIRECTORY_SYNCED, level=logging.DEBUG, count=sum(counted.values()))
        return {str(entity): count for entity, count in counted.items()}

    def today(self, now: datetime) -> date:
        """The district's date."""
        return now.astimezone(ZoneInfo(self.config.district.timezone)).date()

    @property
    def stages(self) -> Sequence[str]:
        """The stages that run here: at a hub deliver alone; with a hub all others."""
        if self.is_hub:
            return (DELIVER,)
        return [name for name in STAGES if not (self.config.hub.used and name == DELIVER)]

    @property
    def is_hub(self) -> bool:
        """Whether this installation delivers for districts, and has no school's database."""
        return bool(self.config.deliver.districts)

    def makers(self, names: Sequence[str]) -> Mapping[str, Callable[[], Stage]]:
        """How to make each stage, anew after each failure."""
        made: dict[str, Callable[[], Stage]] = {
            "relay": self._relay,
            "evaluate": self._evaluate,
            "deliver": self._deliver,
            "record": self._record,
            "schedule": self._schedule,
        }
        return {name: made[name] for name in names}

    def report(self, stage: str, error: SchoolbellError | None) -> None:
        """Keep the last failure of a stage where `status` finds it, as far as that is possible."""
        try:
            with self.database.write() as connection:
                if error is None:
                    alarms.resolve(connection, STAGE_TASK, stage)
                else:
                    alarms.report(
                        connection, STAGE_TASK, stage, error.problem, error.remedy, utc_now()
                    )
        except SchoolbellError:
            return  # it is in the log; the database may be the very thing that failed

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the embedded engine's lock: its queues live in one process."""
        with self._lock_file.open("a+") as file:
            _lock(file, self._lock_file)
            yield

    @property
    def runs(self) -> bool | None:
        """Whether an embedded engine runs on our database; None where processes are apart."""
        if not self.config.broker.embedded:
            return None
        try:
            with self._lock_file.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    @property
    def _lock_file(self) -> Path:
        return Path(f"{self.database.engine.url.database}.lock")

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
            pushes = evaluate(changes, self.source, self.records, self.wording)
            publish_pushes(publisher, pushes)
            emit(Event.CHANGES_EVALUATED, level=logging.DEBUG, count=len(changes))

        return consuming(
            self.broker, Queue.CHANGES, handle, self.config.evaluate.batch, publisher.close
        )

    def _deliver(self) -> Stage:
        return make_deliver(self.config, self.brokers)

    def _record(self) -> Stage:
        def handle(outcomes: Sequence[Outcome]) -> None:
            count = record(outcomes, self.ledger)
            emit(Event.OUTCOMES_RECORDED, level=logging.DEBUG, count=count)

        return consuming(self.broker, Queue.OUTCOMES, handle, _OUTCOMES_BATCH, lambda: None)

    def _schedule(self) -> Stage:
        publisher = self.broker.publisher()
        settings = self.config.schedule
        lease = Lease(self.database, _SCHEDULE_LOCK)
        jobs: list[tuple[Callable[[], object], timedelta]] = [
            (lambda: self._republish(publisher), settings.retries_every),
            (lambda: plan_lost(self.ledger, self.broker), _SWEEP_EVERY),
            (self._sync_or_report, settings.directory_every),
            (self._check_capture, settings.capture_check_every),
            (self._forget, _FORGET_EVERY),
        ]

        def close() -> None:
            try:
                publisher.close()
            finally:
                lease.release()

        return ScheduleStage(jobs, lease.acquire, close)

    def _republish(self, publisher: Publisher) -> None:
        while count := publish_due(self.ledger, publisher):
            emit(Event.PUSHES_REPUBLISHED, count=count)

    def _sync_or_report(self) -> None:
        try:
            self.sync_directory()
        except Unavailable:
            raise
        except SchoolbellError as error:
            self._report_task(DIRECTORY_TASK, "sync", error)
        else:
            self._resolve_task(DIRECTORY_TASK, "sync")

    def _check_capture(self) -> None:
        try:
            capture.require(self.source.database, self.source.definition)
        except Unavailable:
            raise
        except SchoolbellError as error:
            emit(Event.CAPTURE_BROKEN, level=40, problem=error.problem)
            self._report_task(CAPTURE_TASK, "triggers", error)
        else:
            self._resolve_task(CAPTURE_TASK, "triggers")

    def _report_task(self, kind: str, subject: str, error: SchoolbellError) -> None:
        with self.database.write() as connection:
            alarms.report(connection, kind, subject, error.problem, error.remedy, utc_now())

    def _resolve_task(self, kind: str, subject: str) -> None:
        with self.database.write() as connection:
            alarms.resolve(connection, kind, subject)

    def _forget(self) -> None:
        now, settings = utc_now(), self.config.schedule
        outbox.forget(self.source.database, self.config.relay.keep_relayed, now)
        with self.database.write() as connection:
            housekeeping.forget(connection, now, settings.keep_content, settings.keep_decisions)


def make_deliver(config: Config, brokers: Mapping[str, Broker]) -> Stage:
    """The deliver stage for the districts whose *brokers* these are; it needs no database."""
    prefetch = max(2, config.deliver.in_flight // (50 * len(brokers)))
    spokes = [
        Spoke(district, broker.consumer(Queue.PUSHES, prefetch), broker.publisher())
        for district, broker in brokers.items()
    ]
    deliver = Deliver(gateways(config), utc_now)
    return DeliverStage(spokes, deliver, in_flight=config.deliver.in_flight)


def gateways(config: Config) -> Mapping[str, Gateway]:
    """The configured push gateways, by the kind of device token that they take."""
    found: dict[str, Gateway] = {}
    if config.fcm.service_account_file:
        fcm = Stoppable(FcmGateway(config.fcm, utc_now, config.deliver.timeout), FCM, utc_now)
        found |= {"fcm_token": fcm, "fcm_fid": fcm}
    if config.apns.key_file:
        apns = ApnsGateway(config.apns, utc_now, config.deliver.timeout)
        found["apns"] = Stoppable(apns, APNS, utc_now)
    return found


def _lock(file: IO[str], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        raise ConfigError(
            f"Another engine (process {file.read().strip() or 'unknown'}) runs on {path.stem}.",
            "Stop it first, or give this one a database of its own.",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()


def _wording(file: Path | None) -> Wording:
    wording = Wording(_own_templates(file) if file else None)
    faults = [f"{fault.template}: {fault.problem}" for fault in wording.faults()]
    if faults:
        raise ConfigError(
            f"Templates cannot be used: {'; '.join(faults)}.",
            f"Mend them in {file}; docs/connect-a-sis.md lists the variables of each kind.",
        )
    return wording


def _own_templates(file: Path) -> Mapping[TemplateKey, Template]:
    """[language.kind.audience] with title and body; also of `generic`, and of `named.kind`."""
    try:
        return {
            TemplateKey(language, kind, Audience(audience), level): Template(**halves)
            for language, tables in tomllib.loads(file.read_text("utf-8")).items()
            for level, kind, audiences in _by_level(tables)
            for audience, halves in audiences.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"The templates file {file} is not readable: {error}.",
            "Write [en.assignment.guardian] with title and body.",
        ) from None


def _by_level(tables: Mapping[str, Any]) -> Iterator[tuple[Level, Kind | None, Mapping[str, Any]]]:
    for name, table in tables.items():
        if name == Level.GENERIC:
            yield Level.GENERIC, None, table
        elif name == Level.NAMED:
            yield from ((Level.NAMED, Kind(kind), audiences) for kind, audiences in table.items())
        else:
            yield Level.FULL, Kind(name), table
