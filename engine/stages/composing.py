"""Composing: from a notification to the push that a phone may show of it.

One place makes every push, first or again: by the levels of now, in the person's language.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from engine.errors import Misconfigured, Unprocessable
from engine.secrets import envelope, push_subscriptions, web_push
from engine.secrets.addresses import WEB_PUSH, Device, opened
from engine.secrets.keyring import Keyring
from engine.wire.fitting import fit
from engine.wire.messages import Push, Token
from rules.decide import Texts
from rules.identity import PushId, collapse_id, push_id
from rules.notification import Notification
from rules.privacy import Level, Privacy, shown
from rules.timing import offered_until
from rules.wording import Text, TextFault, Wording

INBOX_ENTRY: Final = "/app/inbox/"
"""Where the web app shows one entry, below the address that the browser subscribed at."""
MOST_TEXT: Final = 4_096  # bytes as JSON: the whole payload of either gateway


class Unsent(StrEnum):
    """Why a push could not be made."""

    TOKEN_UNREADABLE = "TOKEN_UNREADABLE"  # noqa: S105 - a reason: what is stored was tampered with
    KEY_UNKNOWN = "KEY_UNKNOWN"  # a machine with another keyring encrypted this one: it can wait


@dataclass(frozen=True, slots=True)
class Composer:
    """How pushes of a district are made."""

    district: str
    wording: Wording
    keyring: Keyring

    def at(
        self, allowed: Privacy, now: datetime, fits: Callable[[], bool], texts: Texts | None = None
    ) -> Composing:
        """By what the district allows *now*. *fits*: the keyring can read some device."""
        return Composing(self, allowed, now, fits, texts or Texts(self.wording))


@dataclass(frozen=True, slots=True)
class Composing:
    """Makes the pushes of one transaction."""

    composer: Composer
    allowed: Privacy
    now: datetime
    fits: Callable[[], bool]
    texts: Texts

    def push(
        self, origin: str, one: Notification, device: Device, attempt: int = 1
    ) -> Push | Unsent | TextFault:
        """The push of *one*, named by its *origin*, to *device*, or why there is none.

        Raises Misconfigured when the keyring is not the one of this database.
        """
        try:
            secret = opened(self.composer.keyring, device)
        except Unprocessable:
            return Unsent.TOKEN_UNREADABLE
        except Misconfigured:
            if not self.fits():
                raise
            return Unsent.KEY_UNKNOWN
        which = push_id(origin, device.id)
        place = collapse_id(
            self.composer.district, one.facts.kind, one.record, one.person, self.allowed.salt
        )
        if device.kind == WEB_PUSH:
            return self._to_browser(which, one, device, secret.token, place, attempt)
        words = self._on_screen(which, one, device.level, secret.push_key)
        if isinstance(words, TextFault):
            return words
        kind, title, body, sealed = words
        return Push(
            which, self.composer.district, device.id, secret.token, kind, title, body, place,
            self._ends(one, kind), attempt, sealed, one.position,
        )  # fmt: skip

    def _to_browser(
        self,
        which: PushId,
        one: Notification,
        device: Device,
        token: Token,
        place: str,
        attempt: int,
    ) -> Push | Unsent | TextFault:
        """A push that only the browser can read. Its keys stay here, its address goes on."""
        try:
            browser = push_subscriptions.read(token.value)
        except ValueError:
            return Unsent.TOKEN_UNREADABLE
        words = self._words(one, shown(self.allowed.level, device.level))
        if isinstance(words, TextFault):
            return words
        kind, title, body = words
        opens = INBOX_ENTRY + quote(one.id, safe="")
        sealed = web_push.seal(
            browser, web_push.Words(title, body, one.language, place, opens, kind, which)
        )
        kind = "" if self.allowed.end_to_end else kind
        return Push(
            which, self.composer.district, device.id,
            Token(token.kind, browser.endpoint), kind, "", "", place,
            self._ends(one, kind), attempt, sealed, one.position,
        )  # fmt: skip

    def _ends(self, one: Notification, kind: str) -> datetime:
        """Until when a gateway is offered it; *kind* is what may be known of it on the way."""
        return one.worth_sending_until if kind else offered_until(one.begun_at, self.now)

    def offered_until(self, one: Notification, device: Device) -> datetime:
        """Until when *one* is tried again on *device*.

        Where its kind may not be known on the way, one that came again after its first deadline
        would be known not to be of the shortest kind.
        """
        level = shown(self.allowed.level, device.level)
        if self.allowed.end_to_end or level is Level.GENERIC or not one.facts.student_name:
            return min(one.worth_sending_until, offered_until(one.begun_at, one.at))
        return one.worth_sending_until

    def _on_screen(
        self, which: str, one: Notification, chosen: Level | None, push_key: bytes | None
    ) -> tuple[str, str, str, str] | TextFault:
        """What all can read, as kind, title and body, and what the phone alone can."""
        words = self._words(one, shown(self.allowed.level, chosen))
        if isinstance(words, TextFault) or not self.allowed.end_to_end:
            return words if isinstance(words, TextFault) else (*words, "")
        kind, title, body = self._brief(one, Level.GENERIC)
        if push_key is None:
            return kind, title, body, ""
        sealed = envelope.seal(push_key, which, words[1], words[2], words[0])
        return kind, title, body, sealed

    def _words(self, one: Notification, level: Level) -> tuple[str, str, str] | TextFault:
        """Kind, title and body; the kind is empty where it may not be known."""
        if level is not Level.FULL:
            return self._brief(one, level)
        text = self.texts.of(_key(one), one, one.audience, one.language)
        return text if isinstance(text, TextFault) else (one.facts.kind, *_bounded(text))

    def _brief(self, one: Notification, level: Level) -> tuple[str, str, str]:
        """A text that says no more than *level* allows; without a name there is none to show."""
        facts = one.facts
        if not facts.student_name:
            level = Level.GENERIC
        text = self.composer.wording.brief(
            level, facts.kind, one.audience, one.language, facts.student_name,
            withdrawn=facts.is_withdrawn,
        )  # fmt: skip
        return facts.kind if level is Level.NAMED else "", text.title, text.body


def _key(one: Notification) -> tuple[str, str]:
    """The same as decide uses, so that a text is made once."""
    return (one.changes[0] if one.changes else one.id), one.student


def _bounded(text: Text) -> tuple[str, str]:
    """Title and body for the wire, where a message has a largest size. Gateways take less still."""
    if len(text.title) + len(text.body) <= MOST_TEXT // 6:  # a character takes six bytes at most
        return text.title, text.body
    return fit(text.title, text.body, MOST_TEXT)
