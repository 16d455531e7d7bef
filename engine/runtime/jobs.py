"""The jobs of schedule: what the district does by the clock besides telling people."""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.config import Config
from engine.database import Database
from engine.errors import SchoolbellError, Unavailable
from engine.ports import Outbox
from engine.runtime.alarms import CAPTURE, DIRECTORY, Alarms
from engine.runtime.clock import utc_now
from engine.runtime.directory import SisDirectory
from engine.sources.capture import Capture
from engine.stages.release import Release
from engine.store import housekeeping, partitions
from engine.telemetry import Event, emit


def release_all(release: Release) -> None:
    """Tell everything that is due."""
    while count := release():
        emit(Event.PUSHES_REPUBLISHED, count=count)


def sync_or_report(directory: SisDirectory, alarms: Alarms) -> None:
    """Sync the directory; what is wrong with the source's answer is an alarm."""
    alarms.update(DIRECTORY, "sync", _met(directory.sync))


def check_capture(capture: Capture, alarms: Alarms) -> None:
    """Look whether the triggers are in place; that they are not is an alarm."""
    error = _met(capture.require)
    if error:
        emit(Event.CAPTURE_BROKEN, level=logging.ERROR, problem=error.problem)
    alarms.update(CAPTURE, "triggers", error)


def forget(database: Database, outbox: Outbox, config: Config) -> None:
    """Forget what is older than its keeping time, here and in the outbox; divide what comes."""
    now, settings = utc_now(), config.schedule
    outbox.forget(config.relay.keep_relayed, now)
    with database.write() as connection:
        partitions.make(connection, now)
    housekeeping.forget(database, now, settings.keep_content, settings.keep_decisions)


def _met(job: Callable[[], object]) -> SchoolbellError | None:
    """What a person must mend of what *job* met; raises Unavailable, which may pass by itself."""
    try:
        job()
    except Unavailable:
        raise
    except SchoolbellError as error:
        return error
    return None
