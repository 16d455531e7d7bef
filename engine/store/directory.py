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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
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

from engine.dialects import dialect_of
from engine.errors import Unprocessable
from engine.sources.definition import ENTITY_KEYS, Entity
from engine.sources.directory import Listing, Reading, Scope, key_of
from engine.sources.directory_rows import (
    ROW_COLUMNS,
    STABLE,
    Arranger,
    DirectoryRow,
    Key,
    identity,
)
from engine.sources.faults import Faults, Trouble
from engine.store import app, doubts, missing
from engine.store.bulk import append, one_of
from engine.store.tables import (
    calendars,
    directory_readings,
    directory_version,
    known_ids,
    people,
    rights,
    schools,
    students,
    watermarks,
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
# As many ids may be given to others at once; where more names change, it is their spelling.
_MOST_RENAMED: Final = 20
_LATELY: Final = timedelta(days=1)
_READ: Final = "directory"  # the watermark of full reads
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


def apply(connection: Connection, reading: Reading, at: datetime) -> list[Scope]:
    """Make the directory equal to what was read; return the scopes that must be read again.

    Those are left as they are. Call it in a transaction of its own: until it is committed nobody
    else can apply a reading. Who is gone is missing from *at* a moment on.
    """
    now = _next_version(connection)
    since, left = _Since(connection, reading.version, now), _Left()
    again = []
    for listing in reading.listings:
        edits = _edits(connection, listing)
        if any(since.concerns(listing.scope.entity, edit) for edit in edits):
            again.append(listing.scope)
        else:
            left.note(connection, listing.scope.entity, edits)
            _write(connection, listing.scope.entity, edits)
            _remember(connection, listing.scope, now)
            doubts.settle(connection, listing.scope, reading.version)
    left.end(connection, reading.faults, at)
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
    _refuse_shrinking(difference.entity, difference.listed, difference.known)


def _refuse_shrinking(entity: Entity, listed: int, known: int) -> None:
    if known >= _LEAST_ROWS and listed < known * _LEAST_SHARE:
        raise Unprocessable(
            f"The source lists {listed} {entity}, where {known} are known; nothing was changed.",
            "Check the directory query and the SIS; `schoolbell sync --shrink` accepts it.",
        )


def apply_all(
    connection: Connection,
    base: int,
    differences: Iterable[Difference],
    faults: Faults,
    at: datetime,
) -> None:
    """Apply what differs, but for rows that other readings were applied to since version *base*.

    What is wrong with rows among each other is added to *faults*.
    """
    now = _next_version(connection)
    since, left = _Since(connection, base, now), _Left()
    for difference in differences:
        entity = difference.entity
        for edits in _edits_of(connection, difference):
            apart = [edit for edit in edits if not since.concerns(entity, edit)]
            left.note(connection, entity, apart)
            _write(connection, entity, apart)
        _remember(connection, Scope(entity), now)
    left.end(connection, faults, at)


def doubt(connection: Connection, scopes: Iterable[Scope]) -> None:
    """Note that the rows of *scopes* changed, and could not be read."""
    doubts.note(connection, scopes, _next_version(connection))


def was_read(connection: Connection, at: datetime, base: int) -> None:
    """Note a full read that began *at* a moment, at version *base*: nothing is in doubt since."""
    for entity in TABLES:
        doubts.settle(connection, Scope(entity), base)
    first = dialect_of(connection).insert_new(watermarks)
    connection.execute(first.values(name=_READ, at=at))
    later = watermarks.c.name == _READ, watermarks.c.at < at
    connection.execute(update_(watermarks).where(*later).values(at=at))


def read_at(connection: Connection) -> datetime | None:
    """When the last full read that went well began; None where there was none."""
    found: datetime | None = connection.execute(
        select(watermarks.c.at).where(watermarks.c.name == _READ)
    ).scalar()
    return found


def is_in_step(connection: Connection, now: datetime) -> bool:
    """Whether a full read went well within a day: who came back would stand here."""
    last = read_at(connection)
    return last is not None and now - last <= _LATELY


def knows_person(connection: Connection, person: PersonId) -> bool:
    """Whether the SIS lists this person."""
    return connection.execute(select(people.c.id).where(people.c.id == person)).first() is not None


def knows_student(connection: Connection, student: StudentId) -> bool:
    """Whether the SIS lists this student."""
    found = connection.execute(select(students.c.id).where(students.c.id == student))
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


def identity_of(connection: Connection, person: PersonId) -> PersonId:
    """What the settings of a person are kept under, also after their id left the directory."""
    return PersonId(_identity_of(connection, "people", person))


def identity_of_student(connection: Connection, student: StudentId) -> StudentId:
    """The same of a student."""
    return StudentId(_identity_of(connection, "students", student))


def ids_of(connection: Connection, person: PersonId) -> list[PersonId]:
    """All ids that a person has or had, *person* among them."""
    found = connection.execute(
        select(known_ids.c.id).where(
            known_ids.c.entity == "people",
            known_ids.c.identity == _identity_of(connection, "people", person),
        )
    )
    return sorted({person, *(PersonId(row.id) for row in found)})


def restricted(connection: Connection, people_: Collection[PersonId]) -> set[StudentId]:
    """The students from whom a restriction parts one of these people, by all of their ids."""
    found = connection.execute(
        select(rights.c.student_id, students.c.identity)
        .outerjoin(students, students.c.id == rights.c.student_id)
        .where(one_of(connection, rights.c.person_id, people_), rights.c.restricted)
    ).all()
    others = connection.execute(
        select(known_ids.c.id).where(
            known_ids.c.entity == "students",
            one_of(connection, known_ids.c.identity, {row.identity for row in found} - {None}),
        )
    )
    return {StudentId(row[0]) for row in (*found, *others)}


def _identity_of(connection: Connection, entity: Entity, id_: str) -> str:
    table = TABLES[entity]
    query = select(table.c.identity).where(table.c.id == id_).order_by(table.c.identity)
    now = connection.execute(query).scalar()
    if now is not None:
        return str(now)
    before = connection.execute(
        select(known_ids.c.identity).where(known_ids.c.entity == entity, known_ids.c.id == id_)
    ).scalar()
    return identity("", id_) if before is None else str(before)


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
    return {StudentId(student): name for student, name in connection.execute(query).all()}


def full_names(connection: Connection, wanted: Collection[PersonId]) -> dict[PersonId, str]:
    """The names of those *wanted* people whom the directory knows."""
    found = connection.execute(
        select(people.c.id, people.c.first_name, people.c.last_name).where(
            one_of(connection, people.c.id, wanted)
        )
    ).all()
    return {PersonId(person): f"{first} {last}".strip() for person, first, last in found}


class _Left:
    """Who leaves the directory, and who is somebody else: no other has what they chose.

    What is kept under a stable id stays, as nobody else ever gets that.
    """

    def __init__(self) -> None:
        self._gone: dict[Entity, dict[str, DirectoryRow]] = {"people": {}, "students": {}}
        self._came: dict[Entity, dict[str, DirectoryRow]] = {"people": {}, "students": {}}
        self._changed: dict[Entity, set[str]] = {"people": set(), "students": set()}
        self._moved: dict[Entity, dict[str, str]] = {"people": {}, "students": {}}
        self._claimed: set[str] = set()
        self._names = _Names()
        self._others = _Others(self._names)

    def note(self, connection: Connection, entity: Entity, edits: Sequence[_Edit]) -> None:
        """Look for rows that go, come, get another identity, or become somebody else's."""
        if entity not in self._gone:
            return
        came = {new[-1]: new for old, new in edits if old is None and new is not None}
        back = missing.among(connection, entity, came) if came else ()
        self._came[entity] |= {one: came[one] for one in back}
        for old, new in edits:
            if entity == "people" and new is not None and new[-1].startswith(STABLE):
                self._claimed.add(new[-1])
            if old is None:
                continue
            was = old[-1]
            if entity == "people":
                self._names.note(old)
            if new is None:
                self._gone[entity][was] = old
            elif new[-1] != was:
                self._changed[entity].add(was)
                if _is_the_same(entity, old, new):
                    self._moved[entity][was] = new[-1]
            else:
                self._others.note(entity, old, new)

    def end(self, connection: Connection, faults: Faults, at: datetime) -> None:
        """End what nobody has any more, once everything is written."""
        self._refuse_shared(connection, faults)
        if moved := self._moved["people"]:
            app.move_accounts(connection, moved)
        if moved := self._moved["students"]:
            app.move_subscriptions(connection, moved)
        for entity, end in _ENDS.items():
            others = self._others.found(connection, entity)
            others |= self._without_rows(connection, entity, self._changed[entity])
            for slice_ in _sliced(others):
                end(connection, slice_)
            gone, came = self._gone[entity], self._came[entity]
            left = self._without_rows(connection, entity, gone.keys())
            missing.note(
                connection,
                entity,
                self._names.of(connection, entity, {one: gone[one] for one in left}),
                at,
            )
            missing.back(connection, entity, self._names.of(connection, entity, came))

    def _refuse_shared(self, connection: Connection, faults: Faults) -> None:
        """A stable id of two people of different names is none: they would share their phones."""
        for slice_ in _sliced(self._claimed):
            for identity_, rows in _holders(connection, slice_).items():
                if any(_is_named_otherwise(rows[0], row) for row in rows[1:]):
                    app.end_accounts(connection, [identity_])
                    _make_plain(connection, rows)
                    self._moved["people"] = {
                        was: becomes
                        for was, becomes in self._moved["people"].items()
                        if becomes != identity_
                    }
                    faults.add("people", "stable_id", Trouble.SHARED, [(row[0],) for row in rows])

    def _without_rows(
        self, connection: Connection, entity: Entity, found: Collection[str]
    ) -> set[str]:
        column = TABLES[entity].c.identity
        gone = {one for one in found if not one.startswith(STABLE)}
        for slice_ in _sliced(gone):
            still = connection.execute(select(column).where(one_of(connection, column, slice_)))
            gone -= {row.identity for row in still}
        return gone


_ENDS: Final[Mapping[Entity, Callable[[Connection, Sequence[str]], None]]] = {
    "people": app.end_accounts,
    "students": app.end_subscriptions,
}


class _Names:
    """What people are called, also those whose rows have just gone or changed."""

    def __init__(self) -> None:
        self._before: dict[str, DirectoryRow] = {}

    def note(self, person: DirectoryRow) -> None:
        """Keep a row as it stood."""
        self._before.setdefault(person[0], person)

    def before(self, connection: Connection, ids: Collection[str]) -> Mapping[str, DirectoryRow]:
        """The rows of some people before this transaction, where they had any."""
        return {
            **_people(connection, ids),
            **{id_: self._before[id_] for id_ in ids if id_ in self._before},
        }

    def of(
        self, connection: Connection, entity: Entity, rows: Mapping[str, DirectoryRow]
    ) -> Mapping[str, str]:
        """The full name in each row; of a student without one that of the account."""
        names = {which: _full_name(entity, row) for which, row in rows.items()}
        if entity == "students":
            accounts = {which: rows[which][2] for which, name in names.items() if not name}
            known = self._before | _people(connection, accounts.values())
            for which, person in accounts.items():
                if person in known:
                    names[which] = _full_name("people", known[person])
        return names


class _Others:
    """Ids that the SIS gave to somebody else, of whom no part of the name is the same.

    A student whose own name the query does not give is called like the account.
    """

    def __init__(self, names: _Names) -> None:
        self._names = names
        self._found: dict[Entity, set[str]] = {"people": set(), "students": set()}
        self._people: set[str] = set()
        self._accounts: dict[str, tuple[str, str]] = {}

    def note(self, entity: Entity, old: DirectoryRow, new: DirectoryRow) -> None:
        """Look at a row that keeps its identity."""
        if _is_somebody_else(entity, old, new):
            self._found[entity].add(old[-1])
            if entity == "people":
                self._people.add(old[0])
        elif entity == "students" and old[2] != new[2] and not _full_name(entity, new):
            self._accounts[old[-1]] = old[2], new[2]

    def found(self, connection: Connection, entity: Entity) -> set[str]:
        """Their identities; none where more change at once, as then names are spelled otherwise."""
        if entity == "students" and len(self._people) <= _MOST_RENAMED:
            self._found[entity] |= self._of_accounts(connection)
        found = self._found[entity]
        if len(found) > _MOST_RENAMED:
            return set()
        return {one for one in found if not one.startswith(STABLE)}

    def _of_accounts(self, connection: Connection) -> set[str]:
        """Students whose account has another name now, or is that of somebody of another name."""
        table = students.c
        nameless = select(table.identity).where(
            one_of(connection, table.person_id, self._people),
            table.first_name == "",
            table.last_name == "",
        )
        renamed = {str(one) for (one,) in connection.execute(nameless)} if self._people else set()
        ids = {one for pair in self._accounts.values() for one in pair}
        before, after = self._names.before(connection, ids), _people(connection, ids)
        return renamed | {
            which
            for which, (was, now) in self._accounts.items()
            if was in before
            and now in after
            and _is_somebody_else("people", before[was], after[now])
        }


def _people(connection: Connection, ids: Collection[str]) -> dict[str, DirectoryRow]:
    if not ids:
        return {}
    return {
        row[0]: row
        for row in _select(connection, "people", one_of(connection, people.c.id, {*ids}))
    }


def _name(entity: Entity, row: DirectoryRow) -> tuple[str, str]:
    first = ROW_COLUMNS[entity].index("first_name")
    return row[first], row[first + 1]


def _full_name(entity: Entity, row: DirectoryRow) -> str:
    """A name as it is compared; empty where there is none."""
    return " ".join(_name(entity, row)).casefold().strip()


def _is_the_same(entity: Entity, old: DirectoryRow, new: DirectoryRow) -> bool:
    """Whether a row only gained or lost its stable id: that of another is another's."""
    one_is_plain = old[-1].startswith(STABLE) != new[-1].startswith(STABLE)
    return one_is_plain and not _is_somebody_else(entity, old, new)


def _holders(
    connection: Connection, identities: Collection[str]
) -> Mapping[str, list[DirectoryRow]]:
    """The people whose row last gave one of these stable ids, also where it was refused."""
    found = connection.execute(
        select(known_ids.c.identity, people)
        .join(people, people.c.id == known_ids.c.id)
        .where(known_ids.c.entity == "people", one_of(connection, known_ids.c.identity, identities))
        .order_by(people.c.id)
    )
    holders: dict[str, list[DirectoryRow]] = defaultdict(list)
    for claimed, *row in found:
        holders[claimed].append(tuple(row))
    return holders


def _make_plain(connection: Connection, rows: Iterable[DirectoryRow]) -> None:
    """Keep the settings of these people under their ids; what they claimed stays known."""
    connection.execute(
        update_(people)
        .where(people.c.id == bindparam("which"))
        .values(identity=bindparam("plain")),
        [{"which": row[0], "plain": identity("", row[0])} for row in rows],
    )


def _is_named_otherwise(one: DirectoryRow, other: DirectoryRow) -> bool:
    return [name.casefold() for name in one[1:3]] != [name.casefold() for name in other[1:3]]


def _is_somebody_else(entity: Entity, old: DirectoryRow, new: DirectoryRow) -> bool:
    """Whether no part of a name is left: the SIS gave the id to another person."""
    before, after = ({name.casefold() for name in _name(entity, row) if name} for row in (old, new))
    return bool(before) and bool(after) and before.isdisjoint(after)


def _sliced(found: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(found)
    for start in range(0, len(ordered), _SLICE):
        yield ordered[start : start + _SLICE]


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
    if not by:
        _refuse_shrinking(entity, len(theirs), len(within))
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
    new = [edit.new for edit in edits if edit.new is not None]
    append(connection, TABLES[entity], new)
    if entity in ("people", "students"):
        _know(connection, entity, new)


def _know(connection: Connection, entity: Entity, rows: Sequence[DirectoryRow]) -> None:
    """Keep in mind whose an id is that has a stable one, for when it has left the directory."""
    connection.execute(
        delete(known_ids).where(
            known_ids.c.entity == entity,
            one_of(connection, known_ids.c.id, {row[0] for row in rows}),
        )
    )
    stable = {row[0]: row[-1] for row in rows if row[-1].startswith(STABLE)}
    append(connection, known_ids, [(entity, *pair) for pair in stable.items()])


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
