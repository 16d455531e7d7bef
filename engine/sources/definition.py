"""A source definition: the one TOML file that connects a SIS.

`definitions/reference.toml` is the annotated example. Queries are written without a condition on
keys; the engine wraps them, so that one query serves one record and a thousand alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Final, Literal

import msgspec

from engine import files
from engine.errors import ConfigError
from engine.sources.unfilled import unfilled
from rules.change import Kind

Entity = Literal["schools", "calendars", "people", "students", "rights"]

ENTITY_COLUMNS: Final[dict[Entity, tuple[str, ...]]] = {
    "schools": ("id", "name"),
    "calendars": ("id", "school_id", "year", "active"),
    "people": ("id", "first_name", "last_name", "language"),
    "students": ("id", "person_id", "school_id", "enrolled"),
    "rights": (
        "student_id", "person_id", "relation", "portal", "starts", "ends", "restricted",
    ),
}  # fmt: skip

# The first columns of each part: there is one row for each of their values.
ENTITY_KEYS: Final[dict[Entity, tuple[str, ...]]] = {
    "schools": ("id",),
    "calendars": ("id",),
    "people": ("id",),
    "students": ("id",),
    "rights": ("student_id", "person_id"),
}

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_MOST_KEY_COLUMNS: Final = 16
_MOST_COLUMNS: Final = 50  # a function of PostgreSQL takes 100 arguments: names and values


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the file: immutable, no keys but its own."""


Columns = str | tuple[str, ...]


def _several(columns: Columns) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else columns


class Captured(_Part, frozen=True, kw_only=True):
    """A table that triggers watch: the columns that identify a row, and those that count.

    Where no PRIMARY KEY or UNIQUE constraint says that the *key* identifies a row, the definition
    must: *key_without_constraint*.
    """

    name: str
    table: str
    key: Columns
    key_without_constraint: bool = False
    columns: tuple[str, ...]

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        return _several(self.key)


class Watch(Captured, frozen=True, kw_only=True):
    """A table whose rows become changes of one kind.

    *value* is the column, or columns, that hold what families see; *text* the column with the
    words for it where *value* is only the number; *labels* turn a value into words.
    *released_by* is a column of the row itself without which families do not see it. With
    *becomes* instead of *value* only a change that turns this column true counts, and the value
    is what the facts say. *by* are the columns of the facts that equal the record's key, one for
    each of its columns.
    """

    kind: Kind
    facts: str
    by: Columns
    value: Columns = ()
    text: str = ""
    labels: str = ""
    released_by: str = ""
    becomes: str = ""

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that hold what families see."""
        return _several(self.value)

    @property
    def by_columns(self) -> tuple[str, ...]:
        """The columns of the facts that equal the record's key."""
        return _several(self.by)


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
        by = _several(self.by)
        default = self.key_columns if by == ("id",) else by
        return tuple(zip(by, _several(self.from_) or default, strict=False))


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
    """All that Schoolbell knows of one SIS."""

    name: str
    description: str = ""
    watch: tuple[Watch, ...]
    facts: dict[str, Query]
    labels: dict[str, Query] = {}
    directory: Directory
    directory_watch: tuple[DirectoryWatch, ...] = ()
    pages: Pages = Pages()

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


def load(name_or_path: str) -> Definition:
    """Read a bundled definition by name, or any by its path; raise ConfigError with the remedy."""
    written = _text(name_or_path)
    _require_filled(name_or_path, written)
    try:
        definition = msgspec.toml.decode(written, type=Definition)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The source definition {name_or_path} is not usable: {error}.",
            "Compare it with the bundled definition `reference`.",
        ) from None
    problems = list(_problems(definition))
    if problems:
        raise ConfigError(
            f"The source definition {name_or_path} is not usable: {'; '.join(problems)}.",
            "Mend the file; nothing was changed in the SIS.",
        )
    return definition


def _require_filled(name: str, written: bytes) -> None:
    """Raise ConfigError where a draft still waits for a person."""
    waiting = unfilled(written.decode("utf-8", "replace"))
    if waiting:
        lines = "; ".join(f"line {one.line}: {one.what}" for one in waiting)
        raise ConfigError(
            f"The source definition {name} waits to be filled in: {lines}.",
            "Write in each of these lines, in place of <FILL IN: ...>, what it asks for.",
        )


def bundled() -> list[str]:
    """The names of the bundled definitions."""
    folder = resources.files("engine.sources") / "definitions"
    return sorted(
        file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")
    )


def _text(name_or_path: str) -> bytes:
    if name_or_path in bundled():
        return (
            resources.files("engine.sources") / "definitions" / f"{name_or_path}.toml"
        ).read_bytes()
    remedy = f"Name a file, or one of: {', '.join(bundled())}."
    return files.read(Path(name_or_path), "source definition", remedy)


def _problems(definition: Definition) -> Iterator[str]:
    names = [captured.name for captured in definition.captured]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two watches are named {name}"
    for captured in definition.captured:
        for problem in _problems_of_capture(captured):
            yield f"watch {captured.name}: {problem}"
    for watch in definition.watch:
        for problem in _problems_of_watch(watch, definition):
            yield f"watch {watch.name}: {problem}"
    for directory_watch in definition.directory_watch:
        for problem in _problems_of_directory_watch(directory_watch):
            yield f"watch {directory_watch.name}: {problem}"
    for page, behind in PAGES_BEHIND.items():
        if definition.pages.query(page) and not definition.pages.query(behind):
            yield f"[pages.{page}] needs [pages.{behind}], which says whom it is about"


def _problems_of_capture(captured: Captured) -> Iterator[str]:
    """These names go into triggers and queries: only plain identifiers may."""
    if not _NAME.fullmatch(captured.name):
        yield "a name is made of small letters, digits and hyphens"
    by = captured.by_columns if isinstance(captured, Watch) else ()
    for identifier in (*captured.table.split("."), *captured.key_columns, *captured.columns, *by):
        if not _IDENTIFIER.fullmatch(identifier):
            yield f"{identifier!r} is no plain column or table name"
    if not captured.key_columns:
        yield "`key` names no column"
    if len(captured.key_columns) > len(set(captured.key_columns)):
        yield "`key` names a column twice"
    if len(captured.key_columns) > _MOST_KEY_COLUMNS:
        yield f"at most {_MOST_KEY_COLUMNS} columns can be the key"
    if not captured.columns:
        yield "no columns are watched"
    if len(captured.columns) > _MOST_COLUMNS:
        yield f"at most {_MOST_COLUMNS} columns can be watched"


def _problems_of_watch(watch: Watch, definition: Definition) -> Iterator[str]:
    if watch.facts not in definition.facts:
        yield f"there is no [facts.{watch.facts}]"
    if watch.labels and watch.labels not in definition.labels:
        yield f"there is no [labels.{watch.labels}]"
    if watch.labels and len(watch.values) != 1:
        yield "`labels` need one column as `value`"
    if len(watch.by_columns) != len(watch.key_columns):
        yield "`by` must name one column of the facts for each column of `key`, in their order"
    if bool(watch.values) == bool(watch.becomes):
        yield "either `value` or `becomes` is needed, not both"
    named = (*watch.values, watch.text, watch.released_by, watch.becomes)
    for column in filter(None, named):
        if column not in watch.columns:
            yield f"{column} is not among its columns"


def _problems_of_directory_watch(watch: DirectoryWatch) -> Iterator[str]:
    by, columns = _several(watch.by), ENTITY_COLUMNS[watch.refreshes]
    for column in by:
        if column not in columns:
            yield (
                f"`by` names {column}, which is no column of [directory.{watch.refreshes}];"
                f" those are {', '.join(columns)}"
            )
    if watch.from_ and not by:
        yield "`from` says where the values of `by` stand, and there is no `by`"
    elif watch.from_ and len(_several(watch.from_)) != len(by):
        yield "`from` must name one column for each of `by`, in their order"
    elif by == ("id",) and not watch.from_ and len(watch.key_columns) > 1:
        yield "its key has several columns; say with `from` which of them is the `id`"
    for _, column in watch.pairs:
        if column not in (*watch.key_columns, *watch.columns):
            yield f"`by` needs {column}, which is neither in its `key` nor among its `columns`"
