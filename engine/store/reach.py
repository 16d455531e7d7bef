"""Reach: whom a broadcast would reach, counted by what decides it.

A hundred thousand families differ in few things that a gate asks about: what a right says, what
was chosen, and how people are signed in. The database counts people by these, and the gates are
asked once about each combination: what they say stands in `rules.gates` alone. Days are told apart
by whether they are before, on or after today, which is all that a gate asks of them.

The people are the same as those that `engine.store.candidates` reads one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from engine.dialects import dialect_of
from engine.store.bulk import one_of, tuples
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
from rules.change import Kind, PersonId, StudentId

Asked = Mapping[StudentId, frozenset[PersonId] | None]
"""Students, and those of their people who are asked about; None is everybody."""

_DAY: Final = timedelta(days=1)
_NOBODY: Final = PersonId("")
_NO_STUDENT: Final = StudentId("")
_AT_ONCE: Final = 1_000

# A constant, so that the index over them serves.
_IS_OF_BROADCASTS: Final = subscriptions.c.kind == literal_column(f"'{Kind.BROADCAST}'")

# How somebody stands to a student: what they chose and whether they are restricted is one number,
# and all else another.
_CHOSE: Final = 2  # nothing, to hear, to hear nothing
_HOW: Final = 3 * _CHOSE
_DATES: Final = 4  # none, before today, today, after today
_PORTAL: Final = _DATES * _DATES
_THEMSELVES: Final = _PORTAL * 2
# How somebody is signed in on a device is a number, too: the sum of what is so.
_STAYS, _ENDED, _LIVE, _LATELY, _KINDS = 1, 2, 4, 8, 16


class Key(NamedTuple):
    """How a person stands to their students and is signed in, as the database says it.

    A number is a set: it has a bit for each number that it holds. *relations* are such a set for
    each way of having chosen and being restricted.
    """

    relations: tuple[int, ...]
    has_account: bool
    kinds: int


class Standing(NamedTuple):
    """The same as the gates take it.

    There is a candidate, who has no name, for each way in which the person stands to a student.
    Devices stand for kinds of sign-ins; *lately* are the kinds on a device that was used lately.
    """

    candidates: Sequence[Candidate]
    lately: frozenset[DeviceId]


class One(NamedTuple):
    """One person: how they stand to which of the students."""

    person: PersonId
    key: Key
    students: Sequence[StudentId]


@dataclass(frozen=True, slots=True)
class Reach:
    """How many people stand alike, and on how many devices they are signed in, by kind.

    A device on which several are is counted for each; *shared* says who they are. *students* counts
    those to whom anybody is related.
    """

    people: Mapping[Key, int]
    sign_ins: Mapping[tuple[Key, DeviceId], int]
    shared: Sequence[Sequence[tuple[Key, DeviceId]]]
    students: int


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked of the database: about whom, and what lies before and after which moments.

    A device that was used *since* then was used lately.
    """

    asked: Asked
    today: date
    now: datetime
    since: datetime


def people_of(connection: Connection, asking: Asking) -> Mapping[Key, int]:
    """How many people stand alike. In a transaction of its own: see Dialect.read_whole."""
    dialect_of(connection).read_whole(connection)
    signed = _signed(connection, _pairs(connection, asking), _on(asking))
    key = _key_columns(signed)
    found = connection.execute(select(func.count(), *key).group_by(*key))
    return {_key(said): count for count, *said in found}


def reach_of(connection: Connection, asking: Asking) -> Reach:
    """Whom it would reach, and on which devices; as `people_of`.

    In one statement, because what the parts are made of costs most.
    """
    dialect_of(connection).read_whole(connection)
    pairs, on = _pairs(connection, asking), _on(asking)
    signed = _signed(connection, pairs, on)
    people_: dict[Key, int] = {}
    sign_ins: dict[tuple[Key, DeviceId], int] = {}
    shared: dict[int, list[tuple[Key, DeviceId]]] = defaultdict(list)
    related_ = 0
    for what, count, kind, device, *said in connection.execute(_parts(pairs, signed, on)):
        match what:
            case _Part.PEOPLE:
                people_[_key(said)] = count
            case _Part.SIGN_INS:
                sign_ins[_key(said), _device(kind)] = count
            case _Part.SHARED:
                shared[device].append((_key(said), _device(kind)))
            case _Part.STUDENTS:
                related_ = count
    return Reach(people_, sign_ins, list(shared.values()), related_)


def some_of(
    connection: Connection,
    asking: Asking,
    is_wanted: Callable[[Key], bool],
    after: PersonId,
    limit: int,
) -> Sequence[One]:
    """People who are wanted for how they stand, after one of them by their ids; as `people_of`."""
    dialect_of(connection).read_whole(connection)
    pairs = _pairs(connection, asking)
    signed = _signed(connection, pairs, _on(asking))
    in_order = (
        select(signed.c.person_id, *_key_columns(signed))
        .where(signed.c.person_id > after)
        .order_by(signed.c.person_id)
    )
    with connection.execute(in_order, execution_options={"yield_per": _AT_ONCE}) as everybody:
        keys = ((PersonId(person), _key(key)) for person, *key in everybody)
        found = list(islice((one for one in keys if is_wanted(one[1])), limit))
    theirs: dict[PersonId, list[StudentId]] = defaultdict(list)
    for person, student in connection.execute(
        select(pairs.c.person_id, pairs.c.student_id)
        .where(one_of(connection, pairs.c.person_id, [person for person, _ in found]))
        .order_by(pairs.c.student_id)
    ):
        theirs[person].append(StudentId(student))
    return [One(person, key, theirs[person]) for person, key in found]


def related(connection: Connection, asking: Asking) -> set[StudentId]:
    """The students to whom anybody is related; as `people_of`."""
    dialect_of(connection).read_whole(connection)
    pairs = _pairs(connection, asking)
    return {StudentId(one) for (one,) in connection.execute(select(pairs.c.student_id).distinct())}


@lru_cache(maxsize=4_096)
def standing(key: Key, today: date) -> Standing:
    """What a key says."""
    kinds = list(_numbers(key.kinds))
    sign_ins = tuple(
        SignIn(_device(kind), bool(kind & _STAYS), bool(kind & _ENDED), bool(kind & _LIVE))
        for kind in kinds
    )
    candidates = [
        _candidate(how, number, today)._replace(has_account=key.has_account, sign_ins=sign_ins)
        for how, relations in enumerate(key.relations)
        for number in _numbers(relations)
    ]
    return Standing(candidates, frozenset(_device(kind) for kind in kinds if kind & _LATELY))


def _candidate(how: int, number: int, today: date) -> Candidate:
    chose, restricted = divmod(how, _CHOSE)
    portal, dates = divmod(number, _PORTAL)
    ends, starts = divmod(dates, _DATES)
    days = (None, today - _DAY, today, today + _DAY)
    is_student = number == _THEMSELVES
    return Candidate(
        _NOBODY,
        _NO_STUDENT,
        Audience.STUDENT if is_student else Audience.GUARDIAN,
        right=None
        if is_student
        else Right(bool(portal), days[starts], days[ends], bool(restricted)),
        subscription=(None, Subscription(enabled=True), Subscription(enabled=False))[chose],
    )


def _numbers(members: int) -> Iterator[int]:
    """The numbers of a set."""
    return (number for number in range(members.bit_length()) if members >> number & 1)


def _device(kind: int) -> DeviceId:
    return DeviceId(str(kind))


def _pairs(connection: Connection, asking: Asking) -> CTE:
    """Each person and student who have to do with each other, and how."""
    named = _asked_about(connection, _named(connection, asking), asking.asked)
    chose = case(
        (subscriptions.c.enabled.is_(None), _number(0)), (subscriptions.c.enabled, _number(_CHOSE)),
        else_=_number(2 * _CHOSE),
    )  # fmt: skip
    return (
        select(
            named.c.student_id, people.c.id.label("person_id"), people.c.identity.label("whose"),
            (named.c.restricted + chose).label("how"), named.c.number,
        )
        .join(people, people.c.id == named.c.person_id)
        .outerjoin(
            subscriptions,
            (subscriptions.c.student_id == named.c.identity)
            & (subscriptions.c.person_id == people.c.identity)
            & _IS_OF_BROADCASTS,
        )
        .cte("pairs")
    )  # fmt: skip


def _named(connection: Connection, asking: Asking) -> CTE:
    """Who is named to have to do with a student; see `candidates` for who is nobody.

    Conditions are such that a planner guesses right how many rows they leave.
    """
    known = (
        select(
            students.c.id,
            func.min(students.c.identity).label("identity"),
            func.min(students.c.person_id).label("first"),
            func.max(students.c.person_id).label("last"),
        )
        .where(one_of(connection, students.c.id, asking.asked.keys()))
        .group_by(students.c.id)
        .cte("known")
    )
    same = students.alias("same")
    is_themselves = (
        select(_number(1))
        .where(same.c.id == rights.c.student_id, same.c.person_id == rights.c.person_id)
        .exists()
    )
    guardians = (
        select(
            known.c.id.label("student_id"), rights.c.person_id, known.c.identity,
            _if(rights.c.restricted, 1).label("restricted"),
            _number_of_right(asking.today).label("number"),
        )
        .join(rights, rights.c.student_id == known.c.id)
        .where(
            rights.c.person_id != known.c.first, rights.c.person_id != known.c.last,
            or_(known.c.first >= known.c.last, ~is_themselves),
        )
    )  # fmt: skip
    themselves = select(
        known.c.id, known.c.first, known.c.identity, _number(0), _number(_THEMSELVES)
    ).where(known.c.first >= known.c.last)
    return union_all(guardians, themselves).cte("named")


def _asked_about(connection: Connection, named: CTE, asked: Asked) -> CTE:
    """Those alone who are asked about."""
    some = [(student, one) for student, people_ in asked.items() for one in people_ or ()]
    if not some:
        return named
    wanted = tuples(connection, (rights.c.student_id, rights.c.person_id), some)
    everybody = [student for student, people_ in asked.items() if people_ is None]
    return union_all(
        select(named).where(one_of(connection, named.c.student_id, everybody)),
        select(named).join(
            wanted,
            (wanted.c.student_id == named.c.student_id) & (wanted.c.person_id == named.c.person_id),
        ),
    ).cte("asked_about")


def _number_of_right(today: date) -> ColumnElement[int]:
    return (
        _side(rights.c.starts, today)
        + _side(rights.c.ends, today) * _number(_DATES)
        + _if(rights.c.portal, _PORTAL)
    )


def _side(day: ColumnElement[Any], today: date) -> ColumnElement[int]:
    return case(
        (day.is_(None), _number(0)), (day < today, _number(1)), (day == today, _number(2)),
        else_=_number(3),
    )  # fmt: skip


def _if(condition: ColumnElement[bool], number: int) -> ColumnElement[int]:
    return case((condition, _number(number)), else_=_number(0))


def _number(number: int) -> ColumnElement[int]:
    """A constant: a parameter has no type that the database knows."""
    return literal_column(str(number), Integer)


def _on(asking: Asking) -> CTE:
    """Who is signed in on which device, and of what kind that is."""
    has_ended = or_(sessions.c.ended_at.is_not(None), sessions.c.expires_at <= asking.now)
    kind = (
        _if(sessions.c.stay_logged_in, _STAYS)
        + _if(has_ended, _ENDED)
        + _if(devices.c.retired_at.is_(None), _LIVE)
        + _if(devices.c.registered_at >= asking.since, _LATELY)
    )
    return (
        select(sessions.c.person_id.label("whose"), sessions.c.device_id, kind.label("kind"))
        .join(devices, devices.c.id == sessions.c.device_id)
        .join(accounts, accounts.c.person_id == sessions.c.person_id)
        .where(accounts.c.disabled_at.is_(None))
        .cte("signed_in_on")
    )


def _signed(connection: Connection, pairs: CTE, on: CTE) -> CTE:
    """Each person once, with their Key."""
    dialect = dialect_of(connection)
    relations = (
        dialect.all_bits(case((pairs.c.how == _number(how), _bit(pairs.c.number))))
        for how in range(_HOW)
    )
    who = (
        select(
            pairs.c.person_id, pairs.c.whose,
            *(func.coalesce(each, _number(0)).label(name)
              for name, each in zip(_RELATIONS, relations, strict=True)),
        )
        .group_by(pairs.c.person_id, pairs.c.whose)
        .cte("who")
    )  # fmt: skip
    theirs = (
        select(on.c.whose, dialect.all_bits(_bit(on.c.kind)).label("kinds"))
        .where(on.c.whose.in_(select(who.c.whose)))
        .group_by(on.c.whose)
        .subquery()
    )
    return (
        select(
            who, _if(accounts.c.person_id.is_not(None), 1).label("has_account"),
            func.coalesce(theirs.c.kinds, _number(0)).label("kinds"),
        )
        .outerjoin(
            accounts, (accounts.c.person_id == who.c.whose) & accounts.c.disabled_at.is_(None)
        )
        .outerjoin(theirs, theirs.c.whose == who.c.whose)
        .cte("signed")
    )  # fmt: skip


_RELATIONS: Final = tuple(f"relations_{how}" for how in range(_HOW))


def _bit(number: ColumnElement[int]) -> ColumnElement[int]:
    """A set of one number."""
    return cast(_number(1), BigInteger).bitwise_lshift(number)


class _Part(IntEnum):
    PEOPLE = 0
    SIGN_INS = 1
    SHARED = 2
    STUDENTS = 3


def _parts(pairs: CTE, signed: CTE, on: CTE) -> CompoundSelect[Any]:
    key, no_key = _key_columns(signed), [_number(0)] * (_HOW + 2)
    nothing = _number(0)
    several = (
        select(sessions.c.device_id)
        .group_by(sessions.c.device_id)
        .having(func.count() > _number(1))
    )
    related_ = select(pairs.c.student_id).distinct().subquery()
    with_devices = signed.join(on, on.c.whose == signed.c.whose)
    return union_all(
        select(_number(_Part.PEOPLE), func.count(), nothing, nothing, *key).group_by(*key),
        select(_number(_Part.SIGN_INS), func.count(), on.c.kind, nothing, *key)
        .select_from(with_devices)
        .group_by(on.c.kind, *key),
        select(_number(_Part.SHARED), _number(1), on.c.kind, on.c.device_id, *key)
        .select_from(with_devices)
        .where(on.c.device_id.in_(several)),
        select(_number(_Part.STUDENTS), func.count(), nothing, nothing, *no_key)
        .select_from(related_),
    )  # fmt: skip


def _key_columns(signed: CTE) -> Sequence[ColumnElement[int]]:
    return [signed.c[name] for name in (*_RELATIONS, "has_account", "kinds")]


def _key(said: Sequence[int]) -> Key:
    *relations, has_account, kinds = said
    return Key(tuple(relations), bool(has_account), kinds)
