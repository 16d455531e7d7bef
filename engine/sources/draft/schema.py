"""The structure of a database, as far as a draft needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class Sort(StrEnum):
    """What sort of values a column holds."""

    NUMBER = "number"
    WORDS = "words"
    DAY = "day"
    MOMENT = "moment"
    TIME = "time"
    FLAG = "flag"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: *type* as the database writes it.

    *values* are those that occur where they are few and name no person (flags, codes, numbers
    below zero); empty where they were not looked at.
    """

    name: str
    type: str
    sort: Sort
    nullable: bool = True
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns that say which row of another table is meant."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table or a view. *name* has its schema in front where it is not the default one.

    *keys* are the sets of columns that a constraint or an index makes unique, the primary key
    first. *rows* is their number, None where they are more than were counted. *looked_up* remembers
    which column has which meaning.
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexed: frozenset[str] = frozenset()
    rows: int | None = 0
    is_view: bool = False
    looked_up: dict[str, Column | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def base(self) -> str:
        """The name without its schema."""
        return self.name.rpartition(".")[2]

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies a row: the primary key, else a unique set of columns, else nothing."""
        return self.primary_key or (self.keys[0] if self.keys else ())


@dataclass(frozen=True, slots=True)
class Schema:
    """What was seen of one database. *most* is how many rows of a table were counted at most."""

    tables: Sequence[Table]
    most: int

    def table(self, name: str) -> Table:
        """The table of this name."""
        return next(table for table in self.tables if table.name == name)
