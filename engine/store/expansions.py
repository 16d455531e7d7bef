"""Expansions: broadcasts as expand sees them, one transaction for each portion."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from engine.database import Database
from engine.dialects import dialect_of
from engine.ports import Due
from engine.ports.broadcasts import Became, Broadcast, Recipient, Texts
from engine.store import audiences, broadcasts, district, due, notifications, outcomes, recipients
from engine.store.ledger import RELEASING_BROADCASTS
from rules.audience import Candidate, DeviceId
from rules.broadcasts import BroadcastId, BroadcastState, Message
from rules.change import Kind, PersonId, StudentId
from rules.gates import Circumstances
from rules.identity import push_id
from rules.lanes import Lane
from rules.notification import Notification, NotificationId, State
from rules.reasons import Reason
from rules.tool_rights import Schools

# Moments at which turns come. Emergencies are before all others, by more than anything waits; and
# all turns lie before the moment at which they are given, so that they are due.
_BEFORE_ALL: Final = timedelta(days=2)
_BEFORE_NOW: Final = timedelta(hours=1)
_LONGEST_WAIT: Final = timedelta(days=1)
_TURN: Final = timedelta(microseconds=1)
_LONGEST: Final = timedelta(seconds=10)  # that it may stand still


class SqlExpansions:
    """Implements ports.broadcasts.Expansions."""

    def __init__(self, database: Database, timezone: str) -> None:
        self._database = database
        self._zone = ZoneInfo(timezone)
        self._last_turns: dict[BroadcastId, datetime] = {}

    def to_expand(self, now: datetime) -> Sequence[Broadcast]:
        """See ports.broadcasts.Expansions.to_expand."""
        with self._database.read() as connection:
            return broadcasts.to_expand(connection, now)

    def whole(self, one: Broadcast) -> Broadcast:
        """See ports.broadcasts.Expansions.whole."""
        with self._database.read() as connection:
            return broadcasts.one(connection, one.id) or one

    def texts_of(self, one: Broadcast, revision: int) -> Texts:
        """See ports.broadcasts.Expansions.texts_of."""
        with self._database.read() as connection:
            return broadcasts.texts_of(connection, [(one.id, revision)]).get((one.id, revision), {})

    def related(
        self, students: Collection[StudentId], now: datetime
    ) -> Mapping[StudentId, Sequence[Candidate]]:
        """See ports.broadcasts.Expansions.related."""
        wanted = {(student, Kind.BROADCAST) for student in students}
        with self._database.read() as connection:
            found = audiences.fetch(connection, wanted, now).candidates
        return {student: found[student, Kind.BROADCAST] for student in students}

    def circumstances(self, now: datetime) -> Circumstances:
        """See ports.broadcasts.Expansions.circumstances."""
        with self._database.read() as connection:
            return district.circumstances(connection, now.astimezone(self._zone).date())

    @contextmanager
    def expanding(self, name: BroadcastId) -> Iterator[SqlExpanding]:
        """See ports.broadcasts.Expansions.expanding."""
        with self._database.write() as connection:
            dialect_of(connection).exclude(connection, RELEASING_BROADCASTS, _LONGEST)
            yield SqlExpanding(connection, name, self._last_turns)


class SqlExpanding:
    """Implements ports.broadcasts.Expanding."""

    def __init__(
        self, connection: Connection, name: BroadcastId, last_turns: dict[BroadcastId, datetime]
    ) -> None:
        self._connection = connection
        self._name = name
        self._last_turns = last_turns

    def current(self) -> Broadcast | None:
        """See ports.broadcasts.Expanding.current."""
        return broadcasts.locked(self._connection, self._name)

    def begin(self, now: datetime) -> None:
        """See ports.broadcasts.Expanding.begin."""
        begin(self._connection, self._name, now)

    def known(self, people: Collection[PersonId]) -> Collection[PersonId]:
        """See ports.broadcasts.Expanding.known."""
        return recipients.known(self._connection, self._name, people)

    def add(
        self, found: Sequence[Recipient], held: Sequence[Notification], schools: Schools
    ) -> None:
        """See ports.broadcasts.Expanding.add."""
        recipients.add(self._connection, self._name, found, schools)
        self._hold(held)

    def unfinished(self, limit: int, *, before: int | None = None) -> Sequence[Notification]:
        """See ports.broadcasts.Expanding.unfinished."""
        return notifications.of_broadcast(self._connection, self._name, limit, before=before)

    def shown(
        self, told: Collection[Notification]
    ) -> Mapping[NotificationId, tuple[DeviceId, ...]]:
        """See ports.broadcasts.Expanding.shown."""
        pushes = {push_id(one.id, device) for one in told for device in one.devices}
        not_shown = outcomes.not_shown(self._connection, pushes)
        return {
            one.id: tuple(each for each in one.devices if push_id(one.id, each) not in not_shown)
            for one in told
        }

    def replace(self, old: Sequence[Notification], held: Sequence[Notification]) -> None:
        """See ports.broadcasts.Expanding.replace."""
        self._end(old, State.REPLACED)
        self._hold(held)

    def withdraw(self, held: Sequence[Notification], reason: Reason) -> None:
        """See ports.broadcasts.Expanding.withdraw."""
        self._end(held, State.WITHDRAWN)
        recipients.told(self._connection, [Became(self._name, one.person, reason) for one in held])

    def expanded(self, revision: int) -> None:
        """See ports.broadcasts.Expanding.expanded."""
        broadcasts.goes_on(
            self._connection, self._name, expanded=revision, problem=None, remedy=None
        )

    def sent(self, now: datetime) -> None:
        """See ports.broadcasts.Expanding.sent."""
        broadcasts.goes_on(self._connection, self._name, state=BroadcastState.SENT, sent_at=now)
        self._last_turns.pop(self._name, None)

    def missed(self, problem: str, remedy: str) -> None:
        """See ports.broadcasts.Expanding.missed."""
        broadcasts.goes_on(
            self._connection, self._name, state=BroadcastState.DRAFT, approver=None, schools=None,
            send_at=None, problem=problem, remedy=remedy,
        )  # fmt: skip

    def stands_still(self, problem: str, remedy: str) -> None:
        """See ports.broadcasts.Expanding.stands_still."""
        broadcasts.goes_on(self._connection, self._name, problem=problem, remedy=remedy)

    def _hold(self, held: Sequence[Notification]) -> None:
        notifications.hold(self._connection, held)
        due.plan_held(self._connection, self._turns(held), Lane.BROADCASTS)

    def _turns(self, held: Sequence[Notification]) -> Mapping[str, datetime]:
        """When the turn of each comes.

        Those of one broadcast follow upon one another, and the first upon the turn that comes next
        of all: so broadcasts take turns person by person, however many wait for an older one.
        """
        if any(isinstance(one.facts, Message) and one.facts.is_emergency for one in held):
            return {one.id: one.at - _BEFORE_ALL for one in held}
        if not held:
            return {}
        first = self._next_turn(held[0].at)
        self._last_turns[self._name] = first + len(held) * _TURN
        return {one.id: first + number * _TURN for number, one in enumerate(held, 1)}

    def _next_turn(self, at: datetime) -> datetime:
        earliest, latest = at - _LONGEST_WAIT, at - _BEFORE_NOW
        first = due.first_turn(self._connection, Lane.BROADCASTS, earliest, latest) or latest
        return max(first, self._last_turns.get(self._name, earliest))

    def _end(self, found: Sequence[Notification], state: State) -> None:
        notifications.save(self._connection, [one.moved(state) for one in found])
        due.forget(self._connection, [Due(one.id, None, 1) for one in found])


def begin(connection: Connection, name: BroadcastId, now: datetime) -> None:
    """Send a broadcast from *now* on, as it is written."""
    one = broadcasts.locked(connection, name)
    if one is None:
        return
    broadcasts.keep_texts(connection, name, 1, one.texts, now)
    broadcasts.goes_on(
        connection, name, state=BroadcastState.SENDING, revision=1, expanded=0, begun_at=now,
        version=one.version + 1, changed_at=now, problem=None, remedy=None,
    )  # fmt: skip
