"""The outbox: reading what triggers wrote, missing none, at the same speed whatever the backlog.

Ids are taken at INSERT and become visible at COMMIT, so a cursor `id > last` loses rows. Here a
read is everything above the highest id ever seen, plus the gaps below it: ids that some
transaction took and had not committed. One statement reads both, in one snapshot, so for one
record id order is commit order. A gap is given up once every transaction that could fill it has
ended, seen in the very snapshot that still does not show it (facts: capture-and-broker 3.1, 3.4).
The cursor in the SIS database is the truth: who lowers it (`replay`) is heard at the next read.
Rows are never updated and are deleted long after, by time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, text

from engine.database import Database
from rules.change import Change, ChangeId, Op, Scalar

_ADVISORY_LOCK: Final = 0x5C4001BE11  # one relay for each SIS database
_FORGET_AT_ONCE: Final = 10_000

_POSTGRESQL_READ: Final = text(
    """SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
        (SELECT high FROM schoolbell_capture.cursor) AS cursor,
        r.id, r.event_id::text, r.watch, r.op, r.key, r.before::text, r.after::text, r.at
    FROM (SELECT 1) AS always LEFT JOIN LATERAL (
        (SELECT late.* FROM unnest(CAST(:starts AS bigint[]), CAST(:stops AS bigint[]))
                AS gap(start, stop)
            CROSS JOIN LATERAL (SELECT o.* FROM schoolbell_capture.outbox o
                WHERE o.id >= gap.start AND o.id < gap.stop ORDER BY o.id LIMIT :limit) AS late)
        UNION ALL
        (SELECT o.* FROM schoolbell_capture.outbox o WHERE o.id > :high ORDER BY o.id LIMIT :limit)
        ORDER BY id LIMIT :limit
    ) AS r ON true ORDER BY r.id"""
)
_SQLITE_READ: Final = text(
    "SELECT id, event_id, watch, op, key, before, after, at FROM schoolbell_outbox"
    " WHERE id > :high ORDER BY id LIMIT :limit"
)

_VALUES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

# Ids that some transaction took and had not committed when we read past them. The value is a
# transaction id that is higher than theirs.
Gaps = Mapping[range, int]


class SqliteOutbox:
    """SQLite has one writer at a time: commit order is id order, and there are no gaps."""

    def __init__(self, database: Database, source: str) -> None:
        self._database = database
        self._source = source
        self._high = 0

    def acquire(self) -> bool:
        """The engine is one process here; `run` makes sure of it."""
        return True

    def release(self) -> None:
        """There is nothing to release."""

    def read(self, limit: int) -> Sequence[Change]:
        """See ports.Outbox.read."""
        with self._database.read() as connection:
            self._high = connection.execute(text("SELECT high FROM schoolbell_cursor")).scalar_one()
            found = connection.execute(_SQLITE_READ, {"high": self._high, "limit": limit})
            return [_change(self._source, row) for row in found]

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """See ports.Outbox.mark_relayed. A cursor that was lowered meanwhile stays so."""
        with self._database.write() as connection:
            connection.execute(
                text("UPDATE schoolbell_cursor SET high = :high WHERE high = :was"),
                {"high": changes[-1].position, "was": self._high},
            )


class PostgresqlOutbox:
    """Reads above the highest id seen, and the gaps below it."""

    def __init__(self, database: Database, source: str) -> None:
        self._database = database
        self._source = source
        self._connection: Connection | None = None
        self._high = 0
        self._gaps: Gaps = {}

    def acquire(self) -> bool:
        """Take the lock that one relay holds; it ends with its connection, however that ends."""
        if self._connection is not None:
            return True
        with self._database.translated():
            connection = self._database.engine.connect()
            try:
                taken = connection.execute(
                    text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}
                ).scalar_one()
                if taken:
                    # No read is long enough to be worth compiling.
                    connection.exec_driver_sql("SET jit = off")
                    self._restore(connection)
            except BaseException:
                _end(connection)
                raise
        if not taken:
            connection.close()
            return False
        self._connection = connection
        return True

    def read(self, limit: int) -> Sequence[Change]:
        """See ports.Outbox.read. The lock's own connection reads: without it nobody does."""
        with self._holding() as connection:
            found = self._found(connection, limit)
            while found[0].cursor != self._high:
                self._restore(connection)
                found = self._found(connection, limit)
        changes = [_change(self._source, row) for row in found if row.id is not None]
        shown = [change.position for change in changes]
        looked_through = shown[-1] if len(shown) == limit else self._high
        self._gaps = _still_open(self._gaps, shown, found[0].xmin, looked_through)
        return changes

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """See ports.Outbox.mark_relayed. A cursor that was lowered meanwhile stays so."""
        done = [change.position for change in changes]
        high = max(self._high, done[-1])
        new_gaps = list(_skipped(self._high, [id_ for id_ in done if id_ > self._high]))
        gaps = _without(self._gaps, done)
        with self._holding() as connection:
            if new_gaps:
                gaps |= dict.fromkeys(new_gaps, _barrier(connection))
            marked = connection.execute(
                text(
                    "UPDATE schoolbell_capture.cursor SET high = :high,"
                    " gaps = CAST(:gaps AS int8multirange) WHERE high = :was"
                ),
                {"high": high, "gaps": _multirange(gaps), "was": self._high},
            )
        if marked.rowcount:
            self._high, self._gaps = high, gaps

    def release(self) -> None:
        """See ports.Outbox.release."""
        if self._connection is not None:
            _end(self._connection)
            self._connection = None

    @contextmanager
    def _holding(self) -> Iterator[Connection]:
        """The connection that holds the lock; when it fails the lock is gone with it."""
        if self._connection is None:
            raise RuntimeError("acquire the outbox before reading it")
        try:
            with self._database.translated():
                yield self._connection
        except Exception:
            self.release()
            raise

    def _found(self, connection: Connection, limit: int) -> Sequence[Row[Any]]:
        return connection.execute(
            _POSTGRESQL_READ,
            {
                "starts": [gap.start for gap in self._gaps],
                "stops": [gap.stop for gap in self._gaps],
                "high": self._high,
                "limit": limit,
            },
        ).all()

    def _restore(self, connection: Connection) -> None:
        """Go on from where the last relay stopped, or from where `replay` put the cursor.

        An outbox that was made anew, or restored from an older copy, may stand below the cursor;
        then everything that it still holds is relayed again, and evaluate knows what it had.
        """
        connection.execute(
            text(
                "UPDATE schoolbell_capture.cursor SET gaps = '{}', high = coalesce("
                " (SELECT min(id) - 1 FROM schoolbell_capture.outbox), 0) WHERE high > coalesce("
                " pg_sequence_last_value(pg_get_serial_sequence('schoolbell_capture.outbox', 'id')"
                "::regclass), 0)"
            )
        )
        high, gaps = connection.execute(
            text("SELECT high, gaps FROM schoolbell_capture.cursor")
        ).one()
        barrier = _barrier(connection)
        self._high = high
        self._gaps = {range(gap.lower, gap.upper): barrier for gap in gaps}


def _barrier(connection: Connection) -> int:
    """A transaction id of our own, taken now: every gap known so far has a lower one.

    Not pg_snapshot_xmax: a running transaction may have a lower id than that (facts 3.4).
    """
    xid: int = connection.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()
    return xid


def _end(connection: Connection) -> None:
    """Close a connection and its session: a pool would keep the lock that it holds."""
    connection.invalidate()
    connection.close()


def _skipped(after: int, ids: Sequence[int]) -> Iterator[range]:
    """What lies between *after* and each of *ids* in turn."""
    for id_ in ids:
        if id_ > after + 1:
            yield range(after + 1, id_)
        after = id_


def _without(gaps: Gaps, ids: Sequence[int]) -> dict[range, int]:
    """The *gaps* without *ids*, which are sorted."""
    left: dict[range, int] = {}
    for gap, barrier in gaps.items():
        filled = ids[bisect_left(ids, gap.start) : bisect_left(ids, gap.stop)]
        parts = _skipped(gap.start - 1, [*filled, gap.stop]) if filled else (gap,)
        left |= dict.fromkeys(parts, barrier)
    return left


def _still_open(gaps: Gaps, shown: Sequence[int], xmin: int, looked_through: int) -> Gaps:
    """Every xid below *xmin* has ended: what the same snapshot does not show never comes.

    What it shows stays until it is marked, and so does what lies above the end of a full read.
    """
    left: dict[range, int] = {}
    for gap, barrier in gaps.items():
        if barrier > xmin or gap.stop > looked_through + 1:
            left[gap] = barrier
            continue
        filled = shown[bisect_left(shown, gap.start) : bisect_left(shown, gap.stop)]
        left |= {range(id_, id_ + 1): barrier for id_ in filled}
    return left


def _multirange(gaps: Gaps) -> str:
    return "{" + ",".join(f"[{gap.start},{gap.stop})" for gap in gaps) + "}"


def open_outbox(database: Database, source: str) -> SqliteOutbox | PostgresqlOutbox:
    """The outbox of the SIS *database*; *source* names it in every change."""
    kind = SqliteOutbox if database.is_sqlite else PostgresqlOutbox
    return kind(database, source)


def forget(database: Database, keep: timedelta, now: datetime) -> int:
    """Delete rows that were relayed longer than *keep* ago, and return how many.

    They go in portions: the SIS writes between them. Ids are nearly in the order of time, so the
    first row that is to be kept ends the search, however much is kept.
    """
    table, high = (
        ("schoolbell_outbox", "SELECT high FROM schoolbell_cursor")
        if database.is_sqlite
        else (
            "schoolbell_capture.outbox",
            "SELECT least(high, lower(gaps) - 1) FROM schoolbell_capture.cursor",
        )
    )
    statement = text(
        f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id <= ({high})"
        f" AND id < coalesce((SELECT id FROM {table} WHERE at >= :limit ORDER BY id LIMIT 1),"
        f" ({high}) + 1) ORDER BY id LIMIT {_FORGET_AT_ONCE})"
    )
    limit = _stored(database, now - keep)
    count = 0
    while True:
        with database.write() as connection:
            deleted = connection.execute(statement, {"limit": limit}).rowcount
        count += deleted
        if deleted < _FORGET_AT_ONCE:
            return count


def replay(database: Database, since: datetime) -> int:
    """Let the relay publish again what was captured after *since*; return how many rows.

    What evaluate has seen has no effect again; what a lost broker held is made good.
    """
    table, lower = (
        ("schoolbell_outbox", "UPDATE schoolbell_cursor SET high = :high")
        if database.is_sqlite
        else (
            "schoolbell_capture.outbox",
            "UPDATE schoolbell_capture.cursor SET high = :high,"
            " gaps = gaps * int8multirange(int8range(NULL, :high, '[]'))",
        )
    )
    with database.write() as connection:
        first, count = connection.execute(
            text(f"SELECT min(id), count(*) FROM {table} WHERE at >= :since"),
            {"since": _stored(database, since)},
        ).one()
        if count:
            connection.execute(text(f"{lower} WHERE high > :high"), {"high": first - 1})
        return int(count)


def backlog(database: Database, now: datetime) -> tuple[int, timedelta]:
    """How many rows wait (counted up to 100,000), and how long the oldest has."""
    table, cursor = (
        ("schoolbell_outbox", "schoolbell_cursor")
        if database.is_sqlite
        else ("schoolbell_capture.outbox", "schoolbell_capture.cursor")
    )
    with database.read() as connection:
        count, oldest = connection.execute(
            text(
                f"SELECT count(*), min(at) FROM (SELECT at FROM {table}"
                f" WHERE id > (SELECT high FROM {cursor}) ORDER BY id LIMIT 100000) waiting"
            )
        ).one()
    return count, (now - _moment(oldest)) if count else timedelta()


def _change(source: str, row: Row[Any]) -> Change:
    return Change(
        id=ChangeId(row.event_id),
        source=source,
        watch=row.watch,
        op=Op(row.op),
        key=row.key,
        before=_values(row.before),
        after=_values(row.after),
        at=_moment(row.at),
        position=row.id,
    )


def _values(json: str | None) -> Mapping[str, Scalar] | None:
    if json is None:
        return None
    return {name: _scalar(raw) for name, raw in _VALUES.decode(json).items()}


def _scalar(raw: msgspec.Raw) -> Scalar:
    """A value as messages carry it: what no number of ours can hold, and what has parts, as text.

    Nothing that a column may hold can stop the relay, or make a message unreadable.
    """
    words = bytes(raw)
    if words[:1] not in b"{[":
        try:
            value: Scalar = msgspec.json.decode(words)
        except msgspec.DecodeError:  # a number beyond measure
            return words.decode()
        if not isinstance(value, int) or -(2**63) <= value < 2**63:
            return value
    return words.decode()


def _stored(database: Database, moment: datetime) -> datetime | str:
    """SQLite compares moments as text: in UTC, as its triggers write them."""
    return moment.astimezone(UTC).isoformat() if database.is_sqlite else moment


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
