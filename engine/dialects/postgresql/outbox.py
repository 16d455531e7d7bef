"""The outbox of a SIS on PostgreSQL.

Ids are taken at INSERT and become visible at COMMIT, so a cursor `id > last` loses rows. Here a
read of the outbox is everything above the highest id ever seen, plus the gaps below it: ids that
some transaction took and had not committed. One statement reads both, in one snapshot, so for one
record id order is commit order. A gap is given up once every transaction that could fill it has
ended, seen in the very snapshot that still does not show it (facts: capture-and-broker 3.1, 3.4).
The cursor in the SIS database is the truth: who lowers it (`replay`) is heard at the next read.
Rows are never updated and are deleted long after, by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, TextClause, text

from engine.dialects import gaps, problems, rows
from engine.dialects.dialect import Owner, Transactions
from engine.dialects.gaps import Gaps
from engine.dialects.postgresql.names import MICROSECONDS_NOW, last_id, schema_of
from rules.change import Change, ChangeId

if TYPE_CHECKING:
    from engine.ports import RelayedMark

_FORGET_AT_ONCE: Final = 10_000


class PostgresqlOutbox:
    """Implements ports.Outbox: reads above the highest id seen, and the gaps below it."""

    def __init__(
        self, database: Transactions, owner: Owner, source: str, mark: RelayedMark
    ) -> None:
        self._database = database
        self._owner = owner
        self._source = source
        self._mark = mark
        self._schema = schema_of(owner)
        self._statement = _read(self._schema)
        self._connection: Connection | None = None
        self._base = self._high = 0
        self._gaps: Gaps = {}

    def acquire(self) -> bool:
        """Become the relay that the cursor names, unless the session of another one lives."""
        if self._connection is not None:
            return True
        with self._database.translated():
            connection = self._database.engine.connect()
            try:
                # No read is long enough to be worth compiling.
                connection.exec_driver_sql("SET jit = off")
                taken = self._take(connection)
                if taken:
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
        """See ports.Outbox.read. The connection that the cursor names reads, or nobody does."""
        with self._holding() as connection:
            found = self._found(connection, limit)
            while found[0].cursor != self._high:
                self._restore(connection)
                found = self._found(connection, limit)
        shown = [row.id for row in found if row.id is not None]
        looked_through = shown[-1] if len(shown) == limit else self._high
        self._gaps = gaps.still_open(self._gaps, shown, found[0].xmin, looked_through)
        return [
            rows.change(self._source, self._base, row, _event_id(row))
            for row in found
            if row.id is not None
        ]

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """See ports.Outbox.mark_relayed. A cursor that was lowered meanwhile stays so."""
        done = [change.position - self._base for change in changes]
        high = max(self._high, done[-1])
        new_gaps = list(gaps.skipped(self._high, [id_ for id_ in done if id_ > self._high]))
        left = gaps.without(self._gaps, done)
        self._mark.raise_to(self._base + high)
        with self._holding() as connection:
            if new_gaps:
                left |= dict.fromkeys(new_gaps, _barrier(connection))
            marked = connection.execute(
                text(
                    f"UPDATE {self._schema}.cursor SET high = :high,"
                    " gaps = CAST(:gaps AS int8multirange) WHERE high = :was"
                ),
                {"high": high, "gaps": gaps.multirange(left), "was": self._high},
            )
        if marked.rowcount:
            self._high, self._gaps = high, left

    def release(self) -> None:
        """See ports.Outbox.release."""
        if self._connection is not None:
            with suppress(Exception):  # a session that is lost has released it already
                self._connection.exec_driver_sql(
                    f"UPDATE {self._schema}.cursor SET relay_pid = NULL, relay_since = NULL"
                    " WHERE relay_pid = pg_backend_pid()"
                )
            _end(self._connection)
            self._connection = None

    def forget(self, keep: timedelta, now: datetime) -> int:
        """See ports.Outbox.forget."""
        table = f"{self._schema}.outbox"
        high = f"SELECT least(high, lower(gaps) - 1) FROM {self._schema}.cursor"
        statement = text(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id <= ({high})"
            f" AND id < coalesce((SELECT id FROM {table} WHERE at >= :limit ORDER BY id LIMIT 1),"
            f" ({high}) + 1) ORDER BY id LIMIT {_FORGET_AT_ONCE})"
        )
        count = 0
        while True:
            with self._database.write() as connection:
                deleted = connection.execute(statement, {"limit": now - keep}).rowcount
            count += deleted
            if deleted < _FORGET_AT_ONCE:
                return count

    def replay(self, since: datetime) -> int:
        """See ports.Outbox.replay."""
        with self._database.write() as connection:
            first, count = connection.execute(
                text(f"SELECT min(id), count(*) FROM {self._schema}.outbox WHERE at >= :since"),
                {"since": since},
            ).one()
            if count:
                connection.execute(
                    text(
                        f"UPDATE {self._schema}.cursor SET high = :high, gaps ="
                        " gaps * int8multirange(int8range(NULL, :high, '[]')) WHERE high > :high"
                    ),
                    {"high": first - 1},
                )
            return int(count)

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
                    f"SELECT count(*), min(at) FROM (SELECT at FROM {self._schema}.outbox WHERE"
                    f" id > (SELECT high FROM {self._schema}.cursor) ORDER BY id LIMIT 100000) w"
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

    def _found(self, connection: Connection, limit: int) -> Sequence[Row[Any]]:
        return connection.execute(
            self._statement,
            {
                "starts": [gap.start for gap in self._gaps],
                "stops": [gap.stop for gap in self._gaps],
                "high": self._high,
                "limit": limit,
            },
        ).all()

    def _restore(self, connection: Connection) -> None:
        """Go on from where the last relay stopped, or from where `replay` put the cursor.

        An outbox of an older copy knows less than what was relayed. Whatever was relayed was
        relayed before now, and an outbox takes no million of ids in a second: so microseconds
        since 1970 are above every position. What it still holds is relayed again; evaluate knows
        by its id what it had.
        """
        cursor = f"{self._schema}.cursor"
        connection.execute(
            text(
                f"UPDATE {cursor} SET base = greatest({MICROSECONDS_NOW}, base + high, :relayed),"
                " gaps = CASE WHEN high <= last THEN gaps ELSE '{}' END,"
                " high = CASE WHEN high <= last THEN high"
                f" ELSE coalesce((SELECT min(o.id) - 1 FROM {self._schema}.outbox o), 0) END"
                f" FROM (SELECT {last_id(self._schema)} AS last) AS sequence"
                " WHERE base + last < :relayed OR high > last"
            ),
            {"relayed": self._mark.read()},
        )
        self._base, self._high, open_gaps = connection.execute(
            text(f"SELECT base, high, gaps FROM {cursor}")
        ).one()
        barrier = _barrier(connection)
        self._gaps = {range(gap.lower, gap.upper): barrier for gap in open_gaps}


def _read(schema: str) -> TextClause:
    return text(
        f"""SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
        (SELECT high FROM {schema}.cursor) AS cursor,
        r.id, r.event_id::text, r.watch, r.key, r.before::text, r.after::text, r.at
    FROM (SELECT 1) AS always LEFT JOIN LATERAL (
        (SELECT late.* FROM unnest(CAST(:starts AS bigint[]), CAST(:stops AS bigint[]))
                AS gap(start, stop)
            CROSS JOIN LATERAL (SELECT o.* FROM {schema}.outbox o
                WHERE o.id >= gap.start AND o.id < gap.stop ORDER BY o.id LIMIT :limit) AS late)
        UNION ALL
        (SELECT o.* FROM {schema}.outbox o WHERE o.id > :high ORDER BY o.id LIMIT :limit)
        ORDER BY id LIMIT :limit
    ) AS r ON true ORDER BY r.id"""
    )


def _barrier(connection: Connection) -> int:
    """A transaction id of our own, taken now: every gap known so far has a lower one.

    Not pg_snapshot_xmax: a running transaction may have a lower id than that (facts 3.4).
    """
    xid: int = connection.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()
    return xid


def _end(connection: Connection) -> None:
    """Close a connection and its session: a pool would keep what it holds."""
    connection.invalidate()
    connection.close()


def _event_id(row: Row[Any]) -> ChangeId:
    """A UUIDv7 (RFC 9562): milliseconds first, so that the engine's indexes grow at their end.

    Its random part is made at capture, so that a restored SIS database never repeats one. It is put
    together here, because in the trigger that costs a write of the SIS a tenth of its time.
    """
    milliseconds = f"{max(0, int(row.at.timestamp() * 1000)):012x}"
    return ChangeId(f"{milliseconds[:8]}-{milliseconds[8:]}-7{row.event_id[15:]}")
