"""Reasons: the closed set of what can become of a change for one person.

The codes are stored, so they never change their meaning. Each has one sentence for staff and
one for families; the second says nothing that the reader may not know.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a person was told, or was not."""

    TOLD = "TOLD"
    TOLD_APART = "TOLD_APART"
    HELD = "HELD"
    DISTRICT_OFF = "DISTRICT_OFF"
    KIND_NOT_SUPPORTED = "KIND_NOT_SUPPORTED"
    SUPERSEDED = "SUPERSEDED"
    NOTHING_TO_TELL = "NOTHING_TO_TELL"
    NEVER_TOLD = "NEVER_TOLD"
    NOT_RELEASED = "NOT_RELEASED"
    HIDDEN = "HIDDEN"
    OPENS_LATER = "OPENS_LATER"
    CLOSED = "CLOSED"
    YEAR_NOT_ACTIVE = "YEAR_NOT_ACTIVE"
    DISPLAY_OPTION_OFF = "DISPLAY_OPTION_OFF"
    NOT_ENROLLED = "NOT_ENROLLED"
    NO_PORTAL_RIGHT = "NO_PORTAL_RIGHT"
    RIGHT_NOT_IN_FORCE = "RIGHT_NOT_IN_FORCE"
    RESTRICTED = "RESTRICTED"
    KIND_WITHHELD = "KIND_WITHHELD"
    NO_ACCOUNT = "NO_ACCOUNT"
    STAY_LOGGED_IN_OFF = "STAY_LOGGED_IN_OFF"
    SESSION_ENDED = "SESSION_ENDED"
    NOT_SUBSCRIBED = "NOT_SUBSCRIBED"
    BROADCASTS_OFF = "BROADCASTS_OFF"
    ALREADY_TOLD = "ALREADY_TOLD"
    THRESHOLD_NOT_CROSSED = "THRESHOLD_NOT_CROSSED"
    NO_NUMBER = "NO_NUMBER"
    NO_DEVICE = "NO_DEVICE"
    TOO_LATE = "TOO_LATE"
    UNDECIDABLE = "UNDECIDABLE"
    DEVICE_ALREADY_TOLD = "DEVICE_ALREADY_TOLD"
    TEXT_BLANK = "TEXT_BLANK"
    TEMPLATE_INVALID = "TEMPLATE_INVALID"
    CANCELLED = "CANCELLED"

    @property
    def informs(self) -> bool:
        """Whether the person knows afterwards what there was to tell."""
        return self in _INFORMS

    @property
    def hides(self) -> bool:
        """Whether the SIS does not show the record to families."""
        return self in _HIDES

    @property
    def for_staff(self) -> str:
        """What a school secretary reads."""
        return _SENTENCES[self][0]

    @property
    def for_families(self) -> str:
        """What the person concerned reads."""
        return _SENTENCES[self][1]


_INFORMS = frozenset({Reason.TOLD, Reason.TOLD_APART, Reason.DEVICE_ALREADY_TOLD, Reason.TOO_LATE})

_HIDES = frozenset({Reason.NOT_RELEASED, Reason.HIDDEN, Reason.OPENS_LATER, Reason.CLOSED})

_HIDDEN = "The school does not send this kind of notification at the moment."
_NOT_FOR_YOU = "Your account does not receive notifications about this student."
_OUR_TEXT = "The school's text for this notification has a fault; staff have been told."

_SENTENCES = {
    Reason.TOLD: (
        "A push went out to each live device.",
        "You were notified.",
    ),
    Reason.TOLD_APART: (
        "The person was told by a notification of its own, because the same phone was told of "
        "another student or record at that moment.",
        "You were notified.",
    ),
    Reason.HELD: (
        "It is held, and told at a later moment.",
        "You will be notified later.",
    ),
    Reason.DISTRICT_OFF: (
        "Push notifications are switched off for the whole district.",
        "The district has switched off notifications.",
    ),
    Reason.KIND_NOT_SUPPORTED: (
        "The district does not offer this kind: meal balances need food service.",
        _HIDDEN,
    ),
    Reason.SUPERSEDED: (
        "A later change of the same record had been decided before this one arrived.",
        "A newer value was known already.",
    ),
    Reason.NOTHING_TO_TELL: (
        "The record changed in a way that families do not see, or back to nothing.",
        "There was nothing new to tell.",
    ),
    Reason.NEVER_TOLD: (
        "The record is gone, and this person had not been told of it.",
        "There was nothing new to tell.",
    ),
    Reason.NOT_RELEASED: (
        "The SIS does not show this record to families yet; its release will notify them.",
        "There was nothing new to tell.",
    ),
    Reason.HIDDEN: (
        "The SIS does not show this record to families, and the source definition watches nothing "
        "that would tell when it does.",
        "There was nothing new to tell.",
    ),
    Reason.OPENS_LATER: (
        "The SIS shows this record to families from a later moment; it is looked at again then.",
        "There was nothing new to tell.",
    ),
    Reason.CLOSED: (
        "The time in which the SIS shows this record to families is over.",
        "There was nothing new to tell.",
    ),
    Reason.YEAR_NOT_ACTIVE: (
        "The record belongs to a calendar that is not in the active year.",
        "Only the current school year sends notifications.",
    ),
    Reason.DISPLAY_OPTION_OFF: (
        "The school's display options hide this tool from this audience.",
        _HIDDEN,
    ),
    Reason.NOT_ENROLLED: (
        "The student is not enrolled at this school any more.",
        "Notifications end when a student leaves the school.",
    ),
    Reason.NO_PORTAL_RIGHT: (
        "The relation to the student carries no portal right.",
        _NOT_FOR_YOU,
    ),
    Reason.RIGHT_NOT_IN_FORCE: (
        "The relation to the student has not begun or has ended.",
        _NOT_FOR_YOU,
    ),
    Reason.RESTRICTED: (
        "A restriction stands between this person and the student.",
        _NOT_FOR_YOU,
    ),
    Reason.KIND_WITHHELD: (
        "The right to the student does not reach to this kind.",
        "Your account does not receive this kind of notification about this student.",
    ),
    Reason.NO_ACCOUNT: (
        "The person has never signed in to the app, or the account is disabled.",
        "You have not signed in to the app yet.",
    ),
    Reason.STAY_LOGGED_IN_OFF: (
        "The person signed in without Stay Logged In.",
        "Sign in again and mark Stay Logged In to receive notifications.",
    ),
    Reason.SESSION_ENDED: (
        "The person has signed out, or the sign-in has run out.",
        "Sign in again and mark Stay Logged In to receive notifications.",
    ),
    Reason.NOT_SUBSCRIBED: (
        "The person has not switched this kind on for this student.",
        "You have not switched on this kind of notification for this student.",
    ),
    Reason.BROADCASTS_OFF: (
        "The person has switched off messages from the school about this student.",
        "You have switched off messages from the school about this student.",
    ),
    Reason.ALREADY_TOLD: (
        "The last that this person was told of the record says the same.",
        "You were told this already.",
    ),
    Reason.THRESHOLD_NOT_CROSSED: (
        "The value did not fall below a threshold of the person with this change.",
        "The value did not fall below a threshold of yours.",
    ),
    Reason.NO_NUMBER: (
        "The person set a threshold, and this record has no number to compare with it.",
        "There was no number to compare with your threshold.",
    ),
    Reason.NO_DEVICE: (
        "The person is signed in, and no device of theirs takes pushes any more.",
        "None of your devices is registered; open the app once on each.",
    ),
    Reason.TOO_LATE: (
        "It was committed too long ago for a push of its kind; it stands in the inbox alone.",
        "It was too old for a notification; it is in your inbox.",
    ),
    Reason.UNDECIDABLE: (
        "Something that is stored about this person cannot be understood; see the background "
        "tasks.",
        "There is a fault in your settings; staff have been told.",
    ),
    Reason.DEVICE_ALREADY_TOLD: (
        "Each device of this person was told of this same record already, for another student "
        "or another account on it.",
        "Your device was notified of this already.",
    ),
    Reason.TEXT_BLANK: (
        "The template came out blank, so nothing was sent; see the background tasks.",
        _OUR_TEXT,
    ),
    Reason.TEMPLATE_INVALID: (
        "The template could not be filled in, so nothing was sent; see the background tasks.",
        _OUR_TEXT,
    ),
    Reason.CANCELLED: (
        "The message was cancelled before this person's turn came.",
        "The school did not send this message.",
    ),
}
