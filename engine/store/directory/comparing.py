"""What a full read of the SIS lists otherwise than we."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from engine.errors import Unprocessable
from engine.sources.definition import Entity
from engine.sources.directory import key_of
from engine.sources.directory_rows import ROW_COLUMNS, Arranger, DirectoryRow, Key
from engine.store.directory.rows import (
    SLICE,
    TABLES,
    Edit,
    beginning_with,
    by_key,
    keys_of,
    ours_of,
)

# A source that suddenly lists almost nobody is broken or half loaded, not deserted.
_LEAST_SHARE: Final = 0.5
_LEAST_ROWS: Final = 20
_TYPES: Final[Mapping[str, Any]] = {
    "active": bool,
    "enrolled": bool,
    "portal": bool,
    "restricted": bool,
    "starts": date | None,
    "ends": date | None,
    "born": date | None,
}
_ROWS: Final[Mapping[Entity, Any]] = {
    entity: list[tuple[*(_TYPES.get(column, str) for column in columns)]]  # type: ignore[misc]
    for entity, columns in ROW_COLUMNS.items()
}


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
        ours = set(beginning_with(connection, entity, {row[0] for row in listed}))
        if different := [row for row in listed if row not in ours]:
            rows.append(msgspec.msgpack.encode(different))
    if again:
        rows = _with_the_stricter(connection, entity, rows, again, arranger)
    gone = [key for key in keys_of(connection, entity) if key not in met]
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
    ours = by_key(entity, beginning_with(connection, entity, {key[0] for key in keys}))
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
    refuse_few(difference.entity, difference.listed, difference.known)


def refuse_few(entity: Entity, listed: int, known: int) -> None:
    if known >= _LEAST_ROWS and listed < known * _LEAST_SHARE:
        raise Unprocessable(
            f"The source lists {listed} {entity}, where {known} are known; nothing was changed.",
            "Check the directory query and the SIS; `schoolbell sync --shrink` accepts it.",
        )


def edits_of(connection: Connection, difference: Difference) -> Iterator[list[Edit]]:
    """A slice at a time. Our rows are looked at again: some may have changed since."""
    entity = difference.entity
    unpack = msgspec.msgpack.Decoder(_ROWS[entity]).decode
    for packed in difference.rows:
        theirs = by_key(entity, unpack(packed))
        ours = ours_of(connection, entity, theirs.keys())
        yield [Edit(old, row) for key, row in theirs.items() if (old := ours.get(key)) != row]
    for start in range(0, len(difference.gone), SLICE):
        keys = difference.gone[start : start + SLICE]
        ours = ours_of(connection, entity, keys)
        yield [Edit(ours[key], None) for key in keys if key in ours]
