"""The triggers by which a SIS on PostgreSQL tells what was committed, and their outbox."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zlib import crc32

from sqlalchemy import Connection, text

from engine.dialects import problems
from engine.dialects.dialect import Concern, Grants, Owner, Transactions, Trigger, Watched
from engine.dialects.names import literal
from engine.dialects.names import quoted as quoted_name
from engine.dialects.postgresql import clock, concerns, cursor, emptied, rights
from engine.dialects.postgresql.keys import key_of
from engine.dialects.postgresql.names import quoted, schema_of, short
from engine.dialects.postgresql.one_by_one import one_by_one
from engine.errors import Unavailable

_LOCK_TRIES: Final = 12
# pg_trigger.tgtype of AFTER INSERT OR UPDATE OR DELETE .. FOR EACH ROW.
_ROW_AFTER_ALL: Final = 1 | 4 | 8 | 16
_EQUALS: Final = "OPERATOR(pg_catalog.=)"


class PostgresqlTriggers:
    """Implements dialect.Triggers. All but the triggers is in a schema of the owner's own.

    A trigger must never break the SIS's own write for a reason of ours, so there is nothing in it
    that can fail: no foreign key, no cast, no look-up, no NOTIFY. What reads the row can, so that
    part is guarded.
    """

    missed = (
        "writers that set session_replication_role to replica (logical replication, some loaders);"
        " of TRUNCATE it is known that the table was emptied, and not what was in it"
    )

    def __init__(self, database: Transactions, owner: Owner) -> None:
        self._database = database
        self._owner = owner
        self._schema = schema_of(owner)

    def current_owner(self) -> str | None:
        """See dialect.Triggers.current_owner."""
        with self._database.read() as connection:
            if not _exists(connection, f"{self._schema}.cursor"):
                return None
            found: str = connection.execute(
                text(f"SELECT owner FROM {self._schema}.cursor")
            ).scalar_one()
            return found

    def make_outbox(self) -> None:
        """See dialect.Triggers.make_outbox.

        No sequence numbers the rows, for that would change what `lastval()` says in the session of
        the SIS. There is no primary key either, which nobody would look for; a publication of all
        tables would then refuse our deletes, but for REPLICA IDENTITY FULL.
        """
        schema = self._schema
        token = {"token": self._owner.token}
        with self._database.write() as connection:
            if not _has_schema(connection, schema):  # or an owner has made it for us
                connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
            if not rights.is_ours(connection, schema):
                raise problems.schema_of_another(self._database.name, schema)
            connection.exec_driver_sql(emptied.table(schema))
            anew = not _exists(connection, f"{schema}.outbox")
            if anew:
                for statement in _outbox(schema):
                    connection.exec_driver_sql(statement)
            connection.exec_driver_sql(cursor.table(schema))
            connection.execute(text(cursor.owned(schema)), token)
            if anew:
                connection.exec_driver_sql(cursor.begun_anew(schema))

    def install(self, watched: Watched, lock_timeout: timedelta) -> None:
        """See dialect.Triggers.install.

        A row trigger: cheaper than a statement trigger for the one-row writes of SIS screens.
        Replacing it needs a lock that lets readers pass; to drop and create would wait for them.
        """
        trigger, *others = self.of(watched)
        self._patiently(
            lock_timeout,
            self._function(watched),
            f'CREATE OR REPLACE TRIGGER "{trigger.name}"'
            f" AFTER INSERT OR UPDATE OR DELETE ON {quoted(watched.table)}"
            f' FOR EACH ROW EXECUTE FUNCTION {self._schema}."{watched.name}"()',
            *(
                statement
                for other in others
                for statement in emptied.statements(
                    self._schema, watched.name, watched.table, other.name
                )
            ),
        )

    def of(self, watched: Watched) -> list[Trigger]:
        """See dialect.Triggers.of. The table is named as `installed` names it."""
        with self._database.read() as connection:
            table, is_foreign = connection.execute(
                text(
                    "SELECT c.oid::regclass::text, c.relkind = 'f' FROM (SELECT 1) AS always"
                    " LEFT JOIN pg_class c ON c.oid = to_regclass(:table)"
                ),
                {"table": quoted(watched.table)},
            ).one()
        name = f"schoolbell_{self._owner.identifier}_{watched.name}"
        names = [name] if is_foreign else [name, f"{name}{emptied.SUFFIX}"]
        return [Trigger(short(name), str(table)) for name in names]

    def installed(self) -> Sequence[Trigger]:
        """See dialect.Triggers.installed. Partitions have copies, which go with their table's."""
        with self._database.read() as connection:
            found = connection.execute(
                text(
                    "SELECT t.tgname, t.tgrelid::regclass::text AS tgrelid FROM pg_trigger t"
                    " JOIN pg_proc p ON p.oid = t.tgfoid"
                    " WHERE t.tgparentid = 0 AND p.pronamespace = to_regnamespace(:schema)"
                ),
                {"schema": self._schema},
            )
            return [Trigger(row.tgname, row.tgrelid) for row in found]

    def state(self, watched: Watched) -> str:
        """See dialect.Triggers.state."""
        wanted = self.of(watched)
        with self._database.read() as connection:
            row = connection.execute(
                text(
                    "SELECT t.tgenabled::text, t.tgtype, p.prosecdef, p.prosrc,"
                    " to_regclass(:outbox) IS NOT NULL AS outbox,"
                    " (SELECT count(*) FROM pg_trigger o WHERE o.tgrelid = t.tgrelid"
                    "  AND o.tgname = ANY (:names) AND o.tgenabled IN ('O', 'A')) AS enabled,"
                    " ARRAY(SELECT name FROM unnest(CAST(:columns AS text[])) name EXCEPT"
                    "  SELECT attname FROM pg_attribute"
                    "  WHERE attrelid = t.tgrelid AND NOT attisdropped ORDER BY 1) AS gone"
                    " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
                    " WHERE t.tgrelid = to_regclass(:table) AND t.tgname = :name"
                ),
                {
                    "outbox": f"{self._schema}.outbox",
                    "table": quoted(watched.table),
                    "name": wanted[0].name,
                    "names": [trigger.name for trigger in wanted],
                    "columns": [*watched.key_columns, *watched.columns],
                },
            ).one_or_none()
        if row is None:
            return "missing"
        if row.enabled < len(wanted) and row.tgenabled in ("O", "A"):
            return f"without {wanted[-1].name}"
        if row.tgenabled not in ("O", "A"):
            return "disabled"
        if row.gone:
            return f"without its column {', '.join(row.gone)}"
        body = f"$function${row.prosrc}$function$"
        as_made = row.tgtype == _ROW_AFTER_ALL and row.prosecdef
        if not as_made or body not in self._function(watched):
            return "outdated"
        return "in place" if row.outbox else "without an outbox"

    def concerns(self, watched: Sequence[Watched]) -> Sequence[Concern]:
        """See dialect.Triggers.concerns."""
        names = {one.name: self.of(one)[0].name for one in watched}
        with self._database.read() as connection:
            return [
                *concerns.found(connection, self._schema, watched, names),
                *emptied.found(connection, self._schema),
                *clock.found(connection, datetime.now(UTC)),
            ]

    def share(self, watched: Sequence[Watched]) -> None:
        """See dialect.Triggers.share."""
        with self._database.write() as connection:
            for statement in list(rights.shared(connection, self._schema, watched)):
                connection.exec_driver_sql(statement)

    def grants(self, role: str, watched: Sequence[Watched], read: Collection[str]) -> Grants:
        """See dialect.Triggers.grants."""
        with self._database.read() as connection:
            return rights.least(connection, role, watched, read)

    def drop(self, trigger: Trigger, lock_timeout: timedelta) -> None:
        """See dialect.Triggers.drop.

        A trigger is its table's owner's to drop. Its function is ours, and takes it along.
        """
        with self._database.read() as connection:
            function = connection.execute(
                text(
                    "SELECT t.tgfoid::regprocedure::text FROM pg_trigger t"
                    " WHERE t.tgname = :name AND t.tgrelid = to_regclass(:table)"
                ),
                {"name": trigger.name, "table": trigger.table},
            ).scalar_one_or_none()
        if function is not None:
            self._patiently(lock_timeout, f"DROP FUNCTION {function} CASCADE")

    def drop_outbox(self, lock_timeout: timedelta) -> None:
        """See dialect.Triggers.drop_outbox."""
        self._patiently(lock_timeout, f"DROP SCHEMA IF EXISTS {self._schema} CASCADE")

    def _patiently(self, lock_timeout: timedelta, *statements: str) -> None:
        """Run *statements* in one transaction, again when the SIS held a lock for too long."""
        for attempt in range(1, _LOCK_TRIES + 1):
            try:
                with self._database.write() as connection:
                    milliseconds = round(lock_timeout.total_seconds() * 1000)
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
                    for statement in statements:
                        connection.exec_driver_sql(statement.replace("%", "%%"))
            except Unavailable:
                if attempt == _LOCK_TRIES:
                    raise
                time.sleep(lock_timeout.total_seconds() / 3 * attempt)  # writers pass meanwhile
            else:
                return

    def _function(self, watched: Watched) -> str:
        """The trigger function of a watch.

        SECURITY DEFINER: the SIS's roles need no right on our schema. So every function, type and
        operator names its schema: what a writer's search_path leads to must not run with our
        rights. (SET search_path would do, and costs each write an eighth of the trigger.) Without
        an outbox it does nothing: a capture that was taken away halfway must not stop a school.

        It names the watched columns, because others may hold what jsonb cannot: a huge blob. When
        an upgrade of the SIS has dropped one or changed its type, or one holds a `json` with an
        escaped NUL, that fails; then they are read one by one. The guarded blocks write nothing, so
        they cost no transaction id. Each expression is prepared anew in each transaction of the
        SIS, which is most of what capture costs a write of one row: so there are few.
        """
        return f"""CREATE OR REPLACE FUNCTION {self._schema}."{watched.name}"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $function$
DECLARE
    key_value pg_catalog.text; old_values pg_catalog.jsonb; new_values pg_catalog.jsonb;
BEGIN
    IF pg_catalog.to_regclass('{self._schema}.outbox') IS NULL THEN RETURN NULL; END IF;
    BEGIN
        IF TG_OP {_EQUALS} 'UPDATE' THEN
            old_values := {_named("OLD", watched.columns)};
            new_values := {_named("NEW", watched.columns)};
            IF old_values {_EQUALS} new_values THEN RETURN NULL; END IF;
            key_value := {key_of("NEW", watched)};
        ELSIF TG_OP {_EQUALS} 'INSERT' THEN
            new_values := {_named("NEW", watched.columns)};
            key_value := {key_of("NEW", watched)};
        ELSE
            old_values := {_named("OLD", watched.columns)};
            key_value := {key_of("OLD", watched)};
        END IF;
    EXCEPTION WHEN OTHERS THEN
        {one_by_one(watched)}
    END;
    INSERT INTO {self._schema}.outbox (xid, lsn, hash, at, event_id, watch, key, before, after)
    VALUES (
        pg_catalog.pg_current_xact_id(), pg_catalog.pg_current_wal_insert_lsn(),
        pg_catalog.hashtextextended(key_value, {_seed(watched.name)}),
        pg_catalog.clock_timestamp(), pg_catalog.gen_random_uuid(), '{watched.name}', key_value,
        old_values, new_values);
    RETURN NULL;
END $function$"""


def _outbox(schema: str) -> tuple[str, ...]:
    """The outbox and its indexes: by place, and by transaction and record.

    *hash* is of the watch and the key; a row without a key has none, and is like no other.
    """
    return (
        f"""CREATE TABLE {schema}.outbox (
            xid xid8, lsn pg_lsn, hash bigint, at timestamptz, event_id uuid, watch text,
            key text, before jsonb, after jsonb
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
                autovacuum_vacuum_insert_scale_factor = 0)""",
        f"CREATE INDEX outbox_lsn ON {schema}.outbox (lsn)",
        f"CREATE INDEX outbox_record ON {schema}.outbox (xid, hash, lsn)",
        f"ALTER TABLE {schema}.outbox REPLICA IDENTITY FULL",
    )


def _seed(watch: str) -> int:
    """What makes the hashes of two watches differ. Above 32 bits, so that no cast is needed."""
    return (1 << 32) + crc32(watch.encode())


def _named(row: str, columns: Sequence[str]) -> str:
    pairs = ", ".join(f"{literal(column)}, {row}.{quoted_name(column)}" for column in columns)
    return f"pg_catalog.jsonb_build_object({pairs})"


def _has_schema(connection: Connection, schema: str) -> bool:
    return bool(
        connection.execute(
            text("SELECT to_regnamespace(:schema) IS NOT NULL"), {"schema": schema}
        ).scalar_one()
    )


def _exists(connection: Connection, table: str) -> bool:
    return bool(
        connection.execute(
            text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table}
        ).scalar_one()
    )
