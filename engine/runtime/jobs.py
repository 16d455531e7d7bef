"""The jobs of schedule: what the district does by the clock besides telling people."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from engine.config import Config
from engine.database import Database
from engine.errors import BrokenQuery, Misconfigured, SchoolbellError, Unavailable
from engine.ports import DIRECTORY_ALARM, SOURCE_ALARM, UNREAD, Broker, Depth, Outbox, Queue
from engine.runtime.alarms import CAPTURE, CAPTURE_SUBJECT, CONCERN, Alarms
from engine.runtime.clock import utc_now
from engine.runtime.directory import SisDirectory
from engine.sources.capture import Capture
from engine.sources.source import SqlSource
from engine.stages.opening import LookAgain
from engine.stages.publishing import publish_changes
from engine.stages.release import Release
from engine.stages.schedule import LostChanges
from engine.store import audiences, directory, exports, housekeeping, missing, parked, partitions
from engine.telemetry import Event, emit
from rules.change import Change

_RETRIED_AT_ONCE: Final = 10_000
_MOST_WAITING: Final = 100  # messages of broadcasts at the broker, before more are published
_PORTIONS: Final = 4  # that are published before anybody looks how many wait
_UNSEEN: Final = {queue: Depth(0, 0) for queue in Queue}
_LONGEST_PAUSE: Final = 0.1  # seconds


def release_all(release: Release) -> None:
    """Tell everything that is due."""
    while count := release():
        emit(Event.PUSHES_REPUBLISHED, count=count)


@dataclass(slots=True)
class ReleaseBroadcasts:
    """Tells of broadcasts what is due, in portions, as fast as it is delivered.

    What is not published yet can still be cancelled. After each portion there is a pause: who
    waits to write to an SQLite does it then. The broker is not asked while nothing is due. While
    ordinary news waits there, one portion goes each time: the processor is short then.
    """

    release: Callable[[], int]
    broker: Broker
    pause: Callable[[float], None] = time.sleep
    _asks_first: bool = False

    def __call__(self) -> None:
        """Publish until nothing more is due, or enough waits to be delivered."""
        while True:
            depths = self.broker.depths() if self._asks_first else _UNSEEN
            if depths[Queue.BROADCASTS].ready >= _MOST_WAITING:
                return
            news_waits = depths[Queue.CHANGES].ready or depths[Queue.PUSHES].ready
            for _ in range(1 if news_waits else _PORTIONS):
                began = time.monotonic()
                count = self.release()
                if not count:
                    self._asks_first = False
                    return
                emit(Event.BROADCASTS_PUBLISHED, level=logging.DEBUG, count=count)
                self.pause(min(_LONGEST_PAUSE, time.monotonic() - began))
            self._asks_first = True
            if news_waits:
                return


def look_again_at_all(look_again: LookAgain) -> None:
    """Look again at every record that has opened."""
    while look_again():
        pass


def keep_audiences(database: Database) -> None:
    """Keep ready the families of students about whom something has changed."""
    if count := audiences.keep(database):
        emit(Event.AUDIENCES_KEPT, level=logging.DEBUG, count=count)


def relay_lost(lost: LostChanges) -> None:
    """Publish again what a broker lost of the changes."""
    if count := lost():
        emit(Event.CHANGES_REPUBLISHED, level=logging.WARNING, count=count)


def sync_or_report(copy: SisDirectory, alarms: Alarms, retry: Callable[[], object]) -> None:
    """Sync the directory; what is wrong with the source's answer is an alarm.

    When it goes well, *retry* what waits for that.
    """
    error = met(copy.sync)
    alarms.update(DIRECTORY_ALARM, "sync", error)
    if error is None and UNREAD in alarms.known(DIRECTORY_ALARM):
        retry()
        alarms.update(DIRECTORY_ALARM, UNREAD, None)


def check_capture(capture: Capture, alarms: Alarms) -> None:
    """Look whether the triggers are in place, and whether something stands in their way."""
    error = met(capture.require)
    if error:
        emit(Event.CAPTURE_BROKEN, level=logging.ERROR, problem=error.problem)
    alarms.update(CAPTURE, CAPTURE_SUBJECT, error)
    concerns = {one.subject: Misconfigured(one.problem, one.remedy) for one in capture.concerns()}
    for subject in alarms.known(CONCERN) | concerns.keys():
        alarms.update(CONCERN, subject, concerns.get(subject))


def check_source(
    source: SqlSource, alarms: Alarms, waiting: Callable[[], Sequence[Change]],
    retry: Callable[[Sequence[Change]], object],
) -> None:  # fmt: skip
    """Look which queries the SIS refuses, or is too slow for: each is an alarm.

    When one seems to be mended, those of the changes that are *waiting* are asked for again whose
    query may have been slow; where one is not any more, *retry*.
    """
    broken: dict[str, BrokenQuery] = {error.query: error for error in source.broken()}
    known = alarms.known(SOURCE_ALARM)
    if known - broken.keys():
        changes = waiting()
        broken |= {error.query: error for error in source.slow(changes)}
        if known - broken.keys():
            retry(changes)
    for query in known | broken.keys():
        alarms.update(SOURCE_ALARM, query, broken.get(query))


def parked_changes(database: Database) -> Sequence[Change]:
    """The oldest parked changes."""
    with database.read() as connection:
        return parked.changes(connection, _RETRIED_AT_ONCE)


def retry_parked(broker: Broker, changes: Sequence[Change]) -> int:
    """Publish parked *changes* again; return how many. Each stays parked until it is evaluated."""
    with closing(broker.publisher()) as publisher:
        publish_changes(publisher, changes)
    return len(changes)


def forget(database: Database, outbox: Outbox, config: Config) -> None:
    """Forget what is older than its keeping time, here and in the outbox; divide what comes."""
    now, settings = utc_now(), config.schedule
    outbox.forget(config.relay.keep_relayed, now)
    with database.write() as connection:
        partitions.make(connection, now)
        exports.forget(connection, now - settings.keep_exports)
        if directory.is_in_step(connection, now):
            missing.forget(connection, now - settings.keep_missing)
    housekeeping.forget(database, now, settings.keep_content, settings.keep_decisions)


def met(job: Callable[[], object]) -> SchoolbellError | None:
    """What a person must mend of what *job* met; raises Unavailable, which may pass by itself."""
    try:
        job()
    except Unavailable:
        raise
    except SchoolbellError as error:
        return error
    return None
