"""Broadcasts take turns: a long one holds up no other, and an emergency goes first."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from engine.ports.broadcasts import Behind, Broadcast, Texts
from engine.services.broadcasts import sending
from engine.stages import expand as expand_module
from engine.stages import release
from engine.stages.expand import Expand
from engine.store import due as due_store
from engine.store.expansions import SqlExpanding, SqlExpansions
from rules.broadcasts import BroadcastId
from rules.lanes import Lane
from rules.wording.templates import Template
from tests.broadcasting import Office
from tests.district import ADA, BEN, CHEN, District

LATE: Final = {"en": Template("Late start", "{{ student_first_name }} starts at 10.")}


class Watched(SqlExpansions):
    """Remembers whose turn each transaction was."""

    def __init__(self, office: Office) -> None:
        super().__init__(office.database, office.district.settings.timezone)
        self.turns: list[BroadcastId] = []

    @contextmanager
    def expanding(self, name: BroadcastId) -> Iterator[SqlExpanding]:
        with super().expanding(name) as expanding:
            self.turns.append(name)
            yield expanding


@pytest.fixture
def office(district: District, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setattr(expand_module, "AT_ONCE", 1)
    monkeypatch.setattr(release, "AT_ONCE", {Lane.BROADCASTS: 1})
    return Office(district)


def last_turn(turns: list[BroadcastId], name: BroadcastId) -> int:
    return len(turns) - turns[::-1].index(name)


def test_a_long_expansion_does_not_hold_up_the_next(office: Office) -> None:
    long = office.send(ADA, BEN)
    office.later(seconds=1)
    short = office.send(CHEN, texts=LATE)
    watched = Watched(office)

    Expand(watched, office.find, office.district.clock)()

    assert last_turn(watched.turns, short) < last_turn(watched.turns, long)


def test_an_emergency_that_comes_meanwhile_is_expanded_before_the_rest(office: Office) -> None:
    long = office.send(ADA, BEN)
    watched = Watched(office)
    sent: list[BroadcastId] = []

    def find(one: Broadcast, texts: Texts) -> Iterator[Behind]:
        for each in office.find(one, texts):
            if not sent:
                sent.append(office.send(ADA, texts=LATE, is_emergency=True))
            yield each

    Expand(watched, find, office.district.clock)()

    (emergency,) = sent
    assert emergency in watched.turns
    assert last_turn(watched.turns, emergency) < watched.turns.index(long) + 1


def test_what_is_held_of_two_is_told_in_turns(office: Office) -> None:
    office.send(ADA, BEN)
    office.expand()
    first = office.district.due(Lane.BROADCASTS)
    office.later(minutes=5)
    office.send(ADA, texts=LATE)
    office.expand()

    then = [office.district.due(Lane.BROADCASTS)[0].title for _ in range(5)]

    assert [push.title for push in first] == ["Snow day"]
    assert sorted(then[:4]) == ["Late start", "Late start", "Snow day", "Snow day"]
    assert then[4] == "Late start"
    assert office.district.due(Lane.BROADCASTS) == []


def test_whoever_is_many_waits_for_others_and_not_they_for_them(office: Office) -> None:
    office.send(ADA, BEN)
    office.expand()
    office.later(minutes=5)
    office.send(CHEN, texts=LATE)
    office.expand()

    titles = []
    while some := office.district.due(Lane.BROADCASTS):
        titles += [push.title for push in some]

    assert titles.index("Late start") <= 2
    assert len(titles) == 4


def test_a_correction_takes_its_turns_as_well(office: Office) -> None:
    name = office.send(ADA)
    while office.tell():
        pass
    office.send(ADA, BEN)
    office.expand()
    office.later(minutes=5)
    sending.correct(office.database, office.now(), name, 1, LATE)
    office.expand()

    then = [office.district.due(Lane.BROADCASTS)[0].title for _ in range(6)]

    assert "Late start" in then[:3]
    assert sorted(then) == ["Late start"] * 3 + ["Snow day"] * 3


def test_what_a_broker_lost_is_looked_for_in_portions(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushes = office.told(ADA, BEN)
    assert len(pushes) == 3
    monkeypatch.setattr(due_store, "_AT_ONCE", 1)
    looked: list[int] = []
    without = due_store._without_outcome
    monkeypatch.setattr(
        due_store,
        "_without_outcome",
        lambda connection, told: looked.append(len(told)) or without(connection, told),
    )
    office.later(hours=1)
    now = office.now().at

    assert office.district.ledger.plan_lost(now, now, Lane.BROADCASTS) == 3
    assert looked == [1, 1, 1]
    assert office.district.ledger.plan_lost(now, now, Lane.BROADCASTS) == 0
