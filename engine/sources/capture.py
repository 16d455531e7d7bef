"""Capture: put the triggers in place, say whether they are, take them away.

In:         a source definition and the SIS database.
Guarantee:  a committed watched change always has an outbox row, a rolled-back one never.
Nothing but triggers on the watched tables, and an outbox of our own, is put into the SIS.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy
from sqlalchemy import Connection, text

from engine.database import Database
from engine.errors import ConfigError, SchoolbellError, Unavailable
from engine.sources import triggers
from engine.sources.definition import Captured, Definition

# CREATE TRIGGER blocks the SIS's writers while it waits for its lock, so it waits little.
_LOCK_TIMEOUT: Final = "2s"
_LOCK_TRIES: Final = 5

_MISSED: Final = {
    "postgresql": (
        "TRUNCATE, and writers that set session_replication_role to replica (logical replication,"
        " some loaders), fire no row trigger"
    ),
    "sqlite": (
        "the delete inside INSERT OR REPLACE, unless the writer sets recursive_triggers;"
        " blobs are stored as nothing"
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What `check` found of one watch: *state* is `in place` or what is wrong with it."""

    watch: str
    table: str
    state: str
    missed: str

    @property
    def in_place(self) -> bool:
        """Whether changes of this table are captured now."""
        return self.state == "in place"


def install(database: Database, definition: Definition) -> Sequence[Finding]:
    """Make the outbox and every missing or outdated trigger; running it again changes nothing.

    Raises ConfigError before anything is touched when a table or column is not there, and
    Unavailable when the SIS holds a table's lock for too long.
    """
    _require_tables(database, definition)
    with database.write() as connection:
        outbox = triggers.SQLITE_OUTBOX if database.is_sqlite else triggers.POSTGRESQL_OUTBOX
        _run(connection, outbox)
    for captured, finding in zip(definition.captured, check(database, definition), strict=True):
        if not finding.in_place:
            _install_one(database, captured)
    return check(database, definition)


def check(database: Database, definition: Definition) -> Sequence[Finding]:
    """Say for each watch whether its triggers are in place, and what they would miss."""
    with database.read() as connection:
        state = _sqlite_state if database.is_sqlite else _postgresql_state
        return [
            Finding(captured.name, captured.table, state(connection, captured),
                    _MISSED[database.dialect])
            for captured in definition.captured
        ]  # fmt: skip


def remove(database: Database) -> Sequence[str]:
    """Take away every trigger of ours and the outbox; return the names of the triggers."""
    with database.write() as connection:
        found = list(
            _sqlite_installed(connection)
            if database.is_sqlite
            else _postgresql_installed(connection)
        )
        for name, table in found:
            on_table = "" if database.is_sqlite else f" ON {table}"
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"{on_table}')
        _run(
            connection, triggers.SQLITE_REMOVE if database.is_sqlite else triggers.POSTGRESQL_REMOVE
        )
    return [name for name, _ in found]


def _run(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _require_tables(database: Database, definition: Definition) -> None:
    with database.read() as connection:
        inspector = sqlalchemy.inspect(connection)
        problems = [
            problem for captured in definition.captured for problem in _missing(inspector, captured)
        ]
    if problems:
        raise ConfigError(
            f"The SIS database {database.name} does not fit the source definition "
            f"{definition.name}: {'; '.join(problems)}.",
            "Mend the definition, or point [source] url at the right database.",
        )


def _missing(inspector: sqlalchemy.Inspector, captured: Captured) -> Iterator[str]:
    schema, _, table = captured.table.rpartition(".")
    if not inspector.has_table(table, schema=schema or None):
        yield f"there is no table {captured.table}"
        return
    found = {column["name"] for column in inspector.get_columns(table, schema=schema or None)}
    for column in (captured.key, *captured.columns):
        if column not in found:
            yield f"table {captured.table} has no column {column}"


def _install_one(database: Database, captured: Captured) -> None:
    if database.is_sqlite:
        _install_on_sqlite(database, captured)
        return
    for attempt in range(1, _LOCK_TRIES + 1):
        try:
            _install_on_postgresql(database, captured)
        except Unavailable:
            if attempt == _LOCK_TRIES:
                raise
            time.sleep(0.2 * attempt)
        else:
            return


def _install_on_sqlite(database: Database, captured: Captured) -> None:
    with database.write() as connection:
        for name in triggers.sqlite_trigger_names(captured):
            connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{name}"')
        _run(connection, triggers.sqlite_triggers(captured))


def _install_on_postgresql(database: Database, captured: Captured) -> None:
    table, name = triggers.quoted(captured.table), triggers.postgresql_trigger_name(captured)
    with database.write() as connection:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        connection.exec_driver_sql(triggers.postgresql_function(captured))
        connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{name}" ON {table}')
        connection.exec_driver_sql(triggers.postgresql_trigger(captured))


def _sqlite_installed(connection: Connection) -> Iterator[tuple[str, str]]:
    found = connection.execute(
        text("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
    )
    for name, table in found:
        if name.startswith(triggers.TRIGGER_PREFIX):
            yield name, table


def _postgresql_installed(connection: Connection) -> Iterator[tuple[str, str]]:
    found = connection.execute(
        text(
            "SELECT tgname, tgrelid::regclass::text AS tgrelid FROM pg_trigger"
            " WHERE NOT tgisinternal AND tgname LIKE 'schoolbell\\_%'"
        )
    )
    for row in found:
        yield row.tgname, row.tgrelid


def _sqlite_state(connection: Connection, captured: Captured) -> str:
    rows = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"),
        {"table": captured.table},
    )
    found = {str(row.name): str(row.sql) for row in rows}
    names = triggers.sqlite_trigger_names(captured)
    if not all(name in found for name in names):
        return "missing"
    wanted = triggers.sqlite_triggers(captured)
    if any(found[name] != sql for name, sql in zip(names, wanted, strict=True)):
        return "outdated"
    outbox = connection.execute(
        text("SELECT count(*) FROM sqlite_master WHERE name = 'schoolbell_outbox'")
    ).scalar_one()
    return "in place" if outbox else "without an outbox"


def _postgresql_state(connection: Connection, captured: Captured) -> str:
    row = connection.execute(
        text(
            "SELECT t.tgenabled, p.prosrc, to_regclass('schoolbell.outbox') IS NOT NULL"
            " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE t.tgrelid = to_regclass(:table) AND t.tgname = :name"
        ),
        {
            "table": triggers.quoted(captured.table),
            "name": triggers.postgresql_trigger_name(captured),
        },
    ).one_or_none()
    if row is None:
        return "missing"
    enabled, source, outbox = row
    if enabled in ("D", b"D"):
        return "disabled"
    if source.strip() not in triggers.postgresql_function(captured):
        return "outdated"
    return "in place" if outbox else "without an outbox"


def require(database: Database, definition: Definition) -> None:
    """Raise SchoolbellError naming every watch whose changes are not captured now."""
    broken = [finding for finding in check(database, definition) if not finding.in_place]
    if broken:
        names = ", ".join(f"{finding.table} ({finding.state})" for finding in broken)
        raise SchoolbellError(
            f"Changes are not captured on: {names}.", "Run `schoolbell capture install`."
        )
