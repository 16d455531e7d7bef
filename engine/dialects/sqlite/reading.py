"""Reading an outbox of SQLite: pages of rows, and what is left of the rows of one record.

SQLite does not tell where a transaction ends. But it has one writer at a time, and a relay that
looks sees whole transactions. So of what one look finds of a record, a row belongs to the one
before it, if they were written within a second, where
- a DELETE is followed by an INSERT: the record was saved that way, and
- a row does not begin where the one before it ended: a trigger of the SIS has written the record
  again, and that write was captured first.
What else is written to a record in one transaction is told one after the other.

Such rows are a group. It is read where its first row stands, and its other rows are passed over:
so it is read whole, wherever a page ends. It has the identity of its last row: were it read again
with one more row, it would be another change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Final, NamedTuple

from sqlalchemy import Connection, text

from engine.dialects import net
from engine.dialects.rows import LARGEST, Captured, moment, same_values
from rules.change import ChangeId

_AT_ONCE: Final = timedelta(seconds=1)
_SIZE: Final = (
    "coalesce(length(CAST(o.before AS BLOB)), 0) + coalesce(length(CAST(o.after AS BLOB)), 0)"
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is relayed in one go: the rows above *begin* up to *end*; those to *done* are."""

    begin: int
    end: int
    done: int


class Row(NamedTuple):
    """A row of a page, with the moments of the rows before and after it that may belong to it."""

    id: int
    event_id: str
    watch: str
    key: str | None
    at: str
    previous: str | None
    next: str | None
    size: int

    @property
    def follows(self) -> bool:
        """Whether a row of its group stands before it."""
        return _is_at_once(self.previous, self.at)

    @property
    def leads(self) -> bool:
        """Whether a row of its group stands after it."""
        return _is_at_once(self.at, self.next)


class _Values(NamedTuple):
    before: str | None
    after: str | None
    size: int = 0


class Reader:
    """Reads one outbox by one connection."""

    def __init__(self, connection: Connection, outbox: str) -> None:
        self._connection = connection
        self._outbox = outbox

    def page(self, sweep: Sweep, limit: int) -> Sequence[Row]:
        """The next rows of *sweep*."""
        return self._rows(
            sweep,
            "o.id > :done AND o.id <= :end ORDER BY o.id LIMIT :limit",
            {"done": sweep.done, "limit": limit},
        )

    def changes(self, sweep: Sweep, rows: Sequence[Row]) -> Iterator[tuple[Row, list[Captured]]]:
        """The changes that begin at each of *rows*: mostly one, none where nothing is left."""
        for row in rows:
            if row.follows:
                yield row, []
            elif row.leads:
                yield row, list(self._of_group(sweep, row))
            else:
                yield row, [self._alone(row)]

    def _rows(self, sweep: Sweep, condition: str, values: Mapping[str, object]) -> Sequence[Row]:
        another = (
            "(SELECT CASE WHEN {earlier}.after IS NULL OR {earlier}.after IS NOT {later}.before"
            " THEN g.at END"
            f" FROM {self._outbox} g WHERE g.watch = o.watch AND g.key = o.key"
            " AND {where} LIMIT 1)"
        )
        before = another.format(
            earlier="g", later="o", where="g.id < o.id AND g.id > :begin ORDER BY g.id DESC"
        )
        after = another.format(
            earlier="o", later="g", where="g.id > o.id AND g.id <= :end ORDER BY g.id"
        )
        found = self._connection.execute(
            text(
                f"SELECT o.id, o.event_id, o.watch, o.key, o.at, {before}, {after}, {_SIZE}"
                f" FROM {self._outbox} o WHERE {condition}"
            ),
            {"begin": sweep.begin, "end": sweep.end, **values},
        )
        return [Row(*row) for row in found]

    def _alone(self, row: Row) -> Captured:
        values = self._values(row)
        return _captured(row, values, values)

    def _of_group(self, sweep: Sweep, head: Row) -> Iterator[Captured]:
        """What is left of a group: a change, nothing, or each of its rows where it is no walk."""
        counts: Counter[bytes | None] = Counter()
        left: dict[bytes | None, Row] = {}
        reached: dict[bytes | None, Row] = {}
        row = head
        for row in self._group(sweep, head):
            before, after = self._digests(row)
            counts[before] += 1
            counts[after] -= 1
            left.setdefault(before, row)
            reached[after] = row
        walk = net.walked(counts)
        if isinstance(walk, net.Walk):
            first, last = self._values(left[walk.first]), self._values(reached[walk.last])
            if first.size or last.size or not same_values(first.before, last.after):
                yield _captured(row, first, last)
        elif walk is None:
            yield from (self._alone(row) for row in self._group(sweep, head))

    def _group(self, sweep: Sweep, head: Row) -> Iterator[Row]:
        yield head
        last = head
        while last.leads:
            for row in self._rows(
                sweep,
                "o.watch = :watch AND o.key = :key AND o.id > :row AND o.id <= :end"
                " ORDER BY o.id LIMIT 100",
                {"watch": head.watch, "key": head.key, "row": last.id},
            ):
                yield row
                last = row
                if not row.leads:
                    break

    def _digests(self, row: Row) -> tuple[bytes | None, bytes | None]:
        before, after = self._connection.execute(
            text(f"SELECT before, after FROM {self._outbox} WHERE id = :id"), {"id": row.id}
        ).one()
        return _digest(before), _digest(after)

    def _values(self, row: Row) -> _Values:
        """What a row holds, or nothing but its weight where that is too large."""
        if row.size > LARGEST:
            has = f"SELECT before IS NULL, after IS NULL FROM {self._outbox} WHERE id = :id"
            no_before, no_after = self._connection.execute(text(has), {"id": row.id}).one()
            return _Values(None if no_before else "{}", None if no_after else "{}", row.size)
        found = self._connection.execute(
            text(f"SELECT before, after FROM {self._outbox} WHERE id = :id"), {"id": row.id}
        ).one()
        return _Values(found.before, found.after)


def _captured(row: Row, first: _Values, last: _Values) -> Captured:
    return Captured(
        ChangeId(row.event_id), row.watch, row.key or "", first.before, last.after, row.at, row.id,
        max(first.size, last.size),
    )  # fmt: skip


def _digest(values: str | None) -> bytes | None:
    return None if values is None else blake2b(values.encode(), digest_size=16).digest()


def _is_at_once(earlier: str | None, later: str | None) -> bool:
    """Whether two moments of a record are those of one look's writes; a clock may step back."""
    if earlier is None or later is None:
        return False
    return abs(moment(later) - moment(earlier)) <= _AT_ONCE
