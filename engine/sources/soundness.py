"""Whether the parts of a source definition fit together, as far as the file alone can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Final

from engine.dialects.names import table_parts
from engine.sources.definition import (
    ENTITY_COLUMNS,
    PAGES_BEHIND,
    Captured,
    Definition,
    DirectoryWatch,
    Pages,
    Watch,
    several,
)
from engine.sources.lines import Place
from engine.sources.values import COMPARED, canonical
from rules.change import KINDS_OF_CHANGE

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_MOST_KEY_COLUMNS: Final = 16
_MOST_COLUMNS: Final = 50  # a function of PostgreSQL takes 100 arguments: names and values
_LONGEST_TIMEOUT: Final = 600  # seconds; the sessions of a guest last no longer
_LONGEST: Final = 128  # characters; no database has longer names
_NEVER: Final = ("\0", "$function$")  # what ends a name, or the body of a function

Found = tuple[Place, str]


def problems(definition: Definition) -> Iterator[Found]:
    """Each problem with the place where it stands, as a path of keys and of numbers in lists."""
    if not definition.name.strip():
        yield ("name",), "`name` is blank"
    for part, watches in (
        ("watch", definition.watch),
        ("directory_watch", definition.directory_watch),
    ):
        for number, captured in enumerate(watches):
            for key, sentence in _problems_of(captured, definition):
                yield (part, number, *([key] if key else ())), sentence
    yield from _twice(definition)
    yield from _problems_of_queries(definition)
    for page, behind in PAGES_BEHIND.items():
        if definition.pages.query(page) is not None and definition.pages.query(behind) is None:
            yield ("pages", page), f"it needs [pages.{behind}], which says whom it is about"


def _twice(definition: Definition) -> Iterator[Found]:
    names: set[str] = set()
    told: dict[object, str] = {}
    for place, captured in _places(definition):
        if captured.name in names:
            yield (*place, "name"), f"two watches are named {captured.name}"
        names.add(captured.name)
        if isinstance(captured, Watch):
            same = (
                *(captured.table, captured.kind, captured.values, captured.text),
                *(captured.becomes, captured.columns),
            )
            if same in told:
                yield place, f"it watches the same as {told[same]}, so families would hear it twice"
            told.setdefault(same, captured.name)


def _places(definition: Definition) -> Iterator[tuple[Place, Captured]]:
    for number, watch in enumerate(definition.watch):
        yield ("watch", number), watch
    for number, directory_watch in enumerate(definition.directory_watch):
        yield ("directory_watch", number), directory_watch


def _problems_of_queries(definition: Definition) -> Iterator[Found]:
    named = [
        *((("facts", name), query) for name, query in definition.facts.items()),
        *((("labels", name), query) for name, query in definition.labels.items()),
        *(
            (("directory", entity), definition.directory.asked(entity))
            for entity in definition.directory.entities
        ),
        *(
            (("pages", part), query)
            for part in Pages.__struct_fields__
            if (query := getattr(definition.pages, part))
        ),
    ]
    for place, query in named:
        sql = query.query.strip()
        if not sql:
            yield (*place, "query"), "the query is blank"
        elif sql.endswith(";"):
            yield (*place, "query"), "leave out the semicolon at the end"
        elif "\0" in sql:
            yield (*place, "query"), "the query holds a NUL character"
        if not 0 < query.timeout <= _LONGEST_TIMEOUT:
            yield (
                (*place, "timeout"),
                f"`timeout` must be a number of seconds, above zero and at most {_LONGEST_TIMEOUT}",
            )


def _problems_of(captured: Captured, definition: Definition) -> Iterator[tuple[str, str]]:
    yield from _problems_of_capture(captured)
    if isinstance(captured, Watch):
        yield from _problems_of_watch(captured, definition)
    elif isinstance(captured, DirectoryWatch):
        if captured.refreshes not in definition.directory.entities:
            yield "refreshes", f"there is no [directory.{captured.refreshes}]"
        yield from _problems_of_directory_watch(captured)


def _problems_of_capture(captured: Captured) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(captured.name):
        yield "name", "a name is made of small letters, digits and hyphens, at most 40"
    parts = table_parts(captured.table)
    if not parts or len(parts) > 2:
        yield (
            "table",
            f"{captured.table!r} names no table: write its name, or its schema, a dot and its name;"
            ' where a dot belongs to a name, write both as a list, as in ["food", "acc.ounts"]',
        )
    for name in parts:
        yield from (("table", why) for why in _why_no_name(name))
    yield from _problems_of_columns("key", captured.key_columns, _MOST_KEY_COLUMNS)
    yield from _problems_of_columns("columns", captured.columns, _MOST_COLUMNS)


def _problems_of_columns(key: str, columns: Sequence[str], most: int) -> Iterator[tuple[str, str]]:
    if not columns:
        yield key, f"`{key}` names no column"
    if len(columns) > most:
        yield key, f"`{key}` may name {most} columns at most"
    for column in columns:
        yield from ((key, why) for why in _why_no_name(column))
    for column in sorted({one for one in columns if columns.count(one) > 1}):
        yield key, f"`{key}` names {column} twice"


def _why_no_name(name: str) -> Iterator[str]:
    if not name:
        yield "a name is blank"
    elif len(name) > _LONGEST or any(part in name for part in _NEVER):
        yield f"{name[:_LONGEST]!r} cannot be the name of a table or column"


def _problems_of_watch(watch: Watch, definition: Definition) -> Iterator[tuple[str, str]]:
    if watch.facts not in definition.facts:
        yield "facts", f"there is no [facts.{watch.facts}]"
    if watch.labels and watch.labels not in definition.labels:
        yield "labels", f"there is no [labels.{watch.labels}]"
    yield from _problems_of_a_release(watch, definition)
    if watch.labels and several(watch.value)[1:]:
        yield "labels", "`labels` need one column as `value`"
    for column in watch.by_columns:
        yield from (("by", why) for why in _why_no_name(column))
    if len(watch.by_columns) != len(watch.key_columns):
        yield "by", "`by` must name one column of the facts for each of `key`, in their order"
    yield from _problems_of_what_counts(watch)
    yield from _problems_of_values(watch)
    for key, columns in (
        ("value", several(watch.value)),
        ("first_of", watch.first_of),
        ("text", several(watch.text)),
        ("released_by", several(watch.released_by)),
        ("becomes", several(watch.becomes)),
    ):
        for column in columns:
            if column and column not in watch.columns:
                yield key, f"`{key}` names {column}, which is not among its `columns`"


def _problems_of_what_counts(watch: Watch) -> Iterator[tuple[str, str]]:
    """Which changes count, and what they mean."""
    ways = ("value", "first_of", "becomes", "appears", "looks_again", "computed")
    if sum(bool(getattr(watch, way)) for way in ways) != 1:
        yield "", f"one of {', '.join(f'`{way}`' for way in ways)} is needed, not more"
    if watch.deleted and watch.releases:
        yield "deleted", "`deleted` belongs to the watch with the record's `value`"


def _problems_of_a_release(watch: Watch, definition: Definition) -> Iterator[tuple[str, str]]:
    """What its values mean is said once: where the record itself is watched."""
    records = [one for one in definition.watch if one.facts == watch.facts and one.values]
    if watch.releases and records:
        for key in ("labels", "text", "words", "numbers", "ignore", "scale"):
            if getattr(watch, key):
                yield key, f"a release is told as [[watch]] {records[0].name} is; say `{key}` there"


def _problems_of_values(watch: Watch) -> Iterator[tuple[str, str]]:
    """What is said of values: of one column, once each, and so that it can be compared."""
    if watch.kind not in KINDS_OF_CHANGE:
        yield "kind", f"{watch.kind} is what staff write, and no kind of change"
    said = {key: getattr(watch, key) for key in ("words", "numbers", "ignore", "scale")}
    if several(watch.value)[1:]:
        for key in filter(said.get, said):
            yield key, f"`{key}` needs one column as `value`"
    for key in ("words", "numbers"):
        values = [canonical(value) for value in said[key]]
        for value in sorted({one for one in values if values.count(one) > 1}):
            yield key, f"`{key}` names {value} twice"
    for value in sorted(set(map(canonical, watch.words)) & set(map(canonical, watch.ignore))):
        yield "ignore", f"{value} is among `words` too"
    for value, word in watch.words.items():
        if not word.strip():
            yield (
                "words",
                f"the word for {value} is blank; name it in `ignore` where it says nothing",
            )
    yield from _problems_of_numbers(watch)


def _problems_of_numbers(watch: Watch) -> Iterator[tuple[str, str]]:
    for key in ("numbers", "scale"):
        if getattr(watch, key) and watch.kind not in COMPARED:
            yield key, f"`{key}` is for what has a threshold, and {watch.kind} has none"
    if (
        not isfinite(watch.scale)
        or watch.scale < 0
        or not all(map(isfinite, watch.numbers.values()))
    ):
        yield "", "`scale` and `numbers` must be numbers, and `scale` above zero"


def _problems_of_directory_watch(watch: DirectoryWatch) -> Iterator[tuple[str, str]]:
    by, columns = several(watch.by), ENTITY_COLUMNS[watch.refreshes]
    for column in by:
        if column not in columns:
            yield (
                "by",
                f"`by` names {column}, which is no column of [directory.{watch.refreshes}];"
                f" those are {', '.join(columns)}",
            )
    if watch.from_ and not by:
        yield "from", "`from` says where the values of `by` stand, and there is no `by`"
    elif watch.from_ and len(several(watch.from_)) != len(by):
        yield "from", "`from` must name one column for each of `by`, in their order"
    elif by == ("id",) and not watch.from_ and len(watch.key_columns) > 1:
        yield "by", "its key has several columns; say with `from` which of them is the `id`"
    for _, column in watch.pairs:
        if column not in (*watch.key_columns, *watch.columns):
            yield "by", f"`by` needs {column}, which is neither in its `key` nor in its `columns`"
