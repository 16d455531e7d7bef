"""A test: what is written goes to one person's own phones before it goes to families.

It says the names of variables instead of what any pupil is called: whoever is named by mistake
learns nothing of anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.ports import Publisher, Queue
from engine.ports.broadcasts import Texts
from engine.secrets.addresses import Device
from engine.services.actor import Actor
from engine.services.broadcasts.writing import require_faultless
from engine.stages.composing import Composer
from engine.stages.publishing import publish_pushes
from engine.store import app, broadcasts, devices, directory, district, notifications, reading
from engine.wire.messages import Push
from rules.audience import Audience, DeviceId
from rules.broadcasts import Message, Unit
from rules.change import PersonId, StudentId
from rules.identity import broadcast_notification_id
from rules.notification import Notification, NotificationId, Origin, State
from rules.tool_rights import Tool
from rules.wording import FALLBACK
from rules.wording.broadcasts import VARIABLES, UnitKind, allowed, named_in

TESTED: Final = "broadcast.tested"
_NOBODY: Final = StudentId("")


def to_myself(
    database: Database,
    composer: Composer,
    publisher: Callable[[], Publisher],
    by: Actor,
    person: PersonId,
    page: Tool,
    unit: UnitKind,
    texts: Texts,
    today: date,
) -> int:
    """Send *texts* to the phones of *person* alone; to how many.

    *person* is an id of the directory. Raises SchoolbellError where the district is off, for a
    person without a phone that takes pushes, and Refused for faulty words.
    """
    require_faultless(texts, allowed(page, unit))
    with database.write() as connection:
        if not district.is_enabled(connection):
            raise SchoolbellError(
                "Push notifications are switched off for the whole district.",
                "Switch them on before you try a message.",
            )
        identity = directory.identity_of(connection, person)
        phones = devices.live(connection, app.devices_of(connection, identity, by.at))
        if not phones:
            raise SchoolbellError(
                "No phone takes pushes for person %(person)s.",
                "Sign in to the app on a phone with that account, with Stay Logged In marked.",
                person=person,
            )
        pushes = pushes_of(connection, composer, person, phones, texts, by.at, today)
        by.did(connection, TESTED, f"person {person}", None, {"page": page})
    with closing(publisher()) as opened:
        publish_pushes(opened, pushes, Queue.BROADCASTS)
    return len(pushes)


def pushes_of(
    connection: Connection, composer: Composer, person: PersonId,
    phones: Mapping[DeviceId, Device], texts: Texts, now: datetime, today: date,
) -> Sequence[Push]:  # fmt: skip
    """What tells *person*, an id of the directory, on these phones; it stands in the inbox, too."""
    name = broadcasts.new_id(now)
    told = Notification(
        NotificationId(broadcast_notification_id(name, 1, person, now)), Origin.BROADCAST,
        State.TOLD, person, _NOBODY, Audience.GUARDIAN,
        reading.language(connection, person) or FALLBACK, name, 1,
        Message(name, texts, (Unit(_NOBODY, examples(texts, today)),)), (), tuple(phones), now,
    )  # fmt: skip
    broadcasts.keep_texts(connection, name, 1, texts, now)
    notifications.hold(connection, [told])
    composing = composer.at(
        district.privacy(connection), now,
        lambda: devices.sealed_with(connection, composer.keyring.ids),
    )  # fmt: skip
    made = [composing.push(told.id, told, phone) for phone in phones.values()]
    return [push for push in made if isinstance(push, Push)]


def examples(texts: Texts, today: date) -> Mapping[str, str]:
    """What stands in for each variable that the texts name."""
    return {
        name: today.isoformat() if VARIABLES[name].said else f"[{name.replace('_', ' ')}]"
        for name in named_in(texts)
        if name in VARIABLES
    }
