"""The Notification: one thing told, or held to be told, to one person. Also their inbox entry.

What is told at once is written as a part of the decision on its change and needs no row of its
own. What is held, folded, a digest or a broadcast is a row. Both are read as the same value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, NewType

from rules.audience import Audience, DeviceId
from rules.broadcasts import Message
from rules.change import ChangeId, Facts, PersonId, StudentId
from rules.lanes import Lane
from rules.timing import WORTH_SENDING_FOR

NotificationId = NewType("NotificationId", str)


class Origin(StrEnum):
    """What a notification comes from."""

    CHANGES = "changes"
    BROADCAST = "broadcast"
    DIGEST = "digest"


class State(StrEnum):
    """Where a notification is in its life."""

    HELD = "held"
    TOLD = "told"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


STATES_AFTER: Final[Mapping[State, frozenset[State]]] = {
    State.HELD: frozenset({State.TOLD, State.REPLACED, State.WITHDRAWN, State.EXPIRED}),
    State.TOLD: frozenset({State.REPLACED, State.WITHDRAWN}),
    State.REPLACED: frozenset(),
    State.WITHDRAWN: frozenset(),
    State.EXPIRED: frozenset(),
}
"""Which states may follow; see docs/life-of-a-notification.md."""


class Hold(StrEnum):
    """Why a notification is held."""

    SETTLE = "settle"
    QUIET_HOURS = "quiet hours"
    DIGEST = "digest"
    STORM = "storm"
    APPROVAL = "approval"
    APART = "apart"  # a phone has just heard of another record of the same change
    TURN = "turn"  # it is one of many of a broadcast
    CORRECTION = "correction"  # it goes to the devices alone that showed what it corrects


class Notification(NamedTuple):
    """One thing for one person, told at *at* or held until then.

    *committed_at* is when what is told at once was committed: its lifetime begins there.

    *id* and *student* name an inbox entry: several students may share a change. *changes* are those
    that it comes from, none for a broadcast. *position* orders notifications of the same record;
    the record of a broadcast is itself, and its revisions are the positions. *hold* says why a held
    one is held. *devices* are those that it went to, or goes to. *below* is the threshold of the
    person's because of which it rings, where they set any.
    """

    id: NotificationId
    origin: Origin
    state: State
    person: PersonId
    student: StudentId
    audience: Audience
    language: str
    record: str
    position: int
    facts: Facts | Message
    changes: tuple[ChangeId, ...]
    devices: tuple[DeviceId, ...]
    at: datetime
    hold: Hold | None = None
    committed_at: datetime | None = None
    below: Decimal | None = None

    @property
    def lane(self) -> Lane:
        """The lane of its pushes."""
        return Lane.BROADCASTS if self.origin is Origin.BROADCAST else Lane.ORDINARY

    @property
    def begun_at(self) -> datetime:
        """When its lifetime begins. The clock of the SIS may be ahead."""
        return min(self.at, self.committed_at or self.at)

    @property
    def worth_sending_until(self) -> datetime:
        """After this moment it is not worth sending, or families may not see its record."""
        ends = self.begun_at + WORTH_SENDING_FOR[self.facts.kind]
        return min(ends, self.facts.closes) if self.facts.closes else ends

    def moved(self, state: State) -> Notification:
        """The same in another *state*; raises ValueError where that cannot follow this one."""
        if state not in STATES_AFTER[self.state]:
            raise ValueError(f"a notification that is {self.state} is never {state}")
        return self._replace(state=state, hold=None)
