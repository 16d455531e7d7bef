"""The plan: when a person hears of what was decided. Now, later, within another one, or never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rules.audience import DeviceId
from rules.decide import Decision
from rules.notification import Hold, Notification, NotificationId
from rules.reasons import Reason


@dataclass(frozen=True, slots=True)
class Preferences:
    """When a person wants to hear. Nobody can choose anything yet: everybody hears at once."""


@dataclass(frozen=True, slots=True)
class SendNow:
    """Tell it at once."""


@dataclass(frozen=True, slots=True)
class HoldUntil:
    """Tell it at a later moment, if it is still to be told then."""

    moment: datetime
    why: Hold


@dataclass(frozen=True, slots=True)
class FoldInto:
    """Make it a part of a notification that is held."""

    notification: NotificationId


@dataclass(frozen=True, slots=True)
class Correct:
    """Put it in the place of a text that was wrong, on exactly the devices that got that one."""

    devices: tuple[DeviceId, ...]


@dataclass(frozen=True, slots=True)
class StaySilent:
    """Do not tell it, for this reason."""

    reason: Reason


def moment_of_broadcast(preferences: Preferences, now: datetime, *, is_emergency: bool) -> datetime:
    """When a person hears of a broadcast that goes out *now*; of an emergency always at once.

    Quiet hours are asked here, once somebody can choose any.
    """
    del preferences, is_emergency
    return now


Plan = SendNow | HoldUntil | FoldInto | Correct | StaySilent

AT_ONCE = SendNow()
NO_PREFERENCES = Preferences()


def plan(
    decision: Decision, pending: Sequence[Notification], preferences: Preferences, now: datetime
) -> Plan:
    """When the person of *decision* hears of it, given what is *pending* for them.

    Today whoever is to be told is told at once; what is told apart by a notification of its own.
    """
    del pending, preferences
    if decision.reason is not Reason.TOLD:
        return StaySilent(decision.reason)
    if decision.apart:
        return HoldUntil(now, Hold.APART)
    return Correct(decision.devices) if decision.subject.withdrawn else AT_ONCE
