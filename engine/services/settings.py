"""What a district chooses: whether anything is sent, what is offered, what lock screens show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from engine.database import Database
from engine.errors import SchoolbellError
from engine.services.actor import Actor, changed
from engine.store import app, district
from engine.store.staff import audit
from engine.store.staff.audit import Entry
from rules.privacy import Level, Privacy

ENABLED: Final = "district.enabled"
FOOD_SERVICE: Final = "district.food-service"
PRIVACY: Final = "district.privacy"
END_TO_END: Final = "district.end-to-end"
APPROVAL: Final = "district.broadcast-approval"
YOUNGEST_STUDENT: Final = "district.youngest-student"
_MOST_RECIPIENTS: Final = 10_000_000
MOST_YEARS: Final = 30
_THE_DISTRICT: Final = "the whole district"


class Chosen(NamedTuple):
    """What the district chose.

    A broadcast needs a second person's approval from one recipient more than *approval_above* on;
    0 is never. Students sign in from *youngest_student* years on; 0 is any age.
    """

    enabled: bool
    food_service: bool
    privacy: Privacy
    approval_above: int
    youngest_student: int


class Reach(NamedTuple):
    """Whom notifications can reach: people who are signed in to stay, and their devices."""

    people: int
    devices: int


def is_enabled(database: Database) -> bool:
    """Whether push notifications are on."""
    with database.read() as connection:
        return district.is_enabled(connection)


def chosen(database: Database) -> Chosen:
    """What the district chose, as it holds now."""
    with database.read() as connection:
        return Chosen(*district.settings(connection))


def reach(database: Database, now: datetime) -> Reach:
    """How many people and devices take pushes now: whom the flag is about."""
    with database.read() as connection:
        return Reach(*app.count_reached(connection, now))


def last_changed(database: Database, act: str) -> Entry | None:
    """Who changed a setting last, and when; None where nobody has yet."""
    with database.read() as connection:
        found: Sequence[Entry] = audit.newest(connection, act=act, limit=1)
    return found[0] if found else None


def enable(database: Database, by: Actor) -> None:
    """Switch push notifications on for the whole district, from the next batch on."""
    _set_enabled(database, by, enabled=True)


def disable(database: Database, by: Actor) -> None:
    """Switch push notifications off for the whole district, from the next batch on."""
    _set_enabled(database, by, enabled=False)


def set_food_service(database: Database, by: Actor, *, offered: bool) -> None:
    """Say whether the district has food service, and so meal balances."""
    with database.write() as connection:
        district.create(connection)
        before = district.has_food_service(connection)
        if before is not offered:
            district.set_food_service(connection, food_service=offered)
            by.did(connection, FOOD_SERVICE, _THE_DISTRICT, *changed(before, offered))


def privacy(database: Database) -> Privacy:
    """What notifications may show now, and whether they are sealed."""
    with database.read() as connection:
        return district.privacy(connection)


def set_privacy(database: Database, by: Actor, level: Level) -> None:
    """Say what lock screens may show at most, from the next push on."""
    with database.write() as connection:
        district.create(connection)
        before = district.privacy(connection).level
        if before is not level:
            district.set_privacy(connection, level)
            by.did(connection, PRIVACY, _THE_DISTRICT, *changed(before, level))


def set_end_to_end(database: Database, by: Actor, *, sealed: bool) -> None:
    """Say whether texts are sealed for the phone, so that nobody on the way can read them."""
    with database.write() as connection:
        district.create(connection)
        before = district.privacy(connection).end_to_end
        if before is not sealed:
            district.set_end_to_end(connection, sealed=sealed)
            by.did(connection, END_TO_END, _THE_DISTRICT, *changed(before, sealed))


def set_approval_above(database: Database, by: Actor, recipients: int) -> None:
    """Say how many recipients a broadcast may have without a second person; 0 is any number.

    Raises SchoolbellError for a number that is none of people.
    """
    if not 0 <= recipients <= _MOST_RECIPIENTS:
        raise SchoolbellError(
            "This is no number of recipients.",
            "Write one from 0 to 10,000,000; with 0 nothing needs approval.",
        )
    with database.write() as connection:
        district.create(connection)
        before = district.approval_above(connection)
        if before != recipients:
            district.set_approval_above(connection, recipients)
            by.did(connection, APPROVAL, _THE_DISTRICT, *changed(before, recipients))


def set_youngest_student(database: Database, by: Actor, years: int) -> None:
    """Say from how many years on students sign in; with 0 they do at any age.

    Who is younger, or of whom nobody knows how old they are, is out from the next request on.
    Raises SchoolbellError for what is no age of a student.
    """
    if not 0 <= years <= MOST_YEARS:
        raise SchoolbellError(
            "This is no age of a student.",
            "Write years from 0 to %(most)s; with 0 students of any age sign in.",
            most=MOST_YEARS,
        )
    with database.write() as connection:
        district.create(connection)
        before = district.youngest_student(connection)
        if before != years:
            district.set_youngest_student(connection, years)
            by.did(connection, YOUNGEST_STUDENT, _THE_DISTRICT, *changed(before, years))


def _set_enabled(database: Database, by: Actor, *, enabled: bool) -> None:
    with database.write() as connection:
        district.create(connection)
        before = district.is_enabled(connection)
        if before is not enabled:
            district.set_enabled(connection, enabled=enabled)
            by.did(connection, ENABLED, _THE_DISTRICT, *changed(before, enabled))
