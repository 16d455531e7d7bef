"""The directory's version, what was read since one, and whether what stands here is believed.

The row that holds the version is the lock of those who apply a reading.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy import update as update_

from engine.dialects import dialect_of
from engine.sources.definition import Entity
from engine.sources.directory import Scope
from engine.sources.directory_rows import ROW_COLUMNS, DirectoryRow
from engine.store import doubts
from engine.store.bulk import append, one_of
from engine.store.directory.rows import TABLES, Edit
from engine.store.tables import directory_readings, directory_version, watermarks
from rules.change import StudentId

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


def version(connection: Connection) -> int:
    """The current version; to be asked before the SIS is."""
    return int(connection.execute(_CURRENT).scalar_one())


def next_version(connection: Connection) -> int:
    now = int(connection.execute(_NEXT).scalar_one())
    connection.execute(_FORGET, {"before": now - _REMEMBERED})
    return now


def doubt(connection: Connection, scopes: Iterable[Scope]) -> None:
    """Note that the rows of *scopes* changed, and could not be read."""
    doubts.note(connection, scopes, next_version(connection))


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


def doubted(
    connection: Connection, wanted: Collection[StudentId], now: datetime, trusted: timedelta | None
) -> Collection[StudentId]:
    """Those of the *wanted* students about whom nobody knows who may be told.

    The last full read is believed for as long as it is *trusted*; None is for ever.
    """
    if not wanted:
        return ()
    last = None if trusted is None else read_at(connection)
    if last is not None and trusted is not None and now - last > trusted:
        return wanted
    return doubts.about(connection, wanted)


class Since:
    """The rows that readings were applied to after version *base*, at version *now*."""

    def __init__(self, connection: Connection, base: int, now: int) -> None:
        self._everything = base < now - _REMEMBERED
        self._keys: dict[Entity, dict[str, set[str]]] = {}
        for entity, by, key in connection.execute(_READ_SINCE, {"base": base}):
            self._keys.setdefault(entity, {}).setdefault(by, set()).add(key)

    def concerns(self, entity: Entity, edit: Edit) -> bool:
        """Whether the row was among them, as it stands here or as it is listed."""
        return self._everything or any(
            not by or _value(entity, row, by) in keys
            for by, keys in self._keys.get(entity, {}).items()
            for row in edit
            if row is not None
        )


def _value(entity: Entity, row: DirectoryRow, column: str) -> str:
    return str(row[ROW_COLUMNS[entity].index(column)])


def remember(connection: Connection, scope: Scope, now: int) -> None:
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
