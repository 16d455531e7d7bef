"""The inbox: what a person was told, with what they have seen of it and read in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.ports import Decided
from engine.services import typed
from engine.services.texts import text_of
from engine.store import app, decisions, directory, notifications, reading
from engine.store.directory.who import Span
from rules.broadcasts import Message
from rules.change import Kind, PersonId, StudentId
from rules.identity import is_origin
from rules.notification import Notification, NotificationId
from rules.thresholds import written
from rules.wording import Wording

NO_WORDS = "The words are not kept any more."


class Entry(NamedTuple):
    """One thing that a person was told; *seen* in the list, or *read* by itself.

    *because* says why it rang where a threshold of theirs made it ring: "below 70 %: 58 %".
    """

    id: NotificationId
    at: datetime
    student: StudentId
    kind: Kind
    title: str
    body: str
    seen: bool
    read: bool
    because: str = ""


class Inbox(NamedTuple):
    """The newest entries first, and how many of them the person has not seen."""

    entries: Sequence[Entry]
    unseen: int


def inbox(
    database: Database, wording: Wording, person: PersonId, now: datetime, limit: int = 50
) -> Inbox:
    """What *person* was told, in the language that they read now; nothing is marked by looking.

    By whatever ids they had; nothing about a student from whom a restriction parts them now, and
    nothing of who had the id before. Raises SchoolbellError for a *limit* that is none.
    """
    limit = typed.shown(limit)
    with database.read() as connection:
        reader = _reader(connection, person)
        told = _told(connection, reader, now, limit)
        seen_at = reading.seen_at(connection, reader.identity)
        read = reading.read(connection, reader.identity, {one.id for one in told})
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
        reading.mark_seen(connection, directory.identity_of(connection, person), now)


def mark_read(
    database: Database, person: PersonId, ids: Collection[NotificationId], now: datetime
) -> None:
    """Note that the person has read these entries; raises SchoolbellError for one of nobody's."""
    with database.write() as connection:
        reader = _reader(connection, person)
        if strange := sorted(set(ids) - _theirs(connection, reader, ids)):
            raise SchoolbellError(
                f"Person {person} was not told {strange[0]}, or it is not kept any more.",
                "`schoolbell inbox` names the entries of a person.",
            )
        reading.mark_read(connection, reader.identity, ids, now)


class _Reader(NamedTuple):
    """Whose inbox it is: by all of their *ids*, while these were theirs, since their account began.

    *apart* are the students from whom a restriction parts them.
    """

    identity: PersonId
    ids: Mapping[PersonId, Sequence[Span]]
    since: datetime | None
    apart: Collection[StudentId]

    def may_read(self, one: Notification) -> bool:
        """Whether it was told to this person, and may be read by them now."""
        return (
            any(span.holds(one.at) for span in self.ids.get(one.person, ()))
            and one.student not in self.apart
            and self.since is not None
            and one.at >= self.since
        )

    def readable(self, found: Iterable[Notification]) -> Iterator[Notification]:
        """What may be read; what the school wrote is read of other students alone."""
        for one in found:
            if isinstance(one.facts, Message):
                students = [each for each in one.facts.students if each not in self.apart]
                if not students:
                    continue
                one = one._replace(student=students[0], facts=one.facts.about(students))
            if self.may_read(one):
                yield one


def _reader(connection: Connection, person: PersonId) -> _Reader:
    identity, ids = directory.identity_of(connection, person), directory.ids_of(connection, person)
    return _Reader(
        identity, ids, app.account_since(connection, identity),
        directory.restricted(connection, ids),
    )  # fmt: skip


def _told(connection: Connection, reader: _Reader, now: datetime, limit: int) -> list[Notification]:
    found: list[Notification] = []
    for person in reader.ids:
        found += notifications.of_person(connection, person, limit, apart_from=reader.apart)
        for student in decisions.students_of(connection, person):
            if student not in reader.apart:
                for row in decisions.newest_of(
                    connection, student, now, limit, lambda row: bool(_to(row, reader))
                ):
                    found += _to(row, reader)
    mine = {one.id: one for one in reader.readable(found)}
    return sorted(mine.values(), key=lambda one: one.at, reverse=True)[:limit]


def _theirs(
    connection: Connection, reader: _Reader, ids: Collection[NotificationId]
) -> set[NotificationId]:
    """Which of these the reader was told."""
    by_id = {one: one.partition(".")[0] for one in ids}
    origins = {origin for origin in by_id.values() if is_origin(origin)}
    told = [one for row in decisions.of_changes(connection, origins) for one in _to(row, reader)]
    own = notifications.by_id(connection, origins).values()
    return {one.id for one in reader.readable((*told, *own))}


def _to(row: Decided, reader: _Reader) -> list[Notification]:
    told = [
        row.notification(one) for one in row.people if one.person in reader.ids and one.finds_it
    ]
    return [one for one in told if reader.may_read(one)]


def _entry(
    wording: Wording, one: Notification, language: str | None, *, seen: bool, read: bool
) -> Entry:
    text = text_of(wording, one.facts, one.audience, language or one.language)
    title, body = text or (NO_WORDS, "")
    return Entry(
        one.id, one.at, one.student, one.facts.kind, title, body, seen, read, _because(one)
    )


def _because(one: Notification) -> str:
    if isinstance(one.facts, Message) or one.below is None or one.facts.number is None:
        return ""
    kind, number = one.facts.kind, one.facts.number
    return f"below {written(kind, one.below)}: {written(kind, number)}"
