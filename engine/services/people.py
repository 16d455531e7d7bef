"""What people do in the app: sign in on a device, sign out, choose what to hear about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.database import Database
from engine.errors import SchoolbellError
from engine.secrets import addresses
from engine.services import typed
from engine.store import app, directory
from engine.wire.endpoints import PUSH_SERVICES
from engine.wire.messages import Token
from rules.audience import DeviceId
from rules.change import Kind, PersonId, StudentId

if TYPE_CHECKING:
    from engine.secrets.keyring import Keyring


def sign_in(
    database: Database,
    keyring: Keyring,
    person: PersonId,
    token: Token,
    now: datetime,
    *,
    push_key: bytes | None = None,
    stay_logged_in: bool = True,
    hosts: Collection[str] = PUSH_SERVICES,
) -> DeviceId:
    """Begin a session of *person* on the device with *token*; repeatable at every app start.

    A device that was retired lives again: the app on it just proved so. *push_key* (32 bytes)
    opens what is sealed for this phone alone. The push service of a browser is among *hosts*.
    Raises SchoolbellError for a person whom the directory does not know, and for what can be no
    token of its kind or no key.
    """
    token, push_key = addresses.checked(token, hosts), typed.push_key(push_key)
    with database.write() as connection:
        if not directory.knows_person(connection, person):
            raise _unknown(f"person {person}")
        return app.sign_in(
            connection, keyring, directory.identity_of(connection, person), token, now,
            push_key=push_key, stay_logged_in=stay_logged_in,
        )  # fmt: skip


def sign_out(database: Database, person: PersonId, device: DeviceId, now: datetime) -> None:
    """End the session of *person* on *device*; raises SchoolbellError where there is none."""
    device = typed.device(device)
    with database.write() as connection:
        whose = directory.identity_of(connection, person)
        if not app.sign_out(connection, whose, device, now):
            raise SchoolbellError(
                f"Person {person} is not signed in on device {device}.",
                "`schoolbell sign-in` names the device of a person.",
            )


def subscribe(
    database: Database,
    person: PersonId,
    student: StudentId,
    kind: Kind,
    *,
    enabled: bool = True,
    thresholds: Sequence[str | Decimal] = (),
) -> Sequence[Decimal]:
    """Choose whether *person* hears of *kind* about *student*, and below which thresholds.

    Gives the thresholds as they are kept. Raises SchoolbellError for a person or a student whom the
    directory does not know, and for a threshold that can be none of the kind.
    """
    limits = typed.limits(kind, thresholds)
    with database.write() as connection:
        if not directory.knows_person(connection, person):
            raise _unknown(f"person {person}")
        if not directory.knows_student(connection, student):
            raise _unknown(f"student {student}")
        app.subscribe(
            connection, directory.identity_of(connection, person),
            directory.identity_of_student(connection, student), kind,
            enabled=enabled, thresholds=limits,
        )  # fmt: skip
    return limits


def _unknown(who: str) -> SchoolbellError:
    return SchoolbellError(
        f"The directory knows no {who}.",
        "Check the id in the SIS; who is new there arrives with `schoolbell sync`.",
    )
