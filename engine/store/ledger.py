"""The ledger as the stages see it: each of evaluate, record and release in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, delete, select, update

from engine.database import Database
from engine.dialects import dialect_of
from engine.errors import Unprocessable
from engine.ports import (
    PARKED_ALARM,
    Appended,
    Audiences,
    Decided,
    Due,
    Earlier,
    NotificationKey,
    Opening,
    Try,
)
from engine.ports.broadcasts import Became
from engine.secrets.addresses import Device
from engine.store import (
    alarms,
    audiences,
    decisions,
    devices,
    directory,
    district,
    due,
    gateways,
    lags,
    last_told,
    notifications,
    openings,
    outcomes,
    recipients,
    tallies,
)
from engine.store.bulk import append, one_of
from engine.store.parked import which_are_parked
from engine.store.tables import devices as devices_table
from engine.store.tables import parked_changes, watermarks
from engine.wire.messages import Outcome
from rules.audience import DeviceId
from rules.breaker import Trust
from rules.change import Change, ChangeId, PersonId, Place, SchoolId, StudentId, Subject
from rules.decide import CandidateKey
from rules.gates import Circumstances
from rules.identity import PushId, notification_id
from rules.lanes import Lane
from rules.notification import Notification, NotificationId, Origin, State
from rules.privacy import Privacy
from rules.told import LastTold

# Shared by who decides, held alone by who releases, and by who decides on records of other rows.
_RELEASING: Final = 0x5C4001BE13
# Held alone by who releases broadcasts: nothing else is told of their places on a screen.
RELEASING_BROADCASTS: Final = 0x5C4001BE15
_LOCKS: Final = {Lane.ORDINARY: _RELEASING, Lane.BROADCASTS: RELEASING_BROADCASTS}
# A number would do; watermarks have moments.
_ALONE: Final = "decided alone"
_ALONE_AT: Final = select(watermarks.c.at).where(watermarks.c.name == _ALONE)
_FIRST_ALONE: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEXT_ALONE: Final = timedelta(microseconds=1)
_MOST_LISTENERS: Final = 50_000  # that are kept in mind, so as not to be stored again
_LONGEST_RELEASE: Final = timedelta(seconds=10)  # that it may stand still
_LONGEST_DECISION: Final = timedelta(minutes=1)  # a change may concern all students of a district


class SqlLedger:
    """Implements ports.Ledger. *by_hub*: it is a hub that delivers the pushes.

    For longer than *trusted* the last full read of the directory is not believed; None is for ever.
    """

    def __init__(
        self,
        database: Database,
        timezone: str,
        *,
        by_hub: bool = False,
        trusted: timedelta | None = None,
    ) -> None:
        self._database = database
        self._trusted = trusted
        self._zone = ZoneInfo(timezone)
        self._by_hub = by_hub
        self._listeners: set[tuple[PersonId, StudentId]] = set()

    def seen(self, changes: Sequence[Change]) -> Collection[ChangeId]:
        """See ports.Ledger.seen."""
        with self._database.read() as connection:
            return decisions.seen(connection, changes)

    def missing(self, changes: Sequence[Change]) -> Sequence[Change]:
        """See schedule.Evaluated.missing."""
        with self._database.read() as connection:
            known = decisions.seen(connection, changes)
            known |= which_are_parked(connection, {one.id for one in changes} - known)
        return [one for one in changes if one.id not in known]

    @contextmanager
    def deciding(self, *, alone: bool = False) -> Iterator[SqlDeciding]:
        """See ports.Ledger.deciding."""
        with self._database.write() as connection:
            if alone:
                dialect_of(connection).exclude(connection, _RELEASING, _LONGEST_DECISION)
                _mark_alone(connection)
            else:
                dialect_of(connection).share(connection, _RELEASING)
            deciding = SqlDeciding(connection, self._zone, self._trusted, self._listeners)
            yield deciding
        if len(self._listeners) > _MOST_LISTENERS:
            self._listeners.clear()
        self._listeners |= deciding.new_listeners

    def decided_alone(self) -> datetime | None:
        """See ports.Ledger.decided_alone."""
        with self._database.read() as connection:
            return connection.execute(_ALONE_AT).scalar()

    @contextmanager
    def recording(self) -> Iterator[SqlRecording]:
        """See ports.Ledger.recording."""
        with self._database.write() as connection:
            yield SqlRecording(connection, self._by_hub)

    @contextmanager
    def releasing(self, lane: Lane) -> Iterator[SqlReleasing]:
        """See ports.Ledger.releasing."""
        with self._database.write() as connection:
            dialect_of(connection).exclude(connection, _LOCKS[lane], _LONGEST_RELEASE)
            yield SqlReleasing(connection, self._zone, self._trusted, lane)

    def opened(self, now: datetime, limit: int) -> Sequence[Opening]:
        """See ports.Ledger.opened."""
        with self._database.read() as connection:
            return openings.waiting(connection, now, limit)

    def openings_on_the_way(self, since: datetime) -> int:
        """See ports.Ledger.openings_on_the_way."""
        with self._database.read() as connection:
            return openings.on_the_way(connection, since)

    def opening_published(self, found: Collection[Opening], now: datetime) -> None:
        """See ports.Ledger.opening_published."""
        with self._database.write() as connection:
            openings.published(connection, found, now)

    def settle_openings(self, lost_before: datetime, limit: int) -> None:
        """See ports.Ledger.settle_openings."""
        with self._database.write() as connection:
            openings.settle(connection, lost_before, limit)

    def plan_lost(self, before: datetime, now: datetime, lane: Lane) -> int:
        """See schedule.Sweeping.plan_lost."""
        with self._database.write() as connection:
            return due.plan_lost(connection, before, now, lane)


class _Asking:
    """What several transactions ask for alike."""

    def __init__(self, connection: Connection, zone: ZoneInfo, trusted: timedelta | None) -> None:
        self._connection = connection
        self._zone = zone
        self._trusted = trusted

    def audiences(self, wanted: Collection[CandidateKey], now: datetime) -> Audiences:
        """See ports.Deciding.audiences."""
        return audiences.fetch(self._connection, wanted, now) if wanted else Audiences({}, {})

    def circumstances(self, now: datetime) -> Circumstances:
        """See ports.Deciding.circumstances."""
        return district.circumstances(self._connection, now.astimezone(self._zone).date())

    def schools(self, wanted: Collection[StudentId]) -> Mapping[StudentId, Sequence[SchoolId]]:
        """See ports.Deciding.schools."""
        return directory.schools_of(self._connection, wanted)

    def doubted(self, wanted: Collection[StudentId], now: datetime) -> Collection[StudentId]:
        """See ports.Deciding.doubted."""
        return directory.doubted(self._connection, wanted, now, self._trusted)

    def privacy(self) -> Privacy:
        """See ports.Deciding.privacy."""
        return district.privacy(self._connection)

    def postpone(self, pushes: Collection[PushId], until: datetime, lane: Lane) -> None:
        """See ports.Deciding.postpone."""
        due.postpone(self._connection, pushes, until, lane)

    def keyring_fits(self, keys: Sequence[str]) -> bool:
        """See ports.Deciding.keyring_fits."""
        return devices.sealed_with(self._connection, keys)

    def report(self, kind: str, subject: str, problem: str, remedy: str, now: datetime) -> None:
        """See ports.Deciding.report."""
        alarms.report(self._connection, kind, subject, problem, remedy, now)

    def refuse(self, tries: Collection[tuple[PushId, int, str]], now: datetime) -> None:
        """See ports.Recording.refuse."""
        outcomes.refuse(self._connection, tries, now)


class SqlDeciding(_Asking):
    """Implements ports.Deciding. *known* are listeners that are stored."""

    def __init__(
        self,
        connection: Connection,
        zone: ZoneInfo,
        trusted: timedelta | None,
        known: Collection[tuple[PersonId, StudentId]],
    ) -> None:
        super().__init__(connection, zone, trusted)
        self._known = known
        self.new_listeners: set[tuple[PersonId, StudentId]] = set()

    def last_told(
        self, places: Collection[Place], since: datetime, until: datetime
    ) -> Mapping[Place, LastTold]:
        """See ports.Deciding.last_told."""
        return last_told.last_told(self._connection, places, since, until)

    def earlier(
        self, places: Collection[Place], since: datetime, until: datetime
    ) -> Mapping[Place, Sequence[Earlier]]:
        """See ports.Deciding.earlier."""
        return last_told.earlier(self._connection, places, since, until)

    def places_of(
        self, rows: Collection[str], since: datetime, until: datetime
    ) -> Mapping[str, Collection[Place]]:
        """See ports.Deciding.places_of."""
        return last_told.places_of(self._connection, rows, since, until)

    def store(
        self, decided: Sequence[Decided], held: Sequence[Notification], now: datetime
    ) -> None:
        """See ports.Deciding.store."""
        decisions.store(self._connection, decided)
        changes = {one.change for one in decided}
        counts = {tallies.CHANGES: len(changes), **lags.of_changes(changes, now)}
        tallies.add(self._connection, counts, now)
        notifications.hold(self._connection, held)
        due.plan_held(self._connection, {one.id: one.at for one in held}, Lane.ORDINARY)
        self.new_listeners = {
            (person.person, one.place.student)
            for one in decided
            if one.place is not None
            for person in one.people
            if person.finds_it
        }.difference(self._known)
        decisions.add_listeners(self._connection, self.new_listeners)

    def look_again(self, found: Sequence[Opening]) -> None:
        """See ports.Deciding.look_again."""
        openings.plan(self._connection, found)

    def fold(self, notification: NotificationId, subject: Subject) -> None:
        """See ports.Deciding.fold."""
        notifications.fold(self._connection, notification, subject)

    def note(self, changes: Sequence[Change], now: datetime) -> None:
        """See ports.Deciding.note."""
        decisions.note(self._connection, changes, now)

    def told(self, changes: Collection[ChangeId]) -> Sequence[Decided]:
        """See ports.Deciding.told."""
        return decisions.of_changes(self._connection, changes)

    def tried(self, pushes: Collection[PushId]) -> Collection[PushId]:
        """See ports.Deciding.tried."""
        return outcomes.tried(self._connection, pushes)

    def newer(self, found: Collection[Notification]) -> Collection[NotificationKey]:
        """See ports.Deciding.newer."""
        return decisions.newer(self._connection, found).keys()

    def phones(self, wanted: Collection[DeviceId]) -> Mapping[DeviceId, Device]:
        """See ports.Deciding.phones."""
        return devices.live(self._connection, wanted)

    def park(self, parked: Sequence[tuple[Change, Unprocessable]], now: datetime) -> None:
        """See ports.Deciding.park."""
        append(
            self._connection,
            parked_changes,
            [
                (one.id, msgspec.to_builtins(one), why.problem, why.remedy, now)
                for one, why in parked
            ],
        )

    def unpark(self, changes: Sequence[Change], kept: Sequence[Change]) -> None:
        """See ports.Deciding.unpark."""
        if not self._connection.execute(select(parked_changes.c.id).limit(1)).first():
            return
        unparked = self._connection.execute(
            delete(parked_changes)
            .where(one_of(self._connection, parked_changes.c.id, [one.id for one in changes]))
            .returning(parked_changes.c.id)
        )
        gone = {row.id for row in unparked}
        for watch in {one.watch for one in kept if one.id in gone}:
            alarms.resolve(self._connection, PARKED_ALARM, watch)


class SqlRecording:
    """Implements ports.Recording."""

    def __init__(self, connection: Connection, by_hub: bool) -> None:
        self._connection = connection
        self._by_hub = by_hub

    def append(self, found: Sequence[Outcome]) -> Appended:
        """See ports.Recording.append."""
        return outcomes.store(self._connection, found)

    def told(self, pushes: Collection[PushId]) -> Mapping[PushId, Notification]:
        """See ports.Recording.told."""
        return _told(self._connection, pushes)

    def first_answers(self, pushes: Collection[PushId]) -> Mapping[PushId, datetime]:
        """See ports.Recording.first_answers."""
        return outcomes.first_answers(self._connection, pushes)

    def last_attempts(self, pushes: Collection[PushId]) -> Mapping[PushId, int]:
        """See ports.Recording.last_attempts."""
        return outcomes.last_attempts(self._connection, pushes)

    def newer(self, found: Collection[Notification]) -> Mapping[NotificationKey, Notification]:
        """See ports.Recording.newer."""
        of_changes, of_broadcasts = _by_origin(found)
        newest = decisions.newer(self._connection, of_changes)
        apart = {
            key: notification_id(one.changes[0], one.student, one.person)
            for key, one in newest.items()
            if not one.devices
        }
        own = notifications.by_id(self._connection, set(apart.values()))
        told = {name for name, one in own.items() if one.state is State.TOLD}
        return {
            **newest,
            **{key: own[name] for key, name in apart.items() if name in told},
            **notifications.newer_broadcasts(self._connection, of_broadcasts),
        }

    def count(
        self, new: Sequence[Outcome], dead: Sequence[Outcome], now: datetime
    ) -> Mapping[str, Trust]:
        """See ports.Recording.count."""
        return gateways.count(self._connection, new, dead, now)

    def watch_gateways(
        self,
        new: Sequence[Outcome],
        misconfigured: Sequence[Outcome],
        trusted: Mapping[str, Trust],
        now: datetime,
    ) -> Sequence[str]:
        """See ports.Recording.watch_gateways."""
        return gateways.watch(
            self._connection, new, misconfigured, trusted, now, by_hub=self._by_hub
        )

    def retire(self, found: Sequence[Outcome], now: datetime) -> Sequence[str]:
        """See ports.Recording.retire."""
        retired = []
        for outcome in found:
            changed = self._connection.execute(
                update(devices_table)
                .where(
                    devices_table.c.id == int(outcome.device_id),
                    devices_table.c.retired_at.is_(None),
                    devices_table.c.registered_at <= (outcome.dead_since or outcome.at),
                )
                .values(retired_at=now, retired_reason=outcome.reason)
            )
            if changed.rowcount:
                retired.append(outcome.device_id)
        return retired

    def plan(self, tries: Collection[Try]) -> None:
        """See ports.Recording.plan."""
        due.plan(self._connection, tries)

    def forget(self, answered: Mapping[PushId, int]) -> None:
        """See ports.Recording.forget."""
        due.forget_answered(self._connection, answered)

    def refuse(self, tries: Collection[tuple[PushId, int, str]], now: datetime) -> None:
        """See ports.Recording.refuse."""
        outcomes.refuse(self._connection, tries, now)

    def report(self, kind: str, subject: str, problem: str, remedy: str, now: datetime) -> None:
        """See ports.Recording.report."""
        alarms.report(self._connection, kind, subject, problem, remedy, now)


class SqlReleasing(_Asking):
    """Implements ports.Releasing."""

    def __init__(
        self, connection: Connection, zone: ZoneInfo, trusted: timedelta | None, lane: Lane
    ) -> None:
        super().__init__(connection, zone, trusted)
        self._lane = lane

    def due(self, now: datetime, limit: int) -> Sequence[Due]:
        """See ports.Releasing.due."""
        return due.waiting(self._connection, now, limit, self._lane)

    def told(self, pushes: Collection[PushId]) -> Mapping[PushId, Notification]:
        """See ports.Recording.told."""
        return _told(self._connection, pushes)

    def held(self, ids: Collection[str]) -> Mapping[str, Notification]:
        """See ports.Releasing.held."""
        return notifications.by_id(self._connection, ids)

    def answered(self, pushes: Collection[PushId]) -> Collection[PushId]:
        """See ports.Releasing.answered."""
        return outcomes.answered(self._connection, pushes)

    def overtaken(self, found: Collection[Notification]) -> Mapping[NotificationKey, str]:
        """See ports.Releasing.overtaken."""
        of_changes, of_broadcasts = _by_origin(found)
        return {
            **decisions.overtaken(self._connection, of_changes),
            **notifications.overtaken_broadcasts(self._connection, of_broadcasts),
        }

    def published(self, found: Collection[Due], now: datetime) -> None:
        """See ports.Releasing.published."""
        due.published(self._connection, found, now)

    def wait(self, found: Collection[Due], until: datetime) -> None:
        """See ports.Releasing.wait."""
        due.wait(self._connection, found, until)

    def save(self, found: Sequence[Notification]) -> None:
        """See ports.Releasing.save."""
        notifications.save(self._connection, found)

    def heard_on(
        self, broadcasts: Collection[str], devices: Collection[DeviceId]
    ) -> Mapping[tuple[str, DeviceId], PersonId]:
        """See ports.Releasing.heard_on."""
        return recipients.heard_on(self._connection, broadcasts, devices)

    def hears_on(self, found: Mapping[tuple[str, DeviceId], PersonId]) -> None:
        """See ports.Releasing.hears_on."""
        recipients.hears_on(self._connection, found)

    def became(self, found: Sequence[Became]) -> None:
        """See ports.Releasing.became."""
        recipients.told(self._connection, found)

    def forget(self, found: Collection[Due]) -> None:
        """See ports.Releasing.forget."""
        due.forget(self._connection, found)


def _mark_alone(connection: Connection) -> None:
    """Count one more that decides alone. It is a moment of no clock, but for the first."""
    found: datetime | None = connection.execute(_ALONE_AT).scalar()
    mark = watermarks.c.name == _ALONE
    if found is None:
        connection.execute(watermarks.insert().values(name=_ALONE, at=_FIRST_ALONE))
    else:
        connection.execute(update(watermarks).where(mark).values(at=found + _NEXT_ALONE))


def _by_origin(
    found: Collection[Notification],
) -> tuple[Sequence[Notification], Sequence[Notification]]:
    """Those that tell of changes, and those of broadcasts."""
    of_changes = [one for one in found if one.origin is not Origin.BROADCAST]
    return of_changes, [one for one in found if one.origin is Origin.BROADCAST]


def _told(connection: Connection, pushes: Collection[PushId]) -> Mapping[PushId, Notification]:
    """Most pushes are of what was told at once; the others have notifications of their own."""
    found = decisions.told(connection, pushes)
    others = {push: push.partition(".")[0] for push in pushes if push not in found}
    own = notifications.by_id(connection, set(others.values()))
    return found | {push: own[origin] for push, origin in others.items() if origin in own}
