"""The triggers by which a SIS on SQLite tells what was committed, and their outbox."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, text

from engine.dialects.dialect import Concern, Grants, Owner, Transactions, Trigger, Watched
from engine.dialects.names import literal, quoted
from engine.dialects.sqlite.keys import key_of
from engine.dialects.sqlite.names import (
    MICROSECONDS_NOW,
    cursor_of,
    outbox_of,
    replaced_of,
    table_of,
)

_OPERATIONS: Final = ("insert", "update", "delete")
_REPLACE: Final = "replace"

# A UUIDv7 (RFC 9562): milliseconds first, so that the engine's indexes grow at their end, and
# made at capture, so that a restored SIS database never repeats one.
_EVENT_ID: Final = (
    "printf('%08x-%04x-7%s-a%s-%s',"
    " (CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) >> 16),"
    " (CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) & 65535),"
    " substr(lower(hex(randomblob(2))), 2), substr(lower(hex(randomblob(2))), 2),"
    " lower(hex(randomblob(6))))"
)


_NOW: Final = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
_COLUMNS: Final = " (event_id, watch, key, before, after, at)"


class SqliteTriggers:
    """Implements dialect.Triggers."""

    missed = (
        "rows that UPDATE OR REPLACE deletes, or that INSERT OR REPLACE deletes because of an index"
        " with a condition or an expression, unless the writer sets recursive_triggers; blobs are"
        " stored as nothing"
    )

    def __init__(self, database: Transactions, owner: Owner) -> None:
        self._database = database
        self._owner = owner
        self._outbox = outbox_of(owner)
        self._cursor = cursor_of(owner)
        self._replaced = replaced_of(owner)

    def current_owner(self) -> str | None:
        """See dialect.Triggers.current_owner."""
        with self._database.read() as connection:
            if not _exists(connection, self._cursor):
                return None
            found: str = connection.execute(text(f"SELECT owner FROM {self._cursor}")).scalar_one()
            return found

    def make_outbox(self) -> None:
        """See dialect.Triggers.make_outbox.

        An outbox that is made anew begins at id 1 again, and its base above every position before.
        """
        with self._database.write() as connection:
            anew = not _exists(connection, self._outbox)
            connection.exec_driver_sql(
                f"""CREATE TABLE IF NOT EXISTS {self._outbox} (
                    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT, watch TEXT,
                    key TEXT, before TEXT, after TEXT, at TEXT)"""
            )
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {self._replaced} (watch TEXT, key TEXT, before TEXT)"
            )
            connection.exec_driver_sql(
                f"CREATE INDEX IF NOT EXISTS {self._outbox}_record"
                f" ON {self._outbox} (watch, key, id)"
            )
            connection.exec_driver_sql(
                f"""CREATE TABLE IF NOT EXISTS {self._cursor} (id INTEGER PRIMARY KEY,
                    owner TEXT NOT NULL, base INTEGER NOT NULL, relayed INTEGER NOT NULL,
                    turn INTEGER NOT NULL, high INTEGER NOT NULL,
                    next_high INTEGER, done INTEGER)"""
            )
            connection.execute(
                text(
                    f"INSERT OR IGNORE INTO {self._cursor} (id, owner, base, relayed, turn, high)"
                    " VALUES (1, :token, 0, 0, 0, 0)"
                ),
                {"token": self._owner.token},
            )
            connection.execute(
                text(f"UPDATE {self._cursor} SET owner = :token"),
                {"token": self._owner.token},
            )
            if anew:
                connection.exec_driver_sql(
                    f"UPDATE {self._cursor} SET high = 0, next_high = NULL, done = NULL,"
                    f" turn = turn + 1, base = max(base, relayed, {MICROSECONDS_NOW})"
                )

    def install(self, watched: Watched, lock_timeout: timedelta) -> None:  # noqa: ARG002
        """See dialect.Triggers.install. SQLite waits for other writers as ever."""
        with self._database.write() as connection:
            for trigger in self.of(watched):
                connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{trigger.name}"')
            for statement in self._statements(connection, watched):
                connection.exec_driver_sql(statement)

    def of(self, watched: Watched) -> list[Trigger]:
        """See dialect.Triggers.of. SQLite has no trigger for several operations."""
        prefix = f"schoolbell_{self._owner.identifier}_{watched.name}"
        table = table_of(watched.table)
        return [Trigger(f"{prefix}_{one}", table) for one in (*_OPERATIONS, _REPLACE)]

    def installed(self) -> Sequence[Trigger]:
        """See dialect.Triggers.installed. Neither a watch nor an operation has an underscore."""
        ours = re.compile(rf"schoolbell_{self._owner.identifier}_[^_]+_[^_]+")
        with self._database.read() as connection:
            found = connection.execute(
                text("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
            )
            return [Trigger(row.name, row.tbl_name) for row in found if ours.fullmatch(row.name)]

    def state(self, watched: Watched) -> str:
        """See dialect.Triggers.state."""
        with self._database.read() as connection:
            made = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
                     " AND tbl_name = :table COLLATE NOCASE"),
                {"table": table_of(watched.table)},
            )  # fmt: skip
            found = {str(row.name): str(row.sql) for row in made}
            has_outbox = _exists(connection, self._outbox)
            statements = self._statements(connection, watched)
        names = [trigger.name for trigger in self.of(watched)]
        if not all(name in found for name in names):
            return "missing"
        if [found[name] for name in names] != statements:
            return "outdated"
        return "in place" if has_outbox else "without an outbox"

    def concerns(self, watched: Sequence[Watched]) -> Sequence[Concern]:
        """See dialect.Triggers.concerns."""
        del watched
        return []

    def share(self, watched: Sequence[Watched]) -> None:
        """See dialect.Triggers.share: whoever may read the file reads all of it."""

    def grants(self, role: str, watched: Sequence[Watched], read: Collection[str]) -> Grants:
        """See dialect.Triggers.grants: a file has no roles."""
        del role, watched, read
        return Grants([], [])

    def drop(self, trigger: Trigger, lock_timeout: timedelta) -> None:  # noqa: ARG002
        """See dialect.Triggers.drop."""
        with self._database.write() as connection:
            connection.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{trigger.name}"')

    def drop_outbox(self, lock_timeout: timedelta) -> None:  # noqa: ARG002
        """See dialect.Triggers.drop_outbox."""
        with self._database.write() as connection:
            for table in (self._outbox, self._cursor, self._replaced):
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")

    def _statements(self, connection: Connection, watched: Watched) -> list[str]:
        """One trigger for each operation, with the values that this operation has.

        INSERT OR REPLACE fires none for the rows that it deletes. So these are noted before each
        insert, and told after one that went well: an insert that is ignored tells nothing.
        """
        changed = " OR ".join(
            f"OLD.{name} IS NOT NEW.{name}" for name in map(quoted, watched.columns)
        )
        old, new = _json("OLD", watched.columns), _json("NEW", watched.columns)
        noted = f"FROM {self._replaced} WHERE watch = '{watched.name}'"
        deleted = f"INSERT INTO {self._outbox}{_COLUMNS} SELECT {_EVENT_ID}, watch, key, before,"
        bodies = (
            ("AFTER INSERT", "",
             f"{deleted} NULL, {_NOW} {noted}; {self._told('NEW', watched, 'NULL', new)};"
             f" DELETE {noted}"),
            ("AFTER UPDATE", f" WHEN {changed}", self._told("NEW", watched, old, new)),
            ("AFTER DELETE", "",
             f"{self._told('OLD', watched, old, 'NULL')};"
             f" DELETE {noted} AND key = {key_of('OLD', watched)}"),
            ("BEFORE INSERT", "",
             f"DELETE {noted}; INSERT INTO {self._replaced} SELECT '{watched.name}',"
             f" {key_of('r', watched)}, {_json('r', watched.columns)}"
             f" FROM {quoted(table_of(watched.table))} r"
             f" WHERE {_in_the_way(connection, watched.table)}"),
        )  # fmt: skip
        return [
            f'CREATE TRIGGER "{trigger.name}" {moment} ON {quoted(trigger.table)}{condition}\n'
            f"BEGIN {body}; END"
            for trigger, (moment, condition, body) in zip(self.of(watched), bodies, strict=True)
        ]

    def _told(self, row: str, watched: Watched, before: str, after: str) -> str:
        return (
            f"INSERT INTO {self._outbox}{_COLUMNS} VALUES ({_EVENT_ID}, '{watched.name}',"
            f" {key_of(row, watched)}, {before}, {after}, {_NOW})"
        )


def _in_the_way(connection: Connection, table: str) -> str:
    """The condition of rows r that REPLACE deletes for a row NEW."""
    of_key = connection.execute(
        text("SELECT name FROM pragma_table_info(:table) WHERE pk ORDER BY pk"),
        {"table": table_of(table)},
    )
    sets = {"": [f"r.{quoted(name)} = NEW.{quoted(name)}" for (name,) in of_key]}
    indexed = connection.execute(
        text(
            "SELECT i.name, c.name, c.coll FROM pragma_index_list(:table) i"
            " JOIN pragma_index_xinfo(i.name) c"
            ' WHERE i."unique" AND NOT i.partial AND c.key ORDER BY i.name, c.seqno'
        ),
        {"table": table_of(table)},
    ).all()
    of_expressions = {index for index, column, _ in indexed if column is None}
    for index, column, collation in indexed:
        if index not in of_expressions:
            equal = f"r.{quoted(column)} = NEW.{quoted(column)} COLLATE {quoted(collation)}"
            sets.setdefault(index, []).append(equal)
    return " OR ".join(f"({' AND '.join(one)})" for one in sets.values() if one) or "FALSE"


def _exists(connection: Connection, table: str) -> bool:
    found = connection.execute(
        text("SELECT count(*) FROM sqlite_master WHERE name = :table"), {"table": table}
    )
    return bool(found.scalar_one())


def _json(row: str, columns: Sequence[str]) -> str:
    """json_object raises on a blob and would abort the SIS's write: a blob becomes NULL.

    JSON has no infinity, and json_object writes one all the same: it becomes text.
    """
    pairs = ", ".join(f"{literal(column)}, {_json_value(row, column)}" for column in columns)
    return f"json_object({pairs})"


def _json_value(row: str, column: str) -> str:
    value = f"{row}.{quoted(column)}"
    return (
        f"CASE WHEN typeof({value}) = 'blob' THEN NULL"
        f" WHEN {value} IN (9e999, -9e999) THEN CAST({value} AS TEXT) ELSE {value} END"
    )
