"""The port that each kind of database implements; whoever adds one writes one package."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from sqlalchemy import Column, ColumnElement, Connection, Engine, FromClause, Insert, Table
from sqlalchemy.engine import URL

if TYPE_CHECKING:
    from engine.ports import Outbox, RelayedMark

NUMBER: Final = "schoolbell_number"
"""The column with the place of a key among those that were asked for."""

NAME: Final = "schoolbell_name"
"""The column with what a row is called, as a JSON array of texts."""

Row = Sequence[Any]


class Follower(NamedTuple):
    """What follows in the transaction of whoever changes rows of a *table* of ours.

    *statement* makes the SQL of it, given a subquery with the *columns* of those
    rows, as they were and as they are; a row that stays alike in them is not among those.
    It *writes* to another table, as one of those who may do so at once.
    """

    table: str
    columns: Sequence[str]
    writes: str
    statement: Callable[[str], str]

    @property
    def name(self) -> str:
        """What its triggers are named after."""
        return f"{self.table}_follow"


class Statement(NamedTuple):
    """SQL with named parameters, and their values."""

    sql: str
    values: Mapping[str, Any]


class ColumnType(NamedTuple):
    """A type as the database calls it, and what sort it is of.

    Sorts are `number`, `text`, `flag`, `day`, `moment`, `uuid` and `bytes`; empty for any other.
    """

    name: str
    sort: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose capture it is. *district* names what is its own in the SIS: outbox, cursor, triggers.

    *token* tells this engine from another engine whose district has the same name.
    """

    district: str
    token: str

    @property
    def identifier(self) -> str:
        """The district's name as a part of others: no two districts have the same."""
        return self.district.replace("-", "_")


class Watched(Protocol):
    """A table whose changes are captured: what identifies a row, the columns that count.

    The outbox has the key of one column as text, and of several as a JSON array of texts.
    """

    @property
    def name(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def key_columns(self) -> Sequence[str]: ...
    @property
    def columns(self) -> Sequence[str]: ...


class Transactions(Protocol):
    """A database, as an adapter needs it: see `database.Database`."""

    @property
    def engine(self) -> Engine:
        """The connections."""
        ...

    @property
    def name(self) -> str:
        """The URL without its password, for messages."""
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """A connection for queries."""
        ...

    def write(self) -> AbstractContextManager[Connection]:
        """A connection in a transaction."""
        ...

    def translated(self) -> AbstractContextManager[None]:
        """Turn the driver's errors into ours."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Trigger:
    """A trigger of ours in the SIS, and the table that it stands on."""

    name: str
    table: str


@dataclass(frozen=True, slots=True)
class Concern:
    """Something in the SIS that our capture would harm, or for which it misses changes.

    *subject* names it. What *harms* is a reason to refuse an installation.
    """

    subject: str
    problem: str
    remedy: str
    harms: bool = False


@dataclass(frozen=True, slots=True)
class Grants:
    """What an owner of the SIS runs for us, and the names that lead to no table there."""

    statements: Sequence[str]
    unknown: Sequence[str]


class Triggers(Protocol):
    """What one owner has put into a SIS: an outbox, a cursor, and triggers."""

    @property
    def missed(self) -> str:
        """What these triggers cannot see."""
        ...

    def current_owner(self) -> str | None:
        """The token of who made the outbox; None where there is none."""
        ...

    def make_outbox(self) -> None:
        """Make outbox and cursor where they are missing, and make them ours."""
        ...

    def install(self, watched: Watched, lock_timeout: timedelta) -> None:
        """Make the triggers of one table, in place of others of the same name."""
        ...

    def of(self, watched: Watched) -> Collection[Trigger]:
        """The triggers that a watch needs."""
        ...

    def installed(self) -> Sequence[Trigger]:
        """Every trigger of this owner."""
        ...

    def state(self, watched: Watched) -> str:
        """`in place`, or what is wrong with the triggers of a watch."""
        ...

    def concerns(self, watched: Sequence[Watched]) -> Sequence[Concern]:
        """What stands beside these triggers that they harm, or that makes them miss changes."""
        ...

    def share(self, watched: Sequence[Watched]) -> None:
        """Keep what is ours to ourselves, but for those whose copies of the database must go on."""
        ...

    def grants(self, role: str, watched: Sequence[Watched], read: Collection[str]) -> Grants:
        """The least rights of *role*; *read* are the tables that queries name."""
        ...

    def drop(self, trigger: Trigger, lock_timeout: timedelta) -> None:
        """Take away one trigger."""
        ...

    def drop_outbox(self, lock_timeout: timedelta) -> None:
        """Take away outbox and cursor."""
        ...


class Dialect(Protocol):
    """One kind of database."""

    @property
    def name(self) -> str:
        """What SQLAlchemy calls it."""
        ...

    @property
    def title(self) -> str:
        """What people call it."""
        ...

    @property
    def port(self) -> int | None:
        """Where its server listens unless the URL says so; None where the database is a file."""
        ...

    @property
    def one_writer(self) -> bool:
        """Whether one transaction at a time may write; others wait for it."""
        ...

    @property
    def keeps_zones(self) -> bool:
        """Whether it stores a moment with its time zone."""
        ...

    @property
    def write_options(self) -> Mapping[str, Any]:
        """SQLAlchemy's execution options of a transaction that writes."""
        ...

    @property
    def snapshot_options(self) -> Mapping[str, Any]:
        """The same of a transaction that reads one state for as long as it is open."""
        ...

    @property
    def driver_error(self) -> type[Exception]:
        """What the driver raises by itself, where SQLAlchemy does not see it."""
        ...

    def connect(self, url: URL, *, by_key: bool, read_only: bool = False) -> Engine:
        """Connections as we need them. *by_key* and *read_only*: see Database."""
        ...

    def as_ours(self, cause: Any, name: str, *, disconnected: bool) -> Exception:
        """What an error of the driver means: Unavailable, Misconfigured, or itself."""
        ...

    def limit(self, connection: Connection, seconds: float | None) -> None:
        """End each of the next statements that takes longer; None: as it was before.

        Such a statement raises what `as_ours` calls StatementTooSlow.
        """
        ...

    def holds(
        self, connection: Connection, words: ColumnElement[str], word: str
    ) -> ColumnElement[bool]:
        """Whether *words* hold *word*, both as `folding.folded` makes them.

        As far as the encoding of the database allows.
        """
        ...

    def one_of(self, column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """The condition that *column* is one of *values*, with one parameter."""
        ...

    def tuples(self, columns: Sequence[Column[Any]], values: Sequence[Row]) -> FromClause:
        """*values* as a table to join, with the names and types of *columns*."""
        ...

    def all_bits(self, number: ColumnElement[int]) -> ColumnElement[int]:
        """The bits that any *number* of a group has, where each has one bit."""
        ...

    def read_whole(self, connection: Connection) -> None:
        """Let the rest of a transaction read whole tables: it asks about most of their rows."""
        ...

    def narrowed(self, query: str, by: str, keys: Collection[str]) -> Statement:
        """The rows of *query* whose column *by* is one of *keys*."""
        ...

    def matched(
        self,
        query: str,
        by: Sequence[str],
        keys: Sequence[Sequence[str]],
        named: Sequence[str] = (),
    ) -> Statement:
        """Each row of *query* whose columns *by* are one of *keys*, which are texts.

        The first column, NUMBER, says which one. It is the database that compares, in the types of
        its columns, so a key finds its rows however either is written. With *named* there is a
        second column, NAME: what `names` calls a row by these columns.
        """
        ...

    def names(self, query: str, by: Sequence[str], keys: Sequence[Sequence[str]]) -> Statement:
        """The NUMBER of each of *keys*, and as NAME what those columns of its row are called.

        It is the same name for a row that is there and one that is gone, and however its values
        are written: a key is brought to the types of *query*, of which no row is read.
        """
        ...

    def whole_reads(self, connection: Connection, statement: Statement) -> Sequence[str]:
        """The tables that a query reads wholly, because no index could narrow it, by their names.

        Asked of its plan alone; the query is not run. In a transaction that only reads.
        """
        ...

    def types(self, connection: Connection, query: str) -> Mapping[str, ColumnType]:
        """The types of the columns that *query* gives, as far as the database knows them."""
        ...

    def column_types(self, connection: Connection, table: str) -> Mapping[str, ColumnType]:
        """The same of a table, named as names.table_parts takes it apart."""
        ...

    def unique_sets(self, connection: Connection, table: str) -> AbstractSet[frozenset[str]]:
        """The sets of columns that identify a row of *table*, as its constraints say.

        Those of primary keys, and of unique indexes that leave out no row.
        """
        ...

    def append(self, connection: Connection, table: Table, values: Sequence[Row]) -> None:
        """Insert *values*: one for every column of *table* in order."""
        ...

    def insert_new(self, table: Table) -> Insert:
        """An INSERT that does nothing where the primary key is taken."""
        ...

    def share(self, connection: Connection, key: int) -> None:
        """Hold a lock with any number of others until the transaction ends."""
        ...

    def exclude(self, connection: Connection, key: int, longest: timedelta) -> None:
        """Hold that lock alone until the transaction ends.

        A process that stands still for *longest* loses its transaction, and the lock with it.
        """
        ...

    @property
    def divides(self) -> bool:
        """Whether it divides a table into partitions."""
        ...

    def lock(self, connection: Connection, table: Table, mode: str) -> None:
        """Lock *table* in a mode of PostgreSQL's, where more than one transaction may write."""
        ...

    def try_alone(self, connection: Connection, table: Table) -> bool:
        """Let no other transaction write to *table* until this one ends; False while one does."""
        ...

    def following(self, follower: Follower) -> Sequence[str]:
        """What makes the triggers of *follower*."""
        ...

    def not_following(self, follower: Follower) -> Sequence[str]:
        """What takes away what outlives the table of *follower*."""
        ...

    def try_lock(self, connection: Connection, key: int) -> bool:
        """Take a lock that ends with *connection*; False while another has it."""
        ...

    def analyze(self, connection: Connection, tables: Collection[str]) -> None:
        """Let the planner know how much is in *tables*."""
        ...

    def move_sequences(self, connection: Connection, keys: Mapping[str, str]) -> None:
        """Go on above the highest id of each table; *keys* has its column by the table's name.

        Rows that bring their own id leave the sequence behind.
        """
        ...

    @property
    def patience(self) -> Mapping[str, Any]:
        """What makes the plain driver wait for another program's write."""
        ...

    def address(self, url: URL) -> str:
        """Where the database is, the same for whoever asks and from whatever folder."""
        ...

    def by_hand(self, url: URL, statement: str) -> str:
        """A command line with which a person runs *statement*."""
        ...

    def triggers(self, database: Transactions, owner: Owner) -> Triggers:
        """What *owner* has put into the SIS *database*."""
        ...

    def outbox(
        self, database: Transactions, owner: Owner, source: str, mark: RelayedMark
    ) -> Outbox:
        """The outbox of *owner* in the SIS *database*; *source* names it in changes."""
        ...
