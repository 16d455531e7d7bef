"""The phones: who has the app, what each screen shows now, and everything that ever arrived.

A phone is known by its kind and token. A push with a key replaces what is shown under that key;
without a key it stacks. So what a person would see can be counted, and the ledger of every
accepted send proves what was lost or came twice.

For a phone that is offline the gateways keep what they accepted: APNs the newest push alone, FCM
up to 100; one more, and FCM forgets those. Which of several notification messages FCM would fold
meanwhile is undefined, so none are. A push service for browsers keeps up to 100, of each topic the
newest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from threading import Lock
from typing import Final, Literal, NamedTuple

from engine.trial.phones.exchange import Clock

Kind = Literal["fcm", "apns", "web_push"]

KEPT: Final[Mapping[Kind, int]] = {"apns": 1, "fcm": 100, "web_push": 100}

REMEMBERED: Final = 100_000
"""Ledger entries kept by default: about 110 MB. Older ones are dropped, their count is not."""


@dataclass(frozen=True, slots=True)
class Push:
    """What one accepted request says to one address.

    *key* is what it replaces on the screen under, None to stack. *visible* is false for what no
    person sees: a data message, a background push, a message to a topic (no phone subscribes to
    one). After *expires_at* it is not kept any longer for a phone that is offline, and it takes the
    place of what is kept there with the same *topic*. The token is a secret: it never shows in a
    log or a traceback.
    """

    kind: Kind
    token: str = field(repr=False)
    key: str | None
    title: str
    body: str
    data: Mapping[str, object]
    visible: bool = True
    to_phone: bool = True
    expires_at: datetime | None = None
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """One accepted send, in the ledger and perhaps on a screen. *number* counts from 1."""

    number: int
    at: datetime
    kind: Kind
    message_id: str
    token: str = field(repr=False)
    key: str | None
    title: str
    body: str
    data: Mapping[str, object]
    visible: bool

    def says_the_same(self, other: Received) -> bool:
        """Whether this is the same push once more, and not news under the same key."""
        return (self.title, self.body) == (other.title, other.body) and self.data == other.data


@dataclass(frozen=True, slots=True)
class Screen:
    """A phone as it is now: *shown* oldest first, perhaps only the newest of all *on_screen*.

    *received* counts all that it was sent, seen or not.
    *app* is the FCM project or the APNs topic that its token is for, None when it was never said.
    *uninstalled_at* is None while the app is there. *kept* is how many pushes wait until the
    phone is online.
    """

    kind: Kind
    token: str = field(repr=False)
    app: str | None
    uninstalled_at: datetime | None
    received: int
    on_screen: int
    shown: tuple[Received, ...]
    is_online: bool = True
    kept: int = 0


class Page(NamedTuple):
    """A part of the ledger.

    *last* is the newest number given so far. When *oldest* is above the number asked for plus
    one, entries between the two were dropped before they were read.
    """

    received: list[Received]
    oldest: int
    last: int


class Kept(NamedTuple):
    """A push that waits for its phone, until it is not worth showing any more."""

    received: Received
    expires_at: datetime | None
    topic: str | None = None

    def is_late(self, now: datetime) -> bool:
        """Whether it would be shown no more."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(slots=True)
class Phone:
    """One phone, while the phones run."""

    kind: Kind
    token: str = field(repr=False)
    app: str | None = None
    uninstalled_at: datetime | None = None
    received: int = 0
    shown: dict[str | int, Received] = field(default_factory=dict)
    is_online: bool = True
    kept: list[Kept] = field(default_factory=list)

    def screen(self, newest: int | None = None) -> Screen:
        """What it shows now: all of it, or only so many of the *newest*."""
        on_screen = len(self.shown)
        skipped = 0 if newest is None else max(on_screen - newest, 0)
        return Screen(
            self.kind,
            self.token,
            self.app,
            self.uninstalled_at,
            self.received,
            on_screen,
            tuple(islice(self.shown.values(), skipped, None)),
            self.is_online,
            len(self.kept),
        )


@dataclass(slots=True)
class Counts:
    """How many sends were accepted and what became of them on the screens.

    *replaced* took the place of a shown one, *repeated* are those of them that said exactly the
    same; *stacked* were added to a screen; *silent* are not for eyes; *kept* wait for phones that
    are offline, *dropped* were given up while they waited; *shown* is what all screens hold now.
    accepted = replaced + stacked + silent + kept + dropped.
    """

    fcm: int = 0
    apns: int = 0
    web_push: int = 0
    replaced: int = 0
    repeated: int = 0
    stacked: int = 0
    silent: int = 0
    kept: int = 0
    dropped: int = 0
    shown: int = 0
    phones: int = 0


def ignore(received: Received) -> None:
    """Tell nobody of a push."""
    del received


def _who(kind: Kind, token: str) -> tuple[Kind, str]:
    """What a phone is known by. The hexadecimal of APNs means the same in either case."""
    return kind, token.lower() if kind == "apns" else token


class Devices:
    """All phones and the ledger. Safe to read from any thread.

    *on_push* hears of every accepted send, in order, in the thread that serves; it must not raise
    and should be quick.
    """

    def __init__(
        self,
        now: Clock,
        *,
        admit_strangers: bool = True,
        remembered: int = REMEMBERED,
        on_push: Callable[[Received], None] = ignore,
    ) -> None:
        self.admit_strangers = admit_strangers
        self._now = now
        self._remembered = remembered
        self._on_push = on_push
        self._lock = Lock()
        self._forget_all()

    def _forget_all(self) -> None:
        self._phones: dict[tuple[Kind, str], Phone] = {}
        self._latest: OrderedDict[tuple[Kind, str], None] = OrderedDict()
        self._ledger: list[Received] = []
        self._counts = Counts()

    def find(self, kind: Kind, token: str) -> Phone | None:
        """The phone with this token, None for a stranger."""
        return self._phones.get(_who(kind, token))

    def register(self, kind: Kind, token: str, app: str | None = None) -> None:
        """The app is on this phone, for the FCM project or APNs topic *app* (None: ours).

        An uninstalled phone has it again, with an empty screen.
        """
        with self._lock:
            phone = self._phone(kind, token)
            phone.app = app
            phone.uninstalled_at = None

    def uninstall(self, kind: Kind, token: str) -> None:
        """The app leaves the phone, and what it showed with it; its token is dead from now on."""
        with self._lock:
            phone = self._phone(kind, token)
            phone.uninstalled_at = self._now()
            self._counts.shown -= len(phone.shown)
            phone.shown.clear()
            self._drop_kept(phone)

    def go_offline(self, kind: Kind, token: str) -> None:
        """The phone loses its network; what is accepted for it is kept by the gateway."""
        with self._lock:
            self._phone(kind, token).is_online = False

    def come_online(self, kind: Kind, token: str) -> None:
        """The phone has its network again, and rings for what was kept and is not too late."""
        with self._lock:
            phone = self._phone(kind, token)
            phone.is_online = True
            now = self._now()
            in_time = [one for one in phone.kept if not one.is_late(now)]
            self._counts.kept -= len(in_time)
            phone.kept = [one for one in phone.kept if one.is_late(now)]
            self._drop_kept(phone)
            for one in in_time:
                self._ring(phone, one.received)

    def accept(self, push: Push, message_id: str) -> Received:
        """Enter *push* in the ledger, and show it on its phone or keep it for that."""
        with self._lock:
            received = Received(
                self._numbered() + 1,
                self._now(),
                push.kind,
                message_id,
                push.token,
                push.key,
                push.title,
                push.body,
                push.data,
                push.visible,
            )
            self._enter(received)
            if push.to_phone:
                self._reach(received, push.expires_at, push.topic)
            else:
                self._counts.silent += 1
        self._on_push(received)
        return received

    def reset(self) -> None:
        """Forget every phone, every send and every count."""
        with self._lock:
            self._forget_all()

    def counts(self) -> Counts:
        """The counts at this moment."""
        with self._lock:
            return replace(self._counts, phones=len(self._phones))

    def screens(self, after: int = 0, limit: int = 1_000) -> list[Screen]:
        """The screens of phones in the order of their first mention, leaving out *after* many."""
        with self._lock:
            return [p.screen() for p in islice(self._phones.values(), after, after + limit)]

    def latest(self, limit: int, newest: int) -> list[Screen]:
        """The screens of the phones that rang last, the very last first, each with its *newest*."""
        with self._lock:
            latest = islice(reversed(self._latest), limit)
            return [self._phones[who].screen(newest) for who in latest]

    def received(self, after: int = 0, limit: int = 1_000) -> Page:
        """The ledger from number *after* + 1 on, at most *limit* entries."""
        with self._lock:
            last = self._numbered()
            oldest = last - len(self._ledger) + 1
            first = max(after + 1 - oldest, 0)
            return Page(self._ledger[first : first + limit], oldest, last)

    def _phone(self, kind: Kind, token: str) -> Phone:
        who = _who(kind, token)
        phone = self._phones.get(who)
        if phone is None:
            phone = self._phones[who] = Phone(*who)
        return phone

    def _enter(self, received: Received) -> None:
        setattr(self._counts, received.kind, getattr(self._counts, received.kind) + 1)
        self._ledger.append(received)
        # A tenth at a time: dropping one from the front for each that comes is quadratic.
        if len(self._ledger) > self._remembered * 1.1:
            del self._ledger[: len(self._ledger) - self._remembered]

    def _numbered(self) -> int:
        return self._counts.fcm + self._counts.apns + self._counts.web_push

    def _reach(self, received: Received, expires_at: datetime | None, topic: str | None) -> None:
        phone = self._phone(received.kind, received.token)
        phone.received += 1
        who = (phone.kind, phone.token)
        self._latest[who] = None
        self._latest.move_to_end(who)
        if phone.is_online:
            self._ring(phone, received)
        else:
            self._keep(phone, Kept(received, expires_at, topic))

    def _keep(self, phone: Phone, push: Kept) -> None:
        if push.is_late(self._now()):  # now or never
            self._counts.dropped += 1
            return
        if push.topic is not None:
            before = [one for one in phone.kept if one.topic != push.topic]
            self._counts.kept -= len(phone.kept) - len(before)
            self._counts.dropped += len(phone.kept) - len(before)
            phone.kept = before
        if len(phone.kept) == KEPT[phone.kind]:
            self._drop_kept(phone)
        phone.kept.append(push)
        self._counts.kept += 1

    def _drop_kept(self, phone: Phone) -> None:
        self._counts.kept -= len(phone.kept)
        self._counts.dropped += len(phone.kept)
        phone.kept.clear()

    def _ring(self, phone: Phone, received: Received) -> None:
        if not received.visible:
            self._counts.silent += 1
            return
        place = received.number if received.key is None else received.key
        previous = phone.shown.pop(place, None)
        # Taken out and put in again, so that the newest is last.
        phone.shown[place] = received
        if previous is None:
            self._counts.stacked += 1
            self._counts.shown += 1
        else:
            self._counts.replaced += 1
            self._counts.repeated += previous.says_the_same(received)
