"""Sessions of ours on a PostgreSQL: alike, whatever was set for the database or the role.

`ALTER DATABASE … SET` and `ALTER ROLE … SET` are an administrator's choice for their own programs.
What would make a driver fail far from the cause, or a query give other rows, is set here, in one
place. Nothing is sent as a start-up parameter: a pooler refuses those that it does not know.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from sqlalchemy import Connection, text

from engine.dialects.postgresql.loaders import load_whatever_comes
from engine.errors import Misconfigured

_SETTINGS: Final[Mapping[str, str]] = {
    "client_encoding": "UTF8",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # A policy that hides rows from us raises an error then: to be shown nobody is no answer.
    "row_security": "off",
}

# Of a guest's sessions: long enough for the longest query, and none stays for ever.
_PATIENCE: Final[Mapping[str, str]] = {
    "statement_timeout": "10min",
    "idle_in_transaction_session_timeout": "10min",
}

# A statement that is prepared while its table is empty keeps its plan, and on an empty table
# nothing is cheaper than to read all of it: 220 microseconds a key after 100,000 rows, against 5
# by the index (measured on PostgreSQL 15). What does read all of a table must not be compiled for
# the price that this puts on it.
_BY_KEY: Final[Mapping[str, str]] = {"enable_seqscan": "off", "jit": "off"}

# For a query about most rows of its tables: planned for how many are named this time.
_READ_WHOLE: Final = text(
    "SELECT set_config('enable_seqscan', 'on', true),"
    " set_config('plan_cache_mode', 'force_custom_plan', true),"
    " set_config('work_mem', '64MB', true)"
)

_LIMIT: Final = "schoolbell_limit"
_TIMEOUT: Final = "SELECT current_setting('statement_timeout')"
_LIMIT_TRANSACTION: Final = text("SELECT set_config('statement_timeout', :value, true)")
_SET_TIMEOUT: Final = "SELECT set_config('statement_timeout', %s, false)"

_ANSWER_WITHIN: Final = 2.0  # seconds
_LOOKS: Final = 5
_TEXTS: Final = (0, "text", "varchar", "bpchar", "name")  # 0: of no type that the driver knows


class _Limit(NamedTuple):
    """How long a statement of a session may take now, None for as long as *usual*."""

    seconds: float | None
    usual: str


_UNLIMITED: Final = _Limit(None, "")


def prepare(connection: psycopg.Connection[Any], *, by_key: bool) -> None:
    """Make a new connection as we need it. Raises Misconfigured where its session is not ours."""
    if _is_pooled(connection) and _is_shared(connection):
        raise _shared(connection)
    wanted = {**_SETTINGS, **(_BY_KEY if by_key else _PATIENCE)}
    calls = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in wanted.items())
    connection.execute(f"SELECT {calls}")
    connection.commit()
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        _speak_ascii(connection)
    load_whatever_comes(connection)


def limit(connection: Connection, seconds: float | None) -> None:
    """See dialect.Dialect.limit. A session whose limit is the wanted one already is not asked.

    Where every query is in a transaction, as for who only reads, the limit ends with that.
    """
    before = connection.info.get(_LIMIT, _UNLIMITED)
    if before.seconds == seconds:
        return
    driver: Any = connection.connection.driver_connection  # SQLAlchemy would begin a transaction
    if not driver.autocommit:
        connection.execute(_LIMIT_TRANSACTION, {"value": f"{round((seconds or 0) * 1000)}ms"})
        return
    usual = before.usual or driver.execute(_TIMEOUT).fetchone()[0]
    driver.execute(_SET_TIMEOUT, [usual if seconds is None else f"{round(seconds * 1000)}ms"])
    connection.info[_LIMIT] = _Limit(seconds, usual)


def read_whole(connection: Connection) -> None:
    """See dialect.Dialect.read_whole."""
    connection.execute(_READ_WHOLE)


def _speak_ascii(connection: psycopg.Connection[Any]) -> None:
    """Take a database as it is that never looked at what it was given.

    To a client that asks for UTF-8 it refuses a whole result for one text that is none.
    """
    connection.execute("SET client_encoding = 'SQL_ASCII'")
    connection.commit()
    connection.cursor_factory = _Cursor
    connection.server_cursor_factory = _ServerCursor
    for type_ in _TEXTS:
        connection.adapters.register_loader(type_, _TolerantText)


class _TolerantText(Loader):
    """Text of an unknown encoding: what cannot be read shows so."""

    def load(self, data: Buffer) -> str:
        """See psycopg's Loader."""
        return bytes(data).decode(errors="replace")


class _Cursor(psycopg.Cursor[Any]):
    """Sends statements in UTF-8, which the driver takes for ASCII there."""

    def execute(self, query: Any, *values: Any, **how: Any) -> Self:
        """See psycopg's Cursor."""
        return super().execute(_encoded(query), *values, **how)


class _ServerCursor(psycopg.ServerCursor[Any]):
    """The same for what is fetched in slices: the driver wraps that statement in its own."""

    def _make_declare_statement(self, query: Any) -> bytes:
        return b'DECLARE "%s" CURSOR FOR %s' % (self.name.encode(), _encoded(query))


def _encoded(query: Any) -> bytes:
    return query.encode() if isinstance(query, str) else bytes(query)


def _is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether a pooler stands between: it gives out a process number of its own."""
    return connection.info.backend_pid != _served_by(connection)


def _is_shared(connection: psycopg.Connection[Any]) -> bool:
    """Whether a pooler gives the session to somebody else between our transactions.

    Two connections that both stay open are served by one process then.
    """
    info = connection.info
    parameters: dict[str, Any] = {**info.get_parameters(), "password": info.password}
    with psycopg.connect(**parameters, autocommit=True) as other:
        return any(_answer(other) == _served_by(connection) for _ in range(_LOOKS))


def _served_by(connection: psycopg.Connection[Any]) -> int:
    [(pid,)] = connection.execute("SELECT pg_backend_pid()").fetchall()
    connection.commit()
    return int(pid)


def _answer(connection: psycopg.Connection[Any]) -> int | None:
    """The process that serves *connection*; None where it waits, as for the only session."""
    line = connection.pgconn
    line.send_query(b"SELECT pg_backend_pid()")
    line.flush()
    found = None
    while select.select([line.socket], [], [], _ANSWER_WITHIN)[0]:
        line.consume_input()
        while not line.is_busy():
            result = line.get_result()
            if result is None:
                return found
            value = result.get_value(0, 0)
            found = int(value) if value else None
    return None


def _shared(connection: psycopg.Connection[Any]) -> Misconfigured:
    info = connection.info
    return Misconfigured(
        f"A connection pooler answers for the database {info.dbname} at {info.host}:{info.port},"
        " and gives every transaction to another session.",
        "Name the database server itself in the URL, or a pool in session mode: Schoolbell keeps"
        " few connections, and each must be a session of its own.",
    )
