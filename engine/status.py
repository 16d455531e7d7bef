"""Status: what an operator wants to see at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from engine.bootstrap import Engine
from engine.ports import Depth, Queue
from engine.sources import capture, outbox
from engine.store import district, ledger, tasks
from engine.store.tables import changes, parked_changes, retries
from engine.store.tasks import BackgroundTask
from rules.identity import first_id_at
from rules.privacy import Level

_RECENT = timedelta(hours=1)
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Status:
    """A district's engine at one moment. *lag* is the age of the oldest row not yet relayed.

    *troubles* counts the background tasks that came up within the last day; *tasks* are the
    newest, of any age.
    """

    enabled: bool
    lock_screen: Level
    end_to_end: bool
    captured: Sequence[capture.Finding]
    waiting_rows: int
    lag: timedelta
    queues: Mapping[Queue, Depth]
    changes: int
    outcomes: Mapping[str, int]
    retries: int
    parked: int
    tasks: Sequence[BackgroundTask]
    troubles: int

    @property
    def healthy(self) -> bool:
        """Nothing is broken or parked, and nothing was reported within the last day."""
        return (
            all(finding.in_place for finding in self.captured)
            and not any(depth.dead for depth in self.queues.values())
            and not self.parked
            and not self.troubles
        )


def look(engine: Engine, now: datetime) -> Status:
    """Ask the databases and the broker; raises what they raise."""
    source = engine.source
    waiting, lag = outbox.backlog(source.database, now)
    with engine.database.read() as connection:
        allowed = district.privacy(connection)
        newest = tasks.latest(connection, 10)
        return Status(
            enabled=district.is_enabled(connection),
            lock_screen=allowed.level,
            end_to_end=allowed.end_to_end,
            captured=capture.check(source.database, source.definition),
            waiting_rows=waiting,
            lag=lag,
            queues=engine.broker.depths(),
            changes=connection.execute(
                select(func.count()).where(changes.c.id >= first_id_at(now - _RECENT))
            ).scalar_one(),
            outcomes=ledger.counts(connection, now - _RECENT),
            retries=connection.execute(select(func.count()).select_from(retries)).scalar_one(),
            parked=connection.execute(
                select(func.count()).select_from(parked_changes)
            ).scalar_one(),
            tasks=newest,
            troubles=sum(task.last_at >= now - _A_DAY for task in newest),
        )
