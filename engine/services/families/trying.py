"""Trying: a push to one's own device, to see whether it arrives and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from engine.database import Database
from engine.errors import SchoolbellError
from engine.ports import Publisher, Queue
from engine.services.broadcasts.testing import pushes_of
from engine.services.families.logins import Visit
from engine.services.signing.credentials import token_hash
from engine.stages.composing import Composer
from engine.stages.publishing import publish_pushes
from engine.store import devices, district
from engine.store.families import logins, trials
from rules.audience import DeviceId
from rules.wording.templates import Template

MOST: Final = 10
WINDOW: Final = timedelta(hours=1)
_TEXTS: Final = {
    "en": Template("A test", "If you can read this, notifications arrive here."),
    "es": Template("Una prueba", "Si puede leer esto, las notificaciones llegan aquí."),
}


class TooMany(NamedTuple):
    """Nothing was sent: enough was tried lately."""

    wait: timedelta


def send(
    database: Database, composer: Composer, publisher: Callable[[], Publisher], visit: Visit,
    which: DeviceId, key: str, now: datetime, today: date,
) -> int | TooMany:  # fmt: skip
    """Send a test to *which*, a device of who is signed in; how many pushes are under way.

    The same *key* sends nothing more. Raises SchoolbellError where the district is off, and for a
    device that hears nothing.
    """
    hashed = token_hash(f"{visit.login.id} {key}")
    with closing(publisher()) as opened, database.write() as connection:
        if not logins.hold(connection, visit.login.id):
            raise SchoolbellError("This login has ended.", "Sign in again.")
        if trials.is_known(connection, hashed):
            return 0
        if trials.count(connection, visit.identity, now - WINDOW) >= MOST:
            return TooMany(WINDOW)
        if not district.is_enabled(connection):
            raise SchoolbellError(
                "Push notifications are switched off for the whole district.", "Ask the school."
            )
        phones = devices.live(connection, trials.hearing(connection, visit.identity, which, now))
        if not phones:
            raise SchoolbellError(
                "This device gets no push: Stay Logged In is not chosen on it.",
                "Sign in on it again with Stay Logged In, and open the app once.",
            )
        trials.note(connection, hashed, visit.identity, now)
        pushes = pushes_of(connection, composer, visit.person, phones, _TEXTS, now, today)
        # Where the broker does not take it, the key has not asked.
        publish_pushes(opened, pushes, Queue.BROADCASTS)
    return len(pushes)
