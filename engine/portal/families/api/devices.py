"""Devices of a member of a family: registered at every app start, seen, tried and removed."""

from __future__ import annotations

import binascii
from base64 import b64decode
from datetime import datetime
from typing import Annotated

from fastapi import Header, Path
from pydantic import BaseModel, ConfigDict, Field

from engine.errors import SchoolbellError
from engine.portal.families.api.document import FOR_MEMBERS, router
from engine.portal.families.declining import Declined, not_there
from engine.portal.families.guards import FamilyMember, FamilyVisit
from engine.portal.guards import ThePortal
from engine.portal.portal import Portal
from engine.services.families import devices, trying
from engine.services.families.devices import OwnDevice
from engine.services.families.trying import TooMany
from engine.wire.messages import DeviceKind, Token
from rules.audience import DeviceId
from rules.privacy import Level

api = router()

Which = Annotated[str, Path(max_length=40)]
IdempotencyKey = Annotated[str, Header(min_length=8, max_length=200)]


class _Asked(BaseModel):
    """What an app asks for; a field that is not known is a mistake of its author."""

    model_config = ConfigDict(extra="forbid")


class Registration(_Asked):
    """What Google or Apple call this app, and with *push_key* (32 bytes, base64) what opens texts
    that are sealed for it alone. A browser gives its PushSubscription, as JSON, as *token*."""

    kind: DeviceKind
    token: Annotated[str, Field(max_length=10_000)]
    push_key: Annotated[str, Field(max_length=100)] | None = None


class Choice(_Asked):
    """How much a device may show; null leaves it to the district, which may be stricter."""

    may_show: Level | None


class Device(BaseModel):
    """A device of yours. It *hears* while its session stays logged in and its app is there.

    *this* is the one that the asking app registered; *login* and *name* are those of its session.
    """

    id: str
    kind: DeviceKind
    login: int | None
    name: str
    registered_at: datetime
    may_show: Level | None
    hears: bool
    this: bool


class Sent(BaseModel):
    """How many pushes are under way."""

    pushes: int


@api.get("/devices", openapi_extra=FOR_MEMBERS)
def read_devices(portal: ThePortal, visit: FamilyMember) -> list[Device]:
    """The devices on which you are signed in."""
    return [_device(one, visit) for one in devices.of(portal.district.database, visit, portal.now)]


@api.put("/devices", openapi_extra=FOR_MEMBERS)
def register(portal: ThePortal, visit: FamilyMember, asked: Registration) -> Device:
    """Register the app that asks, at every start of it; repeatable.

    What it was registered as before hears no more, nor does anybody else on this device.
    """
    made = devices.register(
        portal.district.database, portal.district.keyring, visit, Token(asked.kind, asked.token),
        _key(asked.push_key), portal.now, hosts=portal.district.config.web_push.hosts,
    )  # fmt: skip
    return _own(portal, visit, made)


@api.put("/devices/{device}", openapi_extra=FOR_MEMBERS)
def choose(portal: ThePortal, visit: FamilyMember, device: Which, asked: Choice) -> Device:
    """Choose how much one of your devices may show."""
    which = DeviceId(device)
    devices.set_level(portal.district.database, visit, which, asked.may_show, portal.now)
    return _own(portal, visit, which)


@api.delete("/devices/{device}", status_code=204, openapi_extra=FOR_MEMBERS)
def remove(portal: ThePortal, visit: FamilyMember, device: Which) -> None:
    """Let one of your devices hear no more; you stay signed in on it."""
    if not devices.remove(portal.district.database, visit, DeviceId(device), portal.now):
        raise not_there()


@api.post("/devices/{device}/test", openapi_extra=FOR_MEMBERS)
def test(
    portal: ThePortal, visit: FamilyMember, device: Which, idempotency_key: IdempotencyKey
) -> Sent:
    """Send a push to one of your devices, to see whether it arrives and what it shows.

    Asked again with the same key within a day, nothing more is sent.
    """
    district = portal.district
    own = _own(portal, visit, DeviceId(device))
    found = trying.send(
        district.database, district.composer, lambda: district.broker.publisher(), visit,
        DeviceId(own.id), idempotency_key, portal.now, portal.today,
    )  # fmt: skip
    if isinstance(found, TooMany):
        raise Declined(
            429, "Enough was tried for now.", "Try again in an hour.",
            {"retry-after": str(int(found.wait.total_seconds()))},
        )  # fmt: skip
    return Sent(pushes=found)


def _own(portal: Portal, visit: FamilyVisit, which: DeviceId) -> Device:
    found = devices.one(portal.district.database, visit, which, portal.now)
    if found is None:
        raise not_there()
    return _device(found, visit)


def _device(one: OwnDevice, visit: FamilyVisit) -> Device:
    return Device(
        id=one.id, kind=one.kind, login=one.login, name=one.name,
        registered_at=one.registered_at, may_show=one.level,
        hears=one.stay_logged_in and not one.is_retired, this=one.login == visit.login.id,
    )  # fmt: skip


def _key(words: str | None) -> bytes | None:
    """What is wrong is never repeated: it may be nearly right."""
    try:
        return None if words is None else b64decode(words, validate=True)
    except (binascii.Error, ValueError):
        raise SchoolbellError(
            "The push key is no base64.", "Pass on the 32 bytes that the app made, in base64."
        ) from None
