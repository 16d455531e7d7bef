"""Capture: put the triggers in place, say whether they are, take them away.

In:         a source definition and the SIS database.
Guarantee:  a committed watched change always has an outbox row, a rolled-back one never.
Nothing but triggers on the watched tables, and an outbox of our own, is put into the SIS.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy
from sqlalchemy import Connection, text

from engine.database import Database
from engine.errors import ConfigError, SchoolbellError, Unavailable
from engine.sources import triggers
from engine.sources.definition import Captured, Definition

# Who waits for a lock on a table stands before the SIS's writers, so we wait little.
_LOCK_TIMEOUT: Final = timedelta(seconds=2)
_LOCK_TRIES: Final = 5
# pg_trigger.tgtype of AFTER INSERT OR UPDATE OR DELETE .. FOR EACH ROW.
_ROW_AFTER_ALL: Final = 1 | 4 | 8 | 16

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


def install(
    database: Database, definition: Definition, lock_timeout: timedelta = _LOCK_TIMEOUT
) -> Sequence[Finding]:
    """Make the outbox and every missing or outdated trigger; running it again changes nothing.

    Triggers of watches that the definition no longer has are taken away. Raises ConfigError
    before anything is touched when a table or column is not there, and Unavailable when the SIS
    holds a table's lock for too long.
    """
    _require_tables(database, definition)
    with database.write() as connection:
        outbox = triggers.SQLITE_OUTBOX if database.is_sqlite else triggers.POSTGRESQL_OUTBOX
        _run(connection, outbox)
    for captured, finding in zip(definition.captured, check(database, definition), strict=True):
        if not finding.in_place:
            _install_one(database, captured, lock_timeout)
    _remove_others(database, definition, lock_timeout)
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


def remove(database: Database, lock_timeout: timedelta = _LOCK_TIMEOUT) -> Sequence[str]:
    """Take away every trigger of ours and the outbox; return the names of the triggers.

    Raises Unavailable when the SIS holds a table's lock for too long; running it again goes on.
    """
    if database.is_sqlite:
        return _remove_from_sqlite(database)
    with database.read() as connection:
        found = _postgresql_installed(connection)
    for name, table in found:
        _patiently(database, lock_timeout, [_drop(name, table)])
    _patiently(database, lock_timeout, triggers.POSTGRESQL_REMOVE)
    return [name for name, _ in found]


def _remove_from_sqlite(database: Database) -> Sequence[str]:
    with database.write() as connection:
        names = _sqlite_installed(connection)
        _run(connection, [f'DROP TRIGGER "{name}"' for name in names])
        _run(connection, triggers.SQLITE_REMOVE)
    return names


def _remove_others(database: Database, definition: Definition, lock_timeout: timedelta) -> None:
    """Take away the triggers of watches that the definition does not have, or has elsewhere."""
    if database.is_sqlite:
        ours = {name for one in definition.captured for name in triggers.sqlite_trigger_names(one)}
        with database.write() as connection:
            names = set(_sqlite_installed(connection)) - ours
            _run(connection, [f'DROP TRIGGER "{name}"' for name in names])
        return
    with database.read() as connection:
        wanted = {
            (triggers.postgresql_trigger_name(one), _regclass(connection, one.table))
            for one in definition.captured
        }
        found = _postgresql_installed(connection)
    for name, table in sorted(set(found) - wanted):
        _patiently(database, lock_timeout, [_drop(name, table)])


def _drop(name: str, table: str) -> str:
    return f'DROP TRIGGER IF EXISTS "{name}" ON {table}'


def _regclass(connection: Connection, table: str) -> str:
    found: str = connection.execute(
        text("SELECT to_regclass(:table)::text"), {"table": triggers.quoted(table)}
    ).scalar_one()
    return found


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
    if table in inspector.get_view_names(schema=schema or None):
        yield f"{captured.table} is a view, which fires no triggers; name the table beneath it"
        return
    found = {column["name"] for column in inspector.get_columns(table, schema=schema or None)}
    for column in (captured.key, *captured.columns):
        if column not in found:
            yield f"table {captured.table} has no column {column}"


def _install_one(database: Database, captured: Captured, lock_timeout: timedelta) -> None:
    if database.is_sqlite:
        _install_on_sqlite(database, captured)
    else:
        _patiently(
            database,
            lock_timeout,
            [triggers.postgresql_function(captured), triggers.postgresql_trigger(captured)],
        )


def _install_on_sqlite(database: Database, captured: Captured) -> None:
    with database.write() as connection:
        for name in triggers.sqlite_trigger_names(captured):
            connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{name}"')
        _run(connection, triggers.sqlite_triggers(captured))


def _patiently(database: Database, lock_timeout: timedelta, statements: Sequence[str]) -> None:
    """Run *statements* in one transaction, again when the SIS held a lock for too long."""
    for attempt in range(1, _LOCK_TRIES + 1):
        try:
            with database.write() as connection:
                milliseconds = round(lock_timeout.total_seconds() * 1000)
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
                _run(connection, statements)
        except Unavailable:
            if attempt == _LOCK_TRIES:
                raise
            time.sleep(lock_timeout.total_seconds() / 10 * attempt)
        else:
            return


def _sqlite_installed(connection: Connection) -> list[str]:
    found = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
    return [name for name in found.scalars() if name.startswith(triggers.TRIGGER_PREFIX)]


def _postgresql_installed(connection: Connection) -> list[tuple[str, str]]:
    """Those of the tables themselves; partitions have copies, which go with them."""
    found = connection.execute(
        text(
            "SELECT t.tgname, t.tgrelid::regclass::text AS tgrelid FROM pg_trigger t"
            " JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE t.tgparentid = 0 AND p.pronamespace = to_regnamespace('schoolbell_capture')"
        )
    )
    return [(row.tgname, row.tgrelid) for row in found]


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
            "SELECT t.tgenabled::text, t.tgtype, p.prosecdef, p.prosrc,"
            " to_regclass('schoolbell_capture.outbox') IS NOT NULL AS outbox,"
            " ARRAY(SELECT name FROM unnest(CAST(:columns AS text[])) name EXCEPT"
            "  SELECT attname FROM pg_attribute WHERE attrelid = t.tgrelid AND NOT attisdropped"
            "  ORDER BY 1) AS gone"
            " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE t.tgrelid = to_regclass(:table) AND t.tgname = :name"
        ),
        {
            "table": triggers.quoted(captured.table),
            "name": triggers.postgresql_trigger_name(captured),
            "columns": [captured.key, *captured.columns],
        },
    ).one_or_none()
    if row is None:
        return "missing"
    if row.tgenabled not in ("O", "A"):
        return "disabled"
    if row.gone:
        return f"without its column {', '.join(row.gone)}"
    body = f"$function${row.prosrc}$function$"
    as_made = row.tgtype == _ROW_AFTER_ALL and row.prosecdef
    if not as_made or body not in triggers.postgresql_function(captured):
        return "outdated"
    return "in place" if row.outbox else "without an outbox"


def require(database: Database, definition: Definition) -> None:
    """Raise SchoolbellError naming every watch whose changes are not captured now."""
    broken = [finding for finding in check(database, definition) if not finding.in_place]
    if broken:
        names = ", ".join(f"{finding.table} ({finding.state})" for finding in broken)
        raise SchoolbellError(
            f"Changes are not captured on: {names}.", "Run `schoolbell capture install`."
        )
