"""A database: SQLite in WAL mode, or PostgreSQL, behind the same two context managers."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from engine.errors import ConfigError, Misconfigured, Unavailable

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

_CONNECT_TIMEOUT = 5  # seconds
_BUSY_TIMEOUT = 30  # seconds that SQLite waits for another program's write to end


class Database:
    """One database. Threads may share it; each `read` or `write` takes its own connection.

    Errors of the driver arrive as Unavailable (wait and try again) or Misconfigured (the login,
    the database or a table is wrong), and never hold a password or a row. *by_key* says that
    nearly everything is asked by key, as in our own database: then PostgreSQL reads a whole table
    only where there is no other way.
    """

    def __init__(self, url: str, *, by_key: bool = False) -> None:
        self._url = _checked(url)
        self.dialect: str = self._url.get_backend_name()
        self.engine: Engine = _engine(self._url)
        if by_key and not self.is_sqlite:
            _prefer_indexes(self.engine)
        # SQLite has one writer: queueing here costs nothing, its own waiting polls and sleeps.
        self._writing = threading.Lock()
        self._open = threading.local()

    @property
    def name(self) -> str:
        """The URL without its password, for messages."""
        return self._url.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite; otherwise it is PostgreSQL."""
        return self.dialect == SQLITE

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for queries; on PostgreSQL each statement sees what is committed."""
        with self.translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that only reads, and sees one state for as long as it is open."""
        with self.translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on an error.

        On SQLite a write within a write of the same thread is a part of it, because the inner one
        would wait for the outer for ever: the embedded broker publishes while a batch is stored.
        """
        if self.is_sqlite:
            with self._one_writer() as connection:
                yield connection
        else:
            with self.translated(), self.engine.connect() as connection:
                connection = connection.execution_options(isolation_level="READ COMMITTED")
                with connection.begin():
                    yield connection

    @contextmanager
    def _one_writer(self) -> Iterator[Connection]:
        outer: Connection | None = getattr(self._open, "connection", None)
        if outer is not None:
            with self.translated():
                yield outer
            return
        with self._writing, self.translated(), self.engine.connect() as connection:
            connection = connection.execution_options(schoolbell_write=True)
            with connection.begin():
                self._open.connection = connection
                try:
                    yield connection
                finally:
                    self._open.connection = None

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the driver's errors into ours; for who must hold a connection for long."""
        try:
            yield
        except DBAPIError as error:
            disconnected = error.connection_invalidated
            raise _meaning(error.orig, self.name, disconnected=disconnected) from error
        except psycopg.Error as error:  # of COPY, which SQLAlchemy does not see
            raise _meaning(error, self.name) from error


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter shows what it took for the port
        raise ConfigError(
            "A database URL is not readable.",
            "Write sqlite:///schoolbell.db or postgresql+psycopg://user:password@host/database.",
        ) from None
    if parsed.drivername == POSTGRESQL:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ConfigError(
            f"Schoolbell does not speak {parsed.drivername}.",
            "Use sqlite:///file.db or postgresql+psycopg://user:password@host/database.",
        )
    return parsed


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == SQLITE:
            engine = sqlalchemy.create_engine(
                url, hide_parameters=True, connect_args={"timeout": _BUSY_TIMEOUT}
            )
            _make_sqlite_behave(engine)
            return engine
        return sqlalchemy.create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _CONNECT_TIMEOUT, "application_name": "schoolbell"},
        )
    except NoSuchModuleError as error:  # pragma: no cover - the two drivers are dependencies
        raise ConfigError(str(error), "Install the database driver.") from error


def _make_sqlite_behave(engine: Engine) -> None:
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


def _prefer_indexes(engine: Engine) -> None:
    """Keep plans by index, whatever the size of a table was when they were made.

    A statement that is prepared while its table is empty keeps its plan, and on an empty table
    nothing is cheaper than to read all of it: 220 microseconds a key after 100,000 rows, against 5
    by the index (measured on PostgreSQL 15). What does read all of a table must not be compiled
    for the price that this puts on it.
    """

    @event.listens_for(engine, "connect")
    def prepare(connection: psycopg.Connection, _record: object) -> None:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET jit = off")
        connection.commit()


# SQLSTATE classes and codes, from PostgreSQL's appendix "Error Codes".
_LOGIN_REFUSED = ("28",)
_NO_DATABASE = ("3D000",)
_NO_TABLE = ("42P01", "42703", "3F000")
_NO_RIGHT = ("42501",)
_WRONG_STATEMENT = ("42",)
# 23505: another process was first. 25006: a primary that is one no more.
_TRY_AGAIN = ("08", "40", "53", "55", "57", "58", "23505", "25006")

_UNUSABLE = ("unable to open", "readonly", "not a database", "disk image is malformed")


def _meaning(cause: Any, name: str, *, disconnected: bool = False) -> Exception:
    if isinstance(cause, sqlite3.Error):
        return _sqlite_meaning(cause, name)
    return _postgresql_meaning(cause, name, disconnected=disconnected)


def _sqlite_meaning(cause: sqlite3.Error, name: str) -> Exception:
    words = str(cause)
    if "no such table" in words or "no such column" in words:
        return _not_migrated(name, words)
    if any(sign in words for sign in _UNUSABLE):
        return Misconfigured(
            f"The database {name} cannot be used: {words}.",
            "Check that the folder exists and that this user may write to the file.",
        )
    if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return _wrong_statement(name, words)
    if isinstance(cause, sqlite3.OperationalError):
        return Unavailable(
            f"The database {name} does not answer: {words}.",
            "Look for another program that holds it, and for a full disk.",
        )
    return cause


def _postgresql_meaning(cause: Any, name: str, *, disconnected: bool) -> Exception:
    state = getattr(cause, "sqlstate", None) or ""
    words = str(cause).strip().splitlines()[0] if str(cause).strip() else "no answer"
    if state.startswith(_LOGIN_REFUSED) or "authentication failed" in words:
        return Misconfigured(
            f"The database {name} refuses the login.", "Check user and password in the URL."
        )
    if state in _NO_DATABASE or ("database" in words and "does not exist" in words):
        return Misconfigured(
            f"The database {name} does not exist.", "Create it, or mend the name in the URL."
        )
    if state in _NO_TABLE:
        return _not_migrated(name, words)
    if state in _NO_RIGHT:
        return Misconfigured(
            f"The database {name} refuses: {words}.", "Grant this user the right that it names."
        )
    if state.startswith(_WRONG_STATEMENT):
        return _wrong_statement(name, words)
    unanswered = not state and isinstance(cause, psycopg.OperationalError)
    if disconnected or unanswered or state.startswith(_TRY_AGAIN):
        return Unavailable(
            f"The database {name} does not answer: {words}.",
            "Check that it runs and that this machine may reach it; Schoolbell keeps trying.",
        )
    return cause if isinstance(cause, Exception) else RuntimeError(words)


def _not_migrated(name: str, words: str) -> Misconfigured:
    return Misconfigured(
        f"The database {name} lacks a table or column that this release needs: {words}.",
        "Run `schoolbell install`; for a table of the SIS, check the source definition.",
    )


def _wrong_statement(name: str, words: str) -> Misconfigured:
    return Misconfigured(
        f"The database {name} refuses a statement: {words}.",
        "Mend the query in the source definition; if it is none of those, report it.",
    )
