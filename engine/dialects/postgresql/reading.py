"""Reading an outbox of PostgreSQL: pages of rows, and what is left of the rows of one record.

The rows that one transaction wrote about one record are a group. A group is read where its first
row stands, and its other rows are passed over: so it is read whole, wherever a page ends, and
nothing needs to be remembered of it.

What a row holds comes with it where it is small. What is not is weighed by the server first, for
a watched column may hold a pasted picture and 400 such rows may wait.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, text

from engine.dialects import net
from engine.dialects.postgresql.cursor import Cursor, Sweep
from engine.dialects.postgresql.numbers import as_number, as_place
from engine.dialects.rows import LARGEST, Captured
from rules.change import ChangeId

_LATE_AT_ONCE: Final = 100_000
_SMALL: Final = 8_000  # bytes of a row's values as they are stored


# What a row holds where that is small. What is stored compressed may be anything.
_IS_SMALL: Final = (
    f"(coalesce(pg_column_size(o.before), 0) + coalesce(pg_column_size(o.after), 0) < {_SMALL}"
    " AND pg_column_compression(o.before) IS NULL AND pg_column_compression(o.after) IS NULL)"
)
_VALUES: Final = (
    f"CASE WHEN {_IS_SMALL} THEN o.before::text END AS before,"
    f" CASE WHEN {_IS_SMALL} THEN o.after::text END AS after"
)


class _Place(NamedTuple):
    """Where a row stands: no two rows of one transaction have the same place."""

    xid: str
    lsn: str


class Row(NamedTuple):
    """A row of a page. *follows*: another row of its group stands before it; *leads*: after it."""

    xid: str
    lsn: str
    number: int
    hash: int
    event_id: str
    watch: str
    key: str | None
    at: datetime
    follows: bool
    leads: bool
    is_small: bool
    before: str | None
    after: str | None
    size: int = 0

    @property
    def place(self) -> _Place:
        """Where it stands."""
        return _Place(self.xid, self.lsn)


@dataclass(slots=True)
class Late:
    """What may still be relayed below a cursor: transactions, and the places of their rows.

    *places* are the lowest ones; where not *is_whole*, there are more above them.
    """

    transactions: Sequence[str] = ()
    places: list[int] = field(default_factory=list)
    is_whole: bool = True

    def passed(self, done: int) -> None:
        """Let go of the places up to *done*."""
        del self.places[: bisect_right(self.places, done)]


@dataclass(slots=True)
class Page:
    """Some rows of a sweep in order, which has none but these up to *end*."""

    rows: Sequence[Row]
    end: int
    is_last: bool


class Reader:
    """Reads the outbox of one schema by one connection."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._outbox = f"{schema}.outbox"

    def late(self, at: Cursor, sweep: Sweep) -> Late:
        """What ended since the cursor's snapshot, so that *sweep* shows it."""
        ended = self._connection.execute(
            text(
                f"""SELECT DISTINCT x.xid::text FROM (
                    SELECT pg_snapshot_xip(CAST(:seen AS pg_snapshot)) AS xid
                    UNION ALL
                    SELECT o.xid FROM {self._outbox} o
                    WHERE o.xid >= pg_snapshot_xmax(CAST(:seen AS pg_snapshot))
                        AND o.xid <= CAST(:bound AS xid8) AND o.lsn - CAST(:high AS pg_lsn) < 0
                ) AS x WHERE pg_visible_in_snapshot(x.xid, CAST(:snapshot AS pg_snapshot))"""
            ),
            {
                "seen": at.seen, "bound": at.bound, "high": as_place(at.high),
                "snapshot": sweep.snapshot,
            },
        ).scalars()  # fmt: skip
        found = Late(list(ended), [], is_whole=False)
        self._look_for_late(found, at, sweep)
        return found

    def page(self, at: Cursor, sweep: Sweep, late: Late, limit: int) -> Page:
        """The next rows of *sweep*: about *limit*, for rows of one place are not parted."""
        if not late.places and not late.is_whole:
            self._look_for_late(late, at, sweep)
        if late.places:
            places = late.places[:limit]
            return Page(self._late_rows(late.transactions, places), places[-1], is_last=False)
        rows = self._fresh_rows(at, sweep, limit + 1)
        return Page(rows, rows[-1].number if rows else sweep.done, is_last=len(rows) <= limit)

    def relayed(self, at: Cursor, after: int, before: datetime, limit: int) -> Page:
        """The rows above *after* that were relayed, up to the first that is not so old."""
        rows = self._rows(
            "SELECT * FROM {outbox} WHERE lsn > CAST(:after AS pg_lsn)"
            " AND lsn < least(CAST(:high AS pg_lsn), (SELECT lsn FROM {outbox}"
            " WHERE lsn > CAST(:after AS pg_lsn) AND at >= :before ORDER BY lsn LIMIT 1))"
            " AND pg_visible_in_snapshot(xid, (SELECT CAST(:seen AS pg_snapshot)))"
            " ORDER BY lsn FETCH FIRST (CAST(:limit AS bigint)) ROWS WITH TIES",
            {
                "after": as_place(after), "high": as_place(at.high), "before": before,
                "seen": at.seen, "limit": limit,
            },
        )  # fmt: skip
        return Page(rows, rows[-1].number if rows else after, is_last=len(rows) < limit)

    def changes(self, rows: Sequence[Row]) -> Iterator[tuple[Row, Sequence[Captured]]]:
        """The changes that begin at each of *rows*: mostly one, none where nothing is left."""
        groups = [row for row in rows if row.leads and not row.follows]
        walks = self._walks(groups)
        contents = self._contents(
            place for walk in walks.values() if isinstance(walk, net.Walk) for place in walk
        )
        for row in rows:
            if row.follows:
                yield row, ()
            elif not row.leads:
                yield row, [self._alone(row)]
            else:
                yield row, list(self._of_group(row, walks[row.place], contents))

    def _look_for_late(self, late: Late, at: Cursor, sweep: Sweep) -> None:
        late.places, late.is_whole = [], True
        if not late.transactions:
            return
        # No condition on lsn that an index could serve: the one of the transactions is to be used.
        places = self._connection.execute(
            text(
                f"""WITH found AS MATERIALIZED (
                    SELECT o.lsn FROM unnest(CAST(:transactions AS xid8[])) AS t(xid)
                    CROSS JOIN LATERAL (SELECT lsn FROM {self._outbox} WHERE xid = t.xid
                        AND lsn - CAST(:high AS pg_lsn) < 0
                        AND lsn - CAST(:done AS pg_lsn) > 0 OFFSET 0) AS o
                ) SELECT DISTINCT lsn::text, lsn AS place FROM found ORDER BY place LIMIT :limit"""
            ),
            {
                "transactions": list(late.transactions), "high": as_place(at.high),
                "done": as_place(sweep.done), "limit": _LATE_AT_ONCE,
            },
        ).scalars()  # fmt: skip
        late.places = [as_number(place) for place in places]
        late.is_whole = len(late.places) < _LATE_AT_ONCE

    def _late_rows(self, transactions: Sequence[str], places: Sequence[int]) -> Sequence[Row]:
        return self._rows(
            "SELECT * FROM {outbox} WHERE lsn = ANY(CAST(:places AS pg_lsn[]))"
            " AND xid::text = ANY(CAST(:transactions AS text[]))",
            {"places": [as_place(one) for one in places], "transactions": list(transactions)},
        )

    def _fresh_rows(self, at: Cursor, sweep: Sweep, limit: int) -> Sequence[Row]:
        """Rows above the cursor that the sweep shows, without what was late.

        The snapshot is read once for all rows: its text has a word for each running transaction.
        """
        return self._rows(
            "SELECT * FROM {outbox} WHERE lsn >= CAST(:high AS pg_lsn)"
            " AND lsn > CAST(:done AS pg_lsn) AND lsn < CAST(:end AS pg_lsn)"
            " AND pg_visible_in_snapshot(xid, (SELECT CAST(:snapshot AS pg_snapshot)))"
            " ORDER BY lsn FETCH FIRST (CAST(:limit AS bigint)) ROWS WITH TIES",
            {
                "high": as_place(at.high), "done": as_place(sweep.done),
                "end": as_place(sweep.end), "snapshot": sweep.snapshot, "limit": limit,
            },
        )  # fmt: skip

    def _rows(
        self, chosen: str, values: Mapping[str, Any], *, is_page: bool = True
    ) -> Sequence[Row]:
        """The *chosen* rows; only where they are a page is it asked for others of their groups."""
        another = f"EXISTS (SELECT FROM {self._outbox} g WHERE g.xid = o.xid AND g.hash = o.hash"
        groups = f"{another} AND g.lsn < o.lsn), {another} AND g.lsn > o.lsn)"
        found = self._connection.execute(
            text(
                "SELECT o.xid::text, o.lsn::text, (o.lsn - '0/0'::pg_lsn)::bigint, o.hash,"
                " o.event_id::text, o.watch, o.key, o.at,"
                f" {groups if is_page else 'false, false'}, {_IS_SMALL}, {_VALUES}"
                f" FROM ({chosen.format(outbox=self._outbox)}) AS o ORDER BY o.lsn"
            ),
            values,
        )
        return [Row(*row) for row in found.all()]

    def _walks(self, groups: Sequence[Row]) -> Mapping[_Place, net.Walk[_Place] | str | None]:
        """For each group where the value stands that it began with, and the one it ended with."""
        if not groups:
            return {}
        step = (
            "SELECT o.lsn, jsonb_hash_extended(o.{side}, 0) AS value, {count} AS step"
            f" FROM {self._outbox} o WHERE o.xid = w.xid AND o.hash = w.hash"
        )
        left, reached = step.format(side="before", count=1), step.format(side="after", count=-1)
        found = self._connection.execute(
            text(
                f"""SELECT w.n, s.value, sum(s.step) AS balance,
                    min(s.lsn) FILTER (WHERE s.step = 1)::text AS left_at,
                    max(s.lsn) FILTER (WHERE s.step = -1)::text AS reached_at
                FROM unnest(CAST(:xids AS xid8[]), CAST(:hashes AS bigint[]))
                    WITH ORDINALITY AS w(xid, hash, n)
                CROSS JOIN LATERAL ({left} UNION ALL {reached}) AS s
                GROUP BY w.n, s.value HAVING sum(s.step) <> 0"""
            ),
            {"xids": [row.place.xid for row in groups], "hashes": [row.hash for row in groups]},
        )
        balances: dict[int, dict[Any, int]] = defaultdict(dict)
        places: dict[tuple[int, Any], tuple[str, str]] = {}
        for row in found:
            balances[row.n - 1][row.value] = row.balance
            places[row.n - 1, row.value] = row.left_at, row.reached_at
        walks: dict[_Place, net.Walk[_Place] | str | None] = {}
        for number, group in enumerate(groups):
            walk = net.walked(balances[number])
            if isinstance(walk, net.Walk):
                first, last = places[number, walk.first][0], places[number, walk.last][1]
                xid = group.place.xid
                walks[group.place] = net.Walk(_Place(xid, first), _Place(xid, last))
            else:
                walks[group.place] = walk
        return walks

    # A transaction is compared as text where the place is to be looked up: the index that begins
    # with the transaction would be searched for it among all that a large one wrote.
    def _contents(self, wanted: Iterable[_Place]) -> Mapping[_Place, Row]:
        places = list(dict.fromkeys(wanted))
        if not places:
            return {}
        rows = self._rows(
            "SELECT o.* FROM unnest(CAST(:xids AS xid8[]), CAST(:places AS pg_lsn[]))"
            " AS w(xid, lsn) CROSS JOIN LATERAL (SELECT * FROM {outbox} o WHERE o.lsn = w.lsn"
            " AND o.xid::text = w.xid::text OFFSET 0) AS o",
            {
                "xids": [place.xid for place in places],
                "places": [place.lsn for place in places],
            },
            is_page=False,
        )
        return {row.place: row for row in rows}

    def _alone(self, row: Row) -> Captured:
        whole = self._weighed(row)
        return _captured(row, whole, whole)

    def _of_group(
        self,
        head: Row,
        walk: net.Walk[_Place] | str | None,
        contents: Mapping[_Place, Row],
    ) -> Iterator[Captured]:
        """What is left of a group: a change, nothing, or each of its rows where it is no walk."""
        if isinstance(walk, net.Walk):
            first, last = (self._weighed(contents[place]) for place in walk)
            yield _captured(head._replace(at=last.at), first, last)
        elif walk is None:
            yield from (self._alone(row) for row in self._separate(head))

    def _separate(self, head: Row) -> Sequence[Row]:
        return self._rows(
            "SELECT * FROM {outbox} WHERE xid = CAST(:xid AS xid8) AND hash = :hash ORDER BY lsn",
            {"xid": head.place.xid, "hash": head.hash},
            is_page=False,
        )

    def _weighed(self, row: Row) -> Row:
        """The row with its values, or with nothing but their weight where they are too large."""
        if row.is_small:
            return row
        found = self._connection.execute(
            text(
                "SELECT v.size, CASE WHEN v.size <= :largest THEN v.before"
                " WHEN v.before IS NOT NULL THEN '{}' END AS before,"
                " CASE WHEN v.size <= :largest THEN v.after"
                " WHEN v.after IS NOT NULL THEN '{}' END AS after FROM (SELECT t.before, t.after,"
                " coalesce(octet_length(t.before), 0) + coalesce(octet_length(t.after), 0) AS size"
                f" FROM (SELECT before::text, after::text FROM {self._outbox}"
                " WHERE lsn = CAST(:lsn AS pg_lsn) AND xid::text = :xid OFFSET 0) AS t"
                " OFFSET 0) AS v"
            ),
            {"largest": LARGEST, **row.place._asdict()},
        ).one()
        return row._replace(
            before=found.before, after=found.after,
            size=found.size if found.size > LARGEST else 0,
        )  # fmt: skip


def _captured(head: Row, first: Row, last: Row) -> Captured:
    return Captured(
        _change_id(head), head.watch, head.key or "", first.before, last.after, head.at,
        head.number, max(first.size, last.size),
    )  # fmt: skip


def _change_id(row: Row) -> ChangeId:
    """A UUIDv7 (RFC 9562): milliseconds first, so that the engine's indexes grow at their end.

    Its random part is made at capture, so that a restored SIS database never repeats one. It is put
    together here, because in the trigger that costs a write of the SIS a tenth of its time.
    """
    milliseconds = f"{max(0, int(row.at.timestamp() * 1000)):012x}"
    return ChangeId(f"{milliseconds[:8]}-{milliseconds[8:]}-7{row.event_id[15:]}")
