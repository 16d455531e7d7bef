"""Real rows of each query, read as evaluate and sync read them: what there is, and what is wrong.

A query that runs may still give what nobody can use. Nothing is kept of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row

from engine.sources import directory
from engine.sources.flags import understood
from engine.sources.queries import asking, converting, stream_all
from engine.sources.source import SqlSource

_OF_DIRECTORY: Final = 50_000  # rows of each part
_OF_FACTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a query gave: *rows* of what, all of them or only so *many* as were taken."""

    what: str
    rows: int
    all_of_them: bool
    faults: Sequence[str]

    def __str__(self) -> str:
        return f"{self.rows:,} {'' if self.all_of_them else 'or more '}{self.what}"


def sampled(source: SqlSource) -> Iterator[Sampled]:
    """A sample of each query. Raises BrokenQuery, and Unprocessable for what no driver can read."""
    yield from _of_directory(source)
    yield from sampled_facts(source)


def sampled_facts(source: SqlSource) -> Iterator[Sampled]:
    """The same of the queries that no reading of the directory asks."""
    for name, query in source.definition.facts.items():
        rows = _rows(source, f"[facts.{name}]", query.query)
        faults = list(_faults(f"[facts.{name}]", rows))
        yield Sampled(f"facts of {name}", len(rows), len(rows) < _OF_FACTS, faults)
    for name, query in source.definition.labels.items():
        rows = _rows(source, f"[labels.{name}]", query.query)
        yield Sampled(f"labels of {name}", len(rows), len(rows) < _OF_FACTS, [])


def _of_directory(source: SqlSource) -> Iterator[Sampled]:
    found = directory.samples(source.database, source.definition, _OF_DIRECTORY, source.zone)
    for one in found:
        every = one.rows < _OF_DIRECTORY
        yield Sampled(one.entity, one.rows, every, [str(fault) for fault in one.faults])


def _rows(source: SqlSource, name: str, query: str) -> Sequence[Row[Any]]:
    with (
        source.database.snapshot() as connection,
        asking(source.database, name),
        converting(source.database, name),
        closing(stream_all(connection, query, _OF_FACTS)) as slices,
    ):
        return next(slices, [])


def _faults(name: str, rows: Sequence[Row[Any]]) -> Iterator[str]:
    """Rows that tell nobody: of no student, or released, and nobody knows whether."""
    nobody = sum(row.student_id is None for row in rows)
    if nobody:
        yield (
            f"The query {name} gives {nobody} of {len(rows)} rows without student_id. They concern"
            " nobody. Leave them out of the query, or join the student in it."
        )
    unclear = sum(understood(row.released) is None for row in rows)
    if unclear:
        yield (
            f"The query {name} gives {unclear} of {len(rows)} rows whose released is neither yes"
            " nor no. They count as not released. Translate what stands there in the query."
        )
