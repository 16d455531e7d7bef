"""Previewing: how a message looks to somebody who would get it, before it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

from msgspec.structs import replace

from engine.database import Database
from engine.ports.broadcasts import Behind, Texts
from engine.runtime.behind import FindBehind
from engine.sources.pages import Page
from engine.sources.selection import Part, Selection
from engine.sources.source import SqlSource
from engine.store import devices, directory, district
from engine.store.expansions import SqlExpansions
from rules.audience import Audience, Candidate
from rules.change import Kind, PersonId
from rules.gates import EVERY_SCHOOL, broadcast_gates, refusal, standing_case
from rules.privacy import Level, shown
from rules.tool_rights import Schools
from rules.wording import Text, TextFault, Wording
from rules.wording.broadcasts import say

_ROWS: Final = 100
_LOOKED_AT: Final = 500  # students behind these


class Preview(NamedTuple):
    """What one person would get: on the lock screen of a phone, and in the app.

    It is the person *number* of the *people* that were looked at, from 0 on, who would be told.
    *text* is what the app says, or why it says nothing; the *lock_screen* says all of it where the
    *level* is FULL. A student of theirs whom nobody looked at may add a value.
    """

    number: int
    people: int
    person: str
    audience: Audience
    language: str
    level: Level
    lock_screen: Text | None
    text: Text | TextFault


def preview(
    database: Database,
    find: FindBehind,
    wording: Wording,
    selection: Selection,
    texts: Texts,
    schools: Schools,
    now: datetime,
    *,
    number: int = 0,
    is_emergency: bool = False,
) -> Preview | None:
    """What a person would get if *texts* were sent now; None where nobody would.

    Of the first rows of the selection alone: nobody waits for a hundred thousand while they write.
    Raises SchoolbellError where the SIS does not answer.
    """
    some = _some_of(find.source, selection, schools)
    found = list(islice(find.of(some, schools, texts, now), _LOOKED_AT))
    told = _told(database, find, found, now, is_emergency=is_emergency)
    if not told:
        return None
    number %= len(told)
    candidate, units = list(told.values())[number]
    with database.read() as connection:
        name = directory.full_names(connection, [candidate.person]).get(candidate.person, "")
        allowed = district.privacy(connection).level
        phones = devices.live(connection, candidate.live_devices).values()
    levels = (shown(allowed, one.level) for one in phones)
    level = min(levels, key=tuple(Level).index, default=allowed)
    text = say(texts, [one.variables for one in units], candidate.language)
    brief = None
    if level is not Level.FULL:
        brief = wording.brief(level, Kind.BROADCAST, candidate.audience, candidate.language, "")
    elif isinstance(text, Text):
        brief = text
    return Preview(
        number, len(told), name, candidate.audience, candidate.language, level, brief, text
    )


def _some_of(source: SqlSource, selection: Selection, schools: Schools) -> Selection:
    """The selection of its first rows, without a filter."""
    parts: dict[Page, Part] = {}
    for part, what in selection.parts.items():
        ids = list(what.ids[:_ROWS])
        for to in what.matching:
            if len(ids) < _ROWS:
                rows = source.pages.look(part, to, schools=schools, limit=_ROWS).rows
                ids += [row.id for row in rows if row.id not in what.unticked]
        parts[part] = Part(ids=tuple(dict.fromkeys(ids)))
    return replace(selection, parts=parts)


def _told(
    database: Database, find: FindBehind, found: Sequence[Behind], now: datetime, *,
    is_emergency: bool,
) -> Mapping[PersonId, tuple[Candidate, list[Behind]]]:  # fmt: skip
    """Who would be told, with the units that they would hear of."""
    expansions = SqlExpansions(database, str(find.zone))
    circumstances = expansions.circumstances(now)
    gates = broadcast_gates(is_emergency=is_emergency)
    related = expansions.related({one.student for one in found}, now)
    told: dict[PersonId, tuple[Candidate, list[Behind]]] = {}
    for one in found:
        for candidate in _concerned(one, related.get(one.student, ())):
            case = standing_case(Kind.BROADCAST, EVERY_SCHOOL, candidate, circumstances)
            if refusal(case, gates) is None:
                told.setdefault(candidate.person, (candidate, []))[1].append(one)
    return told


def _concerned(one: Behind, related: Sequence[Candidate]) -> Iterator[Candidate]:
    return (each for each in related if one.people is None or each.person in one.people)
