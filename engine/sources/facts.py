"""Facts: what the SIS says about changed records, and what a change means for each student."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.sources.definition import Definition, Query, Watch
from engine.sources.flags import allows
from engine.sources.keys import parts
from engine.sources.moments import window
from engine.sources.patience import Patience
from engine.sources.queries import Key, converting, match
from engine.sources.rows import is_of_one_row, own_watch, row_of, rows_of
from engine.sources.unclear import Unclear
from engine.sources.values import Label, Meaning, canonical, number, written
from rules.change import CalendarId, Change, ChangeId, SchoolId, StudentId, Subject, TermId, Value
from rules.wording.templates import VARIABLES

OPTIONAL: Final = ("term_id", "out_of", "text", "visible_from", "visible_until")
NEEDED: Final = ("record", "student_id", "school_id", "calendar_id", "released", "value")

MADE_BY_US: Final = frozenset({"student", "before", "after"})
_NO_WORDS: Final = frozenset({*NEEDED, *OPTIONAL}) | MADE_BY_US

Fact = Mapping[str, Any]


class _Found(NamedTuple):
    """One row of the facts about one change; *words* are the columns that texts may use."""

    definition: Definition
    change: Change
    watch: Watch
    fact: Fact
    meaning: Meaning
    release_is_watched: bool
    as_now: bool
    words: Sequence[str]


def _subject(found: _Found) -> Subject:
    """What the change means for the student, who has no name yet."""
    before, after = _values(found)
    fact, change = found.fact, found.change
    own = found.meaning.watch
    is_own = own is found.watch
    seen, record = window(fact, found.meaning.zone), str(fact["record"])
    return Subject(
        change=change.id,
        kind=found.watch.kind,
        record=record,
        student=StudentId(str(fact["student_id"])),
        student_name="",
        school=SchoolId(_text(fact["school_id"])),
        calendar=CalendarId(_text(fact["calendar_id"])),
        released=allows(fact["released"]) and seen.clear and not _hides(found),
        before=before,
        after=after,
        details={
            name: written(word, found.meaning.zone)
            for name in found.words
            if (word := fact.get(name)) is not None
        },
        position=change.position,
        # A row that was deleted and has facts was only written anew.
        withdrawn=is_own and after is None and change.after is not None and own.withdraws,
        row=row_of(fact, own) if own.withdraws else "",
        opens=seen.opens,
        closes=seen.closes,
        release_is_watched=found.release_is_watched,
        of_others=not is_of_one_row(found.definition, found.watch, change, record),
        as_now=found.as_now or found.watch.from_facts,
        term=TermId(_text(fact.get("term_id"))),
    )


def find(
    database: Database,
    definition: Definition,
    changes: Sequence[tuple[Change, Watch]],
    zone: tzinfo,
    patience: Patience,
    unclear: Unclear,
    as_now: Collection[ChangeId] = (),
) -> list[Subject]:
    """Everyone whom *changes* concern, by one query for each watch and each kind of label.

    A change of a record that is gone, or that turned nothing visible, concerns nobody. Students
    come in the order of their ids: a phone that siblings' families share is told of the first.
    Moments are told by the clock of the *zone*. Conditions that cannot be read are noted in
    *unclear*. What is told of changes in *as_now* is what the facts say, and not the changes.
    Raises BrokenQuery where the SIS refuses a query, SlowQuery where one takes too long or did
    lately, and Unprocessable where what a row holds
    makes it fail.
    """
    found: list[Subject] = []
    with database.limited() as connection:

        @contextmanager
        def asking(name: str, query: Query) -> Iterator[None]:
            with patience.asking(database, connection, name, query), converting(database, name):
                yield

        for change, watch in changes:
            unclear.look_at_change(watch, change)
        for watch, of_watch in _by_watch(changes).items():
            own = own_watch(definition, watch)
            with asking(f"[facts.{watch.facts}]", definition.facts[watch.facts]):
                facts = _facts(connection, definition, watch, of_watch)
            for fact in chain.from_iterable(facts.values()):
                unclear.look_at_fact(watch.facts, fact)
            labels: Mapping[str, Label] = {}
            if own.labels:
                with asking(f"[labels.{own.labels}]", definition.labels[own.labels]):
                    values = _raw(watch, of_watch, facts, as_now)
                    labels = _labels(connection, definition, own, values)
            meaning = Meaning(own, zone, labels)
            watched = _release_is_watched(definition, watch)
            words = sorted(VARIABLES[watch.kind] - _NO_WORDS.union(watch.by_columns))
            found += (
                _subject(
                    _Found(
                        definition,
                        change,
                        watch,
                        fact,
                        meaning,
                        watched,
                        change.id in as_now,
                        words,
                    )
                )
                for change in of_watch
                for fact in facts.get(change.key, ())
            )
    return found


def rows_gone(
    database: Database,
    definition: Definition,
    changes: Sequence[tuple[Change, Watch]],
    patience: Patience,
) -> dict[ChangeId, str]:
    """The names of the rows that *changes* deleted; raises as `find` does."""
    grouped: dict[Watch, list[Change]] = defaultdict(list)
    for change, watch in changes:
        grouped[watch].append(change)
    found: dict[ChangeId, str] = {}
    with database.limited() as connection:
        for watch, of_watch in grouped.items():
            name, query = f"[facts.{watch.facts}]", definition.facts[watch.facts]
            with patience.asking(database, connection, name, query), converting(database, name):
                found |= rows_of(connection, definition, watch, of_watch)
    return found


def _order(fact: Fact) -> tuple[str, str]:
    """By the student, and of one student by the record: a database gives them in any order."""
    return str(fact["student_id"]), str(fact["record"])


def _release_is_watched(definition: Definition, watch: Watch) -> bool:
    """Whether a change that shows the records of *watch* to families would be noticed."""
    return any(
        one.facts == watch.facts and bool(one.released_by or one.from_facts)
        for one in definition.watch
    )


def _by_watch(changes: Sequence[tuple[Change, Watch]]) -> Mapping[Watch, list[Change]]:
    grouped: dict[Watch, list[Change]] = defaultdict(list)
    for change, watch in changes:
        if _counts(change, watch):
            grouped[watch].append(change)
    return grouped


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _counts(change: Change, watch: Watch) -> bool:
    """Where a row must appear, or a column become true, nothing else of the row is news.

    Except that it becomes untrue again: then families may not see the records any more.
    """
    if watch.appears:
        return change.before is None
    if not watch.becomes:
        return True
    return _becomes(watch, change.before) != _becomes(watch, change.after)


def _hides(found: _Found) -> bool:
    """Whether it takes back a release, whatever the SIS says meanwhile: that is a later change."""
    change, watch = found.change, found.watch
    if found.as_now:
        return False
    if watch.becomes:
        return not _becomes(watch, change.after)
    after = change.after
    return bool(watch.released_by and after) and not allows((after or {}).get(watch.released_by))


def _becomes(watch: Watch, row: Mapping[str, Any] | None) -> bool:
    return row is not None and allows(row.get(watch.becomes))


def _facts(
    connection: Connection, definition: Definition, watch: Watch, changes: Sequence[Change]
) -> Mapping[str, list[Fact]]:
    """The facts by the key of a change, those of each by student and record."""
    keys: dict[Key, list[str]] = defaultdict(list)
    for text in {change.key for change in changes}:
        if key := parts(text, watch.key_columns):
            keys[key].append(text)
    query = definition.facts[watch.facts].query
    found: dict[Key, list[Fact]] = defaultdict(list)
    own = own_watch(definition, watch)
    named = own.by_columns if own.withdraws else ()
    for key, fact in match(connection, query, watch.by_columns, list(keys), named):
        if fact["student_id"] is not None:
            found[key].append(fact)
    return {text: sorted(facts, key=_order) for key, facts in found.items() for text in keys[key]}


def _labels(
    connection: Connection, definition: Definition, own: Watch, values: Iterable[Any]
) -> Mapping[str, Label]:
    """What the SIS calls *values*, by what `canonical` makes of them."""
    wanted = {form for value in values if value is not None for form in _forms(value)}
    found: dict[str, Label] = {}
    query = definition.labels[own.labels].query
    keys = [(value,) for value in sorted(wanted)]
    for (value,), row in match(connection, query, ("value",), keys):
        if row["label"] is not None:
            found[canonical(value)] = Label(str(row["label"]), number(row.get("number")))
    return found


def _forms(value: Any) -> set[str]:
    """A value as its column has it: a text may be written as no number is."""
    plainly = canonical(value)
    return {value, plainly} if isinstance(value, str) else {plainly}


def _raw(
    watch: Watch,
    changes: Sequence[Change],
    facts: Mapping[str, list[Fact]],
    as_now: Collection[ChangeId],
) -> Iterator[Any]:
    """Every value that is to be told of."""
    for change in changes:
        if watch.from_facts or change.id in as_now:
            yield from (fact["value"] for fact in facts.get(change.key, ()))
            continue
        for row in (change.before, change.after):
            if row:
                yield from (row.get(column) for column in watch.values)


def _values(found: _Found) -> tuple[Value | None, Value | None]:
    """What families saw before, and what they see now."""
    watch, change = found.watch, found.change
    if watch.from_facts or found.as_now:
        fact = found.fact
        return None, found.meaning.of([fact["value"]], fact.get("text"), fact.get("out_of"))
    before = _of_row(found, change.before)
    by = watch.released_by
    if by and not all(row and allows(row.get(by)) for row in (change.before, change.after)):
        before = None  # what is hidden now is no news, and what was hidden nobody saw
    return before, _of_row(found, change.after)


def _of_row(found: _Found, row: Mapping[str, Any] | None) -> Value | None:
    if row is None:
        return None
    watch = found.watch
    text = row.get(watch.text) if watch.text else None
    return found.meaning.of(
        [row.get(column) for column in watch.values], text, found.fact.get("out_of")
    )


def known_columns(definition: Definition, name: str) -> frozenset[str]:
    """The columns of the facts of this *name* that somebody reads."""
    watches = [watch for watch in definition.watch if watch.facts == name]
    words = (VARIABLES[watch.kind] for watch in watches)
    by = (watch.by_columns for watch in watches)
    return frozenset({*NEEDED, *OPTIONAL}).union(*words, *by) - MADE_BY_US


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
