"""The same thing always has the same id, however often it is worked out.

A notification's id begins with the change's time-ordered six bytes, so that rows arrive at the
end of their index; the rest is a blake2b of what it names, parted by NUL, which no id can hold.
A push's id is its origin's id and its device's, so that whoever reads it needs no table to know
what it belongs to.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final, NewType

from rules.audience import DeviceId
from rules.broadcasts import BroadcastId
from rules.change import ChangeId, Kind, PersonId, StudentId
from rules.notification import NotificationId

PushId = NewType("PushId", str)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_PART = 13  # the hex digits and the hyphen that hold a UUIDv7's milliseconds
_VERSION = 14  # where a UUID's text says of which version it is
# A UUID in its canonical text, and a device's number, which is a signed integer of eight bytes.
_ORIGIN: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PUSH: Final = rf"({_ORIGIN})\.([0-9]{{1,19}})"


def notification_id(change: ChangeId, student: StudentId, person: PersonId) -> NotificationId:
    """Name what one person is told of one change about one student. A UUID in text."""
    return NotificationId(_derived(change, f"notification\0{change}\0{student}\0{person}"))


def broadcast_notification_id(
    broadcast: BroadcastId, revision: int, person: PersonId, at: datetime
) -> NotificationId:
    """Name what one person is told by a *revision* of a broadcast that begins *at* a moment.

    A UUID in text, of that moment.
    """
    name = f"broadcast\0{broadcast}\0{revision}\0{person}"
    return NotificationId(_derived(first_id_at(at), name))


def opening_id(change: ChangeId, opens: datetime) -> ChangeId:
    """Name the second look at a *change* when its record opens. A UUID in text, of that moment."""
    return ChangeId(_derived(first_id_at(opens), f"opening\0{change}\0{opens.timestamp()}"))


def entry_id(change: ChangeId, student: StudentId) -> NotificationId:
    """Name the inbox entry of what was told at once; persons have inboxes of their own."""
    return NotificationId(f"{change}.{student}")


def push_id(origin: str, device: DeviceId) -> PushId:
    """Name the one push of one *origin* to one device: `<origin>.<device>`, 56 characters at most.

    *origin* is the id of a change or of a notification, a UUID in its canonical text.
    """
    return PushId(f"{origin}.{device}")


def is_origin(words: str) -> bool:
    """Whether *words* are spelled as the id of a change or of a notification is."""
    return re.fullmatch(_ORIGIN, words) is not None


def parts_of(push: str) -> tuple[str, DeviceId] | None:
    """The origin and the device of a push's id; None when *push* is no such id."""
    found = re.fullmatch(_PUSH, push)
    return (found[1], DeviceId(found[2])) if found else None


def first_id_at(moment: datetime) -> str:
    """The lowest id of anything that was captured at *moment* or later."""
    digits = f"{(moment - _EPOCH) // timedelta(milliseconds=1):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def moment_of(origin: str) -> datetime:
    """When what has this id, a time-ordered UUID in text, was captured."""
    return _EPOCH + timedelta(milliseconds=milliseconds_of(origin))


def milliseconds_of(origin: str) -> int:
    """The same, in milliseconds since 1970."""
    return int(origin[:8] + origin[9:_TIME_PART], 16)


def is_captured(origin: str) -> bool:
    """Whether a change has this id, or a push of it, and nothing that was derived from a change."""
    return origin[_VERSION : _VERSION + 1] == "7"


def collapse_id(district: str, kind: Kind, record: str, person: PersonId, salt: str = "") -> str:
    """Name what a phone shows of one record for one person: 22 characters of base64url.

    It fits every limit (APNs allows 64 bytes, a web-push topic 32 characters). A second change
    of the record replaces the first text, a repeated send replaces itself. Who does not know
    the *salt* cannot try out which record it is: numbers of records are easily gone through.
    """
    name = f"{district}\0{kind}\0{record}\0{person}"
    digest = blake2b(name.encode(), digest_size=16, key=salt.encode()).digest()
    return urlsafe_b64encode(digest)[:22].decode("ascii")


def _derived(change: str, name: str) -> str:
    rest = blake2b(name.encode(), digest_size=10).hexdigest()
    return (
        f"{change[:_TIME_PART]}-8{rest[:3]}-{'89ab'[int(rest[3], 16) & 3]}{rest[4:7]}-{rest[7:19]}"
    )
