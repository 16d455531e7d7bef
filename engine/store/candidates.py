"""Candidates: who might be told about some students, and the facts that decide it.

Four queries for a batch, however many students are in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection, select

from engine.ports import Audiences
from engine.secrets.addresses import Device
from engine.sources.directory_rows import kinds
from engine.store.bulk import one_of
from engine.store.devices import COLUMNS, device
from engine.store.tables import (
    accounts,
    devices,
    people,
    rights,
    sessions,
    students,
    subscriptions,
)
from rules.audience import Audience, Candidate, DeviceId, Right, SignIn, Subscription
from rules.change import Kind, PersonId, SchoolId, StudentId
from rules.decide import CandidateKey


@dataclass(slots=True)
class _Student:
    """What the rows of a student say, of which there is one for each school.

    *languages* are those of the people whom they name, *identities* what those people's settings
    are kept under; None where the directory knows nobody. *identity* is the student's own.
    """

    identity: StudentId
    languages: dict[str, str | None] = field(default_factory=dict)
    identities: dict[str, str | None] = field(default_factory=dict)
    enrolled: bool = False
    left: set[SchoolId] = field(default_factory=set)


class _Related(NamedTuple):
    """A person and a student who have to do with each other; *whose* the person's settings are."""

    person: PersonId
    student: StudentId
    audience: Audience
    language: str
    right: Right | None
    whose: PersonId
    known: _Student


@dataclass(slots=True)
class _Account:
    sign_ins: list[SignIn] = field(default_factory=list)


def fetch(connection: Connection, wanted: Collection[CandidateKey], now: datetime) -> Audiences:
    """Everyone who has any relation to the *wanted* students, whether it is in force or not."""
    student_ids = {student for student, _ in wanted}
    found = _students(connection, student_ids)
    related = _guardians(connection, found) + _themselves(found)
    chosen = _subscriptions(
        connection, {one.identity for one in found.values()}, {kind for _, kind in wanted}
    )
    known, phones = _accounts(connection, {one.whose for one in related}, now)
    by_student: dict[StudentId, list[_Related]] = defaultdict(list)
    for one in related:
        by_student[one.student].append(one)
    candidates = {
        (student, kind): [
            _candidate(one, known.get(one.whose), chosen.get((one.known.identity, one.whose, kind)))
            for one in by_student[student]
        ]
        for student, kind in wanted
    }
    return Audiences(candidates, phones)


def of_students(
    connection: Connection, wanted: Collection[StudentId], now: datetime
) -> Mapping[StudentId, Sequence[Candidate]]:
    """The same people by student, whatever they asked to hear of."""
    found = _students(connection, wanted)
    related = _guardians(connection, found) + _themselves(found)
    known, _ = _accounts(connection, {one.whose for one in related}, now)
    by_student: dict[StudentId, list[Candidate]] = defaultdict(list)
    for one in related:
        by_student[one.student].append(_candidate(one, known.get(one.whose), None))
    return by_student


def _candidate(
    one: _Related, account: _Account | None, subscription: Subscription | None
) -> Candidate:
    return Candidate(
        *one[:-2], one.known.enrolled, account is not None,
        tuple(account.sign_ins) if account else (), subscription, frozenset(one.known.left),
    )  # fmt: skip


def _students(
    connection: Connection, wanted: Collection[StudentId]
) -> Mapping[StudentId, _Student]:
    found: dict[StudentId, _Student] = {}
    rows = connection.execute(
        select(
            students.c.id, students.c.school_id, students.c.person_id, students.c.enrolled,
            people.c.language, people.c.identity, students.c.identity,
        )
        .outerjoin(people, people.c.id == students.c.person_id)
        .where(one_of(connection, students.c.id, wanted))
        .order_by(students.c.identity)
    ).all()  # fmt: skip
    for student, school, person, enrolled, language, whose, identity in rows:
        known = found.setdefault(StudentId(student), _Student(identity))
        known.languages[person] = language
        known.identities[person] = whose
        if enrolled:
            known.enrolled = True
        else:
            known.left.add(SchoolId(school))
    return found


def _guardians(connection: Connection, found: Mapping[StudentId, _Student]) -> list[_Related]:
    rows = connection.execute(
        select(
            rights.c.student_id, rights.c.person_id, people.c.language, people.c.identity,
            rights.c.portal, rights.c.starts, rights.c.ends, rights.c.restricted,
            rights.c.withheld,
        )
        .join(people, people.c.id == rights.c.person_id)
        .where(one_of(connection, rights.c.student_id, found.keys()))
    ).all()  # fmt: skip
    return [
        _Related(
            PersonId(person),
            StudentId(student),
            Audience.GUARDIAN,
            language,
            Right(portal, starts, ends, restricted, kinds(withheld)),
            PersonId(whose),
            known,
        )
        for student, person, language, whose, portal, starts, ends, restricted, withheld in rows
        # Who is of age may be listed as their own guardian: they hear as the student.
        if person not in (known := found[StudentId(student)]).languages
    ]


def _themselves(found: Mapping[StudentId, _Student]) -> list[_Related]:
    """Nobody is the student themselves where two people are said to be."""
    return [
        _Related(
            PersonId(person),
            student,
            Audience.STUDENT,
            language,
            None,
            PersonId(known.identities[person] or ""),
            known,
        )
        for student, known in found.items()
        if len(known.languages) == 1
        for person, language in known.languages.items()
        if language is not None
    ]


def _subscriptions(
    connection: Connection, wanted: Collection[StudentId], kinds: Collection[Kind]
) -> Mapping[tuple[StudentId, PersonId, Kind], Subscription]:
    table = subscriptions.c
    found = connection.execute(
        select(
            table.student_id,
            table.person_id,
            table.kind,
            table.enabled,
            table.thresholds,
        ).where(one_of(connection, table.student_id, wanted), one_of(connection, table.kind, kinds))
    ).all()
    return {
        (student, person, kind): Subscription(enabled, _thresholds(thresholds))
        for student, person, kind, enabled, thresholds in found
    }


@lru_cache(maxsize=1_000)
def _thresholds(stored: str) -> tuple[Decimal, ...]:
    """As they are stored; what is no number compares with nothing: that person's fault alone."""
    return tuple(map(_threshold, stored.split()))


def _threshold(stored: str) -> Decimal:
    try:
        return Decimal(stored)
    except InvalidOperation:
        return Decimal("NaN")


def _accounts(
    connection: Connection, wanted: Collection[PersonId], now: datetime
) -> tuple[Mapping[PersonId, _Account], Mapping[DeviceId, Device]]:
    """Accounts that are not disabled, with their sign-ins; and the devices of those."""
    found = connection.execute(
        select(
            accounts.c.person_id, sessions.c.stay_logged_in,
            sessions.c.ended_at, sessions.c.expires_at, devices.c.retired_at, *COLUMNS,
        )
        .outerjoin(sessions, sessions.c.person_id == accounts.c.person_id)
        .outerjoin(devices, devices.c.id == sessions.c.device_id)
        .where(one_of(connection, accounts.c.person_id, wanted), accounts.c.disabled_at.is_(None))
        .order_by(accounts.c.person_id, sessions.c.device_id)
    ).all()  # fmt: skip
    known: dict[PersonId, _Account] = defaultdict(_Account)
    phones: dict[DeviceId, Device] = {}
    for person, stays, ended_at, expires_at, retired_at, *columns in found:
        account = known[person]
        if columns[0] is None:
            continue
        phone = device(*columns)
        ended = ended_at is not None or (expires_at is not None and expires_at <= now)
        account.sign_ins.append(SignIn(phone.id, stays, ended, retired_at is None))
        phones[phone.id] = phone
    return known, phones
