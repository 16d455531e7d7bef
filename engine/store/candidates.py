"""Candidates: who might be told about some students, and the facts that decide it.

Four queries for a batch, however many students are in it. What they find is kept ready, so that
most batches need none of them: see `engine.store.audiences`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, NamedTuple

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


class _Named(NamedTuple):
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
    """The sign-ins of an account, with those that run out, and its phones."""

    sign_ins: list[SignIn] = field(default_factory=list)
    expiring: list[tuple[int, datetime]] = field(default_factory=list)
    phones: list[Device] = field(default_factory=list)


class Related(NamedTuple):
    """A person who has to do with a student, for every kind and at every moment.

    The *candidate* has no subscription: those that they *chose* stand beside, by kind. A sign-in
    is ended where somebody ended it; *expiring* are the numbers of those that end by themselves.
    """

    candidate: Candidate
    chosen: Mapping[Kind, Subscription]
    expiring: Sequence[tuple[int, datetime]]

    def at(self, kind: Kind | None, now: datetime) -> Candidate:
        """The candidate for a *kind*, at one moment."""
        one = self.candidate
        subscription = self.chosen.get(kind) if kind else None
        if not self.expiring:
            return one if subscription is None else _make((*one[:8], subscription, one[9]))
        sign_ins = list(one.sign_ins)
        for number, until in self.expiring:
            if until <= now:
                sign_ins[number] = sign_ins[number]._replace(ended=True)
        return one._replace(sign_ins=tuple(sign_ins), subscription=subscription)


_make: Final = Candidate._make


class Family(NamedTuple):
    """Everyone who has any relation to one student, and their phones."""

    people: Sequence[Related]
    phones: Sequence[Device]


_NOBODY: Final = Family((), ())


def fetch(connection: Connection, wanted: Collection[CandidateKey], now: datetime) -> Audiences:
    """Everyone who has any relation to the *wanted* students, whether it is in force or not."""
    students_ = {student for student, _ in wanted}
    return audiences(families(connection, students_, {kind for _, kind in wanted}), wanted, now)


def audiences(
    found: Mapping[StudentId, Family], wanted: Collection[CandidateKey], now: datetime
) -> Audiences:
    """The candidates for each student and kind, at one moment, with the phones of all."""
    candidates = {
        (student, kind): [one.at(kind, now) for one in found.get(student, _NOBODY).people]
        for student, kind in wanted
    }
    return Audiences(
        candidates, {phone.id: phone for family in found.values() for phone in family.phones}
    )


def families(
    connection: Connection, wanted: Collection[StudentId], of_kinds: Collection[Kind]
) -> dict[StudentId, Family]:
    """The families of those *wanted* students whom the directory knows."""
    found = _students(connection, wanted)
    if not found:
        return {}
    related = _guardians(connection, found) + _themselves(found)
    chosen = _subscriptions(connection, {one.identity for one in found.values()}, of_kinds)
    known = _accounts(connection, {one.whose for one in related})
    people_: dict[StudentId, list[Related]] = {student: [] for student in found}
    phones: dict[StudentId, dict[DeviceId, Device]] = {student: {} for student in found}
    for one in related:
        account = known.get(one.whose)
        people_[one.student].append(
            _related(one, account, chosen.get((one.known.identity, one.whose), {}))
        )
        phones[one.student] |= {phone.id: phone for phone in account.phones} if account else {}
    return {student: Family(people_[student], list(phones[student].values())) for student in found}


def of_students(
    connection: Connection, wanted: Collection[StudentId], now: datetime
) -> Mapping[StudentId, Sequence[Candidate]]:
    """The same people by student, whatever they asked to hear of."""
    return {
        student: [one.at(None, now) for one in family.people]
        for student, family in families(connection, wanted, ()).items()
    }


def _related(one: _Named, account: _Account | None, chosen: Mapping[Kind, Subscription]) -> Related:
    candidate = Candidate(
        *one[:-2], one.known.enrolled, account is not None,
        tuple(account.sign_ins) if account else (), None, frozenset(one.known.left),
    )  # fmt: skip
    return Related(candidate, chosen, account.expiring if account else ())


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


def _guardians(connection: Connection, found: Mapping[StudentId, _Student]) -> list[_Named]:
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
        _Named(
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


def _themselves(found: Mapping[StudentId, _Student]) -> list[_Named]:
    """Nobody is the student themselves where two people are said to be."""
    return [
        _Named(
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
    connection: Connection, wanted: Collection[StudentId], of_kinds: Collection[Kind]
) -> Mapping[tuple[StudentId, PersonId], Mapping[Kind, Subscription]]:
    """What each person chose about each student."""
    if not of_kinds:
        return {}
    table = subscriptions.c
    found = connection.execute(
        select(
            table.student_id,
            table.person_id,
            table.kind,
            table.enabled,
            table.thresholds,
        ).where(
            one_of(connection, table.student_id, wanted), one_of(connection, table.kind, of_kinds)
        )
    ).all()
    chosen: dict[tuple[StudentId, PersonId], dict[Kind, Subscription]] = defaultdict(dict)
    for student, person, kind, enabled, thresholds in found:
        chosen[student, person][Kind(kind)] = Subscription(enabled, _thresholds(thresholds))
    return chosen


@lru_cache(maxsize=1_000)
def _thresholds(stored: str) -> tuple[Decimal, ...]:
    """As they are stored; what is no number compares with nothing: that person's fault alone."""
    return tuple(map(_threshold, stored.split()))


def _threshold(stored: str) -> Decimal:
    try:
        return Decimal(stored)
    except InvalidOperation:
        return Decimal("NaN")


def _accounts(connection: Connection, wanted: Collection[PersonId]) -> Mapping[PersonId, _Account]:
    """Accounts that are not disabled, with their sign-ins and the devices of those."""
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
    for person, stays, ended_at, expires_at, retired_at, *columns in found:
        account = known[person]
        if columns[0] is None:
            continue
        phone = device(*columns)
        if expires_at is not None:
            account.expiring.append((len(account.sign_ins), expires_at))
        account.sign_ins.append(SignIn(phone.id, stays, ended_at is not None, retired_at is None))
        account.phones.append(phone)
    return known
