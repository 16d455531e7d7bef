"""Making the directory equal to what was read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select, update

from engine.sources.definition import ENTITY_KEYS, Entity
from engine.sources.directory import Listing, Reading, Scope, key_of
from engine.sources.directory_rows import STABLE, DirectoryRow
from engine.sources.faults import Faults
from engine.store import doubts, searched_names
from engine.store.bulk import append, one_of
from engine.store.directory.comparing import Difference, edits_of, refuse_few
from engine.store.directory.leaving import Left
from engine.store.directory.rows import TABLES, Edit, by_key, name_in, ours_of, select_rows
from engine.store.directory.versions import Since, next_version, remember
from engine.store.directory.who import ALWAYS
from engine.store.tables import known_ids


def apply(connection: Connection, reading: Reading, at: datetime) -> list[Scope]:
    """Make the directory equal to what was read; return the scopes that must be read again.

    Those are left as they are. Call it in a transaction of its own: until it is committed nobody
    else can apply a reading. Who is gone is missing from *at* a moment on.
    """
    now = next_version(connection)
    since, left = Since(connection, reading.version, now), Left()
    again = []
    for listing in reading.listings:
        edits = _edits(connection, listing)
        if any(since.concerns(listing.scope.entity, edit) for edit in edits):
            again.append(listing.scope)
        else:
            left.note(connection, listing.scope.entity, edits)
            _write(connection, listing.scope.entity, edits, at)
            remember(connection, listing.scope, now)
            doubts.settle(connection, listing.scope, reading.version)
    left.end(connection, reading.faults, at)
    return again


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
    now = next_version(connection)
    since, left = Since(connection, base, now), Left()
    for difference in differences:
        entity = difference.entity
        for edits in edits_of(connection, difference):
            apart = [edit for edit in edits if not since.concerns(entity, edit)]
            left.note(connection, entity, apart)
            _write(connection, entity, apart, at)
        remember(connection, Scope(entity), now)
    left.end(connection, faults, at)


def _edits(connection: Connection, listing: Listing) -> list[Edit]:
    """What would make our rows equal to a listing."""
    entity, by, keys = listing.scope
    theirs = by_key(entity, listing.rows)
    table = TABLES[entity]
    where = [one_of(connection, table.c[by], keys)] if by else []
    within = by_key(entity, select_rows(connection, entity, *where))
    if not by:
        refuse_few(entity, len(theirs), len(within))
    ours = ours_of(connection, entity, theirs.keys()) | within
    return [
        *(Edit(ours.get(key), row) for key, row in theirs.items() if ours.get(key) != row),
        *(Edit(row, None) for key, row in within.items() if key not in theirs),
    ]


def _write(connection: Connection, entity: Entity, edits: Sequence[Edit], at: datetime) -> None:
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
        _know(connection, entity, new, at)
        _name_again(connection, entity, edits)


def _name_again(connection: Connection, entity: Entity, edits: Sequence[Edit]) -> None:
    """Let those who came, went or are called otherwise be found by their names of now."""
    before = {key_of(entity, one.old): _called(entity, one.old) for one in edits if one.old}
    after = {key_of(entity, one.new): _called(entity, one.new) for one in edits if one.new}
    searched_names.replace(
        connection, entity,
        [key for key, name in before.items() if after.get(key) != name],
        {key: name for key, name in after.items() if before.get(key) != name},
    )  # fmt: skip


def _called(entity: Entity, row: DirectoryRow) -> str:
    """As names are searched: the last name first."""
    first, last = name_in(entity, row)
    return f"{last} {first}".strip()


def _know(
    connection: Connection, entity: Entity, rows: Sequence[DirectoryRow], at: datetime
) -> None:
    """Keep in mind whose an id is that has a stable one, and whose it was before *at*."""
    stable = {row[0]: row[-1] for row in rows if row[-1].startswith(STABLE)}
    of_these = (
        known_ids.c.entity == entity,
        one_of(connection, known_ids.c.id, {row[0] for row in rows}),
    )
    known = connection.execute(select(known_ids.c.id, known_ids.c.identity, known_ids.c.until)
                               .where(*of_these)).all()  # fmt: skip
    now = {row.id: row.identity for row in known if row.until is None}
    over = {one for one, whose in now.items() if stable.get(one) != whose}
    its = (known_ids.c.entity == entity, one_of(connection, known_ids.c.id, over))
    connection.execute(delete(known_ids).where(*its, known_ids.c.since >= at))
    connection.execute(update(known_ids).where(*its, known_ids.c.until.is_(None)).values(until=at))
    had_another = {row.id for row in known}
    append(
        connection,
        known_ids,
        [
            (entity, one, at if one in had_another else ALWAYS, whose, None)
            for one, whose in stable.items()
            if now.get(one) != whose
        ],
    )
