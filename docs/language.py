"""The language of source definitions as tables: from its types, and what is said beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

from engine.sources import facts, pages
from engine.sources.definition import (
    ENTITY_COLUMNS,
    OPTIONAL_COLUMNS,
    PAGES_BEHIND,
    Captured,
    Definition,
    DirectoryWatch,
    Query,
    Watch,
)
from rules.change import KINDS_OF_CHANGE, Kind
from rules.wording.templates import VARIABLES

Row = tuple[str, ...]

HEAD: Final = ("key", "type", "default", "meaning", "example")
COLUMN_HEAD: Final = ("column", "needed", "meaning")
_MADE_BY_US: Final = frozenset({"student", "before", "after"})
_PLAIN: Final[Mapping[type, str]] = {
    inspect.StrType: "text",
    inspect.BoolType: "true or false",
    inspect.IntType: "number",
    inspect.FloatType: "number",
}

# What the columns of queries mean. A column that the code does not read, or that is not explained,
# is an error when the pages are made.
_FACTS: Final = {
    "the `by` columns": "plain columns, by which a record is found",
    "record": "names, as text, what is shown: a newer change of the same kind and record replaces "
    "the older one on the phone, and one that says the same is not told again",
    "student_id": "about whom it is; a row for each student concerned",
    "school_id": "the school of the record",
    "calendar_id": "the calendar of the record: where that is not active, nothing is told",
    "released": "a flag: whether families may see it now. Nothing is told before",
    "value": "the value now, as the watched columns hold it",
    "term_id": "the term of the record, an `id` of [directory.terms]; a record without one is of "
    "those that hold its day, or today",
    "out_of": "points possible, of an assignment",
    "text": "the words for the value, for `becomes`, `appears`, `looks_again` and `computed`",
    "visible_from": "from when families may see it, by the district's clock; nobody need write a "
    "row at that moment",
    "visible_until": "until when; a day counts to its end",
}
_LABELS: Final = {
    "value": "as it stands in the watched column",
    "label": "what families read. For attendance `present`, `absent`, `absent_excused`, `tardy`, "
    "`tardy_excused` or `left_early` are translated",
    "number": "the number behind it, as in `numbers`",
}
_DIRECTORY: Final[Mapping[str, Mapping[str, str]]] = {
    "schools": {"id": "any text", "name": "as people call it"},
    "calendars": {
        "id": "any text",
        "school_id": "whose it is; NULL is every school. A calendar of several has a row for each",
        "year": "what the school year is called",
        "active": "a flag: it is one of now. This, or `starts` and `ends`, or both",
        "starts": "its first day",
        "ends": "its last day",
    },
    "terms": {
        "id": "any text",
        "school_id": "whose it is; NULL is every school. A term of several has a row for each",
        "name": "as staff call it, like `Quarter 1`",
        "starts": "its first day; NULL is open",
        "ends": "its last day; NULL is open",
        "calendar_id": "the calendar that it is a part of; without it, of any of the school",
    },
    "people": {
        "id": "any text",
        "first_name": "texts name a student by it",
        "last_name": "for staff",
        "language": "like `es` or `es-MX`; texts are in it",
        "stable_id": "what stays the same where ids change or are given to somebody else: "
        "settings, devices and the inbox are kept under it",
    },
    "students": {
        "id": "any text",
        "school_id": "a school that they go to or went to; a row for each",
        "person_id": "their own account; NULL where they have none",
        "enrolled": "a flag, at this school",
        "first_name": "for a student without an account",
        "last_name": "for a student without an account",
        "born": "their day of birth: without it they sign in only where students of any age do",
        "stable_id": "as for people",
    },
    "rights": {
        "student_id": "whose records",
        "person_id": "a guardian of the student",
        "relation": "what the SIS calls it",
        "portal": "a flag: the guardian may see the student's records",
        "starts": "the first day of the right; NULL is open",
        "ends": "its last day; NULL is open",
        "restricted": "a flag: a court order or the like, which wins over everything else",
        "assignment": "a flag for each kind that may be closed to some; without the column it is "
        "open to every guardian",
        "grade": "as `assignment`",
        "attendance": "as `assignment`",
        "meal_balance": "as `assignment`",
        "responsive_schedule": "as `assignment`",
    },
}
_PAGES: Final = {
    "id": "any text",
    "name": "what staff see and search; of an enrollment the student's",
    "family_id": "the `id` of a family",
    "student_id": "the `id` of a student",
    "class_id": "the `id` of a class",
    "camp_id": "the `id` of a camp",
    "person_id": "one of the people who hear of the student in this family",
    "school_id": "for students a row for each school",
    "year": "the school year, as people call it",
    "grade": "the grade level",
    "homeroom": "as people call it",
    "status": "whatever the SIS calls it",
    "teacher": "a name",
    "meets": "when it meets",
    "place": "where",
    "starts": "the first day",
    "ends": "the last day",
    "type": "whatever the SIS calls it",
    "active": "a flag: the student takes part. From a class or camp only those are written to",
    "title": "of the class or camp",
    "session": "of the camp",
}


class _Said(NamedTuple):
    """A key of the file."""

    name: str
    type: str
    default: str
    meaning: str
    example: str
    need: str


def tables() -> Mapping[str, tuple[Row, Iterator[Row]]]:
    """Each table of the language by its name: the head and the rows."""
    common = {one.name for one in _said(Captured)}
    return {
        "parts of the file": (HEAD, _rows(Definition, leave=("written",))),
        "keys of a watch": (HEAD, _rows(Watch)),
        "keys of a directory watch": (HEAD, _rows(DirectoryWatch, leave=common)),
        "keys of a query": (HEAD, _rows(Query)),
        "columns of facts": (COLUMN_HEAD, _columns_of_facts()),
        "words of facts": (("of the kind", "columns that texts may use"), _words()),
        "columns of labels": (COLUMN_HEAD, _columns(_LABELS, ("value", "label"), ("number",))),
        "columns of the directory": (("query", *COLUMN_HEAD), _directory()),
        "queries of pages": (("query", "must give", "may give", "needs besides"), _pages()),
        "columns of pages": (("column", "meaning"), _columns_of_pages()),
    }


def needs() -> Iterator[Row]:
    """What a schema has, and what one writes for it."""
    for type_ in (Watch, DirectoryWatch):
        for one in _said(type_):
            if one.need and (type_ is Watch or one.name == "from"):
                yield one.need, _code(one.example)


def examples() -> Iterator[tuple[type[msgspec.Struct], str, str]]:
    """Each key of the language with its example."""
    for type_ in (Definition, Watch, DirectoryWatch, Query):
        for one in _said(type_):
            if one.example:
                yield type_, one.name, one.example


def _rows(type_: type[msgspec.Struct], leave: Any = ()) -> Iterator[Row]:
    for one in _said(type_):
        if one.name not in leave:
            yield _code(one.name), one.type, one.default, one.meaning, _code(one.example)


def _said(type_: type[msgspec.Struct]) -> Iterator[_Said]:
    fields: Any = getattr(inspect.type_info(type_), "fields", ())
    for field in fields:
        if isinstance(field.type, inspect.Metadata):
            said = field.type.extra_json_schema or {}
            extra = field.type.extra or {}
            yield _Said(
                field.encode_name, _type(field.type.type), _default(field), said["description"],
                extra["example"], extra["need"],
            )  # fmt: skip


def _default(field: inspect.Field) -> str:
    if field.required:
        return "needed"
    return _code("false") if field.default is False else ""


def _type(found: inspect.Type) -> str:
    """What is written, in words."""
    match found:
        case inspect.UnionType(types):
            return " or ".join(dict.fromkeys(map(_type, types)))
        case inspect.VarTupleType(item_type=inspect.StructType()):
            return "tables"
        case inspect.VarTupleType(item_type=item):
            return f"list of {' and '.join(f'{one}s' for one in _type(item).split(' or '))}"
        case inspect.DictType(value_type=inspect.StructType()):
            return "tables by name"
        case inspect.DictType(value_type=item):
            return f"table of {_type(item)}s"
        case inspect.EnumType(cls) if cls is Kind:
            return " ".join(map(_code, KINDS_OF_CHANGE))
        case inspect.EnumType(cls):
            return " ".join(_code(one.value) for one in cls)
        case inspect.LiteralType(values):
            return " ".join(_code(str(one)) for one in values if one)
        case inspect.StructType():
            return "tables"
    return _PLAIN[type(found)]


def _columns_of_facts() -> Iterator[Row]:
    yield "the `by` columns", "yes", _FACTS["the `by` columns"]
    said = {name: means for name, means in _FACTS.items() if not name.startswith("the ")}
    yield from _columns(said, facts.NEEDED, facts.OPTIONAL)


def _columns(said: Mapping[str, str], needed: Any, optional: Any) -> Iterator[Row]:
    if strange := set(said) ^ {*needed, *optional}:
        raise ValueError(f"These columns are not explained, or not there: {sorted(strange)}")
    for name in (*needed, *optional):
        yield _code(name), "yes" if name in needed else "", said[name]


def _words() -> Iterator[Row]:
    for kind, names in VARIABLES.items():
        if own := sorted(names - _MADE_BY_US):
            yield _code(kind), " ".join(map(_code, own))


def _directory() -> Iterator[Row]:
    for entity, needed in ENTITY_COLUMNS.items():
        for row in _columns(_DIRECTORY[entity], needed, OPTIONAL_COLUMNS.get(entity, ())):
            yield _code(f"[directory.{entity}]"), *row


def _pages() -> Iterator[Row]:
    for part, needed, optional in pages.columns():
        behind = _code(f"[pages.{PAGES_BEHIND[part]}]") if part in PAGES_BEHIND else ""
        must, may = (" ".join(map(_code, names)) for names in (needed, optional))
        yield _code(f"[pages.{part}]"), must, may, behind


def _columns_of_pages() -> Iterator[Row]:
    given = {name for _, *some in pages.columns() for names in some for name in names}
    if strange := given.symmetric_difference(_PAGES):
        raise ValueError(f"These columns are not explained, or not there: {sorted(strange)}")
    for name, means in _PAGES.items():
        yield _code(name), means


def _code(words: str) -> str:
    return f"`{words}`" if words else ""
