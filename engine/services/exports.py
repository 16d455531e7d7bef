"""Exports: all of something as CSV, for a spreadsheet.

A small one is given at once. A large one becomes a task: it is made in parts beside the portal,
kept in our database until it is old, and downloaded by whoever may see all that is in it. One
that is killed goes on behind its last part.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError, Unavailable
from engine.services.actor import Actor
from engine.services.broadcasts import following
from engine.services.broadcasts.refusals import NotNow, NotThere
from engine.services.csv_lines import Portion
from engine.services.staff import auditing
from engine.store import exports, recipients, task_looks
from engine.store.exports import Export as Export  # the answers
from engine.store.staff import audit
from engine.store.task_looks import Look
from engine.telemetry import Event, emit, frames
from rules.broadcasts import BroadcastId
from rules.exports import ExportId, ExportOf, ExportState
from rules.tool_rights import EVERYWHERE, Schools

SMALL: Final = 2_000
"""Rows that are given at once."""
MOST: Final = 3
"""Exports that may be under way for one person."""

STARTED: Final = "export.started"
DOWNLOADED: Final = "export.downloaded"
CANCELLED: Final = "export.cancelled"
TRIED_AGAIN: Final = "export.tried-again"
LOOKED_AT: Final = "export.looked-at"

_AT_ONCE: Final = 500  # rows
_A_TURN: Final = 1.0  # seconds
_LONGEST_PAUSE: Final = 0.1  # seconds


class Wanted(NamedTuple):
    """All of what is asked for: *subject* is a broadcast, and empty for the audit log."""

    of: ExportOf
    subject: str = ""
    schools: Schools = EVERYWHERE


def of_audit() -> Wanted:
    """All of the audit log."""
    return Wanted(ExportOf.AUDIT)


def of_recipients(name: BroadcastId, schools: Schools) -> Wanted:
    """What became of a broadcast for everybody who hears because of students of *schools*."""
    return Wanted(ExportOf.RECIPIENTS, name, schools)


def at_once(database: Database, by: Actor, wanted: Wanted) -> Iterator[str] | None:
    """All of it a part at a time, where it is small; None where it is not."""
    with database.read() as connection:
        new = _new(connection, by, wanted)
    if new.total > SMALL:
        return None
    with database.write() as connection:
        _did(connection, by, DOWNLOADED, new)
    return _all(database, new)


def begin(database: Database, by: Actor, wanted: Wanted) -> Export:
    """Let it be made aside; what is being made for them already is that one.

    Raises NotNow where somebody has too many under way.
    """
    with database.write() as connection:
        under_way = exports.making(connection, by.staff)
        for one in under_way:
            if (one.of, one.subject, one.schools) == wanted:
                return one
        if len(under_way) >= MOST:
            raise NotNow(
                "%(most)s exports of yours are being made already.",
                "Wait until one of them is ready, or stop one.",
                most=MOST,
            )
        new = _new(connection, by, wanted)
        exports.add(connection, new)
        _did(connection, by, STARTED, new)
    return new


def downloaded(database: Database, by: Actor, name: ExportId) -> Iterator[bytes]:
    """What it holds, a part at a time; the audit log says that somebody has it now.

    Raises NotThere, or NotNow where it is not ready.
    """
    with database.write() as connection:
        one = _known(connection, name)
        if one.state is not ExportState.READY:
            raise _not_as_it_is()
        _did(connection, by, DOWNLOADED, one)
    return _parts(database, one)


def try_again(database: Database, by: Actor, name: ExportId) -> Export:
    """Go on with one that failed, where it stopped; raises NotThere and NotNow."""
    with database.write() as connection:
        _require(connection, name, ExportState.FAILED)
        exports.go_on(connection, name, by.at)
        one = _known(connection, name)
        _did(connection, by, TRIED_AGAIN, one)
    return one


def cancel(database: Database, by: Actor, name: ExportId) -> Export:
    """Stop it and erase what was made, also of one that is ready. Cancelled again it stays so."""
    with database.write() as connection:
        one = exports.locked(connection, name) or _known(connection, name)
        if one.state is not ExportState.CANCELLED:
            exports.cancel(connection, name, by.at)
            _did(connection, by, CANCELLED, one)
        return _known(connection, name)


def look_at(database: Database, by: Actor, name: ExportId) -> None:
    """Say that somebody has seen that it failed; raises NotThere and NotNow."""
    with database.write() as connection:
        one = _require(connection, name, ExportState.FAILED)
        task_looks.add(connection, name, Look(by.name, by.at))
        _did(connection, by, LOOKED_AT, one)


def go_on(
    database: Database, clock: Callable[[], datetime],
    pause: Callable[[float], None] = time.sleep,
) -> bool:  # fmt: skip
    """Make what waits to be made, for about a second; whether there may be more.

    After each part there is a pause as long as it took: pages are served beside it, and who waits
    to write to an SQLite does it then. What fails by itself says why; raises Unavailable.
    """
    ends = time.monotonic() + _A_TURN
    while time.monotonic() < ends:
        began = time.monotonic()
        with database.read() as connection:
            one = exports.next_to_make(connection)
        if one is None:
            return False
        _make(database, one, clock())
        pause(min(_LONGEST_PAUSE, time.monotonic() - began))
    return True


def _make(database: Database, one: Export, now: datetime) -> None:
    """Make the next part. What is not expected stops this one alone, and is told without words of
    its own, which may hold a row."""
    try:
        found = _portion(database, one)
        lines = "".join(found.lines)
        with database.write() as connection:
            exports.keep_part(
                connection, one, _HEADINGS[one.of] + lines if not one.parts else lines,
                found.after, found.rows, now, is_last=found.is_last,
            )  # fmt: skip
    except Unavailable:
        raise
    except SchoolbellError as error:
        _fail(database, one, error.problem, error.remedy, now)
    except Exception as error:
        emit(
            Event.EXPORT_FAILED, level=logging.ERROR, trace=frames(error),
            problem=f"An export met an unexpected {type(error).__name__}.",
            remedy="Report the trace to the makers of Schoolbell.",
        )  # fmt: skip
        _fail(database, one, *UNEXPECTED.words, now)


UNEXPECTED: Final = SchoolbellError(
    "Something happened that nobody expected.",
    "Try it again. If it fails again, whoever runs Schoolbell finds more in its log.",
)
"""What staff are told of a fault of ours."""


def _fail(database: Database, one: Export, problem: str, remedy: str, now: datetime) -> None:
    with database.write() as connection:
        exports.fail(connection, one.id, problem, remedy, now)


_HEADINGS: Final = {
    ExportOf.AUDIT: auditing.HEADING,
    ExportOf.RECIPIENTS: following.HEADING,
}


def _portion(database: Database, one: Export) -> Portion:
    if one.of is ExportOf.AUDIT:
        return auditing.portion(database, int(one.after or 0), one.until, _AT_ONCE)
    return following.portion(database, BroadcastId(one.subject), one.schools, one.after, _AT_ONCE)


def _all(database: Database, one: Export) -> Iterator[str]:
    yield _HEADINGS[one.of]
    is_last = False
    while not is_last:
        found = _portion(database, one)
        yield from found.lines
        one, is_last = one._replace(after=found.after), found.is_last


def _parts(database: Database, one: Export) -> Iterator[bytes]:
    for number in range(one.parts):
        with database.read() as connection:
            content = exports.part(connection, one.id, number)
        if content is None:  # whoever downloads sees that something is missing: it is shorter
            raise _not_there()
        yield content


def _new(connection: Connection, by: Actor, wanted: Wanted) -> Export:
    if wanted.of is ExportOf.AUDIT:
        until = audit.last(connection)
        total = audit.count(connection, until)
    else:
        until = 0
        name = BroadcastId(wanted.subject)
        total = sum(recipients.counts(connection, name, wanted.schools).values())
    return Export(
        exports.new_id(by.at), wanted.of, wanted.subject, wanted.schools, by.staff, by.name,
        ExportState.MAKING, until, "", total, 0, 0, 0, None, None, by.at, by.at,
    )  # fmt: skip


def _did(connection: Connection, by: Actor, act: str, one: Export) -> None:
    subject = f"{one.of} {one.subject}".strip()
    by.did(connection, act, subject, None, {"export": one.id, "rows": one.total})


def _known(connection: Connection, name: str) -> Export:
    found = exports.one(connection, name)
    if found is None:
        raise _not_there()
    return found


def _require(connection: Connection, name: ExportId, *states: ExportState) -> Export:
    one = exports.locked(connection, name) or _known(connection, name)
    if one.state not in states:
        raise _not_as_it_is()
    return one


def _not_there() -> NotThere:
    return NotThere("There is no such task.", "It may be old: look at the list of tasks.")


def _not_as_it_is() -> NotNow:
    return NotNow(
        "This cannot be done with the export as it is now.",
        "Open it again: somebody may have stopped it, or it is ready by now.",
    )


def lasts_until(one: Export, keep: timedelta) -> datetime:
    """When it is erased, once it is over."""
    return one.changed_at + keep
