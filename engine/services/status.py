"""Status: what an operator wants to see at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.errors import SchoolbellError, Unavailable
from engine.ports import LANES, Depth, Queue
from engine.runtime.disk import look_at_disk
from engine.runtime.district import District
from engine.runtime.hub import Hub
from engine.runtime.installation import Installation
from engine.services import hub
from engine.services.hub import HubStatus
from engine.sources.capture import Finding
from engine.store import alarms, district, due, gateways, parked, tallies
from engine.store.alarms import Alarm
from rules.privacy import Level

_RECENT = timedelta(hours=1)
_ALARMS_SHOWN = 10
_LONG = timedelta(minutes=1)  # for a row to wait; usually it is milliseconds

TAKERS = {
    Queue.CHANGES: "evaluate",
    Queue.PUSHES: "deliver",
    Queue.BROADCASTS: "deliver",
    Queue.OUTCOMES: "record",
}


@dataclass(frozen=True, slots=True)
class Status:
    """A district's engine at one moment. *lag* is the age of the oldest row not yet relayed.

    *changes* and *outcomes* are those of the last hour, the latter by verdict and, where a push was
    not needed any more, by why. *alarms* are the newest of those that are not over. *stalled* says
    what is waiting with nobody to take it, *broker* why the queues cannot be seen, and *disk* why
    nothing can be written here, as problem and remedy.
    """

    enabled: bool
    lock_screen: Level
    end_to_end: bool
    captured: Sequence[Finding]
    waiting_rows: int
    lag: timedelta
    queues: Mapping[Queue, Depth]
    changes: int
    outcomes: Mapping[str, int]
    retries: int
    parked: int
    alarms: Sequence[Alarm]
    stalled: Sequence[str] = ()
    broker: tuple[str, str] | None = None
    disk: tuple[str, str] | None = None

    @property
    def healthy(self) -> bool:
        """Nothing is broken, parked or standing still, and there is no alarm."""
        return (
            self.broker is None
            and self.disk is None
            and not self.stalled
            and all(finding.in_place for finding in self.captured)
            and not any(depth.dead for depth in self.queues.values())
            and not self.parked
            and not self.alarms
        )


def look(installation: Installation, now: datetime) -> Status | HubStatus:
    """How an installation stands; raises what its databases raise."""
    match installation:
        case Hub():
            return hub.look(installation.brokers)
        case District():
            return of_district(installation, now)


def of_district(here: District, now: datetime) -> Status:
    """Ask the databases and the broker.

    Raises what the databases raise; where it is the disk that lets nothing be written, it is that.
    """
    fault = look_at_disk(here.config).fault
    disk = (fault.problem, fault.remedy) if fault else None
    try:
        return _asked(here, now, disk)
    except SchoolbellError:
        if disk:
            raise Unavailable(*disk) from None
        raise


def _asked(here: District, now: datetime, disk: tuple[str, str] | None) -> Status:
    lock, captured = here.lock, here.capture.check()
    waiting, lag = here.outbox.backlog(now)
    queues, broker = _queues(here)
    with here.database.read() as connection:
        allowed = district.privacy(connection)
        return Status(
            enabled=district.is_enabled(connection),
            lock_screen=allowed.level,
            end_to_end=allowed.end_to_end,
            captured=captured,
            waiting_rows=waiting,
            lag=lag,
            queues=queues,
            changes=tallies.since(connection, now - _RECENT).get(tallies.CHANGES, 0),
            outcomes=gateways.answers(connection, now - _RECENT),
            retries=due.count(connection),
            parked=parked.count(connection),
            alarms=alarms.current(connection, now, _ALARMS_SHOWN),
            stalled=stalled(
                waiting, lag, queues, runs=lock.is_held if lock else None, hub=here.config.hub.used
            ),
            broker=broker,
            disk=disk,
        )


def stalled(
    waiting_rows: int,
    lag: timedelta,
    queues: Mapping[Queue, Depth],
    *,
    runs: bool | None,
    hub: bool,
) -> list[str]:
    """What is waiting with nobody to take it, a sentence each with what to do.

    *runs* says whether the embedded engine does, None where there is none; *hub* says that
    pushes are another's to deliver.
    """
    if runs is False and (waiting_rows or any(depth.ready for depth in queues.values())):
        return ["Work is waiting and the engine does not run: start `schoolbell run`."]
    found = [
        f"Nobody takes from the queue {queue}: {_what_to_do(queue, hub=hub)}."
        for queue, depth in queues.items()
        if depth.ready and depth.consumers == 0
    ]
    if lag > _LONG:
        found.append("Captured rows are not relayed: start `schoolbell run`, or ask the doctor.")
    return found


def _what_to_do(queue: Queue, *, hub: bool) -> str:
    if hub and queue in LANES.values():
        return "the hub does not run; tell its operator"
    return f"start `schoolbell run {TAKERS[queue]}`"


def _queues(here: District) -> tuple[Mapping[Queue, Depth], tuple[str, str] | None]:
    """The queues, or why they cannot be seen: all else is worth knowing without them."""
    try:
        return here.broker.depths(), None
    except SchoolbellError as error:
        return {}, (error.problem, error.remedy)
