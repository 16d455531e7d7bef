"""What stands in a PostgreSQL beside our capture that it harms, or that makes it miss changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from engine.dialects.dialect import Concern, Watched
from engine.dialects.postgresql import rights
from engine.dialects.postgresql.names import quoted

_PUBLICATIONS: Final = text("SELECT pubname FROM pg_publication WHERE puballtables ORDER BY 1")

_TABLES: Final = text(
    """SELECT w.name, c.oid::regclass::text AS shown, c.relkind::text, c.relpersistence::text,
        (SELECT string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid::regclass::text)
            FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
            WHERE i.inhparent = c.oid AND NOT child.relispartition) AS children,
        (SELECT string_agg(DISTINCT quote_ident(s.subname), ', ')
            FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
            WHERE r.srrelid = c.oid
            OR c.oid IN (SELECT relid FROM pg_partition_ancestors(r.srrelid))) AS subscriptions
    FROM unnest(CAST(:names AS text[]), CAST(:tables AS text[])) AS w(name, called)
    JOIN pg_class c ON c.oid = to_regclass(w.called) ORDER BY w.name"""
)

# to_jsonb asks the owner of a type, where the owner has said how it becomes json.
_CASTS: Final = text(
    """SELECT DISTINCT c.oid::regclass::text AS shown, k.castsource::regtype::text AS type
    FROM unnest(CAST(:tables AS text[])) AS called
    JOIN pg_class c ON c.oid = to_regclass(called)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    JOIN pg_cast k ON k.castsource IN (t.oid, t.typelem, t.typbasetype)
    WHERE k.casttarget = 'json'::regtype AND k.castfunc >= 16384 ORDER BY 1, 2"""
)

_ALWAYS: Final = text(
    """SELECT t.tgrelid::regclass::text FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE p.pronamespace = to_regnamespace(:schema) AND t.tgenabled = 'A'"""
)


def found(
    connection: Connection, schema: str, watched: Sequence[Watched], triggers: Mapping[str, str]
) -> Iterator[Concern]:
    """Everything, what is worst first. *triggers* are the names of ours, by the watch."""
    for (name,) in connection.execute(_PUBLICATIONS):
        yield _published(name, schema)
    always = {table for (table,) in connection.execute(_ALWAYS, {"schema": schema})}
    tables = {"names": [one.name for one in watched],
              "tables": [quoted(one.table) for one in watched]}  # fmt: skip
    for row in connection.execute(_TABLES, tables):
        yield from _of_table(row)
        if row.subscriptions and row.shown not in always:
            yield _replicated(row, triggers[row.name])
    for table, type_ in connection.execute(_CASTS, tables):
        yield _cast(table, type_)
    for role in rights.who_cannot_dump(connection, schema, watched):
        yield _not_dumped(role, schema)


def _published(publication: str, schema: str) -> Concern:
    return Concern(
        f"publication {publication}",
        f"The publication {publication} is FOR ALL TABLES, so it publishes our outbox too, and a"
        " subscriber that has no such table stops with an error: the school's replication stands"
        " still.",
        "Let its owner make it anew, FOR TABLES IN SCHEMA and the SIS's schemas (PostgreSQL 15) or"
        " FOR TABLE and its tables. If what reads it is no PostgreSQL, or has an empty copy of the"
        f" schema {schema}, run `schoolbell capture install --published`.",
        harms=True,
    )


def _cast(table: str, type_: str) -> Concern:
    return Concern(
        table,
        f"{table} has a column of the type {type_}, whose cast to json is a function of the SIS's:"
        " it would run with the rights of Schoolbell.",
        f"Let the owner of the type run DROP CAST ({type_} AS json), or watch another table.",
        harms=True,
    )


def _of_table(row: Row[Any]) -> Iterator[Concern]:
    if row.relkind == "m":
        yield Concern(
            row.shown, f"{row.shown} is a materialized view, which fires no triggers.",
            "Name the table beneath it in the source definition.", harms=True,
        )  # fmt: skip
    if row.relkind == "f":
        yield Concern(
            row.shown,
            f"{row.shown} is a foreign table: what is written on its own server is not captured.",
            "Watch the table where it is, by an installation for that server.",
        )
    if row.relpersistence == "u":
        yield Concern(
            row.shown,
            f"{row.shown} is unlogged: a crash of the server empties it, and nobody hears of it.",
            f"If it must not be lost, let its owner run ALTER TABLE {row.shown} SET LOGGED.",
        )
    if row.children:
        yield Concern(
            row.shown,
            f"Rows of {row.children}, which inherit from {row.shown}, are not captured: a row's"
            " triggers are not passed on to tables that inherit.",
            "Give each of them a watch of its own in the source definition.",
        )


def _replicated(row: Row[Any], trigger: str) -> Concern:
    return Concern(
        row.shown,
        f"{row.shown} is written by the subscription {row.subscriptions}, and what a subscription"
        " writes fires no ordinary trigger.",
        "Let the owner of the table run:"
        f' ALTER TABLE {row.shown} ENABLE ALWAYS TRIGGER "{trigger}"',
    )


def _not_dumped(role: str, schema: str) -> Concern:
    return Concern(
        f"role {role}",
        f"{role} owns watched tables and may not use the schema {schema}: its pg_dump of the"
        " whole database fails, and so does a partition that it adds.",
        "Run `schoolbell capture install`.",
    )
