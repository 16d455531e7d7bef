"""Facts: what the SIS says about changed records, and what a change means for each student."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.sources.definition import Definition, Watch
from engine.sources.flags import allows
from engine.sources.keys import parts
from engine.sources.queries import Key, asking, match
from engine.sources.rows import own_watch, row_of, row_of_fact
from rules.change import CalendarId, Change, Kind, SchoolId, StudentId, Subject, Value
from rules.thresholds import percent
from rules.wording.templates import VARIABLES

OPTIONAL: Final = ("out_of",)
NEEDED: Final = ("record", "student_id", "school_id", "calendar_id", "released", "value")
_NOT_WORDS: Final = frozenset({*NEEDED, *OPTIONAL})

_MADE_BY_US: Final = frozenset({"student", "before", "after"})

Fact = Mapping[str, Any]
Labels = Mapping[str, str]


class _Found(NamedTuple):
    """One row of the facts about one change."""

    change: Change
    watch: Watch
    fact: Fact
    labels: Labels
    own: Watch


def _subject(found: _Found) -> Subject:
    """What the change means for the student, who has no name yet."""
    before, after = _values(found)
    fact, change = found.fact, found.change
    not_words = _NOT_WORDS.union(found.watch.by_columns)
    is_own = found.own is found.watch
    row = row_of(change, found.own) if is_own else row_of_fact(fact, found.own)
    return Subject(
        change=change.id,
        kind=found.watch.kind,
        record=str(fact["record"]),
        student=StudentId(str(fact["student_id"])),
        student_name="",
        school=SchoolId(str(fact["school_id"])),
        calendar=CalendarId(str(fact["calendar_id"])),
        released=allows(fact["released"]),
        before=before,
        after=after,
        details={
            name: str(word)
            for name, word in fact.items()
            if name not in not_words and word is not None
        },
        position=change.position,
        # A row that was deleted and has facts was only written anew.
        withdrawn=is_own and after is None and change.after is not None and found.own.withdraws,
        row=row if found.own.withdraws else "",
    )


def find(
    database: Database, definition: Definition, changes: Sequence[tuple[Change, Watch]]
) -> list[Subject]:
    """Everyone whom *changes* concern, by one query for each watch and each kind of label.

    A change of a record that is gone, or that turned nothing visible, concerns nobody. Students
    come in the order of their ids: a phone that siblings' families share is told of the first.
    Raises BrokenQuery where the SIS refuses a query.
    """
    found: list[Subject] = []
    with database.read() as connection:
        for watch, of_watch in _by_watch(changes).items():
            with asking(database, f"[labels.{watch.labels}]"):
                labels = _labels(connection, definition, watch, of_watch)
            with asking(database, f"[facts.{watch.facts}]"):
                facts = _facts(connection, definition, watch, of_watch)
            found += (
                _subject(_Found(change, watch, fact, labels, own_watch(definition, watch)))
                for change in of_watch
                for fact in facts.get(change.key, ())
            )
    return found


def _student(fact: Fact) -> str:
    return str(fact["student_id"])


def _by_watch(changes: Sequence[tuple[Change, Watch]]) -> Mapping[Watch, list[Change]]:
    grouped: dict[Watch, list[Change]] = defaultdict(list)
    for change, watch in changes:
        if _counts(change, watch):
            grouped[watch].append(change)
    return grouped


def _counts(change: Change, watch: Watch) -> bool:
    """Where a column must become true, nothing else of the row is news."""
    if not watch.becomes:
        return True
    before, after = change.before or {}, change.after or {}
    return allows(after.get(watch.becomes)) and not allows(before.get(watch.becomes))


def _facts(
    connection: Connection, definition: Definition, watch: Watch, changes: Sequence[Change]
) -> Mapping[str, list[Fact]]:
    """The facts by the key of a change, those of each in the order of their students."""
    keys: dict[Key, list[str]] = defaultdict(list)
    for text in {change.key for change in changes}:
        if key := parts(text, watch.key_columns):
            keys[key].append(text)
    query = definition.facts[watch.facts].query
    found: dict[Key, list[Fact]] = defaultdict(list)
    for key, fact in match(connection, query, watch.by_columns, list(keys)):
        if fact["student_id"] is not None:
            found[key].append(fact)
    return {text: sorted(facts, key=_student) for key, facts in found.items() for text in keys[key]}


def _labels(
    connection: Connection, definition: Definition, watch: Watch, changes: Sequence[Change]
) -> Labels:
    if not watch.labels:
        return {}
    values = {
        str(row[watch.values[0]])
        for change in changes
        for row in (change.before, change.after)
        if row and row.get(watch.values[0]) is not None
    }
    query = definition.labels[watch.labels].query
    keys = [(value,) for value in values]
    return {
        value: str(row["label"])
        for (value,), row in match(connection, query, ("value",), keys)
        if row["label"] is not None
    }


def _values(found: _Found) -> tuple[Value | None, Value | None]:
    """What families saw before, and what they see now."""
    watch, change = found.watch, found.change
    if watch.becomes:
        return None, _value(found, [found.fact["value"]], "")
    before = _of_row(found, change.before)
    if watch.released_by and change.before and not allows(change.before.get(watch.released_by)):
        before = None
    return before, _of_row(found, change.after)


def _of_row(found: _Found, row: Mapping[str, Any] | None) -> Value | None:
    if row is None:
        return None
    watch = found.watch
    words = str(row.get(watch.text) or "") if watch.text else ""
    return _value(found, [row.get(column) for column in watch.values], words)


def _value(found: _Found, raw: Sequence[Any], words: str) -> Value | None:
    parts = [str(part) for part in raw if part is not None]
    if not parts:
        return None
    if found.watch.labels:
        return Value(found.labels.get(parts[0], parts[0]))
    number = _number(parts[0]) if len(parts) == 1 else None
    match found.watch.kind:
        case Kind.ASSIGNMENT:
            out_of = _number(found.fact.get("out_of"))
            return Value(words or _score(parts[0], number, out_of), percent(number, out_of))
        case Kind.GRADE:
            return Value(words or _percent(parts[0], number), number)
        case Kind.MEAL_BALANCE:
            return Value(words or _dollars(parts[0], number), number)
        case Kind.ATTENDANCE | Kind.RESPONSIVE_SCHEDULE:
            return Value(words or ", ".join(parts))


def _number(raw: Any) -> Decimal | None:
    """A finite number, or None: an infinite score cannot be compared with a threshold."""
    try:
        number = Decimal(str(raw))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _score(raw: str, points: Decimal | None, out_of: Decimal | None) -> str:
    if points is None:
        return raw
    return _plain(points) if out_of is None else f"{_plain(points)}/{_plain(out_of)}"


def _percent(raw: str, number: Decimal | None) -> str:
    return raw if number is None else f"{_plain(number)}%"


def _dollars(raw: str, number: Decimal | None) -> str:
    if number is None:
        return raw
    return f"-${-number:.2f}" if number < 0 else f"${number:.2f}"


def _plain(number: Decimal) -> str:
    """18 for 18.00, 17.5 for 17.50; never 1E+2."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def known_columns(definition: Definition, name: str) -> frozenset[str]:
    """The columns of the facts of this *name* that somebody reads."""
    watches = [watch for watch in definition.watch if watch.facts == name]
    words = (VARIABLES[watch.kind] for watch in watches)
    by = (watch.by_columns for watch in watches)
    return frozenset({*NEEDED, *OPTIONAL}).union(*words, *by) - _MADE_BY_US


def needed_columns(definition: Definition) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The name of each facts and labels query, its SQL, and the columns that it must give."""
    for name, query in definition.facts.items():
        by = {
            column
            for watch in definition.watch
            if watch.facts == name
            for column in watch.by_columns
        }
        yield f"[facts.{name}]", query.query, (*NEEDED, *by)
    for name, query in definition.labels.items():
        yield f"[labels.{name}]", query.query, ("value", "label")
