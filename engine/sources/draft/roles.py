"""The table of hints: how tables and columns of a SIS look, whatever they are called.

Each role of a table is worth points for what its name says, for what it points to and for what its
columns look like. Nothing here is certain, so each point comes with the words for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from engine.sources.draft.joins import Edge, Joins
from engine.sources.draft.schema import Column, Schema, Sort, Table
from engine.sources.draft.words import words_of

_ENOUGH: Final = 8  # points, from which on a table is taken
_WORTH_A_WORD: Final = 4  # points, from which on it is told why a table was left
_EXTRA_WORD: Final = 1.5  # points less for each word of a name that the hint does not know
_SPEAKS_AGAINST: Final = 6  # points less for what such a table never points to
_STRANGE_WORD: Final = 5  # points less for a word that speaks for another table
_MOST_LEFT: Final = 4

NUMBERS: Final = frozenset({Sort.NUMBER})
WORDS: Final = frozenset({Sort.WORDS})
FLAGS: Final = frozenset({Sort.FLAG, Sort.WORDS, Sort.NUMBER})
DAYS: Final = frozenset({Sort.DAY, Sort.MOMENT, Sort.WORDS})
VALUES: Final = frozenset({Sort.NUMBER, Sort.WORDS})
ANY: Final = frozenset(Sort)


@dataclass(frozen=True, slots=True)
class ColumnHint:
    """What a column of some meaning is called, best first, and what sorts of values it holds."""

    says: tuple[str, ...]
    sorts: frozenset[Sort]
    never: frozenset[str] = frozenset({"key"})

    @property
    def phrases(self) -> tuple[frozenset[str], ...]:
        """The words of each name."""
        return _PHRASES[self.says]


COLUMNS: Final[Mapping[str, ColumnHint]] = {
    "score": ColumnHint(
        ("point earned", "numeric grade earned", "point", "score", "grade", "mark", "earned"),
        VALUES,
        frozenset({"key", "possible", "type", "date", "comment", "level", "scale", "released"}),
    ),
    "out_of": ColumnHint(("point possible", "possible", "point", "total"), NUMBERS),
    "percent": ColumnHint(
        ("grade percent", "percent", "numeric grade earned", "grade numeric", "average", "grade"),
        NUMBERS,
        frozenset({"key", "level", "scale", "credit", "type", "period"}),
    ),
    "letter": ColumnHint(
        ("mark grade earned", "grade mark", "mark", "grade"),
        WORDS,
        frozenset({"key", "level", "scale", "type", "period", "title", "date"}),
    ),
    "title": ColumnHint(
        ("title", "title institution", "description", "short description", "short title"),
        WORDS,
        frozenset({"key", "first", "last", "short"}),
    ),
    "date": ColumnHint(("date", "event date", "school date", "date attendance"), DAYS),
    "period": ColumnHint(("period", "period key", "class period"), ANY, frozenset()),
    "code": ColumnHint(
        ("attendance code key", "attendance code", "attendance event type code key", "code key",
         "code", "status", "attendance", "attendance status", "attendance type", "mark", "type"),
        ANY,
        frozenset({"period", "course", "section", "date", "reason", "staff", "student"}),
    ),
    "balance": ColumnHint(
        ("balance", "account balance", "meal balance", "balance amount", "amount"), NUMBERS
    ),
    "first_name": ColumnHint(("first title", "first"), WORDS),
    "last_name": ColumnHint(("last title", "last"), WORDS),
    "full_name": ColumnHint(
        ("title", "full title", "person title"), WORDS, frozenset({"key", "first", "last"})
    ),
    "language": ColumnHint(("language", "language code"), WORDS, frozenset()),
    "relation": ColumnHint(
        ("relation", "relation type", "relation code key"), WORDS | NUMBERS, frozenset()
    ),
    "portal": ColumnHint(
        ("portal", "portal allowed", "may read", "can read", "released"), FLAGS
    ),
    "restricted": ColumnHint(("restricted", "contact restricted", "court order"), FLAGS),
    "starts": ColumnHint(
        ("start", "start date", "entry date", "valid start"), DAYS, frozenset({"released", "key"})
    ),
    "ends": ColumnHint(("end", "end date", "valid end"), DAYS, frozenset({"released", "key"})),
    "active": ColumnHint(("active", "active school year"), FLAGS),
    "year": ColumnHint(("school year", "year", "title"), VALUES, frozenset({"description", "key"})),
    "enrolled": ColumnHint(("enrolled", "status", "enrollment status", "active"), FLAGS),
    "released": ColumnHint(
        ("released", "student released", "family released"),
        FLAGS,
        frozenset({"key", "by", "user", "date", "at", "on", "start", "end", "time"}),
    ),
    "released_on": ColumnHint(
        ("released start", "released date", "released at", "released on", "released"),
        frozenset({Sort.DAY, Sort.MOMENT}),
        frozenset({"key", "end"}),
    ),
    "deleted": ColumnHint(("deleted", "deleted at", "deleted date"), ANY),
    "modified": ColumnHint(
        ("modified", "last modified", "modified at", "modified date", "modified on"),
        frozenset({Sort.DAY, Sort.MOMENT, Sort.WORDS}),
        frozenset({"by", "user", "key"}),
    ),
    "room": ColumnHint(("room",), WORDS),
    "takes_part": ColumnHint(("enrolled", "status", "enrollment status", "active", "type"), FLAGS),
    "grade_level": ColumnHint(
        ("grade level", "entry grade level"), VALUES, frozenset({"key", "next"})
    ),
    "starts_at": ColumnHint(
        ("start at", "start time", "time", "start"), frozenset({Sort.TIME, Sort.WORDS, Sort.MOMENT})
    ),
    "excuse": ColumnHint(("excuse", "excuse code"), FLAGS),
}  # fmt: skip


_PHRASES: Final = {
    hint.says: tuple(frozenset(phrase.split()) for phrase in hint.says) for hint in COLUMNS.values()
}


@dataclass(frozen=True, slots=True)
class Role:
    """What a table may be for us.

    *says* are phrases of a name and their points; *against* words that speak for another table.
    *columns* and *links* are what such a table has and points to, with points; those in *needs*
    it must have.
    """

    name: str
    what: str
    says: Mapping[str, float]
    columns: Mapping[str, float]
    links: Mapping[str, float] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    against: frozenset[str] = frozenset()
    never: tuple[str, ...] = ()


_ASIDE: Final = frozenset({"log", "audit", "history", "backup", "tmp", "temp", "archive"})

# In an order in which each role finds those that it points to.
ROLES: Final[Sequence[Role]] = (
    Role(
        "school", "schools",
        {"school": 9, "organization": 3, "education organization": 5}, {"title": 3},
        against=frozenset({"year", "calendar", "day", "term", "student", "staff"}),
    ),
    Role(
        "year", "school years",
        {"school year": 9, "school year type": 9, "year": 8},
        {"active": 2, "year": 2, "starts": 1}, against=frozenset({"student", "staff"}),
    ),
    Role(
        "calendar", "calendars", {"calendar": 9, "school calendar": 9, "attendance calendar": 8},
        {"year": 1, "active": 1}, {"school": 2, "year": 2},
        against=frozenset({"date", "event", "item"}),
    ),
    Role(
        "person", "people",
        {"person": 9, "contact": 8, "guardian": 8, "user": 4, "person contact": 7},
        {"first_name": 2, "last_name": 2, "full_name": 1, "language": 1},
        against=frozenset({"student", "staff", "association", "address", "phone", "email"}),
    ),
    Role(
        "student", "students", {"student": 9},
        {"first_name": 2, "last_name": 1, "enrolled": 1},
        {"person": 3, "calendar": 1, "school": 1},
        against=frozenset({"enrollment", "association", "contact", "guardian", "grade", "score"}),
    ),
    Role(
        "enrollment", "enrollments",
        {"enrollment": 8, "student enrollment": 9, "student school association": 9},
        {"starts": 1, "ends": 1, "enrolled": 1},
        {"student": 3, "school": 2, "calendar": 2}, needs=("student",),
        against=frozenset({"course", "section", "code", "program", "camp", "activity"}),
    ),
    Role(
        "guardian", "guardians and their rights",
        {"guardian": 8, "student guardian": 9, "student contact": 9, "student person": 8,
         "student contact association": 9, "student join person": 9, "contact": 5, "family": 4,
         "relation": 6, "student family": 7, "student relation": 9},
        {"relation": 2, "portal": 2, "restricted": 2, "starts": 0.5},
        {"student": 4, "person": 3}, needs=("student",),
        against=frozenset({"address", "phone", "email", "medical", "staff"}),
    ),
    Role(
        "course", "courses", {"course": 9, "course offering": 7}, {"title": 3},
        against=frozenset({"student", "section", "period", "grade"}),
    ),
    Role(
        "section", "sections (classes)", {"section": 9, "course period": 9, "course section": 9},
        {"period": 1, "room": 1}, {"course": 3}, against=frozenset({"student", "attendance"}),
    ),
    Role(
        "term", "terms",
        {"term": 9, "marking period": 9, "grading period": 9, "school term": 9, "session": 3},
        {"title": 2, "starts": 1, "ends": 1}, {"year": 1, "calendar": 1},
        against=frozenset({"student", "responsive", "grade"}),
    ),
    Role(
        "assignment", "assignments",
        {"assignment": 9, "gradebook assignment": 9, "gradebook entry": 9, "work": 4},
        {"title": 2, "out_of": 2}, {"section": 1, "course": 1, "term": 1},
        against=frozenset({"student", "score", "grade", "type", "mark", "standard"}),
    ),
    Role(
        "score", "scores of assignments",
        {"score": 9, "gradebook grade": 9, "student gradebook entry": 9, "assignment score": 9,
         "student assignment": 8, "student score": 9, "assignment grade": 9, "assignment mark": 8,
         "student mark": 6, "student work": 5, "mark": 4, "point": 5, "grade": 3},
        {"score": 3}, {"student": 4, "assignment": 5}, needs=("student", "score"),
        against=frozenset({"test", "report", "scale", "type"}),
    ),
    Role(
        "grade", "grades of a term",
        {"grade": 8, "posted grade": 9, "released grade": 9, "report card grade": 9,
         "student report card grade": 10, "final grade": 9, "report card": 8, "report grade": 8,
         "student grade": 9, "course grade": 8, "term grade": 9, "mark": 4, "student mark": 5},
        {"percent": 3, "letter": 2}, {"student": 4, "term": 2, "section": 1, "course": 1},
        needs=("student",), never=("assignment",),
        against=frozenset({"gradebook", "level", "scale", "type", "comment", "entry"}),
    ),
    Role(
        "attendance_code", "attendance codes",
        {"attendance code": 9, "attendance type": 8, "attendance status": 6, "code": 4,
         "attendance event type code": 9},
        {"title": 2, "excuse": 2, "code": 1}, against=frozenset({"student", "group", "section"}),
    ),
    Role(
        "attendance", "attendance",
        {"attendance": 9, "student attendance": 9, "attendance period": 9, "class attendance": 9,
         "student section attendance event": 10, "attendance event": 8, "attendance entry": 8},
        {"date": 3, "code": 3, "period": 1}, {"student": 4, "attendance_code": 3, "section": 1},
        needs=("student", "date", "code"),
        against=frozenset({"day", "calendar", "reason", "total", "school", "completed"}),
    ),
    Role(
        "meal", "meal accounts",
        {"meal": 4, "meal account": 9, "meal service account": 9, "account": 3, "balance": 6,
         "meal balance": 9, "student meal account": 8, "meal service student account": 6},
        {"balance": 6}, {}, needs=("balance",),
        against=frozenset({"transaction", "item", "staff", "menu", "sale"}),
    ),
    Role(
        "session", "sessions of the responsive schedule",
        {"responsive session": 9, "responsive": 6, "responsive schedule": 8, "activity session": 5,
         "responsive offering": 8, "responsive block": 8},
        {"date": 2, "room": 2, "title": 1, "starts_at": 1}, needs=("date",),
        against=frozenset({"student", "placement"}),
    ),
    Role(
        "placement", "placements of students in sessions",
        {"placement": 8, "session placement": 9, "responsive placement": 9, "student session": 8,
         "responsive student": 8, "responsive session student": 9, "session student": 8},
        {}, {"student": 4, "session": 6}, needs=("student", "session"),
    ),
    Role(
        "family", "families", {"family": 9}, {"title": 2},
        against=frozenset({"member", "student", "person", "guardian", "contact", "relation"}),
    ),
    Role(
        "member", "members of families",
        {"family member": 9, "family student": 8, "family person": 8, "student family": 8}, {},
        {"family": 4, "student": 3, "person": 2}, needs=("family",),
    ),
    Role(
        "roster", "students in sections",
        {"roster": 8, "section roster": 9, "student section": 9, "student course section": 9,
         "student section association": 9, "section enrollment": 9, "course enrollment": 8},
        {"enrolled": 1, "starts": 1, "ends": 1}, {"student": 4, "section": 4},
        needs=("student", "section"),
        against=frozenset({"attendance", "event", "grade", "score", "assignment", "mark"}),
    ),
    Role(
        "camp", "camps", {"camp": 9}, {"title": 2, "starts": 1, "ends": 1}, {"school": 1},
        against=frozenset({"enrollment", "session", "student", "placement"}),
    ),
    Role(
        "camp_enrollment", "students in camps",
        {"camp enrollment": 9, "camp student": 8, "camp placement": 8},
        {"enrolled": 1, "starts": 1, "ends": 1}, {"student": 4, "camp": 4}, needs=("student",),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A table that may have a role, with its points and the words for and against it."""

    table: Table
    points: float
    why: tuple[str, ...]
    why_not: tuple[str, ...]
    lacks: bool
    named: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The table that was taken for a role, and others that were looked at and left."""

    role: Role
    taken: Candidate | None
    left: tuple[Candidate, ...]


def find(schema: Schema, joins: Joins) -> Mapping[str, Found]:
    """What each role is best played by, by the names of the roles."""
    found: dict[str, Found] = {}
    for role in ROLES:
        taken_before = {name: one.taken.table for name, one in found.items() if one.taken}
        candidates = sorted(
            (
                _Judging(role, table, joins, taken_before).result
                for table in schema.tables
                if not table.is_view
            ),
            key=lambda one: (one.points, one.table.rows is None, one.table.rows or 0),
            reverse=True,
        )
        fit = [one for one in candidates if one.points >= _ENOUGH and not one.lacks]
        taken = fit[0] if fit else None
        left = [one for one in candidates if one is not taken and _is_worth_a_word(one)]
        found[role.name] = Found(role, taken, tuple(left[:_MOST_LEFT]))
    return found


def _is_worth_a_word(one: Candidate) -> bool:
    return one.points >= (_WORTH_A_WORD if one.named else _ENOUGH)


def column_of(table: Table, meaning: str, but: Sequence[str] = ()) -> Column | None:
    """The column of *table* that looks most like it has a *meaning*, if any does."""
    if not but:
        if meaning not in table.looked_up:
            table.looked_up[meaning] = _best(table, COLUMNS[meaning], but)
        return table.looked_up[meaning]
    return _best(table, COLUMNS[meaning], but)


def _best(table: Table, hint: ColumnHint, but: Sequence[str]) -> Column | None:
    own = frozenset(words_of(table.base))
    ranked = [
        (rank, column)
        for column in table.columns
        if column.name not in but and column.sort in hint.sorts
        if (rank := _rank(hint, words_of(column.name), own)) is not None
    ]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


@cache
def _rank(hint: ColumnHint, words: tuple[str, ...], own: frozenset[str]) -> tuple[int, int] | None:
    """How well a name fits, best first: the place of its phrase, then the words beside it.

    The words of the table itself say nothing: `score.score_points` is `points`.
    """
    plain = tuple(word for word in words if word not in own) or words
    ranks = [
        (len(extra), place)
        for place, phrase in enumerate(hint.phrases)
        for form in (words, plain)
        if phrase.issubset(form)
        for extra in [[word for word in form if word not in phrase]]
        if hint.never.isdisjoint(extra) and len(extra) <= len(phrase)
    ]
    return min(ranks, default=None)


class _Judging:
    """The points of one table for one role, with the words for them."""

    def __init__(self, role: Role, table: Table, joins: Joins, taken: Mapping[str, Table]) -> None:
        self.role, self.table = role, table
        self.points, said = _by_name(role, table)
        self.named = self.points > 0
        self.lacks = False
        self.why = [f"its name reads {said}"] if self.named else []
        self.why_not = ["its name speaks for something else"] if self.points < 0 else []
        for other in [one for one in (*role.links, *role.never) if one in taken]:
            self._link(other, taken[other], joins.between(table.name, taken[other].name))
        for meaning, worth in role.columns.items():
            self._column(meaning, worth, column_of(table, meaning))

    @property
    def result(self) -> Candidate:
        """What came out."""
        return Candidate(
            self.table, self.points, tuple(self.why), tuple(self.why_not), self.lacks, self.named
        )

    def _link(self, other: str, parent: Table, edge: Edge | None) -> None:
        if edge is None:
            if other in self.role.needs:
                self.lacks = True
                self.why_not.append(f"no column points to {parent.base}")
        elif other in self.role.never:
            self.points -= _SPEAKS_AGAINST
            self.why_not.append(f"it points to {parent.base}")
        else:
            self.points += self.role.links[other]
            how = "" if edge.declared else ", to judge by the name"
            self.why.append(f"it points to {parent.base} ({', '.join(edge.columns)}{how})")

    def _column(self, meaning: str, worth: float, column: Column | None) -> None:
        if column is not None:
            self.points += worth
            self.why.append(f"{column.name} ({column.type}) looks like {_called(meaning)}")
        elif meaning in self.role.needs:
            self.lacks = True
            self.why_not.append(f"no column looks like {_called(meaning)}")


def _by_name(role: Role, table: Table) -> tuple[float, str]:
    words = words_of(table.base)
    best, said = 0.0, ""
    for phrase, worth in role.says.items():
        wanted = phrase.split()
        if all(word in words for word in wanted):
            points = worth - _EXTRA_WORD * (len(words) - len(wanted))
            if points > best:
                best, said = points, f"“{phrase}”"
    strange = [word for word in words if word in role.against or word in _ASIDE]
    return best - _STRANGE_WORD * len(strange), said


def _called(meaning: str) -> str:
    """The words for a meaning in a sentence."""
    return _CALLED.get(meaning, f"a {meaning.replace('_', ' ')}")


_CALLED: Final = {
    "out_of": "points possible",
    "letter": "a grade in letters",
    "excuse": "an excuse",
    "enrolled": "a status",
    "active": "“the current one”",
    "starts": "a first day",
    "ends": "a last day",
    "portal": "a right to the portal",
    "restricted": "a restriction",
    "starts_at": "a time",
}
