"""Audience: who may be told about a student, and where they would hear it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, NewType

from rules.change import Kind, PersonId, SchoolId, StudentId

DeviceId = NewType("DeviceId", str)


class Audience(StrEnum):
    """A role towards a student."""

    STUDENT = "student"
    GUARDIAN = "guardian"


class Right(NamedTuple):
    """What a guardian may see of one student: dated, and overruled by a restriction.

    *starts* and *ends* are days on which the right still holds; None is open. Of the kinds that
    are *withheld* the guardian does not hear, and of all others they may.
    """

    portal: bool = True
    starts: date | None = None
    ends: date | None = None
    restricted: bool = False
    withheld: frozenset[Kind] = frozenset()

    def holds_on(self, day: date) -> bool:
        """Whether *day* lies within the dates of the right."""
        return (self.starts is None or self.starts <= day) and (
            self.ends is None or day <= self.ends
        )


class SignIn(NamedTuple):
    """One session of one account on one device."""

    device: DeviceId
    stays: bool = True
    ended: bool = False
    device_live: bool = True


class Subscription(NamedTuple):
    """What a person asked to hear about one student and kind.

    *thresholds* are percent for assignments and grades, dollars for a meal balance: a change is
    told that falls below one of them. Without any, every change is.
    """

    enabled: bool = True
    thresholds: tuple[Decimal, ...] = ()


class Candidate(NamedTuple):
    """One person who might be told about one student, with the facts that decide it.

    *right* is None for the student. The student is *enrolled* at some school, and at none of
    those that they have *left*. *subscription* is the
    one for the kind at hand, None when the person never chose.
    """

    person: PersonId
    student: StudentId
    audience: Audience
    language: str = "en"
    right: Right | None = None
    enrolled: bool = True
    has_account: bool = True
    sign_ins: tuple[SignIn, ...] = ()
    subscription: Subscription | None = None
    left: frozenset[SchoolId] = frozenset()

    def may_hear_on(self, day: date) -> bool:
        """Whether the person may see this student on *day*; students may see themselves."""
        if self.audience is Audience.STUDENT:
            return True
        right = self.right
        return right is not None and right.portal and not right.restricted and right.holds_on(day)

    @property
    def live_devices(self) -> tuple[DeviceId, ...]:
        """The devices that take pushes for this person now, each once."""
        live = [
            device for device, stays, ended, device_live in self.sign_ins
            if stays and not ended and device_live
        ]  # fmt: skip
        return tuple(live if len(live) < 2 else dict.fromkeys(live))
