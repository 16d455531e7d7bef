"""Triggers: what they are called, and the SQL that makes them, for each kind of database.

A trigger must never break the SIS's own write for a reason of ours, so there is nothing in it
that can fail: no foreign key, no cast, no look-up, no NOTIFY. What reads the row can, so on
PostgreSQL that part is guarded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.sources.definition import Captured

OPERATIONS: Final = ("insert", "update", "delete")
TRIGGER_PREFIX: Final = "schoolbell_"

# A UUIDv7 (RFC 9562): milliseconds first, so that the engine's indexes grow at their end, and
# made at capture, so that a restored SIS database never repeats one.
_POSTGRESQL_EVENT_ID: Final = """encode(
        set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
            placing substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint)
                from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid"""
_SQLITE_EVENT_ID: Final = (
    "printf('%08x-%04x-7%s-a%s-%s',"
    " (CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) >> 16),"
    " (CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) & 65535),"
    " substr(lower(hex(randomblob(2))), 2), substr(lower(hex(randomblob(2))), 2),"
    " lower(hex(randomblob(6))))"
)

# Not `schoolbell`: a schema named like a role is where that role's own tables go.
POSTGRESQL_OUTBOX: Final = (
    "CREATE SCHEMA IF NOT EXISTS schoolbell_capture",
    """CREATE TABLE IF NOT EXISTS schoolbell_capture.outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id uuid, watch text, op text, key text, before jsonb, after jsonb, at timestamptz
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
            autovacuum_vacuum_insert_scale_factor = 0)""",
    """CREATE TABLE IF NOT EXISTS schoolbell_capture.cursor (
        id smallint PRIMARY KEY, high bigint NOT NULL, gaps int8multirange NOT NULL)""",
    "INSERT INTO schoolbell_capture.cursor VALUES (1, 0, '{}') ON CONFLICT DO NOTHING",
)
SQLITE_OUTBOX: Final = (
    """CREATE TABLE IF NOT EXISTS schoolbell_outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT, watch TEXT, op TEXT, key TEXT, before TEXT, after TEXT, at TEXT)""",
    """CREATE TABLE IF NOT EXISTS schoolbell_cursor (
        id INTEGER PRIMARY KEY, high INTEGER NOT NULL)""",
    "INSERT OR IGNORE INTO schoolbell_cursor VALUES (1, 0)",
    # An outbox that was made anew begins at 1 again.
    """UPDATE schoolbell_cursor SET high = 0 WHERE high > coalesce(
        (SELECT seq FROM sqlite_sequence WHERE name = 'schoolbell_outbox'), 0)""",
)
POSTGRESQL_REMOVE: Final = ("DROP SCHEMA IF EXISTS schoolbell_capture CASCADE",)
SQLITE_REMOVE: Final = (
    "DROP TABLE IF EXISTS schoolbell_outbox",
    "DROP TABLE IF EXISTS schoolbell_cursor",
)


def quoted(name: str) -> str:
    """A table name, with or without its schema, quoted."""
    return ".".join(f'"{part}"' for part in name.split("."))


def postgresql_trigger_name(captured: Captured) -> str:
    """The one trigger of a watch on PostgreSQL."""
    return f"{TRIGGER_PREFIX}{captured.name}"


def sqlite_trigger_names(captured: Captured) -> tuple[str, ...]:
    """The three triggers of a watch on SQLite, which has no trigger for several operations."""
    return tuple(f"{TRIGGER_PREFIX}{captured.name}_{operation}" for operation in OPERATIONS)


def postgresql_function(captured: Captured) -> str:
    """The trigger function of a watch.

    SECURITY DEFINER: the SIS's roles need no right on our schema. Without an outbox it does
    nothing: a capture that was taken away halfway must not stop a school.

    It names the watched columns, because others may hold what jsonb cannot: a huge blob, a `json`
    with an escaped NUL. When an upgrade of the SIS has dropped one or changed its type, naming it
    fails; then the whole row gives what is left. The guarded blocks write nothing, so they cost
    no transaction id.
    """
    return f"""CREATE OR REPLACE FUNCTION schoolbell_capture."{captured.name}"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    key_value jsonb; old_values jsonb; new_values jsonb;
BEGIN
    IF to_regclass('schoolbell_capture.outbox') IS NULL THEN RETURN NULL; END IF;
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            key_value := to_jsonb(OLD."{captured.key}");
            old_values := {_named("OLD", captured.columns)};
        END IF;
        IF TG_OP <> 'DELETE' THEN
            key_value := to_jsonb(NEW."{captured.key}");
            new_values := {_named("NEW", captured.columns)};
        END IF;
    EXCEPTION WHEN OTHERS THEN
        DECLARE
            whole_row jsonb;
        BEGIN
            IF TG_OP <> 'INSERT' THEN
                whole_row := to_jsonb(OLD);
                old_values := {_picked("whole_row", captured.columns)};
            END IF;
            IF TG_OP <> 'DELETE' THEN
                whole_row := to_jsonb(NEW);
                new_values := {_picked("whole_row", captured.columns)};
            END IF;
            key_value := whole_row -> '{captured.key}';
        EXCEPTION WHEN OTHERS THEN
            RAISE LOG USING MESSAGE =
                'schoolbell: a change of {captured.table} is not captured: ' || SQLSTATE;
            RETURN NULL;
        END;
    END;
    IF old_values IS NOT DISTINCT FROM new_values THEN RETURN NULL; END IF;
    INSERT INTO schoolbell_capture.outbox (event_id, watch, op, key, before, after, at) VALUES (
        {_POSTGRESQL_EVENT_ID},
        '{captured.name}', lower(TG_OP), coalesce(key_value #>> '{{}}', ''),
        old_values, new_values, clock_timestamp());
    RETURN NULL;
END $function$"""


def postgresql_trigger(captured: Captured) -> str:
    """A row trigger: cheaper than a statement trigger for the one-row writes of SIS screens.

    Replacing needs a lock that lets readers pass; to drop and create would wait for them too.
    """
    return (
        f'CREATE OR REPLACE TRIGGER "{postgresql_trigger_name(captured)}"'
        f" AFTER INSERT OR UPDATE OR DELETE ON {quoted(captured.table)}"
        f' FOR EACH ROW EXECUTE FUNCTION schoolbell_capture."{captured.name}"()'
    )


def sqlite_triggers(captured: Captured) -> tuple[str, ...]:
    """One trigger for each operation, with the values that this operation has."""
    changed = " OR ".join(f'OLD."{column}" IS NOT NEW."{column}"' for column in captured.columns)
    old, new = _json("OLD", captured.columns), _json("NEW", captured.columns)
    shapes = (
        ("insert", "", "NEW", "NULL", new),
        ("update", f" WHEN {changed}", "NEW", old, new),
        ("delete", "", "OLD", old, "NULL"),
    )
    return tuple(
        f'CREATE TRIGGER "{name}" AFTER {operation.upper()} ON "{captured.table}"{condition}\n'
        "BEGIN INSERT INTO schoolbell_outbox (event_id, watch, op, key, before, after, at) VALUES ("
        f"{_SQLITE_EVENT_ID}, '{captured.name}', '{operation}',"
        f" coalesce(CAST({row}.\"{captured.key}\" AS TEXT), ''), {before}, {after},"
        " strftime('%Y-%m-%dT%H:%M:%fZ', 'now')); END"
        for name, (operation, condition, row, before, after) in zip(
            sqlite_trigger_names(captured), shapes, strict=True
        )
    )


def _picked(row: str, columns: Sequence[str]) -> str:
    pairs = ", ".join(f"'{column}', {row} -> '{column}'" for column in columns)
    return f"jsonb_build_object({pairs})"


def _named(row: str, columns: Sequence[str]) -> str:
    pairs = ", ".join(f"'{column}', {row}.\"{column}\"" for column in columns)
    return f"jsonb_build_object({pairs})"


def _json(row: str, columns: Sequence[str]) -> str:
    """json_object raises on a blob and would abort the SIS's write: a blob becomes NULL.

    JSON has no infinity, and json_object writes one all the same: it becomes text.
    """
    pairs = ", ".join(f"'{column}', {_json_value(row, column)}" for column in columns)
    return f"json_object({pairs})"


def _json_value(row: str, column: str) -> str:
    value = f'{row}."{column}"'
    return (
        f"CASE WHEN typeof({value}) = 'blob' THEN NULL"
        f" WHEN {value} IN (9e999, -9e999) THEN CAST({value} AS TEXT) ELSE {value} END"
    )
