"""A small SIS, and programs that write to it without knowing that somebody listens."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.engine import make_url

from engine.database import Database
from engine.dialects.dialect import Owner
from engine.ports import Outbox
from engine.sources.capture import Capture
from engine.sources.definition import Definition, Directory, Query, Watch
from rules.change import Change, Kind

SCORE = "CREATE TABLE score (id integer PRIMARY KEY, points numeric, comment text)"
SOURCE = "sis"
OWNER = Owner("district", "token")

_NOTHING = Query(query="SELECT 1 AS id")
_DIRECTORY = Directory(
    schools=_NOTHING, calendars=_NOTHING, people=_NOTHING, students=_NOTHING, rights=_NOTHING
)
_FACTS = Query(
    query="SELECT id, CAST(id AS text) AS record, 1 AS student_id, 1 AS school_id,"
    " 1 AS calendar_id, TRUE AS released, points AS value FROM score"
)


def a_watch(name: str = "score", **differences: Any) -> Watch:
    """A watch on the points of the table score."""
    parts: dict[str, Any] = {
        "table": "score", "key": "id", "columns": ("points",), "kind": Kind.ASSIGNMENT,
        "facts": "score", "by": "id", **differences,
    }  # fmt: skip
    return Watch(name=name, **{"value": parts["columns"][0], **parts})


def a_definition(*watches: Watch, **differences: Any) -> Definition:
    """A definition with these watches, or the one of `a_watch`."""
    parts: dict[str, Any] = {"facts": {"score": _FACTS}, "directory": _DIRECTORY, **differences}
    return Definition(name=SOURCE, **{"watch": watches or (a_watch(),), **parts})


@dataclass
class Program:
    """A program with a connection of its own; outside of a transaction each write is one."""

    connection: Any  # of sqlite3 or psycopg

    @property
    def is_sqlite(self) -> bool:
        return isinstance(self.connection, sqlite3.Connection)

    def write(self, *statements: str) -> None:
        for statement in statements:
            self.connection.execute(statement)

    def put(self, statement: str, *values: object) -> None:
        """Write with parameters, each a ? in the statement."""
        mark = "?" if self.is_sqlite else "%s"
        self.connection.execute(statement.replace("?", mark), values)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def one(self, query: str) -> Any:
        return self.ask(query)[0][0]

    def begin(self) -> None:
        self.connection.execute("BEGIN")

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def roll_back(self) -> None:
        self.connection.execute("ROLLBACK")


@dataclass
class Mark:
    """How far anybody relayed, as the engine's own database remembers it."""

    position: int = 0

    def read(self) -> int:
        return self.position

    def raise_to(self, position: int) -> None:
        self.position = max(self.position, position)


@dataclass
class Sis:
    """A school database; whoever writes to it has a plain connection, none of the engine's."""

    url: str
    _programs: list[Program] = field(default_factory=list)
    _outboxes: list[Outbox] = field(default_factory=list)
    mark: Mark = field(default_factory=Mark)

    def __post_init__(self) -> None:
        self.database = Database(self.url)
        self.databases = [self.database]
        self._own = self.program()

    @property
    def is_sqlite(self) -> bool:
        return self.database.dialect.name == "sqlite"

    def program(self) -> Program:
        """One more program."""
        self._programs.append(Program(connect(self.url)))
        return self._programs[-1]

    def write(self, *statements: str) -> None:
        """Let a program write, each statement in a transaction of its own."""
        self._own.write(*statements)

    def put(self, statement: str, *values: object) -> None:
        """The same with parameters, each a ? in the statement."""
        self._own.put(statement, *values)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return self._own.ask(query)

    def one(self, query: str) -> Any:
        return self._own.one(query)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written in the block is committed at its end."""
        self._own.begin()
        yield
        self._own.commit()

    def watch(self, *watches: Watch) -> Definition:
        """Install capture for these watches, or the one of `a_watch`."""
        definition = a_definition(*watches)
        self.capture(definition).install()
        return definition

    def capture(self, definition: Definition | None = None, *patience: timedelta) -> Capture:
        """What the engine captures by a definition."""
        return Capture(self.database, definition or a_definition(), OWNER, *patience)

    def outbox(self, owner: Owner = OWNER) -> Outbox:
        """The outbox as one more engine process sees it, not yet acquired."""
        database = Database(self.url)
        self.databases.append(database)
        self._outboxes.append(database.dialect.outbox(database, owner, SOURCE, self.mark))
        return self._outboxes[-1]

    def changes(self) -> list[Change]:
        """Everything that was captured and is not relayed."""
        outbox = self.database.dialect.outbox(self.database, OWNER, SOURCE, Mark())
        assert outbox.acquire(), "Some other relay holds this outbox."
        found = list(outbox.read(100_000))
        outbox.release()
        return found

    def change(self) -> Change:
        """The one change that was captured and is not relayed."""
        [found] = self.changes()
        return found

    def close(self) -> None:
        for outbox in self._outboxes:
            outbox.release()
        for program in self._programs:
            program.connection.close()
        for database in self.databases:
            database.close()


def connect(url: str) -> Any:
    """A connection of the plain driver, in autocommit."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        connection = sqlite3.connect(
            str(parsed.database), isolation_level=None, timeout=30, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys=ON")
        return connection
    return psycopg.connect(conninfo(url), autocommit=True)


def conninfo(url: str) -> str:
    """What libpq, and so psql, makes of a URL of SQLAlchemy."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def selects(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Every SELECT that the engine sends to *database* in the block, with its parameters."""
    sent: list[tuple[str, Any]] = []

    def listen(_c: object, _r: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "WITH")):
            sent.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", listen)
    yield sent
    event.remove(database.engine, "before_cursor_execute", listen)


def sweep(url: str) -> None:
    """Leave nothing of a SIS in a PostgreSQL database, nor of anybody connected to it."""
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        schemas = connection.execute(
            "SELECT nspname FROM pg_namespace"
            " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        ).fetchall()
        for (schema,) in schemas:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        connection.execute("CREATE SCHEMA public")
