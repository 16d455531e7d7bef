"""Audiences kept ready: everyone who has to do with a student, as one row.

What decides whether a person is told stands in seven tables. To read them took most of what a
decision costs, so the family of a student is kept as one JSON text. Whoever changes a row of the
seven tables, by whatever program, lists in the same transaction the students whose families it is
a part of: triggers do it. What is kept of a listed student counts no more, and the tables are
asked. So a decision never stands on less than what was committed before it (decision 39).

The families of those who are listed are read anew and kept by whoever has time. Meanwhile nobody
lists anybody: what was read would be older than what it is kept for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, Table, delete, literal_column, select

from engine.database import Database
from engine.dialects import dialect_of
from engine.dialects.dialect import Follower
from engine.ports import Audiences
from engine.store import candidates
from engine.store.bulk import append, one_of
from engine.store.candidates import Family
from engine.store.tables import (
    accounts,
    audiences,
    devices,
    outdated_audiences,
    people,
    rights,
    sessions,
    students,
    subscriptions,
)
from rules.change import Kind, StudentId
from rules.decide import CandidateKey

_SLICE: Final = 500  # families that are kept in one transaction: nobody can sign in meanwhile
_EVERY_KIND: Final = tuple(Kind)

_encode: Final = msgspec.json.Encoder().encode
_family: Final = msgspec.json.Decoder(Family)

_LISTED: Final = (
    select(literal_column("1"))
    .where(outdated_audiences.c.student_id == audiences.c.student_id)
    .limit(1)
    .scalar_subquery()
)


def fetch(connection: Connection, wanted: Collection[CandidateKey], now: datetime) -> Audiences:
    """The same as `candidates.fetch`, from what is kept where that counts."""
    asked = {student for student, _ in wanted}
    families = dict(_kept(connection, asked))
    if others := asked - families.keys():
        families |= candidates.families(connection, others, {kind for _, kind in wanted})
    return candidates.audiences(families, wanted, now)


def keep(database: Database) -> int:
    """Keep the families of all who are listed; return how many students those are.

    Where somebody is listing others at this moment, the rest is left for the next time.
    """
    count, last = 0, ""
    with database.read() as connection:
        waiting = bool(_listed(connection, last))
    while waiting:
        with database.write() as connection:
            if not dialect_of(connection).try_alone(connection, outdated_audiences):
                return count
            listed = _listed(connection, last)
            if not listed:
                return count
            _keep(connection, listed)
        count, last = count + len(listed), listed[-1]
    return count


def _kept(
    connection: Connection, wanted: Collection[StudentId]
) -> Iterator[tuple[StudentId, Family]]:
    found = connection.execute(
        select(audiences.c.student_id, audiences.c.family).where(
            one_of(connection, audiences.c.student_id, wanted), _LISTED.is_(None)
        )
    )
    for student, family in found.all():
        yield student, _family.decode(family)


def _listed(connection: Connection, after: str) -> Sequence[StudentId]:
    """The next of those who are listed, in their order."""
    listed = outdated_audiences.c.student_id
    found = connection.execute(
        select(listed).distinct().where(listed > after).order_by(listed).limit(_SLICE)
    )
    return [StudentId(student) for (student,) in found]


def _keep(connection: Connection, listed: Sequence[StudentId]) -> None:
    for table in (audiences, outdated_audiences):
        connection.execute(delete(table).where(one_of(connection, table.c.student_id, listed)))
    append(connection, audiences, list(_rows(connection, listed)))


def _rows(connection: Connection, listed: Sequence[StudentId]) -> Iterator[tuple[StudentId, str]]:
    """Nothing is kept of a student about whom nothing, or nothing sensible, is stored."""
    try:
        found = candidates.families(connection, listed, _EVERY_KIND)
    except ValueError:
        if len(listed) > 1:
            middle = len(listed) // 2
            yield from _rows(connection, listed[:middle])
            yield from _rows(connection, listed[middle:])
        return
    for student, family in found.items():
        yield student, _encode(family).decode()


def _lists(table: Table, columns: Sequence[Column[Any]], students: str) -> Follower:
    """Who changes *columns* of a table lists the *students* that a query finds by them."""

    def statement(changed: str) -> str:
        return (
            f"INSERT INTO {outdated_audiences.name} (student_id)"  # noqa: S608 - names of ours
            f" SELECT DISTINCT found.student_id FROM ({students.format(changed=changed)}) found"
        )

    names = [column.name for column in columns]
    return Follower(table.name, names, outdated_audiences.name, statement)


def _students_of(people_: str) -> str:
    """The students to whom some *people_* are related, or who are the same; those are `who.id`."""
    return (
        f"SELECT s.id AS student_id FROM {people_}"  # noqa: S608 - names of ours
        f" JOIN {students.name} s ON s.person_id = who.id"
        f" UNION ALL SELECT r.student_id FROM {people_}"
        f" JOIN {rights.name} r ON r.person_id = who.id"
    )


_WITH_IDENTITY: Final = (
    f"{{changed}} changed JOIN {people.name} who ON who.identity = changed.person_id"
)
_WITH_SESSION: Final = (
    f"{{changed}} changed JOIN {sessions.name} on_it ON on_it.device_id = changed.id"
    f" JOIN {people.name} who ON who.identity = on_it.person_id"
)

FOLLOWERS: Final[Sequence[Follower]] = (
    _lists(
        students,
        [students.c.id, students.c.school_id, students.c.person_id, students.c.enrolled,
         students.c.identity],
        "SELECT changed.id AS student_id FROM {changed} changed",
    ),
    _lists(
        rights,
        [column for column in rights.c if column is not rights.c.relation],
        "SELECT changed.student_id FROM {changed} changed",
    ),
    _lists(
        people, [people.c.id, people.c.language, people.c.identity], _students_of("{changed} who")
    ),
    _lists(
        accounts, [accounts.c.person_id, accounts.c.disabled_at], _students_of(_WITH_IDENTITY)
    ),
    _lists(
        sessions,
        [sessions.c.person_id, sessions.c.device_id, sessions.c.stay_logged_in, sessions.c.ended_at,
         sessions.c.expires_at],
        _students_of(_WITH_IDENTITY),
    ),
    _lists(
        devices,
        [devices.c.id, devices.c.kind, devices.c.token_sealed, devices.c.push_key_sealed,
         devices.c.privacy, devices.c.retired_at],
        _students_of(_WITH_SESSION),
    ),
    _lists(
        subscriptions,
        list(subscriptions.c),
        f"SELECT s.id AS student_id FROM {{changed}} changed"  # noqa: S608 - names of ours
        f" JOIN {students.name} s ON s.identity = changed.student_id",
    ),
)  # fmt: skip
"""What lists a student: a trigger on each table that `candidates.families` reads."""
