"""Outcomes: what a gateway said of a push, and what follows from it.

What a try came to is a verdict with a machine code. The tables here say of each code what the
trouble is, how long to wait before the next try, and what becomes of the device. No other module
knows a waiting time: an outcome carries only what the gateway itself asked for.
(facts: push 2.4, 2.5 and 3.4, portal, from Google's and Apple's documents and RFC 8030)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What the gateway said. Accepted is not yet read: no gateway tells that."""

    ACCEPTED = "accepted"
    UNREGISTERED = "unregistered"
    DEFERRED = "deferred"
    REFUSED = "refused"


class Trouble(StrEnum):
    """Why a push was deferred."""

    OURS = "our key, project, topic or clock is wrong"
    RENEWAL = "our provider token was renewed too often"
    QUOTA = "the project sends too much"
    DEVICE = "this device is sent too much"
    FCM = "FCM fails"
    APNS = "APNs fails"
    PUSH_SERVICE = "the push service fails"
    WAY = "no answer came, or none that can be understood"
    BUSY = "more comes for the gateway than it takes"
    REDELIVERED = "the broker delivered it twice, so that it may have been sent"


class Retire(StrEnum):
    """Whether the device is retired. Never while too many die at once: see `rules.breaker`."""

    NO = "no"
    AT_ONCE = "at once"
    WHEN_OTHERS_LIVE = "when the gateway takes pushes to others"


class Concern(StrEnum):
    """What an operator must hear of."""

    NONE = "nothing"
    REFUSED = "a push was refused for good: a fault of ours, or a new rule of theirs"
    GATEWAY = "the gateway refuses our configuration"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the second try, how the wait grows, and when to give up.

    No wait is shorter than ten seconds, except that after each of the first *at_once* tries there
    is none. *gives_up* counts from the first answer. Without it a push is tried until its deadline.
    """

    first: timedelta
    grows: int
    longest: timedelta
    gives_up: timedelta | None = None
    at_once: int = 0


_TEN_SECONDS: Final = timedelta(seconds=10)
_MINUTE: Final = timedelta(minutes=1)
_FIVE_MINUTES: Final = timedelta(minutes=5)
_QUARTER: Final = timedelta(minutes=15)
_HOUR: Final = timedelta(hours=1)

SOONEST: Final = _TEN_SECONDS
"""FCM: never sooner than after 10 s. APNs has nothing sooner either."""
LONGEST_WISH: Final = _HOUR
"""A gateway's wish beyond this is a fault of its own."""

BACKOFF: Final[Mapping[Trouble, Backoff]] = {
    # nothing is wrong with the push: soon after it is mended, and each try leaves a row
    Trouble.OURS: Backoff(_MINUTE, 2, _FIVE_MINUTES),
    # the token that was shown before is shown again at once
    Trouble.RENEWAL: Backoff(_TEN_SECONDS, 2, _FIVE_MINUTES),
    # Google: 60 s after a 429 that does not say how long
    Trouble.QUOTA: Backoff(_MINUTE, 2, _QUARTER),
    Trouble.DEVICE: Backoff(_MINUTE, 1, _MINUTE),
    # Google: exponential from 10 s with jitter, a longest interval, give up after 60 minutes
    Trouble.FCM: Backoff(_TEN_SECONDS, 2, _QUARTER, gives_up=_HOUR),
    # Apple: "After 15 minutes, you can retry", with back-off
    Trouble.APNS: Backoff(_QUARTER, 2, _HOUR),
    # no push service says more than that it fails: as Google asks for FCM, until the deadline
    Trouble.PUSH_SERVICE: Backoff(_TEN_SECONDS, 2, _QUARTER),
    # Google: a timeout of 10 s at least before a retry
    Trouble.WAY: Backoff(_TEN_SECONDS, 2, _QUARTER),
    # it is not known how much waits there: soon, and not later and later
    Trouble.BUSY: Backoff(_TEN_SECONDS, 2, _MINUTE),
    # the ledger knows at once whether it is still to be sent; a push that makes deliver end each
    # time that it comes is to come less and less often
    Trouble.REDELIVERED: Backoff(_TEN_SECONDS, 2, _QUARTER, at_once=3),
}

GATEWAY_BUSY: Final = "GATEWAY_BUSY"
"""Deliver's own reason: the push waited too long for a place, or found none."""
REDELIVERED: Final = "REDELIVERED"
"""Deliver's own reason: nothing was sent, because an earlier consumer may have sent it."""
UNBUILDABLE: Final = "UNBUILDABLE"
"""Deliver's own reason: no gateway takes a push of this shape."""

TROUBLES: Final[Mapping[str, Trouble]] = {
    GATEWAY_BUSY: Trouble.BUSY,
    REDELIVERED: Trouble.REDELIVERED,
    "QUOTA_EXCEEDED": Trouble.QUOTA,
    "HTTP_429": Trouble.QUOTA,
    "TOO_MANY_MESSAGES": Trouble.QUOTA,
    "DEVICE_RATE": Trouble.DEVICE,
    "DEVICE_QUOTA_EXCEEDED": Trouble.DEVICE,
    "TooManyRequests": Trouble.DEVICE,
    "INTERNAL": Trouble.FCM,
    "UNAVAILABLE": Trouble.FCM,
    "InternalServerError": Trouble.APNS,
    "ServiceUnavailable": Trouble.APNS,
    "Shutdown": Trouble.APNS,
    "TooManyProviderTokenUpdates": Trouble.RENEWAL,
}
_SERVER_ERROR: Final = "HTTP_5"
_FAILS: Final[Mapping[str, Trouble]] = {
    "fcm": Trouble.FCM,
    "apns": Trouble.APNS,
    "web_push": Trouble.PUSH_SERVICE,
}

DOUBTFUL: Final = frozenset(
    {
        "BadDeviceToken", "DeviceTokenNotForTopic", "SENDER_ID_MISMATCH", "INVALID_TOKEN",
        "VAPID_KEY_MISMATCH",
    }
)  # fmt: skip
"""The token is dead, or our endpoint, topic, project or key is the wrong one: it looks the same."""
DEAD: Final = frozenset(
    {
        "UNREGISTERED", "APNS_UNREGISTERED", "Unregistered", "ExpiredToken",
        "SUBSCRIPTION_UNKNOWN", "SUBSCRIPTION_GONE",
    }
)  # fmt: skip
"""The token is dead for sure: the app was removed, or the token has expired."""

TOO_MANY_DEAD: Final = "TOO_MANY_DEAD"
"""What whoever delivers says instead, once it believes no more that phones are dead."""

OF_SOME_PHONES: Final = frozenset({"THIRD_PARTY_AUTH_ERROR"})
"""A fault of ours that concerns the iPhones behind FCM alone, which no token tells apart."""

EXPIRED: Final = "EXPIRED"
GIVEN_UP: Final = "GIVEN_UP"
SUPERSEDED: Final = "SUPERSEDED"
DEVICE_GONE: Final = "DEVICE_GONE"
SIGNED_OUT: Final = "SIGNED_OUT"
NOT_SENT: Final = frozenset({GATEWAY_BUSY, REDELIVERED, SUPERSEDED, EXPIRED})
"""Deliver's own reasons: no gateway was asked, so nothing can lie on a screen because of it."""
NOBODYS_FAULT: Final = frozenset({EXPIRED, GIVEN_UP, SUPERSEDED, DEVICE_GONE, SIGNED_OUT})
"""Our own reasons why a push is not sent any more."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one try came to, as far as it decides what follows.

    *gateway* is "fcm", "apns", "web_push" or empty; *retry_after* is the gateway's own wish.
    """

    verdict: Verdict
    reason: str = ""
    gateway: str = ""
    retry_after: timedelta | None = None
    misconfigured: bool = False


@dataclass(frozen=True, slots=True)
class Fate:
    """What follows: a retry or the end, what becomes of the device, what an operator hears."""

    retry_at: datetime | None = None
    ends: str = ""
    retire: Retire = Retire.NO
    concern: Concern = Concern.NONE


def fate(
    said: Said,
    attempt: int,
    now: datetime,
    since: datetime,
    expires_at: datetime,
    jitter: float,
) -> Fate:
    """Decide what follows the *attempt*-th try of a push (the first is 1).

    *since* is when the first answer came. *jitter* is between 0 and 1 and spreads retries over
    half their delay. A retry that would come after *expires_at* is not made.
    """
    match said.verdict:
        case Verdict.ACCEPTED:
            return Fate()
        case Verdict.UNREGISTERED:
            return Fate(retire=Retire.AT_ONCE)
        case Verdict.REFUSED if said.reason in DOUBTFUL:
            return Fate(retire=Retire.WHEN_OTHERS_LIVE)
        case Verdict.REFUSED:
            return Fate(concern=Concern.NONE if said.reason in NOBODYS_FAULT else Concern.REFUSED)
        case Verdict.DEFERRED:
            retry_at, ends = _next_try(said, attempt, now, since, expires_at, jitter)
            concern = Concern.GATEWAY if said.misconfigured else Concern.NONE
            return Fate(retry_at, ends, concern=concern)


def trouble(said: Said) -> Trouble:
    """Why a push was deferred."""
    if said.misconfigured:
        return Trouble.OURS
    if said.reason.startswith(_SERVER_ERROR):
        return _FAILS.get(said.gateway, Trouble.WAY)
    return TROUBLES.get(said.reason, Trouble.WAY)


def _next_try(
    said: Said,
    attempt: int,
    now: datetime,
    since: datetime,
    expires_at: datetime,
    jitter: float,
) -> tuple[datetime | None, str]:
    backoff = BACKOFF[trouble(said)]
    delay = _delay(backoff, attempt, said.retry_after) * (1 + jitter / 2)
    if delay >= expires_at - now:
        return None, EXPIRED
    if backoff.gives_up is not None and now - since >= backoff.gives_up:
        return None, GIVEN_UP
    return now + delay, ""


def _delay(backoff: Backoff, attempt: int, wish: timedelta | None) -> timedelta:
    waited_for = attempt - backoff.at_once
    if waited_for < 1:
        return timedelta(0)
    grown: timedelta = backoff.first * backoff.grows ** min(waited_for - 1, 20)
    return max(min(grown, backoff.longest), min(wish or SOONEST, LONGEST_WISH), SOONEST)
