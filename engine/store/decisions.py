"""Decisions: one row for each change and student that it concerns, with what became of it.

A row holds every candidate with a reason, and for those who are told their devices. So what is
told at once needs no row of its own: a push is named by its change and its device.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, Select, and_, select, true

from engine.ports import Decided, DecidedFor, NotificationKey
from engine.store.bulk import append, insert_new, one_of, tuples
from engine.store.tables import decisions, facts, listeners
from rules.audience import Audience, DeviceId
from rules.change import (
    CalendarId,
    Change,
    ChangeId,
    Facts,
    Kind,
    PersonId,
    Place,
    SchoolId,
    StudentId,
    TermId,
)
from rules.gates import Whereabouts
from rules.identity import PushId, first_id_at, moment_of, parts_of
from rules.notification import Notification
from rules.outcomes import SUPERSEDED
from rules.reasons import Reason

_TOLD_ELSEWHERE: Final = frozenset({Reason.TOLD, Reason.TOLD_APART, Reason.DEVICE_ALREADY_TOLD})
_A_WEEK: Final = timedelta(days=7)
_NEVER_BEFORE: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_ID: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"
# A change id may be this much older than its change's neighbours: clocks are set.
CLOCKS_DIFFER: Final = timedelta(days=1)

PLACE: Final = (decisions.c.student_id, decisions.c.kind, decisions.c.record)

# Reasons as they are kept: there are some for each change, so what comes often has one letter.
_SHORT: Final[Mapping[Reason, str]] = {
    Reason.TOLD: "T", Reason.TOLD_APART: "B", Reason.DEVICE_ALREADY_TOLD: "V",
    Reason.NOT_SUBSCRIBED: "S", Reason.NO_PORTAL_RIGHT: "P", Reason.RESTRICTED: "R",
    Reason.RIGHT_NOT_IN_FORCE: "F", Reason.KIND_WITHHELD: "W", Reason.NO_ACCOUNT: "A",
    Reason.STAY_LOGGED_IN_OFF: "L", Reason.SESSION_ENDED: "E", Reason.NO_DEVICE: "D",
    Reason.THRESHOLD_NOT_CROSSED: "H", Reason.NOT_RELEASED: "N", Reason.HIDDEN: "J",
    Reason.OPENS_LATER: "I", Reason.NOTHING_TO_TELL: "0", Reason.ALREADY_TOLD: "K",
    Reason.SUPERSEDED: "U", Reason.YEAR_NOT_ACTIVE: "Y", Reason.DISPLAY_OPTION_OFF: "X",
    Reason.NOT_ENROLLED: "M", Reason.DISTRICT_OFF: "O", Reason.TOO_LATE: "Z",
}  # fmt: skip
_AS_KEPT: Final[Mapping[Reason, str]] = {one: _SHORT.get(one, one.value) for one in Reason}
_REASONS: Final[Mapping[str, Reason]] = {words: one for one, words in _AS_KEPT.items()}

_APART: Final = _AS_KEPT[Reason.TOLD_APART]
_INFORMS: Final = frozenset(_AS_KEPT[one] for one in Reason if one.informs)
_LETTERS: Final[Mapping[Audience, str]] = {one: one.value[0] for one in Audience}
_AUDIENCES: Final[Mapping[str, Audience]] = {letter: one for one, letter in _LETTERS.items()}

_encode: Final = msgspec.json.Encoder().encode
_people: Final = msgspec.json.Decoder(list[list[Any]])


class _Words(msgspec.Struct, array_like=True):
    """What facts are kept as; the last two are there only where a record has a term, or closes."""

    student_name: str
    before: str | None
    after: str | None
    details: dict[str, str]
    number: Decimal | None
    school: str = ""
    term: str = ""
    closes: datetime | None = None


_words: Final = msgspec.json.Decoder(_Words)

_COLUMNS: Final = (
    decisions.c.student_id, decisions.c.kind, decisions.c.record, decisions.c.change_id,
    decisions.c.position, decisions.c.watch, decisions.c.committed_at, decisions.c.decided_at,
    decisions.c.people,
)  # fmt: skip


def store(connection: Connection, found: Sequence[Decided]) -> None:
    """Append rows; raises Unavailable where another process has stored one of them meanwhile."""
    append(
        connection,
        decisions,
        [
            (
                *(one.place or ("", "", "")), one.change, one.position, one.watch,
                one.committed_at, one.decided_at,
                sum(len(person.devices) for person in one.people), _people_json(one.people),
                one.row or None,
            )
            for one in found
        ],
    )  # fmt: skip
    append(
        connection,
        facts,
        [
            (one.change, one.place.student, facts_json(one.facts))
            for one in found
            if one.place is not None and one.facts is not None
        ],
    )


def note(connection: Connection, changes: Sequence[Change], now: datetime) -> None:
    """Append rows of changes that concern nobody, unless another process has done so."""
    for one in changes:
        connection.execute(
            insert_new(connection, decisions).values(
                student_id="", kind="", record="", change_id=one.id, position=one.position,
                watch=one.watch, committed_at=one.at, decided_at=now, pushes=0, people="[]",
            )
        )  # fmt: skip


def add_listeners(connection: Connection, pairs: Collection[tuple[PersonId, StudentId]]) -> None:
    """Remember who was told about whom; several evaluates may do so at once."""
    if not pairs:
        return
    columns = (listeners.c.person_id, listeners.c.student_id)
    told = tuples(connection, columns, sorted(pairs))
    connection.execute(
        insert_new(connection, listeners).from_select(
            [column.name for column in columns], select(told).where(true())
        )
    )


def seen(connection: Connection, changes: Collection[Change]) -> set[ChangeId]:
    """Which of *changes* have rows."""
    ids = {change.id for change in changes}
    if not ids:
        return set()
    found = connection.execute(
        select(decisions.c.change_id).where(
            *spanning(decisions.c.change_id, ids), one_of(connection, decisions.c.change_id, ids)
        )
    ).all()
    return {ChangeId(change) for (change,) in found}


def of_changes(connection: Connection, changes: Collection[str]) -> list[Decided]:
    """The rows of *changes*, with what texts are made of as far as it is kept."""
    ids = set(changes)
    if not ids:
        return []
    query = _with_facts().where(
        *spanning(decisions.c.change_id, ids), one_of(connection, decisions.c.change_id, ids)
    )
    return [_decided(row) for row in connection.execute(query)]


def at_places(
    connection: Connection, places: Collection[Place], since: datetime
) -> Mapping[Place, list[Decided]]:
    """All rows of each place, of changes since then, in the order of their positions."""
    if not places:
        return {}
    wanted = tuples(connection, PLACE, sorted(places))
    query = (
        _with_facts()
        .join(
            wanted,
            and_(
                decisions.c.student_id == wanted.c.student_id,
                decisions.c.kind == wanted.c.kind,
                decisions.c.record == wanted.c.record,
            ),
        )
        .where(decisions.c.change_id >= first_id_at(since - CLOCKS_DIFFER))
        .order_by(decisions.c.position)
    )
    found: dict[Place, list[Decided]] = defaultdict(list)
    for row in connection.execute(query):
        one = _decided(row)
        if one.place is not None:
            found[one.place].append(one)
    return found


def newest_of(
    connection: Connection,
    student: StudentId,
    now: datetime,
    limit: int,
    wanted: Callable[[Decided], bool],
) -> list[Decided]:
    """The newest *wanted* rows about a student, newest first.

    They are looked for in the last week first, then in longer and longer times before it: what is
    new is found at once, and a history of years costs a handful of queries.
    """
    oldest: str | None = connection.execute(
        select(decisions.c.change_id).order_by(decisions.c.change_id).limit(1)
    ).scalar()
    found: list[Decided] = []
    span, upper, lower = _A_WEEK, _LAST_ID, first_id_at(now - _A_WEEK)
    while oldest is not None and len(found) < limit and upper > oldest:
        query = (
            _with_facts()
            .where(
                decisions.c.student_id == student,
                decisions.c.change_id < upper,
                decisions.c.change_id >= lower,
            )
            .order_by(decisions.c.change_id.desc())
        )
        found += filter(wanted, (_decided(row) for row in connection.execute(query)))
        span *= 4
        upper, lower = lower, first_id_at(max(moment_of(lower) - span, _NEVER_BEFORE))
    return found[:limit]


def last_decided_at(connection: Connection) -> datetime | None:
    """When the newest change was decided; None where no decision is kept."""
    newest = select(decisions.c.decided_at).order_by(decisions.c.change_id.desc()).limit(1)
    found: datetime | None = connection.execute(newest).scalar()
    return found


def students_of(connection: Connection, person: PersonId) -> list[StudentId]:
    """Everybody about whom a person was ever told."""
    found = connection.execute(
        select(listeners.c.student_id)
        .where(listeners.c.person_id == person)
        .order_by(listeners.c.student_id)
    )
    return [StudentId(row.student_id) for row in found]


def told(connection: Connection, pushes: Collection[PushId]) -> dict[PushId, Notification]:
    """What pushes are of that were told at once."""
    wanted: dict[str, set[DeviceId]] = defaultdict(set)
    for push in pushes:
        parts = parts_of(push)
        if parts:
            wanted[parts[0]].add(parts[1])
    found = {}
    for row in of_changes(connection, wanted.keys()):
        for person in row.people:
            for device in wanted[row.change].intersection(person.devices):
                found[PushId(f"{row.change}.{device}")] = row.notification(person)
    return found


def newer(
    connection: Connection, notifications: Collection[Notification]
) -> dict[NotificationKey, Notification]:
    """For each notification the newest one of its place that the same person was told, if newer.

    Where a phone was told of that change for another student, its text has the same place, too.
    """
    if not notifications:
        return {}
    places = {place_of(one) for one in notifications}
    rows = at_places(connection, places, min(_earliest(one) for one in notifications))
    found: dict[NotificationKey, Notification] = {}
    for one in notifications:
        for row in rows.get(place_of(one), ()):
            for person in row.people:
                if (
                    row.position > one.position
                    and person.person == one.person
                    and person.reason in _TOLD_ELSEWHERE
                ):
                    found[one.id, one.person] = row.notification(person)
    return found


def overtaken(
    connection: Connection, notifications: Collection[Notification]
) -> dict[NotificationKey, str]:
    """Those that may not be sent any more, and why: a newer text, or the record is hidden or gone.

    One that is gone before anybody was told is not told of then.
    """
    if not notifications:
        return {}
    places = {place_of(one) for one in notifications}
    rows = at_places(connection, places, min(_earliest(one) for one in notifications))
    found: dict[NotificationKey, str] = {}
    for one in notifications:
        later = (row for row in rows.get(place_of(one), ()) if row.position > one.position)
        about = [it.reason for row in later for it in row.people if it.person == one.person]
        if not _TOLD_ELSEWHERE.isdisjoint(about):
            found[one.id, one.person] = SUPERSEDED
        elif about and (about[-1].hides or about[-1] is Reason.NEVER_TOLD):
            found[one.id, one.person] = about[-1]
    return found


def _earliest(one: Notification) -> datetime:
    """When it was told, or when it changed by the clock of the SIS, where that is behind."""
    return min(one.at, *(moment_of(change) for change in one.changes))


def place_of(one: Notification) -> Place:
    """Where its text stands on the person's phones."""
    return Place(one.student, one.facts.kind, one.record)


def facts_json(one: Facts) -> str:
    """The facts without the kind, which stands beside them."""
    words: tuple[Any, ...] = (
        one.student_name, one.before, one.after, one.details, one.number, one.school,
    )  # fmt: skip
    if one.closes:
        words = (*words, one.term, one.closes)
    elif one.term:
        words = (*words, one.term)
    return _encode(words).decode()


def facts_of(kind: Kind, words: str) -> Facts:
    """The facts again."""
    kept = _words.decode(words)
    return Facts(
        kind, kept.student_name, kept.before, kept.after, kept.details, kept.number, kept.closes,
        SchoolId(kept.school), TermId(kept.term),
    )  # fmt: skip


def spanning(column: Any, ids: Iterable[str]) -> Iterator[Any]:
    """Bounds of the *ids*, so that only their partitions are looked into."""
    known = sorted(ids)
    yield column >= known[0]
    yield column <= known[-1]


def _with_facts() -> Select[Any]:
    return select(*_COLUMNS, facts.c.facts).outerjoin(
        facts,
        and_(
            facts.c.change_id == decisions.c.change_id,
            facts.c.student_id == decisions.c.student_id,
        ),
    )


def _decided(row: Row[Any]) -> Decided:
    place = Place(StudentId(row.student_id), Kind(row.kind), row.record) if row.kind else None
    return Decided(
        ChangeId(row.change_id), place, row.position, row.watch, row.committed_at, row.decided_at,
        tuple(_person(*one) for one in _people.decode(row.people)),
        facts_of(place.kind, row.facts) if place and row.facts else None,
    )  # fmt: skip


class Knowing(NamedTuple):
    """A person whom a row tells, on some devices, or who was told before by the change *last*.

    Who is told apart has them in a notification of their own.
    """

    person: PersonId
    devices: tuple[DeviceId, ...]
    last: ChangeId | None
    is_apart: bool


def knowing(words: str) -> list[Knowing]:
    """Who knows anything of a record, by what its newest row holds about people."""
    return [
        _knowing(person, reason, *more[:3])
        for person, _, reason, *more in _people.decode(words)
        if any(more[1:3]) or reason in _INFORMS
    ]


def _knowing(
    person: PersonId,
    reason: str,
    language: str = "",  # noqa: ARG001 - the row's own order
    devices: Sequence[int] = (),
    last: ChangeId | None = None,
) -> Knowing:
    which = tuple(DeviceId(str(device)) for device in devices)
    return Knowing(person, which, last, reason == _APART)


def _person(
    person: str,
    letter: str,
    reason: str,
    language: str = "",
    devices: Sequence[int] = (),
    last: str | None = None,
    at: Sequence[str] = (),
    below: str | None = None,
) -> DecidedFor:
    return DecidedFor(
        PersonId(person), _AUDIENCES[letter], _REASONS[reason], language,
        tuple(DeviceId(str(device)) for device in devices), ChangeId(last) if last else None,
        _whereabouts(*at) if at else None, Decimal(below) if below else None,
    )  # fmt: skip


def _whereabouts(school: str, calendar: str | None = None, term: str | None = None) -> Whereabouts:
    return Whereabouts(
        SchoolId(school),
        None if calendar is None else CalendarId(calendar),
        None if term is None else TermId(term),
    )


def _parts(at: Whereabouts) -> Sequence[str | None]:
    """What there is of it: what comes last is left out where there is none."""
    if at.term is not None:
        return at
    return at[:1] if at.calendar is None else at[:2]


def _people_json(people: Sequence[DecidedFor]) -> str:
    """Who is silent needs no language and no devices; few have reasons of a school, or limits."""
    return _encode([_entry(one) for one in people]).decode()


def _entry(one: DecidedFor) -> tuple[Any, ...]:
    who = (one.person, _LETTERS[one.audience], _AS_KEPT[one.reason])
    if one.at:
        return (*who, "", (), one.last, _parts(one.at))
    if one.last:
        return (*who, "", (), one.last)
    if one.finds_it:
        told = (*who, one.language, [int(device) for device in one.devices])
        return told if one.below is None else (*told, one.last, (), f"{one.below:f}")
    return who
