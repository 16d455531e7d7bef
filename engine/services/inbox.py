"""The inbox: what a person was told, with what they have seen of it and read in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.ports import Decided
from engine.services import typed
from engine.store import decisions, notifications, reading
from rules.change import Kind, PersonId, StudentId
from rules.identity import is_origin
from rules.notification import Notification, NotificationId
from rules.wording import TextFault, Wording

NO_WORDS = "The words are not kept any more."


class Entry(NamedTuple):
    """One thing that a person was told; *seen* in the list, or *read* by itself."""

    id: NotificationId
    at: datetime
    student: StudentId
    kind: Kind
    title: str
    body: str
    seen: bool
    read: bool


class Inbox(NamedTuple):
    """The newest entries first, and how many of them the person has not seen."""

    entries: Sequence[Entry]
    unseen: int


def inbox(
    database: Database, wording: Wording, person: PersonId, now: datetime, limit: int = 50
) -> Inbox:
    """What *person* was told, in the language that they read now; nothing is marked by looking.

    Raises SchoolbellError for a *limit* that is none.
    """
    limit = typed.shown(limit)
    with database.read() as connection:
        told = _told(connection, person, now, limit)
        seen_at = reading.seen_at(connection, person)
        read = reading.read(connection, person, {one.id for one in told})
        language = reading.language(connection, person)
    entries = [
        _entry(wording, one, language, seen=seen_at is not None and one.at <= seen_at,
               read=one.id in read)
        for one in told
    ]  # fmt: skip
    return Inbox(entries, sum(not one.seen for one in entries))


def mark_seen(database: Database, person: PersonId, now: datetime) -> None:
    """Note that the person has looked at the list: what was told until now is seen."""
    with database.write() as connection:
        reading.mark_seen(connection, person, now)


def mark_read(
    database: Database, person: PersonId, ids: Collection[NotificationId], now: datetime
) -> None:
    """Note that the person has read these entries; raises SchoolbellError for one of nobody's."""
    with database.write() as connection:
        if strange := sorted(set(ids) - _theirs(connection, person, ids)):
            raise SchoolbellError(
                f"Person {person} was not told {strange[0]}, or it is not kept any more.",
                "`schoolbell inbox` names the entries of a person.",
            )
        reading.mark_read(connection, person, ids, now)


def _told(
    connection: Connection, person: PersonId, now: datetime, limit: int
) -> list[Notification]:
    found = notifications.of_person(connection, person, limit)
    for student in decisions.students_of(connection, person):
        for row in decisions.newest_of(
            connection, student, now, limit, lambda row: bool(_to(row, person))
        ):
            found += _to(row, person)
    return sorted(found, key=lambda one: one.at, reverse=True)[:limit]


def _theirs(
    connection: Connection, person: PersonId, ids: Collection[NotificationId]
) -> set[NotificationId]:
    """Which of these *person* was told."""
    by_id = {one: one.partition(".")[0] for one in ids}
    origins = {origin for origin in by_id.values() if is_origin(origin)}
    told = [
        one for row in decisions.of_changes(connection, origins) for one in _to(row, person)
    ] + [one for one in notifications.by_id(connection, origins).values() if one.person == person]
    return {one.id for one in told}


def _to(row: Decided, person: PersonId) -> list[Notification]:
    return [row.notification(one) for one in row.people if one.person == person and one.finds_it]


def _entry(
    wording: Wording, one: Notification, language: str | None, *, seen: bool, read: bool
) -> Entry:
    text = wording.render(one.facts, one.audience, language or one.language)
    title, body = (NO_WORDS, "") if isinstance(text, TextFault) or one.facts.forgotten else text
    return Entry(one.id, one.at, one.student, one.facts.kind, title, body, seen, read)
