"""TRUNCATE fires no row trigger. Another notes which table was emptied, and that is an alarm.

The rows that are gone are told nobody, for nobody has seen them go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, text

from engine.dialects.dialect import Concern
from engine.dialects.names import literal
from engine.dialects.postgresql.names import quoted

SUFFIX: Final = ".truncate"  # with a point, which no name of a district or of a watch has


def table(schema: str) -> str:
    """Where it is noted: one row for each watch, of the last time."""
    return f"CREATE TABLE IF NOT EXISTS {schema}.emptied (watch text, tbl text, at timestamptz)"


def statements(schema: str, watch: str, watched: str, trigger: str) -> tuple[str, str]:
    """The function and the trigger of a watch. Like the others it never fails the school's own."""
    function = f"""CREATE OR REPLACE FUNCTION {schema}."{watch}{SUFFIX}"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $function$
BEGIN
    IF pg_catalog.to_regclass('{schema}.emptied') IS NULL THEN RETURN NULL; END IF;
    DELETE FROM {schema}.emptied WHERE watch OPERATOR(pg_catalog.=) '{watch}';
    INSERT INTO {schema}.emptied VALUES (
        '{watch}', pg_catalog.concat(TG_TABLE_SCHEMA, '.', TG_TABLE_NAME),
        pg_catalog.clock_timestamp());
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE LOG USING MESSAGE = pg_catalog.concat(
        {literal(f"schoolbell: that {watched} was emptied is not noted: ")}, SQLSTATE);
    RETURN NULL;
END $function$"""
    return (
        function,
        f'CREATE OR REPLACE TRIGGER "{trigger}" AFTER TRUNCATE ON {quoted(watched)}'
        f' FOR EACH STATEMENT EXECUTE FUNCTION {schema}."{watch}{SUFFIX}"()',
    )


def found(connection: Connection, schema: str) -> Iterator[Concern]:
    """Each watched table that was emptied within a day."""
    if not connection.execute(
        text("SELECT to_regclass(:name)"), {"name": f"{schema}.emptied"}
    ).scalar_one():
        return
    rows = connection.execute(
        text(
            f"SELECT DISTINCT tbl, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS at"
            f" FROM {schema}.emptied WHERE at > now() - interval '1 day' ORDER BY 1, 2"
        )
    )
    for row in rows:
        yield Concern(
            row.tbl,
            f"{row.tbl} was emptied by TRUNCATE at {row.at} UTC: what was in it disappeared"
            " without a word to anybody.",
            "Where it holds people or rights, run `schoolbell sync`; else see whether it was meant."
            " This is over in a day.",
        )
