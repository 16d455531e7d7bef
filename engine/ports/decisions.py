"""What evaluate finds and keeps: who might be told, and what became of each change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from rules.audience import Audience, Candidate, DeviceId
from rules.change import Change, ChangeId, Facts, Op, PersonId, Place
from rules.gates import Whereabouts
from rules.identity import entry_id, opening_id
from rules.notification import Notification, Origin, State
from rules.reasons import Reason

if TYPE_CHECKING:
    from engine.secrets.addresses import Device
    from rules.decide import CandidateKey


class Audiences(NamedTuple):
    """Who might be told, and the phones that they name."""

    candidates: Mapping[CandidateKey, Sequence[Candidate]]
    devices: Mapping[DeviceId, Device]


class DecidedFor(NamedTuple):
    """What became of a change for one person; *devices* are those that it is told on.

    *last* is the change of which a person who is silent here was last told, at the same place.
    *at* is where the reason was found, where that is a school, or a school's calendar. *below* is
    the threshold of theirs below which the value fell, where they are told because of one.
    """

    person: PersonId
    audience: Audience
    reason: Reason
    language: str = ""
    devices: tuple[DeviceId, ...] = ()
    last: ChangeId | None = None
    at: Whereabouts | None = None
    below: Decimal | None = None

    @property
    def finds_it(self) -> bool:
        """Whether it stands in the person's inbox."""
        return bool(self.devices) or self.reason is Reason.TOO_LATE


class Earlier(NamedTuple):
    """A decision that was made about a place: its change, of which watch, and when it was made."""

    change: ChangeId
    watch: str
    position: int
    decided_at: datetime


class Decided(NamedTuple):
    """What became of one change for one student: the row that holds it.

    A change that concerns nobody has one without a *place*. *facts* are there where somebody knows
    of it now, for as long as words are kept. *row* names the row of the SIS whose going would be
    news to them.
    """

    change: ChangeId
    place: Place | None
    position: int
    watch: str
    committed_at: datetime
    decided_at: datetime
    people: tuple[DecidedFor, ...]
    facts: Facts | None = None
    row: str = ""

    def notification(self, person: DecidedFor) -> Notification:
        """What a person of *people* was told at once.

        Raises ValueError where the change concerned nobody.
        """
        place = self.place
        if place is None:
            raise ValueError("a change that concerns nobody tells nobody")
        return Notification(
            entry_id(self.change, place.student), Origin.CHANGES, State.TOLD, person.person,
            place.student, person.audience, person.language, place.record, self.position,
            self.facts or Facts(place.kind, "", None, None, {}), (self.change,), person.devices,
            self.decided_at, None, self.committed_at, person.below,
        )  # fmt: skip


class Opening(NamedTuple):
    """A change of a record that families may see from a later moment on."""

    change: Change
    opens: datetime

    @property
    def looked_at_again(self) -> Change:
        """The change as it is decided at that moment: nobody has seen what it replaced."""
        return replace(
            self.change, id=opening_id(self.change.id, self.opens), op=Op.INSERT, before=None,
            at=self.opens,
        )  # fmt: skip
