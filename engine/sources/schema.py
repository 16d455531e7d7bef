"""Whether the watched tables of a definition are as the SIS has them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import sqlalchemy
from sqlalchemy import Connection
from sqlalchemy.exc import SAWarning

from engine.database import Database
from engine.dialects import dialect_of
from engine.dialects.names import table_name, table_parts
from engine.errors import ConfigError
from engine.sources import key_types
from engine.sources.definition import Captured, Definition
from engine.sources.loading import did_you_mean


def require_fitting(database: Database, definition: Definition) -> None:
    """Raise ConfigError naming each table, column or key of the definition that is not there."""
    with database.read() as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # of columns whose types are the SIS's own
        found = list(problems(connection, definition))
    found += key_types.problems(database, definition) if not found else ()
    if found:
        raise ConfigError(
            f"The SIS database {database.name} does not fit the source definition"
            f" {definition.name}: {'; '.join(found)}.",
            "Mend the definition, or point [source] url at the right database.",
        )


def problems(connection: Connection, definition: Definition) -> Iterator[str]:
    """What of the watched tables, columns and keys is not there, each with its place."""
    inspector = sqlalchemy.inspect(connection)
    for captured in definition.captured:
        for key, problem in _problems(connection, inspector, captured):
            yield f"{definition.where_is(captured, key)}: {problem}"


def not_unique(connection: Connection, captured: Captured) -> str:
    """Why the key may not identify a row, or nothing.

    Two rows of one key would be taken for each other: one family would be told another's.
    """
    if captured.key_without_constraint:
        return ""
    sets = dialect_of(connection).unique_sets(connection, captured.table)
    if any(one.issubset(captured.key_columns) for one in sets):
        return ""
    known = " or ".join(sorted(f"({', '.join(sorted(one))})" for one in sets))
    return (
        f"no PRIMARY KEY or UNIQUE constraint says that ({', '.join(captured.key_columns)})"
        f" identifies a row: {f'make {known} the `key`' if known else 'it has none'}, or where the"
        " school is sure of it write `key_without_constraint = true`"
    )


def _problems(
    connection: Connection, inspector: sqlalchemy.Inspector, captured: Captured
) -> Iterator[tuple[str, str]]:
    """Each with the key of the watch that says so."""
    *schema, table = table_parts(captured.table)
    within = schema[0] if schema else None
    if within and within not in inspector.get_schema_names():
        yield "table", f"there is no schema {within}{_like(inspector, table, None)}"
        return
    views = inspector.get_view_names(schema=within)
    names = [*inspector.get_table_names(schema=within), *views]
    others = {one.casefold() for one in names} - {one.casefold() for one in names if one == table}
    if table.casefold() in others or not inspector.has_table(table, schema=within):
        yield "table", f"there is no table {captured.table}{_like(inspector, table, within)}"
        return
    if table in views:
        yield (
            "table",
            f"{captured.table} is a view, which fires no triggers; name the table beneath it",
        )
        return
    there = [str(column["name"]) for column in inspector.get_columns(table, schema=within)]
    missing = False
    for key, columns in (("key", captured.key_columns), ("columns", captured.columns)):
        for column in columns:
            if column not in there:
                missing = True
                hint = did_you_mean(column, there)
                yield key, f"table {captured.table} has no column {column}{hint}"
    if not missing and (problem := not_unique(connection, captured)):
        yield "key", f"table {captured.table}: {problem}"


def _like(inspector: sqlalchemy.Inspector, table: str, schema: str | None) -> str:
    """A table with a name that is near, in words; without a schema also those of others."""
    schemas: Sequence[str | None] = [schema] if schema else [None, *inspector.get_schema_names()]
    known = []
    for each in schemas:
        parts = (each,) if each else ()
        known += [table_name((*parts, one)) for one in inspector.get_table_names(schema=each)]
    for one in known:
        if table_parts(one)[-1] == table:
            return f"; did you mean `{one}`?"
    return did_you_mean(table_name((*([schema] if schema else []), table)), known)
