"""What a district chooses: whether anything is sent, what is offered, what lock screens show."""

from __future__ import annotations

from engine.database import Database
from engine.errors import SchoolbellError
from engine.store import district
from rules.audience import Audience
from rules.change import Kind, SchoolId
from rules.privacy import Level, Privacy


def enable(database: Database) -> None:
    """Switch push notifications on for the whole district, from the next batch on."""
    _set_enabled(database, enabled=True)


def disable(database: Database) -> None:
    """Switch push notifications off for the whole district, from the next batch on."""
    _set_enabled(database, enabled=False)


def set_food_service(database: Database, *, offered: bool) -> None:
    """Say whether the district has food service, and so meal balances."""
    with database.write() as connection:
        district.create(connection)
        district.set_food_service(connection, food_service=offered)


def set_display_option(
    database: Database, school: SchoolId, kind: Kind, audience: Audience, *, shown: bool
) -> None:
    """Show or hide a tool to an audience at one school; what is hidden is not pushed.

    Raises SchoolbellError for a school that the directory does not know.
    """
    with database.write() as connection:
        if not district.knows_school(connection, school):
            raise SchoolbellError(
                f"The directory knows no school {school}.",
                "Check the id in the SIS; what is new there arrives with `schoolbell sync`.",
            )
        district.set_display_option(connection, school, kind, audience, shown=shown)


def privacy(database: Database) -> Privacy:
    """What notifications may show now, and whether they are sealed."""
    with database.read() as connection:
        return district.privacy(connection)


def set_privacy(database: Database, level: Level) -> None:
    """Say what lock screens may show at most, from the next push on."""
    with database.write() as connection:
        district.create(connection)
        district.set_privacy(connection, level)


def set_end_to_end(database: Database, *, sealed: bool) -> None:
    """Say whether texts are sealed for the phone, so that nobody on the way can read them."""
    with database.write() as connection:
        district.create(connection)
        district.set_end_to_end(connection, sealed=sealed)


def _set_enabled(database: Database, *, enabled: bool) -> None:
    with database.write() as connection:
        district.create(connection)
        district.set_enabled(connection, enabled=enabled)
