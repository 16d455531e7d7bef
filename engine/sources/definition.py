"""A source definition: the one TOML file that connects a SIS.

`definitions/reference.toml` is the annotated example. Queries are written without a condition on
keys; the engine wraps them, so that one query serves one record and a thousand alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from engine.sources.lines import Lines, Place, lines_of
from rules.change import Kind

Entity = Literal["schools", "calendars", "people", "students", "rights"]

ENTITY_COLUMNS: Final[dict[Entity, tuple[str, ...]]] = {
    "schools": ("id", "name"),
    "calendars": ("id", "school_id", "year"),
    "people": ("id", "first_name", "last_name", "language"),
    "students": ("id", "school_id", "person_id", "enrolled"),
    "rights": (
        "student_id", "person_id", "relation", "portal", "starts", "ends", "restricted",
    ),
}  # fmt: skip

# Columns that a query may give besides.
OPTIONAL_COLUMNS: Final[dict[Entity, tuple[str, ...]]] = {
    "calendars": ("active", "starts", "ends"),
    "people": ("stable_id",),
    "students": ("first_name", "last_name", "stable_id"),
    "rights": tuple(Kind),
}

# The first columns of each part: there is one row for each of their values.
ENTITY_KEYS: Final[dict[Entity, tuple[str, ...]]] = {
    "schools": ("id",),
    "calendars": ("id", "school_id"),
    "people": ("id",),
    "students": ("id", "school_id"),
    "rights": ("student_id", "person_id"),
}


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the file: immutable, no keys but its own."""


Columns = str | tuple[str, ...]


def several(columns: Columns) -> tuple[str, ...]:
    """One column or several, as several."""
    return (columns,) if isinstance(columns, str) else columns


class Captured(_Part, frozen=True, kw_only=True):
    """A table that triggers watch: the columns that identify a row, and those that count.

    The *table* is named as names.table_parts takes it apart.

    Where no PRIMARY KEY or UNIQUE constraint says that the *key* identifies a row, the definition
    must: *key_without_constraint*.
    """

    name: str
    table: str
    key: Columns
    key_without_constraint: bool = False
    columns: tuple[str, ...]

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        return several(self.key)


class Watch(Captured, frozen=True, kw_only=True):
    """A table whose rows become changes of one kind.

    *value* is the column, or columns, that hold what families see; *text* the column with the
    words for it where *value* is only the number; *labels* turn a value into words.
    *first_of* names columns of which the first with a value counts. *words* are said in place of
    values, *numbers* stand behind them, and values to *ignore* say nothing. *scale* is the highest
    value, or of a meal balance what makes a dollar.
    *released_by* is a column of the row itself without which families do not see it. With
    *becomes* instead of *value* only a change that turns this column true counts, with *appears*
    only a new row, with *looks_again* any change of its columns (as of a date from which records
    may be seen), and the value is what the facts say; with *computed* it always is.
    *by* are the columns of the facts that equal the record's key, one for each of its columns.
    *deleted* says whether a row that is gone, or holds no value any more, is "withdrawn": then who
    was told of it hears so. Without it that is so for attendance alone.
    """

    kind: Kind
    facts: str
    by: Columns
    value: Columns = ()
    text: str = ""
    labels: str = ""
    released_by: str = ""
    becomes: str = ""
    appears: bool = False
    looks_again: bool = False
    computed: bool = False
    first_of: tuple[str, ...] = ()
    words: dict[str, str] = {}
    numbers: dict[str, int | float] = {}
    ignore: tuple[str | int | float, ...] = ()
    scale: int | float = 0
    deleted: Literal["", "withdrawn", "silent"] = ""

    @property
    def withdraws(self) -> bool:
        """Whether families who were told of a row hear that it is gone."""
        by_kind = self.kind is Kind.ATTENDANCE and not self.releases
        return self.deleted == "withdrawn" if self.deleted else by_kind

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that hold what families see."""
        return self.first_of or several(self.value)

    @property
    def releases(self) -> bool:
        """Whether it shows what was there before, and hid."""
        return bool(self.becomes) or self.appears or self.looks_again

    @property
    def from_facts(self) -> bool:
        """Whether the facts say what the value is, and not the changed row."""
        return self.releases or self.computed

    @property
    def by_columns(self) -> tuple[str, ...]:
        """The columns of the facts that equal the record's key."""
        return several(self.by)


class DirectoryWatch(Captured, frozen=True, kw_only=True):
    """A table whose changes make a part of the directory be read again.

    *by* are directory columns that say which rows: those that have what the record's *from*
    columns hold now, or held before. Without it all rows are read again.
    """

    refreshes: Entity
    by: Columns = ()
    from_: Columns = msgspec.field(name="from", default=())

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each directory column of `by`, with the column of the record that holds it.

        Unless *from* says otherwise, `id` is the record's key, and others have its names.
        """
        by = several(self.by)
        default = self.key_columns if by == ("id",) else by
        return tuple(zip(by, several(self.from_) or default, strict=False))


class Query(_Part, frozen=True, kw_only=True):
    """A SELECT without a condition on keys."""

    query: str


class Directory(_Part, frozen=True, kw_only=True):
    """The queries that keep the directory in step."""

    schools: Query
    calendars: Query
    people: Query
    students: Query
    rights: Query

    def query(self, entity: Entity) -> str:
        """The SELECT of one part of the directory."""
        found: Query = getattr(self, entity)
        return found.query


class Pages(_Part, frozen=True, kw_only=True):
    """The pages from which staff send broadcasts; what a SIS does not have is left out.

    `engine.sources.pages` says which columns each must give. *members* says who belongs to a
    family, and the *enrollments* who is in a class or a camp.
    """

    families: Query | None = None
    members: Query | None = None
    students: Query | None = None
    classes: Query | None = None
    class_enrollments: Query | None = None
    camps: Query | None = None
    camp_enrollments: Query | None = None

    def query(self, part: str) -> str | None:
        """The SELECT of one part, or None where the SIS has no such thing."""
        found: Query | None = getattr(self, part)
        return found.query if found else None


# A page says nothing of who is to be told without the part behind it.
PAGES_BEHIND: Final[Mapping[str, str]] = {
    "families": "members",
    "classes": "class_enrollments",
    "camps": "camp_enrollments",
}


class Definition(_Part, frozen=True, kw_only=True):
    """All that Schoolbell knows of one SIS; *written* is the file that says so."""

    name: str
    description: str = ""
    watch: tuple[Watch, ...]
    facts: dict[str, Query]
    labels: dict[str, Query] = {}
    directory: Directory
    directory_watch: tuple[DirectoryWatch, ...] = ()
    pages: Pages = Pages()
    written: str = ""

    @property
    def captured(self) -> tuple[Captured, ...]:
        """Every table that gets triggers, in the order of the file."""
        return (*self.watch, *self.directory_watch)

    def watch_named(self, name: str) -> Watch | DirectoryWatch | None:
        """The watch that caught a change, or None when the definition has none of that name."""
        for watch in self.watch:
            if watch.name == name:
                return watch
        return next((watch for watch in self.directory_watch if watch.name == name), None)

    def where(self, place: Place) -> str:
        """What stands at a *place* of the file, and on which line, as people find it."""
        return where(place, self.written)

    def where_is(self, captured: Captured, *key: str) -> str:
        """Where a watch stands, or a *key* of it."""
        of_directory = isinstance(captured, DirectoryWatch)
        part = "directory_watch" if of_directory else "watch"
        names = [one.name for one in (self.directory_watch if of_directory else self.watch)]
        if self.written:
            return self.where((part, names.index(captured.name), *key))
        return f"[[{part}]] {captured.name}"


def where(place: Place, written: str) -> str:
    """What stands at a *place* of the file that is *written* so, and on which line.

    A line is told only where there is a file.
    """
    lines = lines_of(written)
    line = f"line {lines.of(place)}" if written and place else ""
    return ", ".join(filter(None, (_table_of(place, lines), line)))


def _table_of(place: Place, lines: Lines) -> str:
    """The heading under which it stands, with the name of a watch."""
    match place:
        case ("watch" | "directory_watch" as part, int(), *_):
            name = lines.at((*place[:2], "name"))
            return f"[[{part}]] {name}" if isinstance(name, str) else f"[[{part}]]"
        case (str() as part, str() as name, *_):
            return f"[{part}.{name}]"
    return ""
