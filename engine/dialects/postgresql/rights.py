"""Who may do what: the least that Schoolbell needs in a PostgreSQL, and what others get of ours."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, text

from engine.dialects.dialect import Grants, Watched
from engine.dialects.names import table_parts
from engine.dialects.postgresql.names import quoted

# Whoever owns a watched table, or the database, dumps it: with all that others put there.
_OWNERS: Final = """SELECT DISTINCT r.oid, quote_ident(r.rolname) AS role FROM pg_roles r
    WHERE NOT r.rolsuper AND r.oid <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
    AND (r.oid IN (SELECT c.relowner FROM unnest(CAST(:tables AS text[])) AS called
            JOIN pg_class c ON c.oid = to_regclass(called))
        OR r.oid = (SELECT datdba FROM pg_database WHERE datname = current_database()))"""

_CANNOT_DUMP: Final = f"""SELECT role FROM ({_OWNERS}) AS owner
    WHERE NOT has_schema_privilege(owner.oid, to_regnamespace(:schema), 'USAGE')
    OR EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = to_regnamespace(:schema)
        AND NOT has_function_privilege(owner.oid, p.oid, 'EXECUTE'))
    OR EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = to_regnamespace(:schema)
        AND c.relkind IN ('r', 'S') AND NOT has_table_privilege(owner.oid, c.oid, 'SELECT'))
    ORDER BY 1"""

_OURS: Final = text(
    """SELECT bool_and(pg_has_role(owner, 'USAGE')) FROM (
        SELECT nspowner AS owner FROM pg_namespace WHERE oid = to_regnamespace(:schema)
        UNION ALL SELECT relowner FROM pg_class WHERE relnamespace = to_regnamespace(:schema)
        UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = to_regnamespace(:schema)
    ) AS owners"""
)

_NAMED: Final = text(
    """SELECT w.called, n.nspname, format('%I.%I', n.nspname, c.relname) AS shown
    FROM unnest(CAST(:schemas AS text[]), CAST(:tables AS text[]), CAST(:called AS text[]))
        AS w(schema, tbl, called)
    JOIN pg_class c ON c.relname = w.tbl AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE CASE WHEN w.schema <> '' THEN n.nspname = w.schema
        ELSE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' END
    ORDER BY n.nspname <> ALL (current_schemas(false)), 2, 3"""
)


def shared(connection: Connection, schema: str, watched: Sequence[Watched]) -> Iterator[str]:
    """Statements that keep our schema to ourselves, but for the owners of watched tables.

    Their dumps must go on, and a partition that they add gets our trigger by their right.
    """
    yield f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC"
    yield f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC"
    for _, role in connection.execute(text(_OWNERS), {"tables": _called(watched)}):
        yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
        yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
        yield f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
        yield f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}"


def is_ours(connection: Connection, schema: str) -> bool:
    """Whether the schema, and all that is in it, belongs to us: an owner could read scores there.

    Whoever may make schemas could make one of our name before we come.
    """
    return bool(connection.execute(_OURS, {"schema": schema}).scalar_one())


def who_cannot_dump(connection: Connection, schema: str, watched: Sequence[Watched]) -> list[str]:
    """The owners whose pg_dump fails at what is ours."""
    rows = connection.execute(text(_CANNOT_DUMP), {"tables": _called(watched), "schema": schema})
    return [role for (role,) in rows]


def least(
    connection: Connection, role: str, watched: Sequence[Watched], read: Collection[str]
) -> Grants:
    """What an owner grants to *role*, for the tables that are watched and those that are *read*.

    Rights are not needed for it: everybody may look up names.
    """
    found, schemas, unknown = _resolved(connection, [one.table for one in watched], read)
    database, called = connection.execute(
        text("SELECT quote_ident(current_database()), quote_ident(:role)"), {"role": role}
    ).one()
    statements = [
        f"GRANT CONNECT, CREATE ON DATABASE {database} TO {called};",
        *(f"GRANT USAGE ON SCHEMA {schema} TO {called};" for schema in sorted(schemas)),
        *(
            f"GRANT SELECT{', TRIGGER' if is_watched else ''} ON {table} TO {called};"
            for table, is_watched in sorted(found.items())
        ),
    ]
    return Grants(statements, sorted(unknown))


def _resolved(
    connection: Connection, watched: Collection[str], read: Collection[str]
) -> tuple[dict[str, bool], set[str], set[str]]:
    """Each table, whether it is watched; the schemas; and the names that lead nowhere."""
    names = sorted({*watched, *read})
    parts = [table_parts(name) or (name,) for name in names]
    rows = connection.execute(
        _NAMED,
        {
            "schemas": ["".join(schema) for *schema, _ in parts],
            "tables": [table for *_, table in parts],
            "called": names,
        },
    ).all()
    first = {row.called: row for row in reversed(rows)}
    found: dict[str, bool] = {}
    for name, row in first.items():
        found[row.shown] = found.get(row.shown, False) or name in watched
    return found, {row.nspname for row in first.values()}, {*names} - first.keys()


def _called(watched: Sequence[Watched]) -> list[str]:
    return [quoted(one.table) for one in watched]
