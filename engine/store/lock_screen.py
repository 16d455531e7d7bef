"""The lock screen: from what was told to the push that a phone may show of it.

One place makes every push, first or again: by the levels of now, in the person's language.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.errors import Misconfigured, Unprocessable
from engine.secrets import envelope
from engine.secrets.keyring import Keyring
from engine.store import devices, district
from engine.store.devices import Device
from engine.store.district import Privacy
from engine.wire.fitting import fit
from engine.wire.messages import Push
from rules.audience import Audience
from rules.change import Kind
from rules.privacy import Level, shown
from rules.timing import offered_until
from rules.wording import Text, Wording

MOST_TEXT: Final = 4_096  # bytes as JSON: the whole payload of either gateway


class Unsent(StrEnum):
    """Why a push could not be made."""

    TOKEN_UNREADABLE = "TOKEN_UNREADABLE"  # noqa: S105 - a reason: what is stored was tampered with
    KEY_UNKNOWN = "KEY_UNKNOWN"  # a machine with another keyring encrypted this one: it can wait


class Told(NamedTuple):
    """What one person was told, and who that is: without a *student*'s name none is shown.

    *told_at* is when it was decided, and after *expires_at* it is not worth sending.
    """

    kind: Kind
    audience: Audience
    language: str
    student: str
    text: Text
    collapse_id: str
    told_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LockScreens:
    """How pushes of a district are made."""

    district: str
    wording: Wording
    keyring: Keyring

    def at(self, connection: Connection, now: datetime) -> LockScreen:
        """By what the district allows *now*."""
        allowed = district.privacy(connection)
        fits = cache(lambda: devices.fits(connection, self.keyring))
        return LockScreen(self.district, allowed, self.wording, self.keyring, now, fits)


@dataclass(frozen=True, slots=True)
class LockScreen:
    """Makes the pushes of one transaction.

    *fits* says whether the keyring can read any device of the district.
    """

    district: str
    allowed: Privacy
    wording: Wording
    keyring: Keyring
    now: datetime
    fits: Callable[[], bool]

    def push(self, push_id: str, told: Told, device: Device, attempt: int = 1) -> Push | Unsent:
        """The push of *told* to *device*, or why its address cannot be read.

        Raises Misconfigured when the keyring is not the one of this database.
        """
        try:
            opened = devices.opened(self.keyring, device)
        except Unprocessable:
            return Unsent.TOKEN_UNREADABLE
        except Misconfigured:
            if not self.fits():
                raise
            return Unsent.KEY_UNKNOWN
        kind, title, body, sealed = self._on_screen(push_id, told, device.level, opened.push_key)
        expires_at = told.expires_at if kind else offered_until(told.told_at, self.now)
        return Push(
            push_id, self.district, device.id, opened.token, kind, title, body,
            told.collapse_id, expires_at, attempt, sealed,
        )  # fmt: skip

    def _on_screen(
        self, push_id: str, told: Told, chosen: Level | None, push_key: bytes | None
    ) -> tuple[str, str, str, str]:
        """What all can read, as kind, title and body, and what the phone alone can."""
        words = self._words(told, shown(self.allowed.level, chosen))
        if not self.allowed.end_to_end:
            return *words, ""
        generic = self._words(told, Level.GENERIC)
        if push_key is None:
            return *generic, ""
        kind, title, body = words
        return *generic, envelope.seal(push_key, push_id, title, body, kind)

    def _words(self, told: Told, level: Level) -> tuple[str, str, str]:
        """Kind, title and body; the kind is empty where it may not be known."""
        if level is Level.FULL:
            return told.kind, *_bounded(told.text)
        if level is Level.NAMED and not told.student:
            level = Level.GENERIC
        text = self.wording.brief(level, told.kind, told.audience, told.language, told.student)
        return told.kind if level is Level.NAMED else "", text.title, text.body


def _bounded(text: Text) -> tuple[str, str]:
    """Title and body for the wire, where a message has a largest size. Gateways take less still."""
    if len(text.title) + len(text.body) <= MOST_TEXT // 6:  # a character takes six bytes at most
        return text.title, text.body
    return fit(text.title, text.body, MOST_TEXT)
