"""What was last told of some records, as the rows of their decisions say it.

The newest row of a place holds what each person knows: those whom it tells, its own words; those
who were silent, the change of which they were last told. So one look into an index finds the row,
and a second one the words, for as long as these are kept. Each is a scalar subquery for each place:
a join may be planned in ways whose price grows with the square of the batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, String, and_, cast, select

from engine.ports import Earlier
from engine.store import notifications
from engine.store.bulk import one_of, tuples
from engine.store.decisions import CLOCKS_DIFFER, PLACE, Knowing, facts_of, knowing, spanning
from engine.store.tables import decisions, facts
from rules.change import ChangeId, Facts, Kind, PersonId, Place, StudentId
from rules.identity import first_id_at, notification_id
from rules.notification import Notification, NotificationId, State
from rules.told import REMEMBERED_FOR, LastTold, Shown


class _Row(NamedTuple):
    """A decision about a place, with those whom it tells and those who were told before."""

    position: int
    change: ChangeId
    knowing: Sequence[Knowing]

    @property
    def tells(self) -> bool:
        """Whether anybody knows by it."""
        return any(one.last is None for one in self.knowing)


_Key = tuple[Place, ChangeId]


def last_told(
    connection: Connection, places: Collection[Place], since: datetime, until: datetime
) -> dict[Place, LastTold]:
    """The newest decision about each place, and what people know since; none where there is none.

    It is looked for among changes between those moments, and for as long before as is remembered.
    """
    newest = _newest(connection, places, since - REMEMBERED_FOR, until + CLOCKS_DIFFER)
    earlier = {
        (place, one.last) for place, row in newest.items() for one in row.knowing if one.last
    }
    rows = {(place, row.change): row for place, row in newest.items()}
    rows |= _rows(connection, earlier)
    apart = _told_apart(connection, rows)
    words = _words(connection, {key for key, row in rows.items() if row.tells})
    return {
        place: LastTold(row.position, row.change, dict(_shown(place, row, rows, words, apart)))
        for place, row in newest.items()
    }


def earlier(
    connection: Connection, places: Collection[Place], since: datetime, until: datetime
) -> dict[Place, list[Earlier]]:
    """All decisions about each place, the highest position first, as far as is remembered."""
    if not places:
        return {}
    wanted = tuples(connection, PLACE, sorted(places))
    found = connection.execute(
        select(
            *PLACE, decisions.c.change_id, decisions.c.watch, decisions.c.position,
            decisions.c.decided_at,
        )
        .join(wanted, and_(*(column == wanted.c[column.name] for column in PLACE)))
        .where(
            decisions.c.change_id >= first_id_at(since - REMEMBERED_FOR),
            decisions.c.change_id <= first_id_at(until + CLOCKS_DIFFER),
        )
        .order_by(decisions.c.position.desc())
    )  # fmt: skip
    rows: dict[Place, list[Earlier]] = defaultdict(list)
    for student, kind, record, *rest in found.all():
        rows[Place(StudentId(student), Kind(kind), record)].append(Earlier(*rest))
    return rows


def places_of(
    connection: Connection, rows: Collection[str], since: datetime, until: datetime
) -> dict[str, set[Place]]:
    """Where people were told of rows of the SIS, by the rows' names, as far as is remembered."""
    if not rows:
        return {}
    found = connection.execute(
        select(decisions.c.source_row, *PLACE).where(
            one_of(connection, decisions.c.source_row, rows),
            decisions.c.change_id >= first_id_at(since - REMEMBERED_FOR),
            decisions.c.change_id <= first_id_at(until + CLOCKS_DIFFER),
        )
    )
    places: dict[str, set[Place]] = defaultdict(set)
    for row, student, kind, record in found.all():
        places[row].add(Place(StudentId(student), Kind(kind), record))
    return places


def _newest(
    connection: Connection, places: Collection[Place], since: datetime, until: datetime
) -> dict[Place, _Row]:
    if not places:
        return {}
    wanted = tuples(connection, PLACE, sorted(places))
    newest = (
        select(_AS_TEXT)
        .where(
            *(column == wanted.c[column.name] for column in PLACE),
            decisions.c.change_id >= first_id_at(since),
            decisions.c.change_id < first_id_at(until + timedelta(milliseconds=1)),
        )
        .order_by(decisions.c.position.desc(), decisions.c.change_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    found = connection.execute(
        select(wanted.c.student_id, wanted.c.kind, wanted.c.record, newest.label("row"))
    )
    return {
        Place(student, kind, record): _row(row)
        for student, kind, record, row in found.all()
        if row is not None
    }


def _rows(connection: Connection, keys: Collection[_Key]) -> dict[_Key, _Row]:
    if not keys:
        return {}
    columns = (*PLACE, decisions.c.change_id)
    wanted = tuples(connection, columns, [(*place, change) for place, change in keys])
    row = (
        select(_AS_TEXT)
        .where(
            *(column == wanted.c[column.name] for column in columns),
            *spanning(decisions.c.change_id, {change for _, change in keys}),
        )
        .scalar_subquery()
    )
    found = connection.execute(
        select(wanted.c.student_id, wanted.c.kind, wanted.c.record, row.label("row"))
    )
    rows = (
        (Place(student, kind, record), _row(row))
        for student, kind, record, row in found.all()
        if row is not None
    )
    return {(place, row.change): row for place, row in rows}


def _words(connection: Connection, keys: Collection[_Key]) -> dict[_Key, Facts]:
    if not keys:
        return {}
    columns = (facts.c.change_id, facts.c.student_id)
    wanted = tuples(connection, columns, [(change, place.student) for place, change in keys])
    words = (
        select(facts.c.facts)
        .where(
            *(column == wanted.c[column.name] for column in columns),
            *spanning(facts.c.change_id, {change for _, change in keys}),
        )
        .scalar_subquery()
    )
    found = connection.execute(
        select(wanted.c.change_id, wanted.c.student_id, words.label("words"))
    )
    kept = {(change, student): words for change, student, words in found if words is not None}
    return {
        (place, change): facts_of(Kind(place.kind), kept[change, place.student])
        for place, change in keys
        if (change, place.student) in kept
    }


def _told_apart(
    connection: Connection, rows: Mapping[_Key, _Row]
) -> Mapping[NotificationId, Notification]:
    """The notifications of their own by which people were told of *rows*, or still are to be."""
    ids = {
        notification_id(change, place.student, one.person)
        for (place, change), row in rows.items()
        for one in row.knowing
        if one.is_apart
    }
    found = notifications.by_id(connection, ids).values()
    return {one.id: one for one in found if one.state in (State.TOLD, State.HELD)}


_BARE_UUID: Final = 32  # SQLite keeps them without hyphens

# A scalar subquery gives one column: three in one text, of which the last may hold anything.
_AS_TEXT = (
    cast(decisions.c.position, String)
    + " "
    + cast(decisions.c.change_id, String)
    + " "
    + decisions.c.people
)


def _row(text: str) -> _Row:
    position, change, people = text.split(" ", 2)
    if len(change) == _BARE_UUID:
        change = str(UUID(change))
    return _Row(int(position), ChangeId(change), knowing(people))


def _shown(
    place: Place,
    newest: _Row,
    rows: Mapping[_Key, _Row],
    words: Mapping[_Key, Facts],
    apart: Mapping[NotificationId, Notification],
) -> Iterator[tuple[PersonId, Shown]]:
    """What each person knows of a place, where its words are kept."""
    for one in newest.knowing:
        row, by_then = newest, one
        if one.last:
            row = rows.get((place, one.last), newest)
            by_then = next((then for then in row.knowing if then.person == one.person), one)
        said = words.get((place, row.change))
        if by_then.last is not None or said is None:
            continue
        if not by_then.is_apart:
            yield one.person, Shown(row.change, row.position, said, by_then.devices)
        elif its := apart.get(notification_id(row.change, place.student, one.person)):
            waits = its.state is State.HELD
            devices = () if waits else its.devices
            yield one.person, Shown(row.change, row.position, said, devices, waits)
