"""An outbox that came back from a copy: what it holds is relayed, above every position before.

The numbers of its rows are those of the server that wrote them. On another one, into which a dump
was loaded, transactions may have lower ids and the log lower places: its snapshots would not show
such rows, or take their transactions for others. So they are numbered anew, below all that is
captured here, in their order; what belongs together stays so by its hash.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, text

from engine.dialects.dialect import Transactions
from engine.dialects.postgresql import cursor
from engine.dialects.postgresql.names import MICROSECONDS_NOW
from engine.dialects.postgresql.numbers import as_number, as_place

# A transaction that every snapshot shows: no server's own ids begin so low.
_ALWAYS_SEEN: Final = "3"


def make_good(database: Transactions, schema: str, relayed: int) -> None:
    """Notice a copy and make it one that can be gone on with. *relayed*: see ports.RelayedMark.

    Whoever knows less than was relayed is older than that. Its base is raised above it: changes
    that are captured from now on are newer. What such a copy holds and had not relayed is relayed
    again; evaluate knows by its id what it had.
    """
    with database.write() as connection:
        was = _state(connection, schema)
        is_copy = _is_beyond(connection, was) or was.home != was.here
        if is_copy:
            _renumber(connection, schema, was)
        if is_copy or was.relayed < relayed:
            connection.execute(
                text(
                    f"UPDATE {schema}.cursor SET turn = turn + 1, relayed = greatest(relayed,"
                    f" :relayed), base = greatest({MICROSECONDS_NOW}, base, relayed, :relayed)"
                ),
                {"relayed": relayed},
            )


def _state(connection: Connection, schema: str) -> Row[Any]:
    """The cursor, and the highest numbers of the outbox.

    The numbers of the server are read afterwards: whatever it has given before is lower.
    """
    return connection.execute(
        text(
            f"SELECT c.home, {cursor.home(schema)} AS here, c.relayed, c.bound::text,"
            f" c.high::text, (SELECT lsn FROM {schema}.outbox ORDER BY lsn DESC LIMIT 1)::text"
            f" AS last_lsn, (SELECT xid FROM {schema}.outbox ORDER BY xid DESC LIMIT 1)::text"
            f" AS last_xid FROM {schema}.cursor c FOR UPDATE"
        )
    ).one()


def _is_beyond(connection: Connection, was: Row[Any]) -> bool:
    """Whether the cursor or a row has a number that this server has not given yet."""
    xid, place = connection.execute(
        text("SELECT pg_current_xact_id()::text, pg_current_wal_insert_lsn()::text")
    ).one()
    return (
        int(was.bound) >= int(xid)
        or int(was.last_xid or 0) >= int(xid)
        or as_number(was.high) > as_number(place)
        or as_number(was.last_lsn or "0/0") >= as_number(place)
    )


def _renumber(connection: Connection, schema: str, was: Row[Any]) -> None:
    """Number what was not captured here: what is older than its own index, or beyond the server.

    A dump makes indexes after it has loaded the rows.
    """
    numbered, relayed = connection.execute(
        text(
            f"""WITH found AS (
                SELECT o.ctid AS row, o.lsn, coalesce(
                    o.lsn < c.high AND pg_visible_in_snapshot(o.xid, c.seen)
                    OR o.lsn <= c.done AND pg_visible_in_snapshot(o.xid, c.next_seen), false
                ) AS relayed
                FROM {schema}.outbox o CROSS JOIN {schema}.cursor c
                WHERE age(o.xmin) > (SELECT age(xmin) FROM pg_index
                        WHERE indexrelid = '{schema}.outbox_lsn'::regclass)
                    OR o.xid >= pg_current_xact_id() OR o.lsn >= pg_current_wal_insert_lsn()
            ), numbered AS (
                SELECT row, relayed, row_number() OVER (ORDER BY relayed DESC, lsn) AS number
                FROM found
            ), written AS (
                UPDATE {schema}.outbox o SET xid = '{_ALWAYS_SEEN}',
                    lsn = pg_lsn '0/0' + n.number, hash = hashtextextended(o.xid::text, o.hash)
                FROM numbered n WHERE o.ctid = n.row RETURNING n.relayed
            )
            SELECT count(*), count(*) FILTER (WHERE relayed) FROM written"""
        )
    ).one()
    if numbered or _is_beyond(connection, was):
        connection.execute(
            text(
                f"UPDATE {schema}.cursor SET high = CAST(:high AS pg_lsn), bound = '0',"
                " seen = pg_current_snapshot(), next_seen = NULL, next_high = NULL, done = NULL"
            ),
            {"high": as_place(relayed + 1)},
        )
    connection.exec_driver_sql(f"UPDATE {schema}.cursor SET home = {cursor.home(schema)}")
