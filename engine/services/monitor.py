"""The monitor: how much a district's engine does, how late it is, and what is in its way.

What may be away (the broker, the SIS, a disk) is asked aside and hides nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from sqlalchemy import Connection

from engine.ports import Depth, Queue
from engine.runtime.clock import utc_now
from engine.runtime.disk import look_at_disk
from engine.runtime.district import District
from engine.services import install
from engine.services.asking import Asked, Shared, Trouble
from engine.services.status import stalled
from engine.store import alarms, district, due, gateways, lags, parked, tallies
from engine.store.alarms import Alarm
from engine.store.gateways import NAMES as NAMES
from engine.store.gateways import NO_PHONES, Phones
from engine.store.lags import Passed, Step
from engine.store.tallies import CHANGES, Tallied
from rules.gateway_state import PAUSES, GatewayState, state_of
from rules.outcomes import Said, Verdict, trouble

MINUTES: Final = 60
_MINUTE: Final = timedelta(minutes=1)
_LATELY: Final = 2 * _MINUTE  # the last whole minute, and the one that has begun
_LAGS_OVER: Final = 5 * _MINUTE
_ALARMS_SHOWN: Final = 100
_PATIENCE: Final = 2.0  # seconds
_OFTEN: Final = 2.0
_SELDOM: Final = 30.0

_STAGES: Final = (
    ("evaluate", Queue.CHANGES, Step.DECIDED),
    ("deliver", Queue.PUSHES, Step.ANSWERED),
    ("broadcasts", Queue.BROADCASTS, None),
    ("record", Queue.OUTCOMES, Step.RECORDED),
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Minute:
    """What was done in the minute that begins *at*: changes decided, and answers by verdict."""

    at: datetime
    changes: int
    answers: Mapping[Verdict, int]

    @property
    def accepted(self) -> int:
        """How many pushes a gateway took."""
        return self.answers.get(Verdict.ACCEPTED, 0)


@dataclass(frozen=True, slots=True)
class GatewayNow:
    """A gateway: its state, what it took in the last hour, and its phones."""

    name: str
    state: GatewayState
    accepted: int
    phones: Phones

    @property
    def label(self) -> str:
        """What people call it."""
        return NAMES.get(self.name, self.name)


@dataclass(frozen=True, slots=True)
class Outbox:
    """Rows that are captured and not relayed yet, and the age of the oldest."""

    rows: int
    lag: timedelta


@dataclass(frozen=True, slots=True)
class Monitor:
    """A district's engine at one moment.

    *minutes* are the last MINUTES, the oldest first and the last still under way. *answers* are
    those of the same hour and *answers_ever* those since the installation, by verdict (or apart
    what was not needed any more), gateway and reason. *lags* are of the last five minutes.
    *troubles* say what cannot be seen, and why.
    """

    at: datetime
    enabled: bool
    minutes: Sequence[Minute]
    answers: Mapping[Tallied, int]
    answers_ever: Mapping[Tallied, int]
    changes_ever: int
    lags: Mapping[Step, Passed]
    lags_ever: Mapping[Step, Passed]
    gateways: Sequence[GatewayNow]
    retries: int
    parked: int
    alarms: Sequence[Alarm]
    outbox: Outbox | None
    queues: Mapping[Queue, Depth]
    broken_capture: Sequence[str] | None
    is_disk_well: bool
    stalled: Sequence[str]
    troubles: Sequence[Trouble]

    @property
    def changes(self) -> int:
        """How many changes were decided in the hour."""
        return sum(one.changes for one in self.minutes)

    @property
    def accepted(self) -> int:
        """How many pushes gateways took in the hour."""
        return sum(one.accepted for one in self.minutes)

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to mend."""
        return not (
            self.troubles or self.alarms or self.parked or self.stalled or self.broken_capture
            or any(depth.dead for depth in self.queues.values())
            or any(one.state is GatewayState.STOPPED for one in self.gateways)
        )  # fmt: skip


class Watch:
    """Looks at a district, for as many as want to see it."""

    def __init__(self, here: District) -> None:
        self._here = here
        self._phones = Shared(self._count_phones, fresh=_SELDOM)
        self._broker = _asked("The broker", lambda: here.broker.depths(), _OFTEN)
        self._outbox = _asked("The database of the SIS", self._backlog, _OFTEN)
        self._capture = _asked("The database of the SIS", self._broken_capture, _SELDOM)
        self._disk = _asked("The disk", self._disk_trouble, _SELDOM)
        self._tables = _asked("The database", lambda: install.require_tables(here), 0.0)

    def unready(self) -> Trouble | None:
        """Why the database cannot be used by this release; None when it can."""
        return self._tables()

    def look(self, now: datetime) -> Monitor:
        """How the district stands; raises what our own database raises."""
        troubles: list[Trouble] = []
        queues = _or_trouble(self._broker(), troubles)
        outbox = _or_trouble(self._outbox(), troubles)
        broken = _or_trouble(self._capture(), troubles)
        disk = self._disk()
        if disk:
            troubles.append(disk)
        with self._here.database.read() as connection:
            return self._seen(connection, now, queues, outbox, broken, disk, troubles)

    def _seen(
        self,
        connection: Connection,
        now: datetime,
        queues: Mapping[Queue, Depth] | None,
        outbox: Outbox | None,
        broken: Sequence[str] | None,
        disk: Trouble | None,
        troubles: Sequence[Trouble],
    ) -> Monitor:
        since = _first_minute(now) - _MINUTE
        current = alarms.current(connection, now, _ALARMS_SHOWN)
        answers, ever = gateways.said(connection, since), tallies.ever(connection)
        by_step = tallies.since(connection, now - _LAGS_OVER)
        return Monitor(
            at=now,
            enabled=district.is_enabled(connection),
            minutes=_minutes(tallies.by_minute(connection, since), now),
            answers=answers,
            answers_ever=gateways.only_answers(ever),
            changes_ever=ever.get(CHANGES, 0),
            lags=lags.passed(by_step),
            lags_ever=lags.passed(ever),
            gateways=self._gateways(connection, now, answers, current),
            retries=due.count(connection),
            parked=parked.count(connection),
            alarms=current,
            outbox=outbox,
            queues=queues or {},
            broken_capture=broken,
            is_disk_well=disk is None,
            stalled=self._stalled(outbox, queues or {}),
            troubles=list(dict.fromkeys(troubles)),
        )

    def _gateways(
        self,
        connection: Connection,
        now: datetime,
        answers: Mapping[Tallied, int],
        current: Sequence[Alarm],
    ) -> Sequence[GatewayNow]:
        """Those that are configured, have phones, or were asked within the hour."""
        phones = self._phones()
        lately = gateways.said(connection, now - _LATELY)
        known = {*self._configured(), *phones, *(one.gateway for one in answers)} & set(NAMES)
        return [
            GatewayNow(
                name,
                state_of(
                    is_complained_of=_is_complained_of(name, current),
                    accepted=_accepted(lately, name),
                    put_off=_put_off(lately, name),
                ),
                _accepted(answers, name),
                phones.get(name, NO_PHONES),
            )
            for name in sorted(known)
        ]

    def _count_phones(self) -> Mapping[str, Phones]:
        with self._here.database.read() as connection:
            return gateways.phones(connection)

    def _configured(self) -> Sequence[str]:
        config = self._here.config
        found = {
            "fcm": config.fcm.service_account_file,
            "apns": config.apns.key_file,
            "web_push": config.web_push.key_file,
        }
        return [name for name, file in found.items() if file]

    def _stalled(self, outbox: Outbox | None, queues: Mapping[Queue, Depth]) -> Sequence[str]:
        lock = self._here.lock
        waiting, lag = (outbox.rows, outbox.lag) if outbox else (0, timedelta())
        return stalled(
            waiting, lag, queues,
            runs=lock.is_held if lock else None, hub=self._here.config.hub.used,
        )  # fmt: skip

    def _backlog(self) -> Outbox:
        return Outbox(*self._here.outbox.backlog(utc_now()))

    def _broken_capture(self) -> Sequence[str]:
        return [
            f"{one.table} {one.state}" for one in self._here.capture.check() if not one.in_place
        ]

    def _disk_trouble(self) -> Trouble | None:
        fault = look_at_disk(self._here.config).fault
        return Trouble(fault.problem, fault.remedy) if fault else None


def _asked(who: str, question: Callable[[], T], fresh: float) -> Asked[T]:
    return Asked(who, question, fresh=fresh, patience=_PATIENCE)


def _or_trouble(found: T | Trouble, troubles: list[Trouble]) -> T | None:
    if isinstance(found, Trouble):
        troubles.append(found)
        return None
    return found


def _first_minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0) - (MINUTES - 1) * _MINUTE


def _minutes(counted: Mapping[datetime, Mapping[str, int]], now: datetime) -> Sequence[Minute]:
    first = _first_minute(now)
    found = []
    for number in range(MINUTES):
        at = first + number * _MINUTE
        counts = counted.get(at, {})
        answers = {verdict: counts[verdict] for verdict in Verdict if counts.get(verdict)}
        found.append(Minute(at, counts.get(CHANGES.what, 0), answers))
    return found


def _is_complained_of(name: str, current: Sequence[Alarm]) -> bool:
    kinds = (gateways.GATEWAY_ALARM, gateways.DEAD_ALARM)
    return any(one.kind in kinds and one.subject == name for one in current)


def _accepted(answers: Mapping[Tallied, int], name: str) -> int:
    return sum(
        count
        for one, count in answers.items()
        if one.gateway == name and one.what == Verdict.ACCEPTED
    )


def _put_off(answers: Mapping[Tallied, int], name: str) -> int:
    return sum(
        count
        for one, count in answers.items()
        if one.gateway == name
        and one.what == Verdict.DEFERRED
        and trouble(Said(Verdict.DEFERRED, one.reason, name)) in PAUSES
    )


@dataclass(frozen=True, slots=True)
class StageNow:
    """A stage: what waits for it, and how long after the commit its work was done, on average.

    *waiting* is None while it cannot be seen; *oldest* is known of rows that wait for the relay.
    """

    name: str
    waiting: int | None
    dead: int | None
    consumers: int | None
    oldest: timedelta | None
    done_after: timedelta | None


def stages(seen: Monitor) -> Sequence[StageNow]:
    """The stages in the order in which a change passes them; deliver's second lane is apart."""
    outbox = seen.outbox
    relay = StageNow(
        "relay", outbox.rows if outbox else None, None, None, outbox.lag if outbox else None, None
    )
    return [relay, *(_stage(seen, *one) for one in _STAGES)]


def _stage(seen: Monitor, name: str, queue: Queue, step: Step | None) -> StageNow:
    depth = seen.queues.get(queue)
    return StageNow(
        name,
        depth.ready if depth else None,
        depth.dead if depth else None,
        depth.consumers if depth else None,
        None,
        seen.lags[step].average if step else None,
    )
