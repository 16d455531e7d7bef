"""PostgreSQL: many writers, so ids become visible in another order than they were taken in.

Ids are taken at INSERT and become visible at COMMIT, so a cursor `id > last` loses rows. Here a
read of the outbox is everything above the highest id ever seen, plus the gaps below it: ids that
some transaction took and had not committed. One statement reads both, in one snapshot, so for one
record id order is commit order. A gap is given up once every transaction that could fill it has
ended, seen in the very snapshot that still does not show it (facts: capture-and-broker 3.1, 3.4).
The cursor in the SIS database is the truth: who lowers it (`replay`) is heard at the next read.
Rows are never updated and are deleted long after, by time.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec
import psycopg
import sqlalchemy
from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    FromClause,
    Insert,
    Row,
    Table,
    TextClause,
    TypeDecorator,
    any_,
    bindparam,
    event,
    func,
    select,
    text,
)
from sqlalchemy import column as sql_column
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL

from engine.dialects import gaps, problems, rows
from engine.dialects.dialect import Owner, Transactions, Trigger, Watched
from engine.dialects.dialect import Row as Values
from engine.dialects.gaps import Gaps
from engine.errors import Misconfigured, Unavailable
from rules.change import Change, ChangeId

if TYPE_CHECKING:
    from engine.ports import Outbox, RelayedMark

_CONNECT_TIMEOUT = 5  # seconds
_FORGET_AT_ONCE: Final = 10_000
_LOCK_TRIES: Final = 5
_LONGEST_NAME: Final = 63  # bytes; PostgreSQL cuts what is longer
# pg_trigger.tgtype of AFTER INSERT OR UPDATE OR DELETE .. FOR EACH ROW.
_ROW_AFTER_ALL: Final = 1 | 4 | 8 | 16
_EQUALS: Final = "OPERATOR(pg_catalog.=)"
_DIFFERS_FROM: Final = "OPERATOR(pg_catalog.<>)"
_MICROSECONDS_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

# An escaped NUL; not an escaped backslash that stands before "u0000".
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

# SQLSTATE classes and codes, from PostgreSQL's appendix "Error Codes".
_LOGIN_REFUSED = ("28",)
_NO_DATABASE = ("3D000",)
_NO_TABLE = ("42P01", "42703", "3F000")
_NO_RIGHT = ("42501",)
_WRONG_STATEMENT = ("42",)
# 23505: another process was first. 25006: a primary that is one no more.
_TRY_AGAIN = ("08", "40", "53", "55", "57", "58", "23505", "25006")


class Postgresql:
    """Implements dialect.Dialect."""

    name = "postgresql"
    title = "PostgreSQL"
    port = 5432
    one_writer = False
    keeps_zones = True
    write_options: Mapping[str, Any] = {"isolation_level": "READ COMMITTED"}
    snapshot_options: Mapping[str, Any] = {
        "isolation_level": "REPEATABLE READ",
        "postgresql_readonly": True,
    }
    driver_error: type[Exception] = psycopg.Error
    patience: Mapping[str, Any] = {}

    def connect(self, url: URL, *, by_key: bool) -> Engine:
        """See dialect.Dialect.connect."""
        engine = sqlalchemy.create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _CONNECT_TIMEOUT, "application_name": "schoolbell"},
        )
        if by_key:
            event.listen(engine, "connect", _prefer_indexes)
        return engine

    def as_ours(self, cause: Any, name: str, *, disconnected: bool) -> Exception:
        """See dialect.Dialect.as_ours."""
        state = getattr(cause, "sqlstate", None) or ""
        words = str(cause).strip().splitlines()[0] if str(cause).strip() else "no answer"
        if state.startswith(_LOGIN_REFUSED) or "authentication failed" in words:
            return Misconfigured(
                f"The database {name} refuses the login.", "Check user and password in the URL."
            )
        if state in _NO_DATABASE or ("database" in words and "does not exist" in words):
            return Misconfigured(
                f"The database {name} does not exist.", "Create it, or mend the name in the URL."
            )
        if state in _NO_TABLE:
            return problems.not_migrated(name, words)
        if state in _NO_RIGHT:
            return problems.no_right(name, words)
        if state.startswith(_WRONG_STATEMENT):
            return problems.wrong_statement(name, words)
        unanswered = not state and isinstance(cause, psycopg.OperationalError)
        if disconnected or unanswered or state.startswith(_TRY_AGAIN):
            return Unavailable(
                f"The database {name} does not answer: {words}.",
                "Check that it runs and that this machine may reach it; Schoolbell keeps trying.",
            )
        return cause if isinstance(cause, Exception) else RuntimeError(words)

    def one_of(self, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """See dialect.Dialect.one_of."""
        return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))

    def tuples(self, columns: Sequence[Column[Any]], values: Sequence[Values]) -> FromClause:
        """See dialect.Dialect.tuples."""
        each = list(zip(*values, strict=True)) or [()] * len(columns)
        arrays = (
            bindparam(None, list(one), type_=ARRAY(column.type))
            for column, one in zip(columns, each, strict=True)
        )
        named = (sql_column(column.name, column.type) for column in columns)
        return func.unnest(*arrays).table_valued(*named, name="wanted").render_derived()

    def narrowed(self, by: str, keys: Collection[str]) -> tuple[str, str]:
        """See dialect.Dialect.narrowed.

        An array literal without a type: PostgreSQL gives it the column's, and uses its index.
        """
        escaped = (key.replace("\\", "\\\\").replace('"', '\\"') for key in keys)
        return f'"{by}" = ANY(:keys)', "{" + ",".join(f'"{key}"' for key in escaped) + "}"

    def append(self, connection: Connection, table: Table, values: Sequence[Values]) -> None:
        """See dialect.Dialect.append: by COPY, which SQLAlchemy's types do not see."""
        conversions = [
            (index, convert)
            for index, column in enumerate(table.columns)
            if (convert := _conversion(column))
        ]
        driver: Any = connection.connection.driver_connection
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        statement = f"COPY {table.name} ({columns}) FROM STDIN"
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in values:
                copy.write_row(_converted(row, conversions) if conversions else row)

    def insert_new(self, table: Table) -> Insert:
        """See dialect.Dialect.insert_new."""
        return insert(table).on_conflict_do_nothing()

    def share(self, connection: Connection, key: int) -> None:
        """See dialect.Dialect.share."""
        connection.execute(select(func.pg_advisory_xact_lock_shared(key)))

    def exclude(self, connection: Connection, key: int, longest: timedelta) -> None:
        """See dialect.Dialect.exclude."""
        milliseconds = longest // timedelta(milliseconds=1)
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"))
        connection.execute(select(func.pg_advisory_xact_lock(key)))

    @property
    def divides(self) -> bool:
        """See dialect.Dialect.divides."""
        return True

    def lock(self, connection: Connection, table: Table, mode: str) -> None:
        """See dialect.Dialect.lock."""
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN {mode} MODE")

    def try_lock(self, connection: Connection, key: int) -> bool:
        """See dialect.Dialect.try_lock."""
        return bool(
            connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one()
        )

    def analyze(self, connection: Connection, tables: Collection[str]) -> None:
        """See dialect.Dialect.analyze."""
        connection.exec_driver_sql(f"ANALYZE {', '.join(tables)}")

    def move_sequences(self, connection: Connection, keys: Mapping[str, str]) -> None:
        """See dialect.Dialect.move_sequences."""
        for table, key in keys.items():
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence(:table, :key), max({key}))"
                    f" FROM {table} HAVING max({key}) IS NOT NULL"
                ),
                {"table": table, "key": key},
            )

    def by_hand(self, url: URL, statement: str) -> str:
        """See dialect.Dialect.by_hand."""
        shown = url.set(drivername="postgresql").render_as_string()
        return shlex.join(["psql", shown, "-c", statement])

    def triggers(self, database: Transactions, owner: Owner) -> PostgresqlTriggers:
        """See dialect.Dialect.triggers."""
        return PostgresqlTriggers(database, owner)

    def outbox(
        self, database: Transactions, owner: Owner, source: str, mark: RelayedMark
    ) -> Outbox:
        """See dialect.Dialect.outbox."""
        return PostgresqlOutbox(database, owner, source, mark)


def _prefer_indexes(connection: psycopg.Connection, _record: object) -> None:
    """Keep plans by index, whatever the size of a table was when they were made.

    A statement that is prepared while its table is empty keeps its plan, and on an empty table
    nothing is cheaper than to read all of it: 220 microseconds a key after 100,000 rows, against 5
    by the index (measured on PostgreSQL 15). What does read all of a table must not be compiled
    for the price that this puts on it.
    """
    connection.execute("SET enable_seqscan = off")
    connection.execute("SET jit = off")
    connection.commit()


def _conversion(column: Column[Any]) -> Callable[[Any], Any] | None:
    if isinstance(column.type, JSON):
        return _json
    if isinstance(column.type, TypeDecorator) and isinstance(column.type.impl_instance, DateTime):
        return rows.aware
    return None


def _json(value: Any) -> str:
    """JSON that PostgreSQL takes. It cannot hold the NUL that a SQLite source may contain."""
    encoded = msgspec.json.encode(value).decode()
    return _NUL.sub(r"\1\\ufffd", encoded) if r"\u0000" in encoded else encoded


def _converted(row: Values, conversions: Sequence[tuple[int, Callable[[Any], Any]]]) -> list[Any]:
    values = list(row)
    for index, convert in conversions:
        if values[index] is not None:
            values[index] = convert(values[index])
    return values


def _schema(owner: Owner) -> str:
    """Not named like a role: that is where the role's own tables go."""
    return f"schoolbell_capture_{owner.identifier}"


def _last_id(schema: str) -> str:
    sequence = f"pg_get_serial_sequence('{schema}.outbox', 'id')::regclass"
    return f"coalesce(pg_sequence_last_value({sequence}), 0)"


def _quoted(table: str) -> str:
    """A table name, with or without its schema, quoted."""
    return ".".join(f'"{part}"' for part in table.split("."))


def _short(name: str) -> str:
    """The *name*, or where that is too long its beginning and a hash."""
    if len(name) <= _LONGEST_NAME:
        return name
    mark = blake2b(name.encode(), digest_size=5).hexdigest()
    return f"{name[: _LONGEST_NAME - len(mark) - 1]}_{mark}"


class PostgresqlTriggers:
    """Implements dialect.Triggers. All but the triggers is in a schema of the owner's own.

    A trigger must never break the SIS's own write for a reason of ours, so there is nothing in it
    that can fail: no foreign key, no cast, no look-up, no NOTIFY. What reads the row can, so that
    part is guarded.
    """

    missed = (
        "TRUNCATE, and writers that set session_replication_role to replica (logical replication,"
        " some loaders), fire no row trigger"
    )

    def __init__(self, database: Transactions, owner: Owner) -> None:
        self._database = database
        self._owner = owner
        self._schema = _schema(owner)

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

        An outbox that is made anew begins at id 1 again, and its base above every position before.
        """
        schema = self._schema
        with self._database.write() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            anew = not _exists(connection, f"{schema}.outbox")
            connection.exec_driver_sql(
                f"""CREATE TABLE IF NOT EXISTS {schema}.outbox (
                    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id uuid, watch text,
                    key text, before jsonb, after jsonb, at timestamptz
                ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
                        autovacuum_vacuum_insert_scale_factor = 0)"""
            )
            connection.exec_driver_sql(
                f"""CREATE TABLE IF NOT EXISTS {schema}.cursor (id smallint PRIMARY KEY,
                    owner text NOT NULL, base bigint NOT NULL, high bigint NOT NULL,
                    gaps int8multirange NOT NULL, relay_pid integer, relay_since timestamptz)"""
            )
            token = {"token": self._owner.token}
            connection.execute(
                text(
                    f"INSERT INTO {schema}.cursor VALUES (1, :token, 0, 0, '{{}}')"
                    " ON CONFLICT (id) DO UPDATE SET owner = :token"
                    " WHERE cursor.owner <> :token"
                ),
                token,
            )
            if anew:
                connection.exec_driver_sql(
                    f"UPDATE {schema}.cursor SET high = 0, gaps = '{{}}',"
                    f" base = greatest(base + high, {_MICROSECONDS_NOW})"
                )

    def install(self, watched: Watched, lock_timeout: timedelta) -> None:
        """See dialect.Triggers.install.

        A row trigger: cheaper than a statement trigger for the one-row writes of SIS screens.
        Replacing it needs a lock that lets readers pass; to drop and create would wait for them.
        """
        [trigger] = self.of(watched)
        self._patiently(
            lock_timeout,
            self._function(watched),
            f'CREATE OR REPLACE TRIGGER "{trigger.name}"'
            f" AFTER INSERT OR UPDATE OR DELETE ON {_quoted(watched.table)}"
            f' FOR EACH ROW EXECUTE FUNCTION {self._schema}."{watched.name}"()',
        )

    def of(self, watched: Watched) -> list[Trigger]:
        """See dialect.Triggers.of. The table is named as `installed` names it."""
        with self._database.read() as connection:
            table = connection.execute(
                text("SELECT to_regclass(:table)::text"), {"table": _quoted(watched.table)}
            ).scalar_one()
        name = _short(f"schoolbell_{self._owner.identifier}_{watched.name}")
        return [Trigger(name, str(table))]

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
        [trigger] = self.of(watched)
        with self._database.read() as connection:
            row = connection.execute(
                text(
                    "SELECT t.tgenabled::text, t.tgtype, p.prosecdef, p.prosrc,"
                    " to_regclass(:outbox) IS NOT NULL AS outbox,"
                    " ARRAY(SELECT name FROM unnest(CAST(:columns AS text[])) name EXCEPT"
                    "  SELECT attname FROM pg_attribute"
                    "  WHERE attrelid = t.tgrelid AND NOT attisdropped ORDER BY 1) AS gone"
                    " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
                    " WHERE t.tgrelid = to_regclass(:table) AND t.tgname = :name"
                ),
                {
                    "outbox": f"{self._schema}.outbox",
                    "table": _quoted(watched.table),
                    "name": trigger.name,
                    "columns": [watched.key, *watched.columns],
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
        if not as_made or body not in self._function(watched):
            return "outdated"
        return "in place" if row.outbox else "without an outbox"

    def drop(self, trigger: Trigger, lock_timeout: timedelta) -> None:
        """See dialect.Triggers.drop."""
        self._patiently(lock_timeout, f'DROP TRIGGER IF EXISTS "{trigger.name}" ON {trigger.table}')

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
                        connection.exec_driver_sql(statement)
            except Unavailable:
                if attempt == _LOCK_TRIES:
                    raise
                time.sleep(lock_timeout.total_seconds() / 10 * attempt)
            else:
                return

    def _function(self, watched: Watched) -> str:
        """The trigger function of a watch.

        SECURITY DEFINER: the SIS's roles need no right on our schema. So every function, type and
        operator names its schema: what a writer's search_path leads to must not run with our
        rights. (SET search_path would do, and costs each write an eighth of the trigger.) Without
        an outbox it does nothing: a capture that was taken away halfway must not stop a school.

        It names the watched columns, because others may hold what jsonb cannot: a huge blob, a
        `json` with an escaped NUL. When an upgrade of the SIS has dropped one or changed its type,
        naming it fails; then the whole row gives what is left. The guarded blocks write nothing,
        so they cost no transaction id. Each expression is prepared anew in each transaction of the
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
            key_value := {_text_of("NEW", watched.key)};
        ELSIF TG_OP {_EQUALS} 'INSERT' THEN
            new_values := {_named("NEW", watched.columns)};
            key_value := {_text_of("NEW", watched.key)};
        ELSE
            old_values := {_named("OLD", watched.columns)};
            key_value := {_text_of("OLD", watched.key)};
        END IF;
    EXCEPTION WHEN OTHERS THEN
        DECLARE
            whole_row pg_catalog.jsonb;
        BEGIN
            IF TG_OP {_DIFFERS_FROM} 'INSERT' THEN
                whole_row := pg_catalog.to_jsonb(OLD);
                old_values := {_picked("whole_row", watched.columns)};
            END IF;
            IF TG_OP {_DIFFERS_FROM} 'DELETE' THEN
                whole_row := pg_catalog.to_jsonb(NEW);
                new_values := {_picked("whole_row", watched.columns)};
            END IF;
            IF old_values {_EQUALS} new_values THEN RETURN NULL; END IF;
            key_value := whole_row OPERATOR(pg_catalog.->>) '{watched.key}';
        EXCEPTION WHEN OTHERS THEN
            RAISE LOG USING MESSAGE = pg_catalog.concat(
                'schoolbell: a change of {watched.table} is not captured: ', SQLSTATE);
            RETURN NULL;
        END;
    END;
    INSERT INTO {self._schema}.outbox (event_id, watch, key, before, after, at) VALUES (
        pg_catalog.gen_random_uuid(), '{watched.name}', coalesce(key_value, ''),
        old_values, new_values, pg_catalog.clock_timestamp());
    RETURN NULL;
END $function$"""


def _event_id(row: Row[Any]) -> ChangeId:
    """A UUIDv7 (RFC 9562): milliseconds first, so that the engine's indexes grow at their end.

    Its random part is made at capture, so that a restored SIS database never repeats one. It is put
    together here, because in the trigger that costs a write of the SIS a tenth of its time.
    """
    milliseconds = f"{max(0, int(row.at.timestamp() * 1000)):012x}"
    return ChangeId(f"{milliseconds[:8]}-{milliseconds[8:]}-7{row.event_id[15:]}")


def _text_of(row: str, column: str) -> str:
    """A value as the facts of the definition show it."""
    return f"pg_catalog.to_jsonb({row}.\"{column}\") OPERATOR(pg_catalog.#>>) '{{}}'"


def _picked(row: str, columns: Sequence[str]) -> str:
    pairs = ", ".join(f"'{column}', {row} OPERATOR(pg_catalog.->) '{column}'" for column in columns)
    return f"pg_catalog.jsonb_build_object({pairs})"


def _named(row: str, columns: Sequence[str]) -> str:
    pairs = ", ".join(f"'{column}', {row}.\"{column}\"" for column in columns)
    return f"pg_catalog.jsonb_build_object({pairs})"


def _exists(connection: Connection, table: str) -> bool:
    return bool(
        connection.execute(
            text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table}
        ).scalar_one()
    )


class PostgresqlOutbox:
    """Implements ports.Outbox: reads above the highest id seen, and the gaps below it."""

    def __init__(
        self, database: Transactions, owner: Owner, source: str, mark: RelayedMark
    ) -> None:
        self._database = database
        self._owner = owner
        self._source = source
        self._mark = mark
        self._schema = _schema(owner)
        self._statement = _read(self._schema)
        self._connection: Connection | None = None
        self._base = self._high = 0
        self._gaps: Gaps = {}

    def acquire(self) -> bool:
        """Become the relay that the cursor names, unless the session of another one lives."""
        if self._connection is not None:
            return True
        with self._database.translated():
            connection = self._database.engine.connect()
            try:
                # No read is long enough to be worth compiling.
                connection.exec_driver_sql("SET jit = off")
                taken = self._take(connection)
                if taken:
                    self._restore(connection)
            except BaseException:
                _end(connection)
                raise
        if not taken:
            connection.close()
            return False
        self._connection = connection
        return True

    def read(self, limit: int) -> Sequence[Change]:
        """See ports.Outbox.read. The connection that the cursor names reads, or nobody does."""
        with self._holding() as connection:
            found = self._found(connection, limit)
            while found[0].cursor != self._high:
                self._restore(connection)
                found = self._found(connection, limit)
        shown = [row.id for row in found if row.id is not None]
        looked_through = shown[-1] if len(shown) == limit else self._high
        self._gaps = gaps.still_open(self._gaps, shown, found[0].xmin, looked_through)
        return [
            rows.change(self._source, self._base, row, _event_id(row))
            for row in found
            if row.id is not None
        ]

    def mark_relayed(self, changes: Sequence[Change]) -> None:
        """See ports.Outbox.mark_relayed. A cursor that was lowered meanwhile stays so."""
        done = [change.position - self._base for change in changes]
        high = max(self._high, done[-1])
        new_gaps = list(gaps.skipped(self._high, [id_ for id_ in done if id_ > self._high]))
        left = gaps.without(self._gaps, done)
        self._mark.raise_to(self._base + high)
        with self._holding() as connection:
            if new_gaps:
                left |= dict.fromkeys(new_gaps, _barrier(connection))
            marked = connection.execute(
                text(
                    f"UPDATE {self._schema}.cursor SET high = :high,"
                    " gaps = CAST(:gaps AS int8multirange) WHERE high = :was"
                ),
                {"high": high, "gaps": gaps.multirange(left), "was": self._high},
            )
        if marked.rowcount:
            self._high, self._gaps = high, left

    def release(self) -> None:
        """See ports.Outbox.release."""
        if self._connection is not None:
            with suppress(Exception):  # a session that is lost has released it already
                self._connection.exec_driver_sql(
                    f"UPDATE {self._schema}.cursor SET relay_pid = NULL, relay_since = NULL"
                    " WHERE relay_pid = pg_backend_pid()"
                )
            _end(self._connection)
            self._connection = None

    def forget(self, keep: timedelta, now: datetime) -> int:
        """See ports.Outbox.forget."""
        table = f"{self._schema}.outbox"
        high = f"SELECT least(high, lower(gaps) - 1) FROM {self._schema}.cursor"
        statement = text(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id <= ({high})"
            f" AND id < coalesce((SELECT id FROM {table} WHERE at >= :limit ORDER BY id LIMIT 1),"
            f" ({high}) + 1) ORDER BY id LIMIT {_FORGET_AT_ONCE})"
        )
        count = 0
        while True:
            with self._database.write() as connection:
                deleted = connection.execute(statement, {"limit": now - keep}).rowcount
            count += deleted
            if deleted < _FORGET_AT_ONCE:
                return count

    def replay(self, since: datetime) -> int:
        """See ports.Outbox.replay."""
        with self._database.write() as connection:
            first, count = connection.execute(
                text(f"SELECT min(id), count(*) FROM {self._schema}.outbox WHERE at >= :since"),
                {"since": since},
            ).one()
            if count:
                connection.execute(
                    text(
                        f"UPDATE {self._schema}.cursor SET high = :high, gaps ="
                        " gaps * int8multirange(int8range(NULL, :high, '[]')) WHERE high > :high"
                    ),
                    {"high": first - 1},
                )
            return int(count)

    def count(self) -> int:
        """See ports.Outbox.count."""
        with self._database.read() as connection:
            statement = text(f"SELECT count(*) FROM {self._schema}.outbox")
            return int(connection.execute(statement).scalar_one())

    def backlog(self, now: datetime) -> tuple[int, timedelta]:
        """See ports.Outbox.backlog."""
        with self._database.read() as connection:
            count, oldest = connection.execute(
                text(
                    f"SELECT count(*), min(at) FROM (SELECT at FROM {self._schema}.outbox WHERE"
                    f" id > (SELECT high FROM {self._schema}.cursor) ORDER BY id LIMIT 100000) w"
                )
            ).one()
        return count, (now - rows.moment(oldest)) if count else timedelta()

    def _take(self, connection: Connection) -> bool:
        """Name the session of *connection* in the cursor, unless one that lives is named there.

        Only we may write to the cursor: an advisory lock could be taken by whoever may connect.
        A transaction that held a lock on its row would stay open for as long as the relay lives,
        and keep vacuum from the whole database of the SIS.
        """
        ours = connection.execute(
            text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        ).one()
        with self._database.write() as own:
            named = own.execute(
                text(f"SELECT owner, relay_pid, relay_since FROM {self._schema}.cursor"
                     " FOR UPDATE")
            ).one()  # fmt: skip
            if named.owner != self._owner.token:
                raise problems.of_another(self._database.name, self._owner.district)
            lives = own.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid = :relay_pid"
                    " AND backend_start = :relay_since AND pid <> :ours"
                ),
                {**named._mapping, "ours": ours.pid},
            ).scalar_one()
            if not lives:
                own.execute(
                    text(f"UPDATE {self._schema}.cursor SET relay_pid = :pid, relay_since = :at"),
                    {"pid": ours.pid, "at": ours.backend_start},
                )
        return not lives

    @contextmanager
    def _holding(self) -> Iterator[Connection]:
        """The connection that the cursor names; when it fails we are the relay no more."""
        if self._connection is None:
            raise RuntimeError("acquire the outbox before reading it")
        try:
            with self._database.translated():
                yield self._connection
        except Exception:
            self.release()
            raise

    def _found(self, connection: Connection, limit: int) -> Sequence[Row[Any]]:
        return connection.execute(
            self._statement,
            {
                "starts": [gap.start for gap in self._gaps],
                "stops": [gap.stop for gap in self._gaps],
                "high": self._high,
                "limit": limit,
            },
        ).all()

    def _restore(self, connection: Connection) -> None:
        """Go on from where the last relay stopped, or from where `replay` put the cursor.

        An outbox of an older copy knows less than what was relayed. Whatever was relayed was
        relayed before now, and an outbox takes no million of ids in a second: so microseconds
        since 1970 are above every position. What it still holds is relayed again; evaluate knows
        by its id what it had.
        """
        cursor = f"{self._schema}.cursor"
        connection.execute(
            text(
                f"UPDATE {cursor} SET base = greatest({_MICROSECONDS_NOW}, base + high, :relayed),"
                " gaps = CASE WHEN high <= last THEN gaps ELSE '{}' END,"
                " high = CASE WHEN high <= last THEN high"
                f" ELSE coalesce((SELECT min(o.id) - 1 FROM {self._schema}.outbox o), 0) END"
                f" FROM (SELECT {_last_id(self._schema)} AS last) AS sequence"
                " WHERE base + last < :relayed OR high > last"
            ),
            {"relayed": self._mark.read()},
        )
        self._base, self._high, open_gaps = connection.execute(
            text(f"SELECT base, high, gaps FROM {cursor}")
        ).one()
        barrier = _barrier(connection)
        self._gaps = {range(gap.lower, gap.upper): barrier for gap in open_gaps}


def _read(schema: str) -> TextClause:
    return text(
        f"""SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
        (SELECT high FROM {schema}.cursor) AS cursor,
        r.id, r.event_id::text, r.watch, r.key, r.before::text, r.after::text, r.at
    FROM (SELECT 1) AS always LEFT JOIN LATERAL (
        (SELECT late.* FROM unnest(CAST(:starts AS bigint[]), CAST(:stops AS bigint[]))
                AS gap(start, stop)
            CROSS JOIN LATERAL (SELECT o.* FROM {schema}.outbox o
                WHERE o.id >= gap.start AND o.id < gap.stop ORDER BY o.id LIMIT :limit) AS late)
        UNION ALL
        (SELECT o.* FROM {schema}.outbox o WHERE o.id > :high ORDER BY o.id LIMIT :limit)
        ORDER BY id LIMIT :limit
    ) AS r ON true ORDER BY r.id"""
    )


def _barrier(connection: Connection) -> int:
    """A transaction id of our own, taken now: every gap known so far has a lower one.

    Not pg_snapshot_xmax: a running transaction may have a lower id than that (facts 3.4).
    """
    xid: int = connection.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()
    return xid


def _end(connection: Connection) -> None:
    """Close a connection and its session: a pool would keep what it holds."""
    connection.invalidate()
    connection.close()
