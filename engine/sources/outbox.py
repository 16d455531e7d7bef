"""The outbox: reading what triggers wrote, missing none, at the same speed whatever the backlog.

Ids are taken at INSERT and become visible at COMMIT, so a cursor `id > last` loses rows. Here a
read is everything above the highest id ever seen, plus the gaps below it: ids that some
transaction took and had not committed. One statement reads both, in one snapshot, so for one
record id order is commit order. A gap is given up once every transaction that could fill it has
ended, seen in the very snapshot that still does not show it (facts: capture-and-broker 3.1, 3.4).
Rows are never updated and are deleted long after, by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, text

from engine.database import Database
from engine.ports import OutboxRow
from rules.change import Change, ChangeId, Op

_ADVISORY_LOCK: Final = 0x5C4001BE11  # one relay for each SIS database
_FORGET_AT_ONCE: Final = 10_000

_COLUMNS: Final = (
    "o.id, o.event_id::text, o.watch, o.op, o.key, o.before::text, o.after::text, o.at"
)
_POSTGRESQL_READ: Final = text(
    f"""SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin, r.*
    FROM (SELECT 1) AS always LEFT JOIN LATERAL (
        (SELECT {_COLUMNS} FROM schoolbell.outbox o WHERE o.id = ANY(:gaps))
        UNION ALL
        (SELECT {_COLUMNS} FROM schoolbell.outbox o WHERE o.id > :high ORDER BY o.id LIMIT :limit)
    ) AS r ON true ORDER BY r.id"""
)
_SQLITE_READ: Final = text(
    "SELECT id, event_id, watch, op, key, before, after, at FROM schoolbell_outbox"
    " WHERE id > :high ORDER BY id LIMIT :limit"
)


class SqliteOutbox:
    """SQLite has one writer at a time: commit order is id order, and there are no gaps."""

    def __init__(self, database: Database, source: str) -> None:
        self._database = database
        self._source = source

    def acquire(self) -> bool:
        """The engine is one process here; `run` makes sure of it."""
        return True

    def release(self) -> None:
        """There is nothing to release."""

    def read(self, limit: int) -> Sequence[OutboxRow]:
        """See ports.Outbox.read."""
        with self._database.read() as connection:
            high = connection.execute(text("SELECT high FROM schoolbell_cursor")).scalar_one()
            found = connection.execute(_SQLITE_READ, {"high": high, "limit": limit})
            return [_outbox_row(self._source, row) for row in found]

    def mark_relayed(self, rows: Sequence[OutboxRow]) -> None:
        """See ports.Outbox.mark_relayed."""
        with self._database.write() as connection:
            connection.execute(
                text("UPDATE schoolbell_cursor SET high = :high"), {"high": rows[-1].id}
            )


class PostgresqlOutbox:
    """Reads above the highest id seen, and the gaps below it."""

    def __init__(self, database: Database, source: str) -> None:
        self._database = database
        self._source = source
        self._connection: Connection | None = None
        self._high = 0
        self._gaps: dict[int, int] = {}

    def acquire(self) -> bool:
        """Take the lock that one relay holds; it ends with its connection, however that ends."""
        if self._connection is not None:
            return True
        with self._database.translated():
            connection = self._database.engine.connect()
            taken = connection.execute(
                text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}
            ).scalar_one()
            if not taken:
                connection.close()
                return False
            self._restore(connection)
        self._connection = connection
        return True

    def read(self, limit: int) -> Sequence[OutboxRow]:
        """See ports.Outbox.read. The lock's own connection reads: without it nobody does."""
        with self._holding() as connection:
            found = connection.execute(
                _POSTGRESQL_READ, {"high": self._high, "gaps": list(self._gaps), "limit": limit}
            ).all()
        rows = [_outbox_row(self._source, row) for row in found if row.id is not None]
        self._give_up_gaps(found[0].xmin, {row.id for row in rows})
        return rows

    def mark_relayed(self, rows: Sequence[OutboxRow]) -> None:
        """See ports.Outbox.mark_relayed."""
        done = {row.id for row in rows}
        high = max(self._high, rows[-1].id)
        new_gaps = set(range(self._high + 1, high)) - done
        gaps = {gap: xid for gap, xid in self._gaps.items() if gap not in done}
        with self._holding() as connection:
            if new_gaps:
                gaps |= dict.fromkeys(new_gaps, _barrier(connection))
            connection.execute(
                text("UPDATE schoolbell.cursor SET high = :high, gaps = :gaps"),
                {"high": high, "gaps": sorted(gaps)},
            )
        self._high, self._gaps = high, gaps

    def release(self) -> None:
        """See ports.Outbox.release."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
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

    def _restore(self, connection: Connection) -> None:
        """Go on from where the last relay stopped.

        A SIS database that was restored from an older copy may stand below the cursor; then
        everything that it still holds is relayed again, and evaluate knows what it had.
        """
        high, gaps, first, last = connection.execute(
            text(
                "SELECT high, gaps, (SELECT min(id) FROM schoolbell.outbox),"
                " (SELECT max(id) FROM schoolbell.outbox) FROM schoolbell.cursor"
            )
        ).one()
        restored = last is not None and last < high
        self._high = first - 1 if restored else high
        barrier = _barrier(connection)
        self._gaps = {} if restored else dict.fromkeys(gaps, barrier)

    def _give_up_gaps(self, xmin: int, shown: set[int]) -> None:
        """Every xid below *xmin* has ended; what the same snapshot does not show never comes."""
        self._gaps = {gap: xid for gap, xid in self._gaps.items() if xid > xmin or gap in shown}


def _barrier(connection: Connection) -> int:
    """A transaction id of our own, taken now: every gap known so far has a lower one.

    Not pg_snapshot_xmax: a running transaction may have a lower id than that (facts 3.4).
    """
    xid: int = connection.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()
    return xid


def open_outbox(database: Database, source: str) -> SqliteOutbox | PostgresqlOutbox:
    """The outbox of the SIS *database*; *source* names it in every change."""
    kind = SqliteOutbox if database.is_sqlite else PostgresqlOutbox
    return kind(database, source)


def forget(database: Database, keep: timedelta, now: datetime) -> int:
    """Delete rows that were relayed longer than *keep* ago, and return how many."""
    table = "schoolbell_outbox" if database.is_sqlite else "schoolbell.outbox"
    high = (
        "SELECT high FROM schoolbell_cursor"
        if database.is_sqlite
        else "SELECT least(high, (SELECT min(g) - 1 FROM unnest(gaps) g)) FROM schoolbell.cursor"
    )
    limit = now - keep
    with database.write() as connection:
        deleted = connection.execute(
            text(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table}"
                f" WHERE id <= ({high}) AND at < :limit ORDER BY id LIMIT {_FORGET_AT_ONCE})"
            ),
            {"limit": limit.isoformat() if database.is_sqlite else limit},
        )
        return deleted.rowcount


def replay(database: Database, since: datetime) -> int:
    """Let the relay publish again what was captured after *since*; return how many rows.

    What evaluate has seen has no effect again; what a lost broker held is made good.
    """
    table, cursor = (
        ("schoolbell_outbox", "schoolbell_cursor")
        if database.is_sqlite
        else ("schoolbell.outbox", "schoolbell.cursor")
    )
    moment = since.astimezone(UTC).isoformat() if database.is_sqlite else since
    with database.write() as connection:
        first, count = connection.execute(
            text(f"SELECT min(id), count(*) FROM {table} WHERE at >= :since"), {"since": moment}
        ).one()
        if count:
            connection.execute(
                text(
                    f"UPDATE {cursor} SET high = least_of(high, :first)".replace(
                        "least_of", "min" if database.is_sqlite else "least"
                    )
                ),
                {"first": first - 1},
            )
        return int(count)


def backlog(database: Database, now: datetime) -> tuple[int, timedelta]:
    """How many rows wait (counted up to 100,000), and how long the oldest has."""
    table, cursor = (
        ("schoolbell_outbox", "schoolbell_cursor")
        if database.is_sqlite
        else ("schoolbell.outbox", "schoolbell.cursor")
    )
    with database.read() as connection:
        count, oldest = connection.execute(
            text(
                f"SELECT count(*), min(at) FROM (SELECT at FROM {table}"
                f" WHERE id > (SELECT high FROM {cursor}) ORDER BY id LIMIT 100000) waiting"
            )
        ).one()
    return count, (now - _moment(oldest)) if count else timedelta()


def _outbox_row(source: str, row: Row[Any]) -> OutboxRow:
    return OutboxRow(
        row.id,
        Change(
            id=ChangeId(row.event_id),
            source=source,
            watch=row.watch,
            op=Op(row.op),
            key=row.key,
            before=_values(row.before),
            after=_values(row.after),
            at=_moment(row.at),
        ),
    )


def _values(json: str | None) -> Any:
    return None if json is None else msgspec.json.decode(json)


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
