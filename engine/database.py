"""A database of any kind that we have a dialect for, behind the same few context managers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from engine.dialects import DIALECTS
from engine.dialects.dialect import Dialect
from engine.errors import ConfigError

_DRIVERS: Final = ("sqlite", "postgresql+psycopg")


class Database:
    """One database. Threads may share it; each `read` or `write` takes its own connection.

    Errors of the driver arrive as Unavailable (wait and try again) or Misconfigured (the login,
    the database or a table is wrong), and never hold a password or a row. *by_key* says that
    nearly everything is asked by key, as in our own database: then PostgreSQL reads a whole table
    only where there is no other way. *read_only* asks the database to refuse whatever would write.
    """

    def __init__(self, url: str, *, by_key: bool = False, read_only: bool = False) -> None:
        self._url = readable_url(url)
        self.dialect: Dialect = DIALECTS[self._url.get_backend_name()]
        self.engine: Engine = self.dialect.connect(self._url, by_key=by_key, read_only=read_only)
        # SQLite has one writer: queueing here costs nothing, its own waiting polls and sleeps.
        self._writing = threading.Lock()
        self._open = threading.local()

    @property
    def name(self) -> str:
        """The URL without its password, for messages."""
        return self._url.render_as_string(hide_password=True)

    @property
    def address(self) -> str:
        """Where the database is, without who asks: the same from whatever folder."""
        return self.dialect.address(self._url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for queries; on PostgreSQL each statement sees what is committed."""
        with self._connected() as connection:
            yield connection

    @contextmanager
    def limited(self) -> Iterator[Connection]:
        """The same for queries that may take only so long: who asks says it to `dialect.limit`."""
        with self.translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that only reads, and sees one state for as long as it is open."""
        with self._connected() as connection:
            connection = connection.execution_options(**self.dialect.snapshot_options)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on an error.

        On SQLite a write within a write of the same thread is a part of it, because the inner one
        would wait for the outer for ever: the embedded broker publishes while a batch is stored.
        """
        with self._one_writer() if self.dialect.one_writer else self._transaction() as connection:
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection without the limit that its last user may have left it."""
        with self.translated(), self.engine.connect() as connection:
            self.dialect.limit(connection, None)
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._connected() as connection:
            connection = connection.execution_options(**self.dialect.write_options)
            with connection.begin():
                yield connection

    @contextmanager
    def _one_writer(self) -> Iterator[Connection]:
        outer: Connection | None = getattr(self._open, "connection", None)
        if outer is not None:
            with self.translated():
                yield outer
            return
        with self._writing, self._transaction() as connection:
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
            lost = error.connection_invalidated
            raise self.dialect.as_ours(error.orig, self.name, disconnected=lost) from error
        except self.dialect.driver_error as error:  # of COPY, which SQLAlchemy does not see
            raise self.dialect.as_ours(error, self.name, disconnected=False) from error


def readable_url(url: str) -> URL:
    """A URL that we have a dialect for; raises ConfigError, which repeats none of it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter shows what it took for the port
        raise ConfigError(
            "A database URL is not readable.",
            "Write sqlite:///schoolbell.db or postgresql+psycopg://user:password@host/database.",
        ) from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in _DRIVERS:
        raise ConfigError(
            f"Schoolbell does not speak {parsed.drivername}.",
            "Use sqlite:///file.db or postgresql+psycopg://user:password@host/database.",
        )
    return parsed
