"""The outbox of a SIS on PostgreSQL: what its relay reads, marks, and forgets.

Rows are numbered by their places in the write-ahead log. A transaction changes a record while it
holds the record's lock, so for one record that order is the order of commits; the order of
transaction ids is not (facts: capture-and-broker 3.1), nor any clock's. A row becomes visible at
its commit, perhaps long after rows with higher places were relayed. So the outbox is relayed in
sweeps. Each is pinned to one snapshot of the server, and has every row that this snapshot shows and
that of the sweep before did not: what is above the last sweep's end, and below it what has come
late. The late ones are those of the transactions that the last snapshot lists as running and this
one as ended, so they are found by their transaction, however much waits and however long a
transaction stays open (facts: capture-and-broker 3.6).

The cursor in the SIS database is the truth: who lowers it (`replay`) is heard at the next read.
Rows are never updated and are deleted long after, by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text

from engine.dialects import problems, rows
from engine.dialects.dialect import Owner, Transactions
from engine.dialects.postgresql import cursor, restored, sessions
from engine.dialects.postgresql.cursor import Cursor, Sweep
from engine.dialects.postgresql.names import schema_of
from engine.dialects.postgresql.numbers import as_number, as_place
from engine.dialects.postgresql.reading import Late, Reader, Row
from rules.change import Change

if TYPE_CHECKING:
    from engine.ports import Looked, RelayedMark

_FORGET_AT_ONCE: Final = 10_000
_FAR: Final = 1024 * 1024
"""Bytes of the write-ahead log that may be looked through again at each read that finds nothing."""


@dataclass(slots=True)
class _UnderWay:
    """The sweep that is being relayed, as the last read left it.

    *is_read* is true once all of it was read, *is_written* once the cursor says what was.
    """

    at: Cursor
    sweep: Sweep
    late: Late
    is_read: bool = False
    is_written: bool = False


class PostgresqlOutbox:
    """Implements ports.Outbox: reads in sweeps, each pinned to a snapshot."""

    def __init__(
        self, database: Transactions, owner: Owner, source: str, mark: RelayedMark
    ) -> None:
        self._database = database
        self._owner = owner
        self._source = source
        self._mark = mark
        self._schema = schema_of(owner)
        self._connection: Connection | None = None
        self._under_way: _UnderWay | None = None

    def acquire(self) -> bool:
        """Become the relay that the cursor names, unless the session of another one lives."""
        if self._connection is not None:
            return True
        with self._database.translated():
            connection = self._database.engine.connect()
            try:
                _prepare(connection)
                taken = self._take(connection)
                if taken:
                    restored.make_good(self._database, self._schema, self._mark.read())
            except BaseException:
                _end(connection)
                raise
        if not taken:
            connection.close()
            return False
        self._connection = connection
        return True

    def read(self, limit: int) -> Sequence[Change]:
        """See ports.Outbox.read. The connection that the cursor names reads, or nobody does."""
        with self._holding() as connection:
            reader = Reader(connection, self._schema)
            here = self._go_on(connection, reader)
            found: list[Change] = []
            room = rows.MOST_AT_ONCE
            while len(found) < limit and room > 0 and not here.is_read:
                page = reader.page(here.at, here.sweep, here.late, limit)
                chosen = _first(page.rows, limit - len(found))
                done = here.sweep.done
                for row, captured in reader.changes(chosen):
                    if room <= 0 and row.number > done:
                        break
                    for one in captured:
                        found.append(rows.change(self._source, here.at.base, one))
                        room -= rows.weight(one)
                    done = row.number
                else:
                    if len(chosen) == len(page.rows):
                        done = max(done, page.end)
                        here.is_read = page.is_last
                here.sweep = replace(here.sweep, done=done)
                here.late.passed(here.sweep.done)
                if not found and not here.is_read and not self._write_down(connection, here, 0):
                    return []
            if not found:
                self._nothing_in(connection, here)
        return found

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """See ports.Outbox.mark_relayed. A cursor that was lowered meanwhile stays so."""
        relayed = max(change.position for change in changes)
        self._mark.raise_to(relayed)
        with self._holding() as connection:
            if self._under_way is not None:
                self._write_down(connection, self._under_way, relayed)

    def release(self) -> None:
        """See ports.Outbox.release."""
        if self._connection is not None:
            with suppress(Exception):  # a session that is lost has released it already
                self._connection.exec_driver_sql(
                    f"UPDATE {self._schema}.cursor SET relay_pid = NULL, relay_since = NULL"
                    " WHERE relay_pid = pg_backend_pid()"
                )
            _end(self._connection)
            self._connection = self._under_way = None

    def forget(self, keep: timedelta, now: datetime) -> int:
        """See ports.Outbox.forget. A group goes whole: what is left of it would be another one."""
        outbox = f"{self._schema}.outbox"
        statement = text(
            f"""DELETE FROM {outbox} WHERE ctid = ANY(ARRAY(
                SELECT o.ctid FROM {outbox} o CROSS JOIN {self._schema}.cursor c
                WHERE o.lsn < least(c.high, (
                        SELECT lsn FROM {outbox} WHERE at >= :limit ORDER BY lsn LIMIT 1))
                    AND pg_visible_in_snapshot(o.xid, c.seen)
                    AND NOT EXISTS (SELECT FROM {outbox} g
                        WHERE g.xid = o.xid AND g.hash = o.hash AND g.at >= :limit)
                ORDER BY o.lsn LIMIT {_FORGET_AT_ONCE}))"""
        )
        count = 0
        while True:
            with self._database.write() as connection:
                deleted = connection.execute(statement, {"limit": now - keep}).rowcount
            count += deleted
            if deleted < _FORGET_AT_ONCE:
                return count

    def replay(self, since: datetime) -> int:
        """See ports.Outbox.replay. It begins where the first group begins of which a row counts."""
        outbox = f"{self._schema}.outbox"
        with self._database.write() as connection:
            first, count = connection.execute(
                text(
                    f"""SELECT least(min(o.lsn), (SELECT min(g.lsn) FROM {outbox} g
                            WHERE (g.xid, g.hash) IN (
                                SELECT xid, hash FROM {outbox} WHERE at >= :since)))::text,
                        count(*) FROM {outbox} o WHERE o.at >= :since"""
                ),
                {"since": since},
            ).one()
            if count:
                connection.execute(
                    text(
                        f"UPDATE {self._schema}.cursor SET turn = turn + 1,"
                        " high = least(high, CAST(:first AS pg_lsn)),"
                        " done = CASE WHEN done IS NOT NULL"
                        " THEN least(done, CAST(:before AS pg_lsn)) END"
                        " WHERE high > CAST(:first AS pg_lsn) OR done >= CAST(:first AS pg_lsn)"
                    ),
                    {"first": first, "before": as_place(as_number(first) - 1)},
                )
            return int(count)

    def relayed(self, after: int, before: datetime, limit: int) -> Looked:
        """See ports.Outbox.relayed."""
        with self._database.translated():
            connection = self._database.engine.connect()
            try:
                _prepare(connection)
                at = cursor.read(connection, self._schema).cursor
                reader = Reader(connection, self._schema)
                page = reader.relayed(at, max(0, after - at.base), before, limit)
                found = [
                    rows.change(self._source, at.base, one)
                    for _, captured in reader.changes(page.rows)
                    for one in captured
                ]
            finally:
                _end(connection)
        return found, None if page.is_last else at.base + page.end

    def count(self) -> int:
        """See ports.Outbox.count."""
        with self._database.read() as connection:
            statement = text(f"SELECT count(*) FROM {self._schema}.outbox")
            return int(connection.execute(statement).scalar_one())

    def backlog(self, now: datetime) -> tuple[int, timedelta]:
        """See ports.Outbox.backlog."""
        with self._database.read() as connection:
            count, oldest = connection.execute(
                text(
                    f"SELECT count(*), min(at) FROM (SELECT o.at FROM {self._schema}.outbox o,"
                    f" {self._schema}.cursor c WHERE o.lsn >= c.high"
                    " AND o.lsn > coalesce(c.done, '0/0') ORDER BY o.lsn LIMIT 100000) w"
                )
            ).one()
        return count, (now - rows.moment(oldest)) if count else timedelta()

    def _take(self, connection: Connection) -> bool:
        """Name the session of *connection* in the cursor, unless one that lives is named there.

        Only we may write to the cursor: an advisory lock could be taken by whoever may connect.
        A transaction that held a lock on its row would stay open for as long as the relay lives,
        and keep vacuum from the whole database of the SIS.
        """
        ours = connection.execute(
            text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        ).one()
        with self._database.write() as own:
            named = own.execute(
                text(f"SELECT owner, relay_pid, relay_since FROM {self._schema}.cursor"
                     " FOR UPDATE")
            ).one()  # fmt: skip
            if named.owner != self._owner.token:
                raise problems.of_another(self._database.name, self._owner.district)
            lives = own.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid = :relay_pid"
                    " AND backend_start = :relay_since AND pid <> :ours"
                ),
                {**named._mapping, "ours": ours.pid},
            ).scalar_one()
            if not lives:
                own.execute(
                    text(f"UPDATE {self._schema}.cursor SET relay_pid = :pid, relay_since = :at"),
                    {"pid": ours.pid, "at": ours.backend_start},
                )
        return not lives

    @contextmanager
    def _holding(self) -> Iterator[Connection]:
        """The connection that the cursor names; when it fails we are the relay no more."""
        if self._connection is None:
            raise RuntimeError("acquire the outbox before reading it")
        try:
            with self._database.translated():
                yield self._connection
        except Exception:
            self.release()
            raise

    def _go_on(self, connection: Connection, reader: Reader) -> _UnderWay:
        """Go on with the sweep under way, or begin one with what the server shows now."""
        at = cursor.read(connection, self._schema)
        sweep = at.cursor.sweep or Sweep(at.snapshot, at.place)
        known = self._under_way
        if known is not None and known.is_written and known.at == at.cursor:
            late = known.late
        else:
            late = reader.late(at.cursor, sweep)
        self._under_way = _UnderWay(at.cursor, sweep, late)
        return self._under_way

    def _write_down(self, connection: Connection, here: _UnderWay, relayed: int) -> bool:
        """Write down how far the sweep came; False when somebody moved the cursor meanwhile."""
        write = cursor.complete if here.is_read else cursor.advance
        moved = write(connection, self._schema, here.at, here.sweep, relayed)
        here.is_written = moved and not here.is_read
        if here.is_written:
            here.at = replace(here.at, turn=here.at.turn + 1, sweep=here.sweep)
        return moved

    def _nothing_in(self, connection: Connection, here: _UnderWay) -> None:
        """A sweep of nothing is written down where the next one would look through much again."""
        if here.at.sweep or here.sweep.done or here.sweep.end - here.at.high > _FAR:
            self._write_down(connection, here, 0)


def _first(page: Sequence[Row], heads: int) -> Sequence[Row]:
    """The rows up to those of so many groups, and what stands at the same place as the last."""
    for index, row in enumerate(page):
        if heads <= 0 and row.number != page[index - 1].number:
            return page[:index]
        heads -= not row.follows
    return page


def _prepare(connection: Connection) -> None:
    """Plans by index, whatever the size of the outbox was when they were made; nothing compiled."""
    sessions.limit(connection, None)
    for setting in ("jit", "enable_seqscan", "enable_bitmapscan"):
        connection.exec_driver_sql(f"SET {setting} = off")


def _end(connection: Connection) -> None:
    """Close a connection and its session: a pool would keep what it holds."""
    connection.invalidate()
    connection.close()
