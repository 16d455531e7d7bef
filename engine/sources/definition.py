"""A source definition: the one TOML file that connects a SIS.

`definitions/reference.toml` is the annotated example; what each key means stands here, beside its
type, and docs/source-definition.md is made of it. Queries are written without a condition on
keys; the engine wraps them, so that one query serves one record and a thousand alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from engine.sources.lines import Lines, Place, lines_of
from rules.change import KINDS_OF_CHANGE, Kind

Entity = Literal["schools", "calendars", "terms", "people", "students", "rights"]

ENTITY_COLUMNS: Final[dict[Entity, tuple[str, ...]]] = {
    "schools": ("id", "name"),
    "calendars": ("id", "school_id", "year"),
    "terms": ("id", "school_id", "name", "starts", "ends"),
    "people": ("id", "first_name", "last_name", "language"),
    "students": ("id", "school_id", "person_id", "enrolled"),
    "rights": (
        "student_id", "person_id", "relation", "portal", "starts", "ends", "restricted",
    ),
}  # fmt: skip

# Columns that a query may give besides.
OPTIONAL_COLUMNS: Final[dict[Entity, tuple[str, ...]]] = {
    "calendars": ("active", "starts", "ends"),
    "terms": ("calendar_id",),
    "people": ("stable_id",),
    "students": ("first_name", "last_name", "born", "stable_id"),
    "rights": KINDS_OF_CHANGE,
}

# The first columns of each part: there is one row for each of their values.
ENTITY_KEYS: Final[dict[Entity, tuple[str, ...]]] = {
    "schools": ("id",),
    "calendars": ("id", "school_id"),
    "terms": ("id", "school_id"),
    "people": ("id",),
    "students": ("id", "school_id"),
    "rights": ("student_id", "person_id"),
}


def _key(means: str, example: str, need: str = "") -> msgspec.Meta:
    """What a key is for, an *example* as TOML, and what a schema has that makes one write it."""
    return msgspec.Meta(description=means, extra={"example": example, "need": need})


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the file: immutable, no keys but its own."""


Columns = str | tuple[str, ...]


def several(columns: Columns) -> tuple[str, ...]:
    """One column or several, as several."""
    return (columns,) if isinstance(columns, str) else columns


class Captured(_Part, frozen=True, kw_only=True):
    """A table that triggers watch: the columns that identify a row, and those that count.

    The *table* is named as names.table_parts takes it apart.
    """

    name: Annotated[
        str,
        _key(
            "Unique, and stable, because it is stored with every change: small letters, digits and "
            "hyphens, at most 40.",
            'name = "score"',
        ),
    ]
    table: Annotated[
        str,
        _key(
            "The table, or its schema, a dot and the table; where a dot belongs to a name, a list "
            "of the two. Names stand as the database has them, and need no quotes of their own.",
            'table = ["food service", "acc.ounts"]',
            "names with blanks, capitals, accents, dots",
        ),
    ]
    key: Annotated[
        Columns,
        _key(
            "The column that identifies a row, or those that do. A PRIMARY KEY or UNIQUE "
            "constraint must cover them.",
            'key = ["kid_id", "task_id"]',
            "a key of several columns",
        ),
    ]
    key_without_constraint: Annotated[
        bool,
        _key(
            "The school is sure that the key identifies a row, though no constraint says so. It is "
            "a risk: two rows of one key are taken for one record, and what stands in the row of "
            "one family may be told to another.",
            "key_without_constraint = true",
            "a table without a key, whose rows are told apart by some of its columns",
        ),
    ] = False
    columns: Annotated[
        tuple[str, ...],
        _key(
            "Only these and the key are stored, and only a change in one of these counts: a save "
            "that changes nothing, or only a timestamp, is no change. What other keys name is "
            "among them. At most 50.",
            'columns = ["points"]',
        ),
    ]

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        return several(self.key)


class Watch(Captured, frozen=True, kw_only=True):
    """A table whose rows become changes of one kind.

    Exactly one of value, first_of, becomes, appears, looks_again and computed says what counts.
    """

    kind: Annotated[Kind, _key("Of what kind the news is.", 'kind = "assignment"')]
    facts: Annotated[str, _key("Which [facts.X] tells more.", 'facts = "assignment"')]
    by: Annotated[
        Columns,
        _key(
            "The columns of the facts that equal the record's key, one for each of its columns, in "
            "their order.",
            'by = ["kid_id", "task_id"]',
        ),
    ]
    value: Annotated[
        Columns,
        _key(
            "The column that holds what families see; several are joined by a comma.",
            'value = "points"',
        ),
    ] = ()
    text: Annotated[
        str,
        _key("The column with the words for it, where `value` is the number.", 'text = "mark"'),
    ] = ""
    labels: Annotated[
        str,
        _key(
            "The [labels.X] that turns the value into words.",
            'labels = "attendance_code"',
            "a code, whose meaning stands in another table",
        ),
    ] = ""
    released_by: Annotated[
        str,
        _key(
            "A column of the row itself: families see the row only while it is true.",
            'released_by = "posted"',
        ),
    ] = ""
    becomes: Annotated[
        str,
        _key(
            "Instead of `value`: only a change that turns this column true counts. Families saw "
            "nothing before, and the value is the facts' `value`, in the words of the watch of the "
            "record itself where one has the same facts.",
            'becomes = "released"',
            "a flag that shows all scores of an assignment: watch its table",
        ),
    ] = ""
    appears: Annotated[
        bool,
        _key(
            "Instead of `value`: only a row that is new counts; for the rest like `becomes`.",
            "appears = true",
            "a row elsewhere that says that a section is done: watch that table",
        ),
    ] = False
    looks_again: Annotated[
        bool,
        _key(
            "Instead of `value`: any change of `columns` counts, as of the day from which families "
            "may see the records (`visible_from` of the facts); for the rest like `becomes`.",
            "looks_again = true",
            "a date from which all scores of an assignment are shown: watch its table",
        ),
    ] = False
    computed: Annotated[
        bool,
        _key(
            "Instead of `value`: a change of any column counts, and the value is what the facts' "
            "SQL makes of it. What families saw before is then not known from the row.",
            "computed = true",
            "a value that no column holds: write its SQL as `value` in the facts",
        ),
    ] = False
    first_of: Annotated[
        tuple[str, ...],
        _key(
            "Instead of `value`: columns of which the first with a value counts.",
            'first_of = ["office_mark", "teacher_mark"]',
            "a mark of the office that wins over the teacher's",
        ),
    ] = ()
    words: Annotated[
        dict[str, str],
        _key(
            "Words in place of values. Values match as values: -1, -1.0 and -1.00 are one.",
            'words = { "-1" = "excused" }',
            "`-1` for excused",
        ),
    ] = {}
    numbers: Annotated[
        dict[str, int | float],
        _key(
            "The number behind a word or letter, for thresholds: percent, or dollars of a meal "
            "balance. A column `number` in [labels.X] does the same.",
            'numbers = { "A" = 95, "B" = 85 }',
            "letters, and thresholds in percent",
        ),
    ] = {}
    ignore: Annotated[
        tuple[str | int | float, ...],
        _key(
            "Values that families never see, as if there were none.",
            'ignore = [-99, "n/a"]',
            "a value that families never see",
        ),
    ] = ()
    scale: Annotated[
        int | float,
        _key(
            "The highest value: a grade of 3.5 with a scale of 4 stands at 87.5 percent and is "
            "shown as 3.5. For an assignment it stands in for `out_of`; of a meal balance it is "
            "what makes a dollar.",
            "scale = 4",
            "grades from 0 to 4, or balances in cents (`scale = 100`)",
        ),
    ] = 0
    deleted: Annotated[
        Literal["", "withdrawn", "silent"],
        _key(
            "Whether a row that is deleted, or loses its value, is told as a correction to who was "
            "told of it. Without it: withdrawn for attendance, else silent.",
            'deleted = "withdrawn"',
            "marks that are deleted, and families who shall hear of it",
        ),
    ] = ""

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

    *from_* is `from` in the file.
    """

    refreshes: Annotated[Entity, _key("Which part of it.", 'refreshes = "rights"')]
    by: Annotated[
        Columns,
        _key(
            "Which rows are read again: those that have in these columns of the directory what the "
            "record holds now, or held before; `id` stands for its key. Without it, all rows: for "
            "small tables.",
            'by = "student_id"',
        ),
    ] = ()
    from_: Annotated[
        Columns,
        _key(
            "The record's columns with the values of `by`, where they have other names; they are "
            "in its `key` or among its `columns`.",
            'from = "kid_id"',
            "other names in the directory's tables",
        ),
    ] = msgspec.field(name="from", default=())

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each directory column of `by`, with the column of the record that holds it.

        Unless *from* says otherwise, `id` is the record's key, and others have its names.
        """
        by = several(self.by)
        default = self.key_columns if by == ("id",) else by
        return tuple(zip(by, several(self.from_) or default, strict=False))


class Query(_Part, frozen=True, kw_only=True):
    """A SELECT without a condition on keys, and the seconds that it may take for some keys.

    A full read of the directory may take longer.
    """

    query: Annotated[
        str,
        _key(
            "The SELECT, without a condition on keys and without a semicolon.",
            'query = """\nSELECT school_id AS id, name\nFROM school\n"""',
        ),
    ]
    timeout: Annotated[
        int | float,
        _key(
            "The seconds that it may take, at most 600. A query that takes longer is ended; the"
            " changes that need it wait, with an alarm, and all others go on. A full read of the"
            " directory may take longer.",
            "timeout = 60",
        ),
    ] = 30


class Directory(_Part, frozen=True, kw_only=True):
    """The queries that keep the directory in step. A SIS without *terms* leaves them out."""

    schools: Query
    calendars: Query
    people: Query
    students: Query
    rights: Query
    terms: Query | None = None

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The parts that have a query."""
        return tuple(entity for entity in ENTITY_COLUMNS if getattr(self, entity) is not None)

    def asked(self, entity: Entity) -> Query:
        """The query of one of its *entities*."""
        found: Query = getattr(self, entity)
        return found

    def query(self, entity: Entity) -> str:
        """The SELECT of one of its *entities*."""
        return self.asked(entity).query


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

    name: Annotated[str, _key("What this SIS is called, in messages.", 'name = "our-sis"')]
    description: Annotated[
        str, _key("One sentence for people.", 'description = "The SIS of our district."')
    ] = ""
    watch: Annotated[tuple[Watch, ...], _key("The tables whose changes are told.", "[[watch]]")]
    facts: Annotated[
        dict[str, Query],
        _key("Queries that say what is known of changed records.", "[facts.assignment]"),
    ]
    labels: Annotated[
        dict[str, Query], _key("Queries that turn values into words.", "[labels.attendance_code]")
    ] = {}
    directory: Annotated[
        Directory, _key("Queries for schools, calendars, people and rights.", "[directory.rights]")
    ]
    directory_watch: Annotated[
        tuple[DirectoryWatch, ...],
        _key("The tables whose changes refresh the directory at once.", "[[directory_watch]]"),
    ] = ()
    pages: Annotated[
        Pages, _key("Queries for what staff choose from for a broadcast.", "[pages.students]")
    ] = Pages()
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
