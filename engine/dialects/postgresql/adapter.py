"""How one connects to PostgreSQL, and what is said in another way there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
import psycopg
import sqlalchemy
from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    FromClause,
    Insert,
    Table,
    TypeDecorator,
    any_,
    bindparam,
    case,
    cast,
    event,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import NullType

from engine.dialects import folding, rows
from engine.dialects.dialect import ColumnType, Follower, Owner, Row, Statement, Transactions
from engine.dialects.names import in_text
from engine.dialects.postgresql import sessions
from engine.dialects.postgresql.column_types import types
from engine.dialects.postgresql.errors import as_ours
from engine.dialects.postgresql.following import following, not_following
from engine.dialects.postgresql.keys import as_array, matched, names, narrowed, unique_sets
from engine.dialects.postgresql.names import quoted as quoted_table
from engine.dialects.postgresql.outbox import PostgresqlOutbox
from engine.dialects.postgresql.plans import whole_reads
from engine.dialects.postgresql.tls import require_named
from engine.dialects.postgresql.triggers import PostgresqlTriggers

if TYPE_CHECKING:
    from engine.ports import Outbox, RelayedMark

_CONNECT_TIMEOUT = 5  # seconds

# An escaped NUL; not an escaped backslash that stands before "u0000".
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


# In transactions, and not by a setting of the session, which a pooler would hand on to others.
_READING: Mapping[str, Any] = {
    "isolation_level": "READ COMMITTED",
    "postgresql_readonly": True,
}


# "cached plan must not change result type", in whatever language the server speaks.
_CHECKS_A_PLAN: Final = "RevalidateCachedQuery"


def _forget_plans(error: ExceptionContext) -> None:
    """An upgrade changed the type of a column: every session that had a plan needs a new one.

    The server refuses that plan for as long as the session lives, whoever asks.
    """
    cause = error.original_exception
    if isinstance(cause, psycopg.Error) and cause.diag.source_function == _CHECKS_A_PLAN:
        error.is_disconnect = True


class Postgresql:
    """Implements dialect.Dialect."""

    name = "postgresql"
    title = "PostgreSQL"
    port = 5432
    one_writer = False
    keeps_zones = True
    write_options: Mapping[str, Any] = {"isolation_level": "READ COMMITTED"}
    snapshot_options: Mapping[str, Any] = {
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
    }
    driver_error: type[Exception] = psycopg.Error
    patience: Mapping[str, Any] = {}

    def connect(self, url: URL, *, by_key: bool, read_only: bool = False) -> Engine:
        """See dialect.Dialect.connect."""
        engine = sqlalchemy.create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _CONNECT_TIMEOUT, "application_name": "schoolbell"},
        )

        def begin(dialect: Any, _record: object, words: Any, settings: Any) -> Any:
            """Before SQLAlchemy itself asks anything."""
            require_named(settings)
            connection = dialect.connect(*words, **settings)
            try:
                sessions.prepare(connection, by_key=by_key)
            except BaseException:
                connection.close()
                raise
            return connection

        event.listen(engine, "do_connect", begin)
        event.listen(engine, "handle_error", _forget_plans)
        return engine.execution_options(**_READING) if read_only else engine

    def as_ours(self, cause: Any, name: str, *, disconnected: bool) -> Exception:
        """See dialect.Dialect.as_ours."""
        return as_ours(cause, name, disconnected=disconnected)

    def limit(self, connection: Connection, seconds: float | None) -> None:
        """See dialect.Dialect.limit."""
        sessions.limit(connection, seconds)

    def holds(
        self, connection: Connection, words: ColumnElement[str], word: str
    ) -> ColumnElement[bool]:
        """See dialect.Dialect.holds. Of what is not UTF-8 a server takes no letter apart.

        To take one apart costs it 30 microseconds, so plain letters are looked for with the accents
        that they may have: that costs two.
        """
        driver: Any = connection.connection.driver_connection
        if driver.info.parameter_status("server_encoding") != "UTF8":
            return func.lower(words).like(folding.around(folding.folded(word)), escape="\\")
        if word.isascii():
            return words.regexp_match(folding.with_accents(word))
        return self._apart(words).like(folding.around(folding.folded(word)), escape="\\")

    def _apart(self, words: ColumnElement[str]) -> ColumnElement[str]:
        """*words* folded."""
        apart = func.normalize(words, literal_column("NFD"))
        plain = func.lower(func.regexp_replace(apart, folding.ACCENTS, "", "g"))
        is_plain = func.octet_length(words) == func.char_length(words)
        other = func.translate(plain, folding.CAPITALS, folding.SMALL)
        return case((is_plain, func.lower(words)), else_=other)

    def one_of(self, column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """See dialect.Dialect.one_of."""
        return column == any_(_array_of(column, values))

    def tuples(self, columns: Sequence[Column[Any]], values: Sequence[Row]) -> FromClause:
        """See dialect.Dialect.tuples."""
        each = list(zip(*values, strict=True)) or [()] * len(columns)
        arrays = (_array_of(column, one) for column, one in zip(columns, each, strict=True))
        named = (sql_column(column.name, column.type) for column in columns)
        return func.unnest(*arrays).table_valued(*named, name="wanted").render_derived()

    def all_bits(self, number: ColumnElement[int]) -> ColumnElement[int]:
        """See dialect.Dialect.all_bits."""
        return func.bit_or(number)

    def read_whole(self, connection: Connection) -> None:
        """See dialect.Dialect.read_whole."""
        sessions.read_whole(connection)

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
        return names(query, by, keys)

    def types(self, connection: Connection, query: str) -> Mapping[str, ColumnType]:
        """See dialect.Dialect.types."""
        return types(connection, query)

    def column_types(self, connection: Connection, table: str) -> Mapping[str, ColumnType]:
        """See dialect.Dialect.column_types."""
        return types(connection, f"SELECT * FROM {in_text(quoted_table(table))}")

    def unique_sets(self, connection: Connection, table: str) -> set[frozenset[str]]:
        """See dialect.Dialect.unique_sets."""
        return unique_sets(connection, table)

    def whole_reads(self, connection: Connection, statement: Statement) -> Sequence[str]:
        """See dialect.Dialect.whole_reads."""
        return whole_reads(connection, statement)

    def append(self, connection: Connection, table: Table, values: Sequence[Row]) -> None:
        """See dialect.Dialect.append: by COPY, which SQLAlchemy's types do not see."""
        conversions = [
            (index, convert)
            for index, column in enumerate(table.columns)
            if (convert := _conversion(column))
        ]
        driver: Any = connection.connection.driver_connection
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        statement = f"COPY {table.name} ({columns}) FROM STDIN"
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in values:
                copy.write_row(_converted(row, conversions) if conversions else row)

    def insert_new(self, table: Table) -> Insert:
        """See dialect.Dialect.insert_new."""
        return insert(table).on_conflict_do_nothing()

    def share(self, connection: Connection, key: int) -> None:
        """See dialect.Dialect.share."""
        connection.execute(select(func.pg_advisory_xact_lock_shared(key)))

    def exclude(self, connection: Connection, key: int, longest: timedelta) -> None:
        """See dialect.Dialect.exclude."""
        milliseconds = longest // timedelta(milliseconds=1)
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"))
        connection.execute(select(func.pg_advisory_xact_lock(key)))

    @property
    def divides(self) -> bool:
        """See dialect.Dialect.divides."""
        return True

    def lock(self, connection: Connection, table: Table, mode: str) -> None:
        """See dialect.Dialect.lock."""
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN {mode} MODE")

    def try_alone(self, connection: Connection, table: Table) -> bool:
        """See dialect.Dialect.try_alone."""
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(
                    f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE NOWAIT"
                )
        except OperationalError as error:
            if isinstance(error.orig, psycopg.errors.LockNotAvailable):
                return False
            raise
        return True

    def following(self, follower: Follower) -> Sequence[str]:
        """See dialect.Dialect.following."""
        return following(follower)

    def not_following(self, follower: Follower) -> Sequence[str]:
        """See dialect.Dialect.not_following."""
        return not_following(follower)

    def try_lock(self, connection: Connection, key: int) -> bool:
        """See dialect.Dialect.try_lock."""
        return bool(
            connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one()
        )

    def analyze(self, connection: Connection, tables: Collection[str]) -> None:
        """See dialect.Dialect.analyze."""
        connection.exec_driver_sql(f"ANALYZE {', '.join(tables)}")

    def move_sequences(self, connection: Connection, keys: Mapping[str, str]) -> None:
        """See dialect.Dialect.move_sequences."""
        for table, key in keys.items():
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence(:table, :key), max({key}))"
                    f" FROM {table} HAVING max({key}) IS NOT NULL"
                ),
                {"table": table, "key": key},
            )

    def address(self, url: URL) -> str:
        """See dialect.Dialect.address."""
        given = {name: str(value) for name, value in url.query.items()}
        host = url.host or given.get("host") or given.get("service") or "localhost"
        port = url.port or given.get("port") or self.port
        return f"{host}:{port}/{url.database or given.get('dbname') or url.username or ''}"

    def by_hand(self, url: URL, statement: str) -> str:
        """See dialect.Dialect.by_hand."""
        shown = url.set(drivername="postgresql").render_as_string()
        return shlex.join(["psql", shown, "-c", statement])

    def triggers(self, database: Transactions, owner: Owner) -> PostgresqlTriggers:
        """See dialect.Dialect.triggers."""
        return PostgresqlTriggers(database, owner)

    def outbox(
        self, database: Transactions, owner: Owner, source: str, mark: RelayedMark
    ) -> Outbox:
        """See dialect.Dialect.outbox."""
        return PostgresqlOutbox(database, owner, source, mark)


def _array_of(column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[Any]:
    """One parameter for all *values* of a column.

    Texts are put into an array literal here: the driver would look at each by itself, which took
    as long as reading the rows that are asked for.
    """
    kind = ARRAY(column.type)
    try:
        return cast(bindparam(None, as_array(values), type_=NullType()), kind)
    except TypeError:  # numbers and moments
        return bindparam(None, list(values), type_=kind)


def _conversion(column: Column[Any]) -> Callable[[Any], Any] | None:
    if isinstance(column.type, JSON):
        return _json
    if isinstance(column.type, TypeDecorator) and isinstance(column.type.impl_instance, DateTime):
        return rows.aware
    return None


def _json(value: Any) -> str:
    """JSON that PostgreSQL takes. It cannot hold the NUL that a SQLite source may contain."""
    encoded = msgspec.json.encode(value).decode()
    return _NUL.sub(r"\1\\ufffd", encoded) if r"\u0000" in encoded else encoded


def _converted(row: Row, conversions: Sequence[tuple[int, Callable[[Any], Any]]]) -> list[Any]:
    values = list(row)
    for index, convert in conversions:
        if values[index] is not None:
            values[index] = convert(values[index])
    return values
