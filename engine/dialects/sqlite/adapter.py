"""How one opens a file of SQLite, and what is said in another way there."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

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
    case,
    event,
    func,
    select,
    type_coerce,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL

from engine.dialects import folding, problems
from engine.dialects.dialect import ColumnType, Follower, Owner, Row, Statement, Transactions
from engine.dialects.names import in_text, quoted
from engine.dialects.sqlite.column_types import types
from engine.dialects.sqlite.following import following
from engine.dialects.sqlite.keys import matched, names, narrowed, prepare, unique_sets
from engine.dialects.sqlite.names import table_of
from engine.dialects.sqlite.outbox import SqliteOutbox
from engine.dialects.sqlite.plans import whole_reads
from engine.dialects.sqlite.triggers import SqliteTriggers
from engine.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from engine.ports import Outbox, RelayedMark

_BUSY_TIMEOUT = 30  # seconds that SQLite waits for another program's write to end
_FOLDED: Final = "schoolbell_folded"
_LIMITED: Final = "schoolbell_limited"
_STEPS: Final = 50_000  # of SQLite's machine: about a millisecond
_UNUSABLE = ("unable to open", "readonly", "not a database", "disk image is malformed")


# Debian builds SQLite with secure_delete, others do not: what is deleted is overwritten.
_PRAGMAS: Final = (
    *("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"),
)
_PRAGMAS_FOR_READING: Final = ("query_only=ON",)


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

    def connect(
        self,
        url: URL,
        *,
        by_key: bool,
        read_only: bool = False,
    ) -> Engine:
        """See dialect.Dialect.connect. Our own file, which is asked by key, is made private."""
        engine = sqlalchemy.create_engine(
            _for_reading(url) if read_only else url,
            hide_parameters=True,
            connect_args={"timeout": _BUSY_TIMEOUT},
        )
        pragmas = _PRAGMAS_FOR_READING if read_only else _PRAGMAS

        if by_key:
            event.listen(engine, "do_connect", _make_private)

        @event.listens_for(engine, "connect")
        def prepared(connection: sqlite3.Connection, _record: object) -> None:
            # The driver must not begin transactions by itself: a write takes its lock at once.
            connection.isolation_level = None
            # A SIS may have written text that is not UTF-8; it must be readable all the same.
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            prepare(connection)
            connection.create_function(_FOLDED, 1, _folded, deterministic=True)
            for pragma in pragmas:
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
        code = getattr(cause, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_INTERRUPT:
            return problems.too_slow(name)
        if code == sqlite3.SQLITE_ERROR:
            return problems.wrong_statement(name, words)
        if isinstance(cause, sqlite3.OperationalError):
            return Unavailable(
                f"The database {name} does not answer: {words}.",
                "Look for another program that holds it, and for a full disk.",
            )
        return cause if isinstance(cause, Exception) else RuntimeError(words)

    def limit(self, connection: Connection, seconds: float | None) -> None:
        """See dialect.Dialect.limit: SQLite asks us now and then whether it shall go on."""
        if seconds is None and not connection.info.pop(_LIMITED, False):
            return
        driver: Any = connection.connection.driver_connection
        if seconds is None:
            driver.set_progress_handler(None, 0)
            return
        connection.info[_LIMITED] = True
        until = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)

    def holds(
        self,
        connection: Connection,  # noqa: ARG002
        words: ColumnElement[str],
        word: str,
    ) -> ColumnElement[bool]:
        """See dialect.Dialect.holds: by our function, which plain letters need not wait for."""
        is_plain = words.op("NOT GLOB")("*[^ -~]*")
        alike = case((is_plain, func.lower(words)), else_=getattr(func, _FOLDED)(words))
        return alike.like(folding.around(folding.folded(word)), escape="\\")

    def one_of(self, column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
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

    def all_bits(self, number: ColumnElement[int]) -> ColumnElement[int]:
        """See dialect.Dialect.all_bits: the sum of those that differ, as each has one bit."""
        return func.sum(number.distinct())

    def read_whole(self, connection: Connection) -> None:
        """See dialect.Dialect.read_whole."""

    def narrowed(self, query: str, by: str, keys: Collection[str]) -> Statement:
        """See dialect.Dialect.narrowed."""
        return narrowed(query, by, keys)

    def matched(
        self,
        query: str,
        by: Sequence[str],
        keys: Sequence[Sequence[str]],
        named: Sequence[str] = (),
    ) -> Statement:
        """See dialect.Dialect.matched."""
        return matched(query, by, keys, named)

    def names(self, query: str, by: Sequence[str], keys: Sequence[Sequence[str]]) -> Statement:
        """See dialect.Dialect.names."""
        del query, by
        return names(keys)

    def types(self, connection: Connection, query: str) -> Mapping[str, ColumnType]:
        """See dialect.Dialect.types."""
        return types(connection, query)

    def column_types(self, connection: Connection, table: str) -> Mapping[str, ColumnType]:
        """See dialect.Dialect.column_types."""
        return types(connection, f"SELECT * FROM {in_text(quoted(table_of(table)))}")

    def unique_sets(self, connection: Connection, table: str) -> set[frozenset[str]]:
        """See dialect.Dialect.unique_sets."""
        return unique_sets(connection, table)

    def whole_reads(self, connection: Connection, statement: Statement) -> Sequence[str]:
        """See dialect.Dialect.whole_reads."""
        return whole_reads(connection, statement)

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

    def try_alone(self, connection: Connection, table: Table) -> bool:  # noqa: ARG002
        """See dialect.Dialect.try_alone. Who writes is alone."""
        return True

    def following(self, follower: Follower) -> Sequence[str]:
        """See dialect.Dialect.following."""
        return following(follower)

    def not_following(self, follower: Follower) -> Sequence[str]:  # noqa: ARG002
        """See dialect.Dialect.not_following. Triggers go with their table."""
        return ()

    def try_lock(self, connection: Connection, key: int) -> bool:  # noqa: ARG002
        """See dialect.Dialect.try_lock. The engine is one process here; `run` makes sure of it."""
        return True

    def analyze(self, connection: Connection, tables: Collection[str]) -> None:
        """See dialect.Dialect.analyze. Indexes are used without."""

    def move_sequences(self, connection: Connection, keys: Mapping[str, str]) -> None:
        """See dialect.Dialect.move_sequences. An id is one more than the highest."""

    def address(self, url: URL) -> str:
        """See dialect.Dialect.address."""
        return str(Path(url.database or ":memory:").resolve())

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


def _folded(words: Any) -> str | None:
    return None if words is None else folding.folded(str(words))


def _make_private(
    _dialect: object, _record: object, words: Sequence[str], how: Mapping[str, object]
) -> None:
    """Make the file for its owner's eyes alone; what SQLite makes beside it is as closed.

    A URI is no name of a file, and says itself whether one is made.
    """
    if how.get("uri"):
        return
    with suppress(OSError):  # it is there already, or SQLite says what is wrong
        os.close(os.open(words[0], os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _stored(column: ColumnElement[Any], values: Collection[Any]) -> list[Any]:
    """SQLite keeps a UUID as 32 hex digits; json_each compares what is stored."""
    if column.type.python_type is str and column.type.__visit_name__ == "uuid":
        return [value.replace("-", "") for value in values]
    return list(values)


def _for_reading(url: URL) -> URL:
    """A file that is neither made when it is missing nor written to."""
    if not url.database or url.database.startswith((":", "file:")):
        return url
    query = {**url.query, "mode": "ro", "uri": "true"}
    return url.set(database=f"file:{quote(os.path.abspath(url.database))}", query=query)
