"""The funnel: its numbers are what expand does then, whatever a directory holds."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Table, select

from engine.ports.broadcasts import Behind, Broadcast, Texts
from engine.services.broadcasts.funnel import Fallen, Poured, Step
from engine.sources.behind import asked
from engine.stages.expand import Expand
from engine.store.bulk import append
from engine.store.tables import (
    accounts,
    audiences,
    broadcast_devices,
    broadcast_recipients,
    devices,
    outdated_audiences,
    people,
    rights,
    sessions,
    students,
    subscriptions,
)
from rules.change import Kind, PersonId, StudentId
from rules.lanes import Lane
from rules.reasons import Reason
from tests.broadcasting import Office
from tests.district import District

STUDENTS: Final = [f"s{number}" for number in range(30)]
PEOPLE: Final = [f"p{number}" for number in range(40)]
PHONES: Final = range(1, 30)
EMPTIED: Final = (
    students, people, rights, accounts, sessions, subscriptions, audiences, outdated_audiences,
)  # fmt: skip


class Town:
    """A directory in which anything may be: two accounts on a phone, a pupil of age, no rights."""

    def __init__(self, office: Office, seed: int) -> None:
        self._random = Random(seed)
        self._now = office.now().at
        self._today = self._now.date()
        with office.database.write() as connection:
            for table in EMPTIED:
                connection.execute(table.delete())
            phone = connection.execute(select(devices)).mappings().all()[0]
            for table, rows in self._rows(phone):
                append(connection, table, [filled(table, row) for row in rows])
            self._retire(connection)
        self.behind = [self._behind() for _ in range(45)]

    def find(self, _one: Broadcast, _texts: Texts) -> Iterator[Behind]:
        """See ports.broadcasts.Finder."""
        return iter(self.behind)

    def _behind(self) -> Behind:
        some = frozenset(map(PersonId, self._random.sample(PEOPLE, 12)))
        student = self._random.choice([*STUDENTS, "nobody knows"])
        return Behind(StudentId(student), self._random.choice([None, None, some]), {})

    def _rows(
        self, phone: Mapping[str, Any]
    ) -> Iterator[tuple[Table, Sequence[Mapping[str, Any]]]]:
        random, old = self._random, self._now - timedelta(days=60)
        moments = (None, None, self._now - timedelta(hours=1), self._now + timedelta(hours=1))
        days = (None, None, *(self._today + timedelta(days=days) for days in (-1, 0, 1)))
        yield people, [{"id": one, "first_name": one, "identity": f"{one}!"} for one in PEOPLE]
        yield students, [
            {
                "id": one, "school_id": school, "enrolled": random.random() < 0.9,
                "person_id": random.choice([PEOPLE[at % 40], "", "p1"]), "identity": f"{one}!",
            }
            for at, one in enumerate(STUDENTS)
            for school in random.sample(["1", "2"], random.choice([1, 1, 1, 2]))
        ]  # fmt: skip
        pairs = {(random.choice(STUDENTS), random.choice([*PEOPLE, "gone"])) for _ in range(90)}
        yield rights, [
            {
                "student_id": student, "person_id": person, "portal": random.random() < 0.8,
                "starts": random.choice(days), "ends": random.choice(days),
                "restricted": random.random() < 0.2, "withheld": random.choice(["", "grade"]),
            }
            for student, person in sorted(pairs)
        ]  # fmt: skip
        yield (
            accounts,
            [
                {
                    "person_id": f"{one}!",
                    "since": old,
                    "disabled_at": random.choice([None] * 3 + [old]),
                }
                for one in random.sample(PEOPLE, 33)
            ],
        )
        yield devices, [
            {
                **phone, "id": 1_000 + number, "token_hash": f"{number}".encode(),
                "registered_at": random.choice([self._now, old]), "retired_at": None,
            }
            for number in PHONES
        ]  # fmt: skip
        on = {(random.choice(PEOPLE), random.choice(PHONES)) for _ in range(60)}
        yield sessions, [
            {
                "person_id": f"{person}!", "device_id": 1_000 + phone_,
                "stay_logged_in": random.random() < 0.8, "started_at": old,
                "ended_at": random.choice(moments[:3]), "expires_at": random.choice(moments),
            }
            for person, phone_ in sorted(on)
        ]  # fmt: skip
        yield subscriptions, [
            {
                "student_id": f"{student}!", "person_id": f"{person}!", "kind": kind,
                "enabled": random.random() < 0.4,
            }
            for student, person in sorted(pairs)
            for kind in random.choice([(), (Kind.BROADCAST,), (Kind.GRADE, Kind.BROADCAST)])
        ]  # fmt: skip

    def _retire(self, connection: Connection) -> None:
        gone = self._random.sample([1_000 + number for number in PHONES], 4)
        connection.execute(
            devices.update().where(devices.c.id.in_(gone)).values(retired_at=self._now)
        )


def filled(table: Table, row: Mapping[str, Any]) -> Sequence[Any]:
    """A value for each column: what a row does not say is empty."""
    return [
        row.get(column.name, None if column.nullable else "") for column in table.columns
    ]  # fmt: skip


@pytest.fixture
def office(district: District) -> Office:
    return Office(district)


def fallen(poured: Poured, step: Step) -> Sequence[Fallen]:
    """All who fall out at a step, three a page."""
    found: list[Fallen] = []
    after = ""
    while page := poured.fallen(step, after, 3):
        found += page
        last = page[-1]
        after = f"person {last.person}" if last.person else f"student {last.students[0]}"
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_funnel_says_of_everybody_what_expand_then_does(office: Office, seed: int) -> None:
    town = Town(office, seed)
    is_emergency = seed % 3 == 2
    found = asked(town.behind)
    poured = Poured(
        office.database, found.students, office.now().at, office.find.zone,
        is_emergency=is_emergency,
    )  # fmt: skip
    funnel = poured.funnel(rows=0, families=None, units=found.units)
    estimated = {step: fallen(poured, step) for step in Step}

    name = office.send(is_emergency=is_emergency)
    expand = Expand(office.expansions, town.find, office.district.clock)
    expand()

    table = broadcast_recipients.c
    recipients = office.district.rows(
        select(table.person_id, table.reason, table.students).where(table.broadcast_id == name)
    )
    reasons = {person: reason for person, reason, _ in recipients}
    held = {person for person, reason in reasons.items() if reason == Reason.HELD}
    assert (funnel.people, funnel.recipients) == (len(reasons), len(held))
    assert poured.recipients() == len(held)
    silent = {
        one.person: one.reason
        for step in (Step.MAY_HEAR, Step.WITH_DEVICE, Step.SWITCHED_ON)
        for one in estimated[step]
        if one.person is not None
    }
    assert silent == {person: reasons[person] for person in reasons.keys() - held}
    by_person = {person: sorted(those) for person, _, those in recipients}
    for one in (each for step in Step for each in estimated[step]):
        assert one.person is None or sorted(one.students) == by_person[one.person]
    assert {step: len(those) for step, those in estimated.items()} == funnel.fell
    alone = {one.students[0] for one in estimated[Step.MAY_HEAR] if one.person is None}
    about = {student for _, _, those in recipients for student in those}
    assert alone == {one.student for one in town.behind} - about
    assert len({one.person for one in estimated[Step.LATELY]}) == funnel.recipients - (
        funnel.seen_lately
    )
    while office.district.due(Lane.BROADCASTS):
        pass
    assert office.district.count(broadcast_devices) == funnel.devices
    assert len(Counter(reasons.values())) > 3


def test_nobody_is_behind_nothing(office: Office) -> None:
    poured = Poured(office.database, {}, office.now().at, office.find.zone, is_emergency=False)

    funnel = poured.funnel(rows=0, families=0, units=0)

    assert (funnel.people, funnel.devices, funnel.fell[Step.MAY_HEAR]) == (0, 0, 0)
    assert poured.fallen(Step.MAY_HEAR, "", 10) == []
