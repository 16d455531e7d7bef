"""A district: the parts that its engine is made of.

A part is imported when it is first asked for: a command that needs little starts at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from engine.config import Config
from engine.database import Database
from engine.runtime.clock import utc_now
from engine.runtime.stage import DELIVER, STAGES

if TYPE_CHECKING:
    from engine.dialects.dialect import Owner
    from engine.ports import Broker, Outbox
    from engine.runtime.alarms import Alarms
    from engine.runtime.behind import FindBehind
    from engine.runtime.directory import SisDirectory
    from engine.runtime.embedded_lock import EmbeddedLock
    from engine.secrets.keyring import Keyring
    from engine.sources.capture import Capture
    from engine.sources.source import Era, SqlSource
    from engine.stages.composing import Composer
    from engine.stages.evaluate import Evaluate
    from engine.stages.expand import Expand
    from engine.stages.record import Record
    from engine.store.ledger import SqlLedger
    from rules.wording import Wording


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
        from engine.sources.loading import load
        from engine.sources.source import SqlSource

        same = self.config.source_url == self.config.database.url
        database = self.database if same else Database(self.config.source_url)
        definition = load(self.config.source.definition)
        return SqlSource(
            database, definition, self.zone, era=lambda: self.era,
            report=self.alarms.of_conditions,
        )  # fmt: skip

    @cached_property
    def era(self) -> Era:
        """Which of its databases the SIS is now; a command begins another one."""
        from engine.store import source

        with self.database.read() as connection:
            return source.current(connection).era

    @cached_property
    def owner(self) -> Owner:
        """Who we are in the SIS; raises Misconfigured before `install`."""
        from engine.dialects.dialect import Owner
        from engine.store import district

        with self.database.read() as connection:
            return Owner(self.config.district.id, district.token(connection))

    @property
    def capture(self) -> Capture:
        """Our triggers in the SIS."""
        from engine.sources.capture import Capture

        return Capture(self.source.database, self.source.definition, self.owner)

    @property
    def outbox(self) -> Outbox:
        """Our outbox in the SIS."""
        from engine.store.relayed import SqlRelayedMark

        sis, mark = self.source.database, SqlRelayedMark(self.database)
        return sis.dialect.outbox(sis, self.owner, self.source.definition.name, mark)

    @cached_property
    def directory(self) -> SisDirectory:
        """Our copy of who and what the SIS is about."""
        from engine.runtime.directory import SisDirectory

        return SisDirectory(
            self.database, self.source, trusted=self.config.schedule.directory_trusted
        )

    @cached_property
    def broker(self) -> Broker:
        """The message broker, the hub's queues among its own where a hub delivers."""
        from engine.broker.hub_link import open_district

        return open_district(self.config, self.database)

    @cached_property
    def ledger(self) -> SqlLedger:
        """What was decided and told, and what gateways said of it."""
        from engine.store.ledger import SqlLedger

        timezone = self.config.district.timezone
        return SqlLedger(
            self.database, timezone, by_hub=self.config.hub.used,
            trusted=self.config.schedule.directory_trusted,
        )  # fmt: skip

    @cached_property
    def expand(self) -> Expand:
        """What makes notifications of broadcasts."""
        from engine.stages.expand import Expand
        from engine.store.expansions import SqlExpansions

        expansions = SqlExpansions(self.database, self.config.district.timezone)
        return Expand(expansions, self.find_behind, utc_now)

    @cached_property
    def find_behind(self) -> FindBehind:
        """Who is behind what staff have chosen."""
        from engine.runtime.behind import FindBehind

        district = self.config.district
        return FindBehind(self.database, self.source, self.zone, district.name or district.id)

    @cached_property
    def composer(self) -> Composer:
        """How pushes are made of what was told."""
        from engine.stages.composing import Composer

        return Composer(self.config.district.id, self.wording, self.keyring)

    @cached_property
    def evaluate(self) -> Evaluate:
        """What decides batches of changes."""
        from engine.stages.evaluate import Evaluate

        return Evaluate(self.source, self.directory, self.ledger, self.composer, utc_now)

    @cached_property
    def record(self) -> Record:
        """What stores batches of outcomes."""
        from engine.stages.record import Record

        return Record(self.ledger, utc_now)

    @cached_property
    def keyring(self) -> Keyring:
        """The keys of device tokens; raises ConfigError that says why it cannot be used."""
        from engine.secrets import keyring

        return keyring.in_file(self.config.keys.file)

    @cached_property
    def wording(self) -> Wording:
        """The templates; raises ConfigError naming each that cannot be used."""
        from engine.runtime.templates import read_wording

        return read_wording(self.config.wording.templates_file)

    @cached_property
    def alarms(self) -> Alarms:
        """Where trouble is reported for `status` to show."""
        from engine.runtime.alarms import Alarms

        return Alarms(self.database, utc_now)

    @cached_property
    def lock(self) -> EmbeddedLock | None:
        """What lets only one embedded engine run; None where each stage is its own process."""
        from engine.runtime.embedded_lock import EmbeddedLock

        if not self.config.broker.embedded:
            return None
        return EmbeddedLock(str(self.database.engine.url.database))

    @cached_property
    def zone(self) -> ZoneInfo:
        """The district's time zone, in which people there write and read moments."""
        return ZoneInfo(self.config.district.timezone)

    def today(self, now: datetime) -> date:
        """The district's date."""
        return now.astimezone(self.zone).date()

    @property
    def stages(self) -> Sequence[str]:
        """The stages that run here: all, but where a hub delivers not deliver."""
        return [name for name in STAGES if not (self.config.hub.used and name == DELIVER)]

    def close(self) -> None:
        """Close the databases."""
        for part in ("database", "source"):
            if part in self.__dict__:
                held = getattr(self, part)
                (held if isinstance(held, Database) else held.database).close()
