"""SQLite: one writer at a time, so commit order is id order, and locks are needed nowhere."""

from __future__ import annotations

import re
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Insert,
    Table,
    event,
    func,
    select,
    text,
    type_coerce,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL

from engine.dialects import problems, rows
from engine.dialects.dialect import Owner, Row, Transactions, Trigger, Watched
from engine.errors import Misconfigured, Unavailable
from rules.change import Change, ChangeId

if TYPE_CHECKING:
    from engine.ports import Outbox, RelayedMark

_BUSY_TIMEOUT = 30  # seconds that SQLite waits for another program's write to end
_UNUSABLE = ("unable to open", "readonly", "not a database", "disk image is malformed")
_FORGET_AT_ONCE: Final = 10_000
_OPERATIONS: Final = ("insert", "update", "delete")

# A UUIDv7 (RFC 9562): milliseconds first, so that the engine's indexes grow at their end, and
# made at capture, so that a restored SIS database never repeats one.
_EVENT_ID: Final = (
    "printf('%08x-%04x-7%s-a%s-%s',"
    " (CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) >> 16),"
    " (CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) & 65535),"
    " substr(lower(hex(randomblob(2))), 2), substr(lower(hex(randomblob(2))), 2),"
    " lower(hex(randomblob(6))))"
)
_MICROSECONDS_NOW: Final = "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"


class Sqlite:
    """Implements dialect.Dialect."""

    name = "sqlite"
    title = "SQLite"
    port = None
    one_writer = True
    keeps_zones = False
    write_options: Mapping[str, Any] = {"schoolbell_write": True}
    snapshot_options: Mapping[str, Any] = {}
    driver_error: type[Exception] = sqlite3.Error
    patience: Mapping[str, Any] = {"timeout": _BUSY_TIMEOUT}

    def connect(self, url: URL, *, by_key: bool) -> Engine:  # noqa: ARG002 - it always does
        """See dialect.Dialect.connect."""
        engine = sqlalchemy.create_engine(
            url, hide_parameters=True, connect_args={"timeout": _BUSY_TIMEOUT}
        )

        @event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, _record: object) -> None:
            # The driver must not begin transactions by itself: a write takes its lock at once.
            connection.isolation_level = None
            # A SIS may have written text that is not UTF-8; it must be readable all the same.
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}").close()

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            writing = connection.get_execution_options().get("schoolbell_write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

        return engine

    def as_ours(self, cause: Any, name: str, *, disconnected: bool) -> Exception:  # noqa: ARG002
        """See dialect.Dialect.as_ours. A file has no connection to lose."""
        words = str(cause)
        if "no such table" in words or "no such column" in words:
            return problems.not_migrated(name, words)
        if any(sign in words for sign in _UNUSABLE):
            return Misconfigured(
                f"The database {name} cannot be used: {words}.",
                "Check that the folder exists and that this user may write to the file.",
            )
        if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            return problems.wrong_statement(name, words)
        if isinstance(cause, sqlite3.OperationalError):
            return Unavailable(
                f"The database {name} does not answer: {words}.",
                "Look for another program that holds it, and for a full disk.",
            )
        return cause if isinstance(cause, Exception) else RuntimeError(words)

    def one_of(self, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """See dialect.Dialect.one_of."""
        keys = func.json_each(msgspec.json.encode(_stored(column, values)).decode())
        return column.in_(select(keys.table_valued("value").c.value))

    def tuples(self, columns: Sequence[Column[Any]], values: Sequence[Row]) -> FromClause:
        """See dialect.Dialect.tuples."""
        each = list(zip(*values, strict=True)) or [()] * len(columns)
        stored = zip(
            *(_stored(column, one) for column, one in zip(columns, each, strict=True)), strict=True
        )
        rows = func.json_each(msgspec.json.encode(list(stored)).decode()).table_valued("value")
        return select(
            *(
                type_coerce(func.json_extract(rows.c.value, f"$[{index}]"), column.type).label(
                    column.name
                )
                for index, column in enumerate(columns)
            )
        ).subquery("wanted")

    def narrowed(self, by: str, keys: Collection[str]) -> tuple[str, str]:
        """See dialect.Dialect.narrowed."""
        condition = f'"{by}" IN (SELECT value FROM json_each(:keys))'
        return condition, msgspec.json.encode(list(keys)).decode()

    def append(self, connection: Connection, table: Table, values: Sequence[Row]) -> None:
        """See dialect.Dialect.append."""
        names = [column.name for column in table.columns]
        connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in values])

    def insert_new(self, table: Table) -> Insert:
        """See dialect.Dialect.insert_new."""
        return insert(table).on_conflict_do_nothing()

    def share(self, connection: Connection, key: int) -> None:
        """See dialect.Dialect.share. Who writes is alone."""

    def exclude(self, connection: Connection, key: int, longest: timedelta) -> None:
        """See dialect.Dialect.exclude. Who writes is alone."""

    @property
    def divides(self) -> bool:
        """See dialect.Dialect.divides."""
        return False

    def lock(self, connection: Connection, table: Table, mode: str) -> None:
        """See dialect.Dialect.lock. Who writes is alone."""

    def try_lock(self, connection: Connection, key: int) -> bool:  # noqa: ARG002
        """See dialect.Dialect.try_lock. The engine is one process here; `run` makes sure of it."""
        return True

    def analyze(self, connection: Connection, tables: Collection[str]) -> None:
        """See dialect.Dialect.analyze. Indexes are used without."""

    def move_sequences(self, connection: Connection, keys: Mapping[str, str]) -> None:
        """See dialect.Dialect.move_sequences. An id is one more than the highest."""

    def by_hand(self, url: URL, statement: str) -> str:
        """See dialect.Dialect.by_hand: by Python where there is no shell of SQLite's."""
        file = str(url.database)
        if shutil.which("sqlite3"):
            return shlex.join(["sqlite3", file, statement])
        program = (
            f"import sqlite3; c = sqlite3.connect({file!r}); c.execute({statement!r}); c.commit()"
        )
        return shlex.join([sys.executable, "-c", program])

    def triggers(self, database: Transactions, owner: Owner) -> SqliteTriggers:
        """See dialect.Dialect.triggers."""
        return SqliteTriggers(database, owner)

    def outbox(
        self, database: Transactions, owner: Owner, source: str, mark: RelayedMark
    ) -> Outbox:
        """See dialect.Dialect.outbox."""
        return SqliteOutbox(database, owner, source, mark)


def _stored(column: Column[Any], values: Collection[Any]) -> list[Any]:
    """SQLite keeps a UUID as 32 hex digits; json_each compares what is stored."""
    if column.type.python_type is str and column.type.__visit_name__ == "uuid":
        return [value.replace("-", "") for value in values]
    return list(values)


def _outbox(owner: Owner) -> str:
    return f"schoolbell_outbox_{owner.identifier}"


def _cursor(owner: Owner) -> str:
    return f"schoolbell_cursor_{owner.identifier}"


def _last_id(outbox: str) -> str:
    return f"coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{outbox}'), 0)"


class SqliteTriggers:
    """Implements dialect.Triggers."""

    missed = (
        "the delete inside INSERT OR REPLACE, unless the writer sets recursive_triggers;"
        " blobs are stored as nothing"
    )

    def __init__(self, database: Transactions, owner: Owner) -> None:
        self._database = database
        self._owner = owner
        self._outbox = _outbox(owner)
        self._cursor = _cursor(owner)

    def current_owner(self) -> str | None:
        """See dialect.Triggers.current_owner."""
        with self._database.read() as connection:
            if not _exists(connection, self._cursor):
                return None
            found: str = connection.execute(text(f"SELECT owner FROM {self._cursor}")).scalar_one()
            return found

    def make_outbox(self) -> None:
        """See dialect.Triggers.make_outbox.

        An outbox that is made anew begins at id 1 again, and its base above every position before.
        """
        with self._database.write() as connection:
            anew = not _exists(connection, self._outbox)
            connection.exec_driver_sql(
                f"""CREATE TABLE IF NOT EXISTS {self._outbox} (
                    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT, watch TEXT,
                    key TEXT, before TEXT, after TEXT, at TEXT)"""
            )
            connection.exec_driver_sql(
                f"""CREATE TABLE IF NOT EXISTS {self._cursor} (id INTEGER PRIMARY KEY,
                    owner TEXT NOT NULL, base INTEGER NOT NULL, high INTEGER NOT NULL)"""
            )
            connection.execute(
                text(f"INSERT OR IGNORE INTO {self._cursor} VALUES (1, :token, 0, 0)"),
                {"token": self._owner.token},
            )
            connection.execute(
                text(f"UPDATE {self._cursor} SET owner = :token"),
                {"token": self._owner.token},
            )
            if anew:
                connection.exec_driver_sql(
                    f"UPDATE {self._cursor}"
                    f" SET base = max(base + high, {_MICROSECONDS_NOW}), high = 0"
                )

    def install(self, watched: Watched, lock_timeout: timedelta) -> None:  # noqa: ARG002
        """See dialect.Triggers.install. SQLite waits for other writers as ever."""
        with self._database.write() as connection:
            for trigger in self.of(watched):
                connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{trigger.name}"')
            for statement in self._statements(watched):
                connection.exec_driver_sql(statement)

    def of(self, watched: Watched) -> list[Trigger]:
        """See dialect.Triggers.of. SQLite has no trigger for several operations."""
        prefix = f"schoolbell_{self._owner.identifier}_{watched.name}"
        return [Trigger(f"{prefix}_{operation}", watched.table) for operation in _OPERATIONS]

    def installed(self) -> Sequence[Trigger]:
        """See dialect.Triggers.installed. Neither a watch nor an operation has an underscore."""
        ours = re.compile(rf"schoolbell_{self._owner.identifier}_[^_]+_[^_]+")
        with self._database.read() as connection:
            found = connection.execute(
                text("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
            )
            return [Trigger(row.name, row.tbl_name) for row in found if ours.fullmatch(row.name)]

    def state(self, watched: Watched) -> str:
        """See dialect.Triggers.state."""
        with self._database.read() as connection:
            made = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
                     " AND tbl_name = :table"),
                {"table": watched.table},
            )  # fmt: skip
            found = {str(row.name): str(row.sql) for row in made}
            has_outbox = _exists(connection, self._outbox)
        names = [trigger.name for trigger in self.of(watched)]
        if not all(name in found for name in names):
            return "missing"
        if [found[name] for name in names] != self._statements(watched):
            return "outdated"
        return "in place" if has_outbox else "without an outbox"

    def drop(self, trigger: Trigger, lock_timeout: timedelta) -> None:  # noqa: ARG002
        """See dialect.Triggers.drop."""
        with self._database.write() as connection:
            connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{trigger.name}"')

    def drop_outbox(self, lock_timeout: timedelta) -> None:  # noqa: ARG002
        """See dialect.Triggers.drop_outbox."""
        with self._database.write() as connection:
            for table in (self._outbox, self._cursor):
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")

    def _statements(self, watched: Watched) -> list[str]:
        """One trigger for each operation, with the values that this operation has."""
        changed = " OR ".join(f'OLD."{column}" IS NOT NEW."{column}"' for column in watched.columns)
        old, new = _json("OLD", watched.columns), _json("NEW", watched.columns)
        shapes = (
            ("insert", "", "NEW", "NULL", new),
            ("update", f" WHEN {changed}", "NEW", old, new),
            ("delete", "", "OLD", old, "NULL"),
        )
        return [
            f'CREATE TRIGGER "{trigger.name}" AFTER {operation.upper()} ON "{watched.table}"'
            f"{condition}\n"
            f"BEGIN INSERT INTO {self._outbox}"
            " (event_id, watch, key, before, after, at) VALUES ("
            f"{_EVENT_ID}, '{watched.name}',"
            f" coalesce(CAST({row}.\"{watched.key}\" AS TEXT), ''), {before}, {after},"
            " strftime('%Y-%m-%dT%H:%M:%fZ', 'now')); END"
            for trigger, (operation, condition, row, before, after) in zip(
                self.of(watched), shapes, strict=True
            )
        ]


def _exists(connection: Connection, table: str) -> bool:
    found = connection.execute(
        text("SELECT count(*) FROM sqlite_master WHERE name = :table"), {"table": table}
    )
    return bool(found.scalar_one())


def _json(row: str, columns: Sequence[str]) -> str:
    """json_object raises on a blob and would abort the SIS's write: a blob becomes NULL.

    JSON has no infinity, and json_object writes one all the same: it becomes text.
    """
    pairs = ", ".join(f"'{column}', {_json_value(row, column)}" for column in columns)
    return f"json_object({pairs})"


def _json_value(row: str, column: str) -> str:
    value = f'{row}."{column}"'
    return (
        f"CASE WHEN typeof({value}) = 'blob' THEN NULL"
        f" WHEN {value} IN (9e999, -9e999) THEN CAST({value} AS TEXT) ELSE {value} END"
    )


class SqliteOutbox:
    """Implements ports.Outbox: there are no gaps."""

    def __init__(
        self, database: Transactions, owner: Owner, source: str, mark: RelayedMark
    ) -> None:
        self._database = database
        self._owner = owner
        self._source = source
        self._mark = mark
        self._outbox = _outbox(owner)
        self._cursor = _cursor(owner)
        self._acquired = False
        self._base = self._high = 0

    def acquire(self) -> bool:
        """The engine is one process here; `run` makes sure of it."""
        if not self._acquired:
            self._restore()
            self._acquired = True
        return True

    def release(self) -> None:
        """See ports.Outbox.release."""
        self._acquired = False

    def read(self, limit: int) -> Sequence[Change]:
        """See ports.Outbox.read."""
        with self._database.read() as connection:
            self._base, self._high = connection.execute(
                text(f"SELECT base, high FROM {self._cursor}")
            ).one()
            found = connection.execute(
                text(
                    f"SELECT id, event_id, watch, key, before, after, at FROM {self._outbox}"
                    " WHERE id > :high ORDER BY id LIMIT :limit"
                ),
                {"high": self._high, "limit": limit},
            )
            return [
                rows.change(self._source, self._base, row, ChangeId(row.event_id)) for row in found
            ]

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """See ports.Outbox.mark_relayed. A cursor that was lowered meanwhile stays so."""
        self._mark.raise_to(changes[-1].position)
        with self._database.write() as connection:
            connection.execute(
                text(f"UPDATE {self._cursor} SET high = :high WHERE high = :was"),
                {"high": changes[-1].position - self._base, "was": self._high},
            )

    def forget(self, keep: timedelta, now: datetime) -> int:
        """See ports.Outbox.forget."""
        statement = text(
            f"DELETE FROM {self._outbox} WHERE id IN (SELECT id FROM {self._outbox}"
            f" WHERE id <= (SELECT high FROM {self._cursor}) AND id < coalesce("
            f" (SELECT id FROM {self._outbox} WHERE at >= :limit ORDER BY id LIMIT 1),"
            f" (SELECT high FROM {self._cursor}) + 1) ORDER BY id LIMIT {_FORGET_AT_ONCE})"
        )
        count = 0
        while True:
            with self._database.write() as connection:
                deleted = connection.execute(statement, {"limit": _text(now - keep)}).rowcount
            count += deleted
            if deleted < _FORGET_AT_ONCE:
                return count

    def replay(self, since: datetime) -> int:
        """See ports.Outbox.replay."""
        with self._database.write() as connection:
            first, count = connection.execute(
                text(f"SELECT min(id), count(*) FROM {self._outbox} WHERE at >= :since"),
                {"since": _text(since)},
            ).one()
            if count:
                connection.execute(
                    text(f"UPDATE {self._cursor} SET high = :high WHERE high > :high"),
                    {"high": first - 1},
                )
            return int(count)

    def count(self) -> int:
        """See ports.Outbox.count."""
        with self._database.read() as connection:
            statement = text(f"SELECT count(*) FROM {self._outbox}")
            return int(connection.execute(statement).scalar_one())

    def backlog(self, now: datetime) -> tuple[int, timedelta]:
        """See ports.Outbox.backlog."""
        with self._database.read() as connection:
            count, oldest = connection.execute(
                text(
                    f"SELECT count(*), min(at) FROM (SELECT at FROM {self._outbox} WHERE id >"
                    f" (SELECT high FROM {self._cursor}) ORDER BY id LIMIT 100000)"
                )
            ).one()
        return count, (now - rows.moment(oldest)) if count else timedelta()

    def _restore(self) -> None:
        """Notice an outbox of an older copy, and give what it holds higher positions than ever.

        Whatever was relayed was relayed before now, and an outbox takes no million of ids in a
        second: so microseconds since 1970 are above every position. What the copy still holds is
        relayed again; evaluate knows by its id what it had.
        """
        relayed = self._mark.read()
        with self._database.read() as connection:
            current, base, high, last = connection.execute(
                text(f"SELECT owner, base, high, {_last_id(self._outbox)} FROM {self._cursor}")
            ).one()
        if current != self._owner.token:
            raise problems.of_another(self._database.name, self._owner.district)
        if base + last >= relayed and high <= last:
            return
        with self._database.write() as connection:
            connection.execute(
                text(
                    f"UPDATE {self._cursor} SET"
                    f" base = max({_MICROSECONDS_NOW}, base + high, :relayed),"
                    " high = CASE WHEN high <= :last THEN high"
                    f" ELSE coalesce((SELECT min(id) - 1 FROM {self._outbox}), 0) END"
                ),
                {"relayed": relayed, "last": last},
            )


def _text(moment: datetime) -> str:
    """Moments are compared as text: in UTC, as the triggers write them."""
    return moment.astimezone(UTC).isoformat()
