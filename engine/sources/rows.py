"""Rows of the SIS by name: which one a record stood in is still asked when it is gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from engine.dialects.dialect import NAME
from engine.sources.definition import Definition, Watch
from engine.sources.keys import parts
from engine.sources.queries import names
from rules.change import Change, ChangeId


def own_watch(definition: Definition, watch: Watch) -> Watch:
    """The watch of the record itself: of a *watch* that releases, the one with the same facts."""
    if not watch.releases:
        return watch
    of_record = (one for one in definition.watch if one.facts == watch.facts and one.values)
    return next(of_record, watch)


def row_of(fact: Mapping[str, Any], watch: Watch) -> str:
    """The row of a record's own *watch* that a row of its facts tells of; empty without a key."""
    return "" if None in [fact[one] for one in watch.by_columns] else _named(watch, fact[NAME])


def rows_of(
    connection: Connection, definition: Definition, watch: Watch, changes: Sequence[Change]
) -> Iterator[tuple[ChangeId, str]]:
    """The rows that *changes* of a record's own *watch* are about, whether they are there or gone.

    They are named as the facts name them, and the database does: the key of a change is written as
    the table has it, and a column of the facts may be of another type.
    """
    keys = {one.id: key for one in changes if (key := parts(one.key, watch.key_columns))}
    query = definition.facts[watch.facts].query
    found = names(connection, query, watch.by_columns, list(dict.fromkeys(keys.values())))
    for change, key in keys.items():
        if key in found:
            yield change, _named(watch, found[key])


def is_of_one_row(definition: Definition, watch: Watch, change: Change, record: str) -> bool:
    """Whether only changes of the same row as *change* can tell of this *record*.

    So it is where the record is named for its row, and no other watch tells of records of the kind
    by what their own rows say. A watch that releases tells of those of others.
    """
    own = (one for one in definition.watch if one.kind is watch.kind and not one.releases)
    if next(own, None) is not watch:
        return False
    return record == change.key or _says_no_more(record, parts(change.key, watch.key_columns) or ())


def _says_no_more(record: str, key: tuple[str, ...]) -> bool:
    """Whether a *record* is its *key* with the same words between for each: placement 131."""
    if not all(key):
        return False
    rest, between = record, []
    for part in key:
        words, found, rest = rest.partition(part)
        if not found:
            return False
        between.append(words)
    another = str.isdigit if all(part.isdigit() for part in key) else str.isalnum
    return not any(map(another, "".join([*between, rest])))


def _named(watch: Watch, name: str) -> str:
    return f"{watch.name} {name}"
