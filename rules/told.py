"""What was told: what each person last learned of a record, as far as it is remembered.

A change says what it replaced. What a family has before its eyes may be something else: a record
may be saved by deleting and inserting it, hidden and shown again, or changed while nobody was told.
So whether there is news for a person is asked of what they were last told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from rules.audience import DeviceId
from rules.change import ChangeId, Facts, PersonId, Place, Subject
from rules.identity import is_captured
from rules.wording.templates import VARIABLES

REMEMBERED_FOR: Final = timedelta(days=30)
"""How far back it is looked for: what is older has no news to be compared with."""

_NOTHING: Final[Mapping[PersonId, Shown]] = {}


class Shown(NamedTuple):
    """What one person was last told of a record, by which change, and on which devices.

    It *waits* where it is still to be told, by a notification of its own.
    """

    change: ChangeId
    position: int
    facts: Facts
    devices: tuple[DeviceId, ...] = ()
    waits: bool = False

    def says(self, subject: Subject) -> bool:
        """Whether what there is to say now was said by it."""
        after, before = subject.after, self.facts
        return (
            after is not None
            and before.after == after.text
            and all(
                before.details.get(word) == subject.details.get(word)
                for word in VARIABLES[subject.kind]
            )
        )


class LastTold(NamedTuple):
    """The newest decision about a record: its position and change, and what people know since."""

    position: int
    change: ChangeId
    shown: Mapping[PersonId, Shown]


class Memory:
    """What was last told of the records of a batch, kept up while the batch is decided."""

    def __init__(self, found: Mapping[Place, LastTold] | None = None) -> None:
        self._position = {place: one.position for place, one in (found or {}).items()}
        self._change = {place: one.change for place, one in (found or {}).items()}
        self._shown = {place: dict(one.shown) for place, one in (found or {}).items()}

    def is_behind(self, subject: Subject) -> bool:
        """Whether a later change of the same record was decided before."""
        return self._position.get(subject.place, subject.position) > subject.position

    def is_level(self, subject: Subject) -> bool:
        """Whether another change of the same record was decided at its position.

        One that was decided above its own may stand there; a second look at a change does.
        """
        position, change = subject.position, self._change.get(subject.place, subject.change)
        return (
            0 < position == self._position.get(subject.place)
            and change != subject.change
            and is_captured(change)
            and is_captured(subject.change)
        )

    def above(self, subject: Subject) -> Subject:
        """The same at a position above that of each decision about its record."""
        position = self._position.get(subject.place, 0) + 1
        self._position[subject.place], self._change[subject.place] = position, subject.change
        return subject._replace(position=position)

    def of(self, place: Place) -> Mapping[PersonId, Shown]:
        """What each person was last told of a record."""
        return self._shown.get(place, _NOTHING)

    def last(self, place: Place) -> Shown | None:
        """What was last told of a record to anybody."""
        shown = self._shown.get(place)
        return max(shown.values(), key=_order) if shown else None

    def has_told(self, subject: Subject) -> bool:
        """Whether the last thing that anybody was told of its record says the same."""
        last = self.last(subject.place)
        return last is not None and last.says(subject)

    def was(self, place: Place) -> str | None:
        """What was last told of a record to anybody: what it was before the next text."""
        last = self.last(place)
        return last.facts.after if last else None

    def told(
        self,
        subject: Subject,
        facts: Facts,
        person: PersonId,
        devices: tuple[DeviceId, ...],
        waits: bool,
    ) -> None:
        """Note that *person* knows the *facts* of a subject, on some *devices*, or will."""
        self._shown.setdefault(subject.place, {})[person] = Shown(
            subject.change, subject.position, facts, devices, waits
        )

    def forget(self, place: Place, person: PersonId) -> None:
        """What *person* was told of a record does not hold any more."""
        self._shown.get(place, {}).pop(person, None)


def _order(one: Shown) -> tuple[int, ChangeId]:
    return one.position, one.change
