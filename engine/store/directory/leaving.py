"""Who leaves the directory, and who is somebody else: nobody has what another chose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select
from sqlalchemy import update as update_

from engine.sources.definition import Entity
from engine.sources.directory_rows import STABLE, DirectoryRow, identity
from engine.sources.faults import Faults, Trouble
from engine.store import app, missing
from engine.store.bulk import one_of
from engine.store.directory.rows import TABLES, Edit, name_in, select_rows, sliced
from engine.store.tables import known_ids, people, students

# As many ids may be given to others at once; where more names change, it is their spelling.
_MOST_RENAMED: Final = 20


class Left:
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

    def note(self, connection: Connection, entity: Entity, edits: Sequence[Edit]) -> None:
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
            for slice_ in sliced(others):
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
        for slice_ in sliced(self._claimed):
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
        for slice_ in sliced(gone):
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
        for row in select_rows(connection, "people", one_of(connection, people.c.id, {*ids}))
    }


def _full_name(entity: Entity, row: DirectoryRow) -> str:
    """A name as it is compared; empty where there is none."""
    return " ".join(name_in(entity, row)).casefold().strip()


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
        .where(
            known_ids.c.entity == "people",
            known_ids.c.until.is_(None),
            one_of(connection, known_ids.c.identity, identities),
        )
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
    before, after = (
        {name.casefold() for name in name_in(entity, row) if name} for row in (old, new)
    )
    return bool(before) and bool(after) and before.isdisjoint(after)
