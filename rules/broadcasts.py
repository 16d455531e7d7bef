"""Broadcasts: messages that staff compose for selected families, and the life of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, NewType

from rules.change import Kind, StudentId
from rules.wording.templates import Template

BroadcastId = NewType("BroadcastId", str)


class Unit(NamedTuple):
    """A family, a student or an enrollment, as it concerns one *student*: what a text says of it.

    *variables* are the values that the text is filled with, by the names of the catalogue.
    """

    student: StudentId
    variables: Mapping[str, str]


class Message(NamedTuple):
    """What the text of a broadcast is made of for one person, whenever it is made.

    *texts* are what staff wrote, by language; the first stands in for languages that have none.
    *units* are all that the person may hear of: they get one text, in which values that differ
    from unit to unit stand beside one another.
    """

    broadcast: BroadcastId
    texts: Mapping[str, Template]
    units: tuple[Unit, ...]
    is_emergency: bool = False

    @property
    def kind(self) -> Kind:
        """A broadcast has a kind of its own: it tells of no record."""
        return Kind.BROADCAST

    @property
    def closes(self) -> datetime | None:
        """No record closes."""
        return None

    @property
    def is_withdrawn(self) -> bool:
        """No record goes."""
        return False

    @property
    def student_name(self) -> str:
        """Lock screens that name a student say only that the school has written."""
        return ""

    @property
    def forgotten(self) -> bool:
        """Whether the words are not kept any more."""
        return not self.texts

    @property
    def students(self) -> tuple[StudentId, ...]:
        """Those because of whom the person hears, each once."""
        return tuple(dict.fromkeys(unit.student for unit in self.units))

    def about(self, students: Collection[StudentId]) -> Message:
        """The same, of these students alone."""
        return self._replace(units=tuple(one for one in self.units if one.student in students))


class BroadcastState(StrEnum):
    """Where a broadcast is in its life."""

    DRAFT = "draft"
    WAITING = "waiting"  # for a second person's approval
    SCHEDULED = "scheduled"
    SENDING = "sending"
    SENT = "sent"
    CANCELLED = "cancelled"

    @property
    def may_be_edited(self) -> bool:
        """Whether what it says and to whom can still be changed: it is a draft again then."""
        return self in _EDITABLE


_EDITABLE: Final = frozenset(
    {BroadcastState.DRAFT, BroadcastState.WAITING, BroadcastState.SCHEDULED}
)

STATES_AFTER: Final[Mapping[BroadcastState, frozenset[BroadcastState]]] = {
    BroadcastState.DRAFT: frozenset(
        {BroadcastState.WAITING, BroadcastState.SCHEDULED, BroadcastState.SENDING}
    ),
    BroadcastState.WAITING: frozenset(
        {BroadcastState.DRAFT, BroadcastState.SCHEDULED, BroadcastState.SENDING}
    ),
    BroadcastState.SCHEDULED: frozenset({BroadcastState.DRAFT, BroadcastState.SENDING}),
    BroadcastState.SENDING: frozenset({BroadcastState.SENT, BroadcastState.CANCELLED}),
    BroadcastState.SENT: frozenset({BroadcastState.SENDING}),
    BroadcastState.CANCELLED: frozenset({BroadcastState.SENDING}),
}
"""Which states may follow; see docs/broadcasts.md."""


def needs_approval(recipients: int, above: int) -> bool:
    """Whether so many recipients need a second person's approval; 0 asks for none, ever."""
    return 0 < above < recipients
