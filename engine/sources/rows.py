"""Rows of the SIS by name: which one a record stood in is still asked when it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.sources.definition import Definition, Watch
from engine.sources.keys import parts
from rules.change import Change


def own_watch(definition: Definition, watch: Watch) -> Watch:
    """The watch of the record itself: of a *watch* that releases, the one with the same facts."""
    if not watch.releases:
        return watch
    of_record = (one for one in definition.watch if one.facts == watch.facts and one.values)
    return next(of_record, watch)


def row_of(change: Change, watch: Watch) -> str:
    """The row that a change of a record's own *watch* is about; empty where it has no key."""
    key = parts(change.key, watch.key_columns)
    return _named(watch, key) if key else ""


def row_of_fact(fact: Mapping[str, Any], watch: Watch) -> str:
    """The row of a record's own *watch* that a row of its facts tells of."""
    values = [fact[column] for column in watch.by_columns]
    return "" if None in values else _named(watch, tuple(str(value) for value in values))


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


def _named(watch: Watch, key: tuple[str, ...]) -> str:
    return f"{watch.name} {msgspec.json.encode(key).decode()}"
