"""Killed between any two steps a broadcast goes on, and nobody hears twice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pytest
from sqlalchemy import func, select

from engine.ports import Publication, Queue
from engine.services import tasks
from engine.services.broadcasts import drafts, sending
from engine.stages import expand as expand_module
from engine.stages.expand import Expand
from engine.stages.release import Release
from engine.store.expansions import SqlExpanding, SqlExpansions
from engine.store.tables import (
    broadcast_devices,
    broadcast_reached,
    broadcast_recipients,
    due,
    notifications,
)
from rules.broadcasts import BroadcastId, BroadcastState
from rules.lanes import Lane
from rules.wording.templates import Template
from tests.broadcasting import Office
from tests.district import (
    ADA,
    ADA_HERSELF,
    BEN,
    BEN_HIMSELF,
    FATHER,
    GRANDMOTHER,
    HIGH_SCHOOL,
    MIDDLE_SCHOOL,
    MOTHER,
    STEPFATHER,
    UNCLE,
    District,
)
from tests.fakes import FakePublisher

LATE: Final = {"en": Template("Late start", "{{ student_first_name }} starts at 10.")}


REACHED: Final = sorted(
    [
        (MIDDLE_SCHOOL, BEN_HIMSELF, BEN), (MIDDLE_SCHOOL, MOTHER, BEN),
        *(
            (HIGH_SCHOOL, person, ADA)
            for person in (ADA_HERSELF, MOTHER, FATHER, GRANDMOTHER, UNCLE, STEPFATHER)
        ),
    ]
)  # fmt: skip


class Killed(BaseException):
    """The process is gone."""


class Dying(SqlExpansions):
    """Lives through some transactions: killed before it begins the next, or before it commits."""

    def __init__(self, office: Office, lives: int, *, at_commit: bool) -> None:
        super().__init__(office.database, office.district.settings.timezone)
        self._lives = lives
        self._at_commit = at_commit

    @contextmanager
    def expanding(self, name: BroadcastId) -> Iterator[SqlExpanding]:
        if self._lives == 0 and not self._at_commit:
            raise Killed
        with super().expanding(name) as expanding:
            yield expanding
            if self._lives == 0:
                raise Killed
        self._lives -= 1


@pytest.fixture
def office(district: District, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(expand_module, "AT_ONCE", 2)
    return Office(district)


def reached(office: Office) -> Sequence[tuple[str, str, str]]:
    """At which schools people hear, and because of which students."""
    table = broadcast_reached.c
    return sorted(office.district.rows(select(table.school_id, table.person_id, table.student_id)))


def killed_at_each_step(office: Office) -> None:
    """Expand is killed in its first transaction, in the one after that, and so on."""
    killed = 0
    for at_commit in (False, True):
        for lives in range(3):
            dying = Expand(
                Dying(office, lives, at_commit=at_commit), office.find, office.district.clock
            )
            try:
                for _ in range(10):
                    dying()
            except Killed:
                killed += 1
    assert killed >= 2


def test_an_expansion_that_is_killed_at_each_step_makes_each_recipient_once(
    office: Office,
) -> None:
    name = office.send()

    killed_at_each_step(office)
    pushes = office.tell()

    assert len(pushes) == len({push.device_id for push in pushes}) == 3
    assert office.district.count(broadcast_recipients) == 7
    assert reached(office) == REACHED
    assert office.district.count(notifications) == office.district.count(broadcast_devices) == 3
    assert drafts.one(office.database, name).state is BroadcastState.SENT


def test_who_is_tried_again_is_of_their_school_once(office: Office) -> None:
    """Ben has no name when it is sent, and is found anew."""
    for table in ("people", "students"):
        office.district.sis(
            f"UPDATE schoolbell_{table} SET first_name = '' WHERE last_name = 'Reyes'"
        )
    name = office.send(texts={"en": Template("Today", "{{ student_first_name }}")})
    office.tell()
    before = reached(office)

    assert tasks.try_again(office.database, office.now(), name) == 3
    assert len(reached(office)) < len(before)
    killed_at_each_step(office)

    assert reached(office) == before == REACHED


def test_a_correction_that_is_killed_at_each_step_corrects_each_once(office: Office) -> None:
    name = office.send()
    first = office.tell()
    sending.correct(office.database, office.now(), name, 1, LATE)

    killed_at_each_step(office)
    second = office.tell()

    assert sorted(one.collapse_id for one in second) == sorted(one.collapse_id for one in first)
    assert [(revision, state) for _, revision, state in office.states(name)].count((2, "told")) == 3


def test_stopping_that_is_killed_at_each_step_stops_all(office: Office) -> None:
    name = office.send()
    office.expand()
    sending.cancel(office.database, office.now(), name)

    killed_at_each_step(office)

    assert office.tell() == []
    assert {state for _, _, state in office.states(name)} == {"withdrawn"}
    assert office.district.count(due) == 0


class DyingPublisher(FakePublisher):
    """The broker has the pushes, and the process is gone before it can say so."""

    def publish(self, queue: Queue, messages: Sequence[Publication]) -> Sequence[bool]:
        super().publish(queue, messages)
        raise Killed


def test_what_was_published_and_not_committed_goes_again_as_the_same_push(
    office: Office,
) -> None:
    name = office.send()
    office.expand()
    dying = DyingPublisher()
    with pytest.raises(Killed):
        Release(
            office.district.ledger, office.district.composer, dying, office.district.clock,
            Lane.BROADCASTS,
        )()  # fmt: skip

    again = office.tell()

    assert office.district.count(broadcast_devices) == len(again) == 3
    assert {one.id for one in again} == {one.id for one in dying.pushes(Queue.BROADCASTS)}
    assert drafts.one(office.database, name).state is BroadcastState.SENT


def test_each_person_is_told_by_one_notification(office: Office) -> None:
    office.send()
    killed_at_each_step(office)
    office.tell()

    each = select(notifications.c.person_id, func.count()).group_by(notifications.c.person_id)
    assert {count for _, count in office.district.rows(each)} == {1}
