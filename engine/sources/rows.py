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


def _named(watch: Watch, key: tuple[str, ...]) -> str:
    return f"{watch.name} {msgspec.json.encode(key).decode()}"
