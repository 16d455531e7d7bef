"""A source definition before it is used: drafted from a database, and tried on real rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from engine.config import Config
from engine.database import Database
from engine.errors import BrokenQuery, ConfigError
from engine.ports import Decided
from engine.runtime.clock import utc_now
from engine.runtime.rehearsal import Rehearsed, rehearsal
from engine.runtime.templates import read_wording
from engine.sources import schema, trial
from engine.sources.definition import Watch
from engine.sources.draft.looking import look
from engine.sources.draft.writing import Drafted as Drafted  # the answer of draft
from engine.sources.draft.writing import write
from engine.sources.loading import load
from engine.sources.recent import as_changes, recent
from engine.sources.source import SqlSource
from engine.sources.trial import Asked as Asked  # a part of the answers of attempt
from engine.sources.trial import Listed as Listed
from rules.audience import Audience
from rules.change import KINDS_OF_CHANGE, ChangeId, PersonId
from rules.wording import Text, TextFault, Wording

SOMEBODY = "(student)"
"""What stands in a text in place of a student's name."""


@dataclass(frozen=True, slots=True)
class Said:
    """A text that people of one audience would have read in one language."""

    audience: Audience
    language: str
    text: Text | TextFault


@dataclass(frozen=True, slots=True)
class TriedRow:
    """What would have become of one row. *problem* says why it could not be decided, and a remedy.

    *said* has the student's name where names were asked for, else SOMEBODY.
    """

    name: str
    decided: Sequence[Decided] = ()
    said: Sequence[Said] = ()
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """A watch, how its rows were chosen, what became of them, and the queries that were asked."""

    watch: Watch
    how: str
    rows: Sequence[TriedRow] = ()
    asked: Sequence[Asked] = ()
    problem: tuple[str, str] | None = None
    names: Mapping[PersonId, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Beginning:
    """Which definition is tried in which database, and what need not be wrong with it."""

    definition: str
    database: str
    remarks: Sequence[str] = ()


def draft(url: str, schema: str | None) -> Drafted:
    """The beginnings of a definition for the database at *url*, which is only read.

    Raises ConfigError where there is nothing to look at, and what the database raises.
    """
    with closing(Database(url, read_only=True)) as database:
        return write(database.name, look(database, schema), database.engine.dialect)


def attempt(
    config: Config,
    watches: Collection[str],
    last: int,
    *,
    definition: str | None = None,
    url: str | None = None,
    names: bool = False,
) -> Iterator[Beginning | Listed | Asked | Tried]:
    """Try a definition on what the SIS holds now: the directory, then *last* rows of each watch.

    Only *watches* where some are named; another *definition* or *url* than the configuration's
    where they are given. Nothing is sent, installed, or written to any database of
    the school or of ours. Raises ConfigError where the definition does not fit the database.
    """
    tried = load(definition or config.source.definition)
    wanted = _wanted(tried.watch, watches)
    wording = read_wording(config.wording.templates_file)
    with closing(Database(url or config.source_url, read_only=True)) as database:
        source = SqlSource(database, tried, ZoneInfo(config.district.timezone))
        schema.require_fitting(database, tried)
        used = {kind: wording.used(kind) for kind in KINDS_OF_CHANGE}
        try:
            remarks = list(source.remarks(used))
        except BrokenQuery:
            remarks = []  # what is wrong with it is told of its watch
        yield Beginning(tried.name, database.name, remarks)
        listed = list(trial.directory(database, tried, source.zone))
        yield from listed
        yield from trial.refreshes(database, tried, last, utc_now())
        if any(one.problem for one in listed):
            return
        for watch in wanted:
            yield _tried(source, watch, last, wording, config.district.timezone, names=names)


def is_well(part: Beginning | Listed | Asked | Tried) -> bool:
    """Whether nothing of a part has to be mended: a row that tells nobody is no fault."""
    match part:
        case Beginning():
            return True
        case Listed():
            return part.problem is None and not part.unread
        case Asked():
            return not part.whole
        case Tried():
            return (
                part.problem is None
                and all(map(is_well, part.asked))
                and not any(row.problem for row in part.rows)
            )


def _wanted(watches: Sequence[Watch], names: Collection[str]) -> Sequence[Watch]:
    known = [watch.name for watch in watches]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"The definition has no watch {name}.", f"Name one of: {', '.join(known)}."
            )
    return [watch for watch in watches if not names or watch.name in names]


def _tried(
    source: SqlSource, watch: Watch, last: int, wording: Wording, timezone: str, *, names: bool
) -> Tried:
    database, definition = source.database, source.definition
    with database.read() as connection:
        found = recent(connection, watch, last)
    changes = as_changes(definition.name, watch, found.rows, utc_now())
    try:
        asked = list(trial.asked(database, definition, watch, changes))
        with rehearsal(source, wording, timezone) as rehearse:
            result = rehearse(changes)
    except BrokenQuery as error:
        return Tried(watch, found.how, problem=(error.problem, error.remedy))
    rows = [
        _row(row.name, change.id, result, wording, names=names)
        for row, change in zip(found.rows, changes, strict=True)
    ]
    return Tried(watch, found.how, rows, asked, names=result.names if names else {})


def _row(
    name: str, change: ChangeId, result: Rehearsed, wording: Wording, *, names: bool
) -> TriedRow:
    if parked := result.parked.get(change):
        return TriedRow(name, problem=(parked.problem, parked.remedy))
    decided = [row if names else _nameless(row) for row in result.decided[change]]
    said = [
        Said(audience, language, wording.render(row.facts, audience, language))
        for row in decided
        if row.facts
        for audience, language in dict.fromkeys(
            (one.audience, one.language) for one in row.people if one.devices
        )
    ]
    return TriedRow(name, decided, said)


def _nameless(row: Decided) -> Decided:
    return row._replace(facts=row.facts._replace(student_name=SOMEBODY) if row.facts else None)
