"""What a draft knows: the schema, its joins, the tables that were taken, and how to say it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.sources.draft.joins import Edge, Joins, Path
from engine.sources.draft.roles import Found, column_of
from engine.sources.draft.schema import Schema, Table
from engine.sources.draft.select import Select, Sql
from engine.sources.draft.words import words_of
from engine.sources.unfilled import fill_in

_OF_AN_ENROLLMENT: Final = frozenset({"school", "calendar"})
_OF_STAFF: Final = "staff"  # whose school and calendar are no student's
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")  # what TOML does not allow as it is
_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Draft:
    """All that the parts of the file are written from."""

    name: str
    schema: Schema
    joins: Joins
    found: Mapping[str, Found]
    sql: Sql

    def table(self, role: str) -> Table | None:
        """The table that was taken for a role, if any was."""
        taken = self.found[role].taken
        return taken.table if taken else None

    def select(self, base: Table) -> Select:
        """A query from a table."""
        return Select(self.sql, self.schema, base)

    def path(self, start: Table, role: str) -> Path | None:
        """The way from a table to the one of a role, if there is one.

        A student moves on, what is recorded of them does not: so rather not by way of the student.
        Where nothing else leads to a school or a calendar, the student's enrollment does.
        """
        end = self.table(role)
        if end is None:
            return None
        student = self.table("student")
        staff = [one.name for one in self.schema.tables if _OF_STAFF in words_of(one.base)]
        aside = [student.name] if student and student is not start and student is not end else []
        for avoid in ([*staff, *aside], staff):
            path = self.joins.path(start.name, lambda name: name == end.name, avoid)
            if path is not None:
                return path
        return self._by_enrollment(start, end) if role in _OF_AN_ENROLLMENT else None

    def place(self, start: Table) -> tuple[Path | None, Path | None]:
        """The ways to the school and to the calendar: together where that is no detour."""
        calendar, school = self.path(start, "calendar"), self.path(start, "school")
        there = self.table("calendar")
        on = self.path(there, "school") if there else None
        if calendar is not None and on is not None:
            together = (*calendar, *on)
            if school is None or len(school) > 1 or self.table("student") is start:
                return together, calendar
        return school, calendar

    def narrowed(self, select: Select, *paths: Path | None) -> None:
        """Ask which enrollment counts, where a way leads by way of all that a student has."""
        enrollment = self.table("enrollment")
        if enrollment and any(
            edge.parent == enrollment.name for path in paths for edge in path or ()
        ):
            ends = column_of(enrollment, "ends")
            hint = f", like {ends.name} IS NULL" if ends else ""
            asked = f"which row of {enrollment.name} counts where a student has several{hint}"
            select.keep(fill_in(asked))

    def titled(self, start: Path, table: Table) -> tuple[Path, str] | None:
        """The column with the title of a table, in it or one step further."""
        if title := column_of(table, "title"):
            return start, title.name
        for edge in self.joins.from_(table.name):
            if title := column_of(self.schema.table(edge.parent), "title"):
                return (*start, edge), title.name
        return None

    def _by_enrollment(self, start: Table, end: Table) -> Path | None:
        enrollment, student = self.table("enrollment"), self.table("student")
        if enrollment is None or student is None or start is enrollment:
            return None
        to_student = self.path(start, "student") if start is not student else ()
        back = self.joins.between(enrollment.name, student.name)
        on = self.joins.path(enrollment.name, lambda name: name == end.name, [student.name])
        if to_student is None or back is None or on is None:
            return None
        turned = Edge(back.parent, back.referred, back.child, back.columns, back.declared)
        return (*to_student, turned, *on)


def comment(*paragraphs: str) -> list[str]:
    """Paragraphs as comments of TOML."""
    plain = [_CONTROL.sub(" ", one) for one in paragraphs]
    lines = [line for one in plain for line in (textwrap.wrap(one, _WIDTH - 2) or [""])]
    return [f"# {line}".rstrip() for line in lines]


def why(draft: Draft, role: str) -> list[str]:
    """Why a table was taken for a role, what identifies its rows, and what was left."""
    found = draft.found[role]
    if found.taken is None:
        return comment(f"No table here looks like {found.role.what}.", *_left(found))
    table = found.taken.table
    because = "; ".join(found.taken.why)
    return comment(
        f"{table.name}, {rows(table, draft.schema)}: taken for {found.role.what}, because "
        f"{because}.",
        f"Its rows are identified by {_key(table)}.",
        *_left(found),
    )


def rows(table: Table, schema: Schema) -> str:
    """How many rows a table has."""
    if table.rows is None:
        return f"more than {schema.most:,} rows"
    return "1 row" if table.rows == 1 else f"{table.rows:,} rows"


def one_or_list(expressions: Sequence[str]) -> str:
    """A list of names, as TOML writes one name or several."""
    quoted = [text(one) for one in expressions]
    return quoted[0] if len(quoted) == 1 else listed(expressions)


def listed(names: Sequence[str]) -> str:
    """A list of TOML."""
    return "[" + ", ".join(text(name) for name in names) + "]"


def text(value: str) -> str:
    """A text of TOML in one line."""
    return f'"{_escaped(value)}"'


def query(of: str) -> list[str]:
    """A query as a text of several lines."""
    return ['query = """', *(_CONTROL.sub(_as_escape, line) for line in _in_lines(of)), '"""']


def _in_lines(of: str) -> list[str]:
    return of.replace("\\", "\\\\").replace('"""', '""\\"').split("\n")


def _escaped(value: str) -> str:
    doubled = value.replace("\\", "\\\\").replace('"', '\\"')
    return _CONTROL.sub(_as_escape, doubled)


def _as_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _key(table: Table) -> str:
    if table.primary_key:
        return f"the primary key ({', '.join(table.primary_key)})"
    if table.keys:
        return f"a unique constraint ({', '.join(table.keys[0])}); there is no primary key"
    return "nothing that the database knows of: no primary key, and no unique constraint"


def _left(found: Found) -> list[str]:
    if not found.left:
        return []
    said = [f"{one.table.name} ({'; '.join(one.why_not) or 'fewer signs'})" for one in found.left]
    return [f"Looked at and left: {', '.join(said)}."]
