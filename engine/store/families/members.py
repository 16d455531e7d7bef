"""Members: a person of the directory as one who signs in, and which students are theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from engine.store.bulk import one_of
from engine.store.directory.who import restricted
from engine.store.tables import accounts, known_ids, people, rights, students
from rules.audience import Right
from rules.change import PersonId, StudentId


class Member(NamedTuple):
    """Somebody of the directory. *person* is their identity, *id* the one that the SIS has now.

    *themselves* are the students who they are, *born* on a day where the SIS says so, and *rights*
    what they may see of others.
    """

    person: PersonId
    id: PersonId
    name: str
    language: str
    disabled_at: datetime | None
    themselves: frozenset[StudentId]
    born: date | None
    rights: Mapping[StudentId, Right]

    def sees(self, today: date) -> frozenset[StudentId]:
        """The students of whom they may be shown something on a day: themselves, and others."""
        others = (
            student
            for student, right in self.rights.items()
            if right.portal and not right.restricted and right.holds_on(today)
        )
        return frozenset((*self.themselves, *others))


def find(connection: Connection, person: PersonId) -> Member | None:
    """The person of an identity; None for one whom the SIS does not list now."""
    rows = connection.execute(
        select(people, accounts.c.disabled_at)
        .outerjoin(accounts, accounts.c.person_id == people.c.identity)
        .where(people.c.identity == person)
        .order_by(people.c.id)
    ).all()
    if not rows:
        return None
    ids = [PersonId(row.id) for row in rows]
    first, (themselves, born) = rows[0], _themselves(connection, ids)
    return Member(
        person, ids[0], f"{first.first_name} {first.last_name}".strip(), first.language,
        first.disabled_at, themselves, born, _rights(connection, person, ids),
    )  # fmt: skip


def _themselves(
    connection: Connection, ids: Collection[PersonId]
) -> tuple[frozenset[StudentId], date | None]:
    """Nobody is the student themselves where two people are said to be.

    Where several days of birth are given the youngest counts, and where one is missing none.
    """
    mine = select(students.c.id).where(one_of(connection, students.c.person_id, ids))
    said: dict[StudentId, set[str]] = defaultdict(set)
    days: dict[StudentId, list[date | None]] = defaultdict(list)
    for student, person, born in connection.execute(
        select(students.c.id, students.c.person_id, students.c.born).where(students.c.id.in_(mine))
    ):
        said[StudentId(student)].add(person)
        days[StudentId(student)].append(born)
    themselves = frozenset(student for student, whose in said.items() if len(whose) == 1)
    known = [day for student in themselves for day in days[student]]
    certain = [day for day in known if day is not None]
    return themselves, max(certain) if certain and len(certain) == len(known) else None


def _rights(
    connection: Connection, person: PersonId, ids: Collection[PersonId]
) -> Mapping[StudentId, Right]:
    """What they may see by the ids that are listed. A restriction of any id is one of all."""
    before = connection.execute(
        select(known_ids.c.id).where(known_ids.c.entity == "people", known_ids.c.identity == person)
    )
    every = {*ids, *(PersonId(one) for one in before.scalars())}
    rows = connection.execute(
        select(
            rights.c.person_id, rights.c.student_id, rights.c.portal, rights.c.starts,
            rights.c.ends, rights.c.restricted,
        ).where(one_of(connection, rights.c.person_id, every))
    ).all()  # fmt: skip
    apart = restricted(connection, every) if any(row.restricted for row in rows) else set()
    return {
        StudentId(row.student_id): Right(
            row.portal, row.starts, row.ends, row.student_id in apart
        )
        for row in rows
        if row.person_id in ids
    }  # fmt: skip
