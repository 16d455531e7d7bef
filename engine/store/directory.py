"""The directory: schools, calendars, people, students and rights, kept in step with the source.

The directory has a version, and each transaction that applies a reading makes a new one. A reading
is based on the version that was current before the SIS was asked. Where other readings of the same
rows were applied since, nobody can tell which of them is newer: then the row in question is left
as it is, and read again. So no row ever goes back to an older state, in whatever order readings
begin, end and are applied, and from whatever process (decision 18). The row that holds the version
is the lock of those who apply.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy import update as update_

from engine.errors import Unprocessable
from engine.sources.definition import ENTITY_KEYS, Entity
from engine.sources.directory import Listing, Reading, Scope, key_of
from engine.sources.directory_rows import ROW_COLUMNS, Arranger, DirectoryRow, Key
from engine.store.bulk import append, one_of
from engine.store.tables import (
    calendars,
    directory_readings,
    directory_version,
    people,
    rights,
    schools,
    students,
)
from rules.change import PersonId, SchoolId, StudentId

TABLES: Final[Mapping[Entity, Table]] = {
    "schools": schools,
    "calendars": calendars,
    "people": people,
    "students": students,
    "rights": rights,
}
# A source that suddenly lists almost nobody is broken or half loaded, not deserted.
_LEAST_SHARE: Final = 0.5
_LEAST_ROWS: Final = 20
_SLICE: Final = 5_000  # rows or keys at once
# Versions for which it is remembered what was read. An older reading conflicts with everything.
_REMEMBERED: Final = 10_000

_CURRENT: Final = select(directory_version.c.version)
_NEXT: Final = (
    update_(directory_version)
    .values(version=directory_version.c.version + 1)
    .returning(directory_version.c.version)
)
_READ_SINCE: Final = select(
    directory_readings.c.entity, directory_readings.c.by_column, directory_readings.c.key
).where(directory_readings.c.version > bindparam("base"))
_FORGET: Final = delete(directory_readings).where(
    directory_readings.c.version < bindparam("before")
)

_Rows = dict[Key, DirectoryRow]


@dataclass(frozen=True, slots=True)
class Difference:
    """What the SIS lists otherwise than we, in one part of the directory.

    *rows* are those that are new or differ, in packed slices: when everything differs they are
    many. *gone* are the keys of our rows that are not listed.
    """

    entity: Entity
    listed: int
    known: int
    rows: Sequence[bytes] = field(repr=False)
    gone: Sequence[Key] = field(repr=False)

    @property
    def is_none(self) -> bool:
        """Whether both are equal."""
        return not self.rows and not self.gone


class _Edit(NamedTuple):
    """A row as it stands here and as it is listed; None where it is not."""

    old: DirectoryRow | None
    new: DirectoryRow | None


def version(connection: Connection) -> int:
    """The current version; to be asked before the SIS is."""
    return int(connection.execute(_CURRENT).scalar_one())


def apply(connection: Connection, reading: Reading) -> list[Scope]:
    """Make the directory equal to what was read; return the scopes that must be read again.

    Those are left as they are. Call it in a transaction of its own: until it is committed nobody
    else can apply a reading.
    """
    now = _next_version(connection)
    since = _Since(connection, reading.version, now)
    again = []
    for listing in reading.listings:
        edits = _edits(connection, listing)
        if any(since.concerns(listing.scope.entity, edit) for edit in edits):
            again.append(listing.scope)
        else:
            _write(connection, listing.scope.entity, edits)
            _remember(connection, listing.scope, now)
    return again


def compare(
    connection: Connection,
    entity: Entity,
    slices: Iterable[Sequence[DirectoryRow]],
    arranger: Arranger,
) -> Difference:
    """Compare a part of the directory with all that the SIS lists.

    Of a key that comes again in a later slice the stricter values count: that row comes last.
    """
    table = TABLES[entity]
    known = connection.execute(select(func.count()).select_from(table)).scalar_one()
    met: set[Key] = set()
    again: list[DirectoryRow] = []
    rows = []
    for listed in slices:
        keys = {key_of(entity, row) for row in listed}
        if twice := keys & met:
            again += (row for row in listed if key_of(entity, row) in twice)
            listed = [row for row in listed if key_of(entity, row) not in twice]
        met |= keys
        ours = set(_beginning_with(connection, entity, {row[0] for row in listed}))
        if different := [row for row in listed if row not in ours]:
            rows.append(msgspec.msgpack.encode(different))
    if again:
        rows = _with_the_stricter(connection, entity, rows, again, arranger)
    gone = [key for key in _keys(connection, entity) if key not in met]
    return Difference(entity, len(met), known, rows, gone)


def _with_the_stricter(
    connection: Connection,
    entity: Entity,
    packed: Iterable[bytes],
    again: Sequence[DirectoryRow],
    arranger: Arranger,
) -> list[bytes]:
    """The rows that differ, when some of them were listed *again*.

    As an earlier slice listed those, they were like ours or are among the packed.
    """
    keys = {key_of(entity, row) for row in again}
    ours = _by_key(entity, _beginning_with(connection, entity, {key[0] for key in keys}))
    first = {key: row for key, row in ours.items() if key in keys}
    unpack = msgspec.msgpack.Decoder(_ROWS[entity]).decode
    rows = []
    for listed in map(unpack, packed):
        first |= {key: row for row in listed if (key := key_of(entity, row)) in keys}
        rows.append([row for row in listed if key_of(entity, row) not in keys])
    merged = arranger.merged(entity, [*first.values(), *again])
    rows.append([row for row in merged if ours.get(key_of(entity, row)) != row])
    return [msgspec.msgpack.encode(slice_) for slice_ in rows if slice_]


def refuse_shrinking(difference: Difference) -> None:
    """Raise Unprocessable where the SIS lists less than half of what was known."""
    listed, known = difference.listed, difference.known
    if known >= _LEAST_ROWS and listed < known * _LEAST_SHARE:
        raise Unprocessable(
            f"The source lists {listed} {difference.entity}, where {known} are known; nothing was "
            "changed.",
            "Check the directory query and the SIS; `schoolbell sync --shrink` accepts it.",
        )


def apply_all(connection: Connection, base: int, differences: Iterable[Difference]) -> None:
    """Apply what differs, but for rows that other readings were applied to since version *base*."""
    now = _next_version(connection)
    since = _Since(connection, base, now)
    for difference in differences:
        entity = difference.entity
        for edits in _edits_of(connection, difference):
            _write(connection, entity, [edit for edit in edits if not since.concerns(entity, edit)])
        _remember(connection, Scope(entity), now)


def knows_person(connection: Connection, person: PersonId) -> bool:
    """Whether the SIS lists this person."""
    return connection.execute(select(people.c.id).where(people.c.id == person)).first() is not None


def knows_student(connection: Connection, student: StudentId) -> bool:
    """Whether the SIS lists this student."""
    found = connection.execute(select(students.c.id).where(students.c.id == student))
    return found.first() is not None


def knows_school(connection: Connection, school: SchoolId) -> bool:
    """Whether the SIS lists this school."""
    found = connection.execute(select(schools.c.id).where(schools.c.id == school))
    return found.first() is not None


def schools_of(
    connection: Connection, wanted: Collection[StudentId]
) -> dict[StudentId, list[SchoolId]]:
    """The schools at which each student is enrolled; all that are listed where at none."""
    query = select(students.c.id, students.c.school_id, students.c.enrolled)
    found = connection.execute(
        query.where(one_of(connection, students.c.id, wanted)).order_by(students.c.school_id)
    ).all()
    enrolled, listed = defaultdict(list), defaultdict(list)
    for student, school, is_enrolled in found:
        listed[StudentId(student)].append(SchoolId(school))
        if is_enrolled:
            enrolled[StudentId(student)].append(SchoolId(school))
    return listed | enrolled


def names(
    connection: Connection, wanted: Collection[StudentId], *, with_accounts: bool = False
) -> dict[StudentId, str]:
    """The first names of those *wanted* students whom the directory knows.

    A student without an account has the name that the students query gives; empty if it gives none.
    *with_accounts* leaves out those whose account the directory does not know.
    """
    of_account = func.nullif(people.c.first_name, "")
    query = (
        select(students.c.id, func.coalesce(of_account, students.c.first_name))
        .outerjoin(people, people.c.id == students.c.person_id)
        .where(one_of(connection, students.c.id, wanted))
    )
    if with_accounts:
        query = query.where(or_(people.c.id.is_not(None), students.c.person_id == ""))
    return {StudentId(student): name for student, name in connection.execute(query)}


def full_names(connection: Connection, wanted: Collection[PersonId]) -> dict[PersonId, str]:
    """The names of those *wanted* people whom the directory knows."""
    found = connection.execute(
        select(people.c.id, people.c.first_name, people.c.last_name).where(
            one_of(connection, people.c.id, wanted)
        )
    ).all()
    return {PersonId(person): f"{first} {last}".strip() for person, first, last in found}


class _Since:
    """The rows that readings were applied to after version *base*, at version *now*."""

    def __init__(self, connection: Connection, base: int, now: int) -> None:
        self._everything = base < now - _REMEMBERED
        self._keys: dict[Entity, dict[str, set[str]]] = {}
        for entity, by, key in connection.execute(_READ_SINCE, {"base": base}):
            self._keys.setdefault(entity, {}).setdefault(by, set()).add(key)

    def concerns(self, entity: Entity, edit: _Edit) -> bool:
        """Whether the row was among them, as it stands here or as it is listed."""
        return self._everything or any(
            not by or _value(entity, row, by) in keys
            for by, keys in self._keys.get(entity, {}).items()
            for row in edit
            if row is not None
        )


def _value(entity: Entity, row: DirectoryRow, column: str) -> str:
    return str(row[ROW_COLUMNS[entity].index(column)])


def _next_version(connection: Connection) -> int:
    now = int(connection.execute(_NEXT).scalar_one())
    connection.execute(_FORGET, {"before": now - _REMEMBERED})
    return now


def _edits(connection: Connection, listing: Listing) -> list[_Edit]:
    """What would make our rows equal to a listing."""
    entity, by, keys = listing.scope
    theirs = _by_key(entity, listing.rows)
    table = TABLES[entity]
    where = [one_of(connection, table.c[by], keys)] if by else []
    within = _by_key(entity, _select(connection, entity, *where))
    ours = _ours(connection, entity, theirs.keys()) | within
    return [
        *(_Edit(ours.get(key), row) for key, row in theirs.items() if ours.get(key) != row),
        *(_Edit(row, None) for key, row in within.items() if key not in theirs),
    ]


def _edits_of(connection: Connection, difference: Difference) -> Iterator[list[_Edit]]:
    """A slice at a time. Our rows are looked at again: some may have changed since."""
    entity = difference.entity
    unpack = msgspec.msgpack.Decoder(_ROWS[entity]).decode
    for packed in difference.rows:
        theirs = _by_key(entity, unpack(packed))
        ours = _ours(connection, entity, theirs.keys())
        yield [_Edit(old, row) for key, row in theirs.items() if (old := ours.get(key)) != row]
    for start in range(0, len(difference.gone), _SLICE):
        keys = difference.gone[start : start + _SLICE]
        ours = _ours(connection, entity, keys)
        yield [_Edit(ours[key], None) for key in keys if key in ours]


def _ours(connection: Connection, entity: Entity, keys: Collection[Key]) -> _Rows:
    """Our rows with these keys, and others that begin with the same column."""
    return _by_key(entity, _beginning_with(connection, entity, {key[0] for key in keys}))


def _beginning_with(
    connection: Connection, entity: Entity, firsts: Set[str]
) -> Iterator[DirectoryRow]:
    first = TABLES[entity].c[ENTITY_KEYS[entity][0]]
    return _select(connection, entity, one_of(connection, first, firsts))


def _select(
    connection: Connection, entity: Entity, *where: ColumnElement[bool]
) -> Iterator[DirectoryRow]:
    return map(tuple, connection.execute(select(TABLES[entity]).where(*where)).all())


def _by_key(entity: Entity, rows: Iterable[DirectoryRow]) -> _Rows:
    return {key_of(entity, row): row for row in rows}


def _keys(connection: Connection, entity: Entity) -> Iterator[Key]:
    """All keys of a part, in their order."""
    columns = [TABLES[entity].c[name] for name in ENTITY_KEYS[entity]]
    page = select(*columns).order_by(*columns).limit(_SLICE)
    found = connection.execute(page).all()
    while found:
        yield from map(tuple, found)
        found = connection.execute(page.where(tuple_(*columns) > tuple(found[-1]))).all()


def _write(connection: Connection, entity: Entity, edits: Sequence[_Edit]) -> None:
    old = [key_of(entity, edit.old) for edit in edits if edit.old is not None]
    if old:
        table = TABLES[entity]
        key = ENTITY_KEYS[entity]
        connection.execute(
            delete(table).where(*(table.c[name] == bindparam(f"old_{name}") for name in key)),
            [{f"old_{name}": value for name, value in zip(key, row, strict=True)} for row in old],
        )
    append(connection, TABLES[entity], [edit.new for edit in edits if edit.new is not None])


def _remember(connection: Connection, scope: Scope, now: int) -> None:
    entity, by = scope.entity, scope.by
    keys = scope.keys if by else {""}
    table = directory_readings.c
    connection.execute(
        delete(directory_readings).where(
            table.entity == entity,
            table.by_column == by,
            one_of(connection, table.key, keys),
        )
    )
    append(connection, directory_readings, [(entity, by, key, now) for key in keys])


_TYPES: Final[Mapping[str, Any]] = {
    "active": bool,
    "enrolled": bool,
    "portal": bool,
    "restricted": bool,
    "starts": date | None,
    "ends": date | None,
}
_ROWS: Final[Mapping[Entity, Any]] = {
    entity: list[tuple[*(_TYPES.get(column, str) for column in columns)]]  # type: ignore[misc]
    for entity, columns in ROW_COLUMNS.items()
}
