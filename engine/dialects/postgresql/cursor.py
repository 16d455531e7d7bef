"""The cursor of an outbox: how far it is relayed, written down beside it.

    high, seen   every row below `high` is relayed that the snapshot `seen` shows
    bound        a transaction whose id is higher wrote nothing below `high`
    next_seen, next_high, done
                 the sweep under way: its snapshot, where it ends, and how far it came
    base         what is added to a row's place to give its change's position
    relayed      the highest position that was ever relayed
    home         the database that the numbers of the rows are of
    turn         rises with each write that moves the cursor

What may still appear below `high` is what wrote a row and had not ended in `seen`: a transaction
that `seen` lists as running, or one from its xmax to `bound`. For xmax is not the next id that will
be given, but follows the last one that ended; of higher ones that run `seen` says nothing (facts:
capture-and-broker 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from engine.dialects.postgresql.names import MICROSECONDS_NOW
from engine.dialects.postgresql.numbers import as_number, as_place


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is relayed in one go: the rows below *end* that one *snapshot* shows.

    Those up to *done* are relayed.
    """

    snapshot: str
    end: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """The cursor as it was read."""

    turn: int
    base: int
    high: int
    seen: str
    bound: str
    sweep: Sweep | None


@dataclass(frozen=True, slots=True)
class Now:
    """A cursor, with a *snapshot* of its server, and where the server's log ended afterwards."""

    cursor: Cursor
    snapshot: str
    place: int


def table(schema: str) -> str:
    """The statement that makes the table."""
    return f"""CREATE TABLE IF NOT EXISTS {schema}.cursor (id smallint PRIMARY KEY,
        owner text NOT NULL, base bigint NOT NULL, relayed bigint NOT NULL, turn bigint NOT NULL,
        home text NOT NULL, high pg_lsn NOT NULL, seen pg_snapshot NOT NULL, bound xid8 NOT NULL,
        next_seen pg_snapshot, next_high pg_lsn, done pg_lsn,
        relay_pid integer, relay_since timestamptz)"""


def owned(schema: str) -> str:
    """The statement that makes the row, or names its owner; it has the parameter :token."""
    return (
        f"INSERT INTO {schema}.cursor (id, owner, base, relayed, turn, home, high, seen, bound)"
        f" VALUES (1, :token, 0, 0, {MICROSECONDS_NOW}, '', '0/0', pg_current_snapshot(), '0')"
        " ON CONFLICT (id) DO UPDATE SET owner = :token WHERE cursor.owner <> :token"
    )


def begun_anew(schema: str) -> str:
    """The statement that puts the cursor before a new outbox, and its base above the old one.

    Whatever was relayed was relayed before now, and places only rise while a server lives: so
    microseconds since 1970 are above every base, also where nobody remembers it.
    """
    return (
        f"UPDATE {schema}.cursor SET base = greatest({MICROSECONDS_NOW}, base, relayed),"
        f" high = '0/0', bound = '0', home = {home(schema)}, turn = turn + 1,"
        " next_seen = NULL, next_high = NULL, done = NULL"
    )


def home(schema: str) -> str:
    """An expression that tells this outbox from a copy of it in another database or server."""
    return (
        "concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),"
        " (SELECT oid FROM pg_database WHERE datname = current_database()),"
        f" '{schema}.outbox'::regclass::oid)"
    )


def read(connection: Connection, schema: str) -> Now:
    """The cursor, and what the server shows, both as they are now."""
    row = connection.execute(
        text(
            "SELECT turn, base, high::text, seen::text, bound::text, next_seen::text,"
            " next_high::text, done::text, pg_current_snapshot()::text AS snapshot,"
            f" pg_current_wal_insert_lsn()::text AS place FROM {schema}.cursor"
        )
    ).one()
    sweep = (
        Sweep(row.next_seen, as_number(row.next_high), as_number(row.done)) if row.done else None
    )
    found = Cursor(row.turn, row.base, as_number(row.high), row.seen, row.bound, sweep)
    return Now(found, row.snapshot, as_number(row.place))


def advance(connection: Connection, schema: str, at: Cursor, sweep: Sweep, relayed: int) -> bool:
    """Write down how far *sweep* came; False when the cursor was moved since it was read."""
    moved = connection.execute(
        text(
            f"UPDATE {schema}.cursor SET next_seen = CAST(:snapshot AS pg_snapshot),"
            " next_high = CAST(:end AS pg_lsn), done = CAST(:done AS pg_lsn),"
            " relayed = greatest(relayed, :relayed), turn = turn + 1 WHERE turn = :turn"
        ),
        {
            "snapshot": sweep.snapshot, "end": as_place(sweep.end), "done": as_place(sweep.done),
            "relayed": relayed, "turn": at.turn,
        },
    )  # fmt: skip
    return bool(moved.rowcount)


def complete(connection: Connection, schema: str, at: Cursor, sweep: Sweep, relayed: int) -> bool:
    """Write down that all of *sweep* is relayed; False when the cursor was moved meanwhile.

    The id of the transaction that does so is the bound: later ones write above the sweep's end.
    """
    moved = connection.execute(
        text(
            f"UPDATE {schema}.cursor SET seen = CAST(:snapshot AS pg_snapshot),"
            " high = CAST(:end AS pg_lsn), bound = pg_current_xact_id(), next_seen = NULL,"
            " next_high = NULL, done = NULL, relayed = greatest(relayed, :relayed),"
            " turn = turn + 1 WHERE turn = :turn"
        ),
        {
            "snapshot": sweep.snapshot, "end": as_place(sweep.end), "relayed": relayed,
            "turn": at.turn,
        },
    )  # fmt: skip
    return bool(moved.rowcount)
