"""What became of broadcasts for one person: "why did this parent (not) get it?"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.ports.broadcasts import Broadcast, Recipient
from engine.store import broadcasts, directory, notifications, recipients
from engine.store.recipients import Phones
from rules.broadcasts import BroadcastId, Message
from rules.change import PersonId, StudentId
from rules.reasons import Reason

_MOST: Final = 1_000


class Received(NamedTuple):
    """What became of one broadcast for one person, because of a student and perhaps of others.

    *message* is what they were told, or are to be told, as long as the words are kept; *title* is
    what was written. *phones* are what gateways said.
    """

    broadcast: BroadcastId
    begun_at: datetime | None
    title: str
    reason: Reason
    problem: str | None
    message: Message | None
    phones: Phones


def received(
    database: Database, student: StudentId, person: PersonId, limit: int = 10
) -> Sequence[Received]:
    """What became of the newest broadcasts about *student* for *person*, the newest first."""
    with database.read() as connection:
        ids = directory.ids_of(connection, person)
        found = [
            (name, one)
            for name, one in recipients.of_person(connection, ids, _MOST)
            if student in one.students
        ][:limit]
        return [
            _received(connection, one, each)
            for name, each in found
            if (one := broadcasts.one(connection, name))
        ]


def _received(connection: Connection, one: Broadcast, of: Recipient) -> Received:
    told = notifications.of_recipient(connection, one.id, of.person)
    message = told.facts if told and isinstance(told.facts, Message) else None
    text = next(iter(one.texts.values()), None)
    phones = recipients.phones_of(connection, one.id, [of.person])
    return Received(
        one.id, one.begun_at, text.title if text else "", of.reason, of.problem, message,
        phones.get(of.person, Phones()),
    )  # fmt: skip
