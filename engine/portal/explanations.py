"""What pages say of a decision: why, who can change it, and what its steps are called.

The sentences are those of `rules.reasons`, marked here so that they are translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from engine.portal.languages import marked as _
from rules.notification import Hold, State
from rules.outcomes import Verdict
from rules.reasons import Reason
from rules.tool_rights import Tool


class Who(StrEnum):
    """Who can change what a reason comes from."""

    NOBODY = "nobody"
    FAMILY = "family"
    SIS = "sis"
    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"


class Change(NamedTuple):
    """Who can change it, and how; *path* is where, of the page of *tool*, where that is ours."""

    who: Who
    how: str
    path: str = ""
    tool: Tool | None = None


WHO: Final[Mapping[Who, str]] = {
    Who.NOBODY: _("Nothing needs to change"),
    Who.FAMILY: _("The family, in the app"),
    Who.SIS: _("The school, in the student information system"),
    Who.ADMINISTRATOR: _("An administrator, on these pages"),
    Who.OPERATOR: _("Whoever runs Schoolbell, on the server"),
}

_FLAG: Final = ("/push-notifications", Tool.PUSH_NOTIFICATIONS)
_FOOD: Final = ("/push-notifications#food-service", Tool.PUSH_NOTIFICATIONS)
_OPTIONS: Final = ("/push-notifications#display-options", Tool.PUSH_NOTIFICATIONS)

_BY_ITSELF: Final = _("It goes out by itself.")
_KNOWN: Final = _("The newest state of the record is what counts.")
_CAREFUL: Final = _(
    "The school office keeps it, with the relation of the two. Do not tell the person who asks "
    "that there is a restriction, and change nothing on their word."
)
_RELATION: Final = _("The school office keeps it, with the relation of the two.")
_SIGN_IN: Final = _("Sign in to the app again, with Stay Logged In marked.")
_SHOWS: Final = _("Who keeps the record decides when families may see it.")
_TEXTS: Final = _(
    "The district’s own texts have a fault. The alarms on the server name the text and the fault."
)

CHANGES: Final[Mapping[Reason, Change]] = {
    Reason.TOLD: Change(Who.NOBODY, _(
        "If no phone rang, see what the gateways said. A phone that is silent, switched off or out "
        "of the network shows it later, or without a sound; the app’s inbox has it in any case."
    )),
    Reason.TOLD_APART: Change(Who.NOBODY, _("Every record has a message of its own.")),
    Reason.HELD: Change(Who.NOBODY, _BY_ITSELF),
    Reason.DISTRICT_OFF: Change(
        Who.ADMINISTRATOR, _("Switch push notifications on for the district."), *_FLAG
    ),
    Reason.KIND_NOT_SUPPORTED: Change(
        Who.ADMINISTRATOR, _("Say that the district has food service."), *_FOOD
    ),
    Reason.SUPERSEDED: Change(Who.NOBODY, _KNOWN),
    Reason.NOTHING_TO_TELL: Change(Who.NOBODY, _KNOWN),
    Reason.NEVER_TOLD: Change(Who.NOBODY, _KNOWN),
    Reason.NOT_RELEASED: Change(Who.SIS, _SHOWS),
    Reason.HIDDEN: Change(Who.SIS, _SHOWS),
    Reason.OPENS_LATER: Change(Who.SIS, _SHOWS),
    Reason.CLOSED: Change(Who.SIS, _SHOWS),
    Reason.YEAR_NOT_ACTIVE: Change(
        Who.SIS, _("Calendars and school years say which of them are active.")
    ),
    Reason.DISPLAY_OPTION_OFF: Change(
        Who.ADMINISTRATOR,
        _("Show it in the display options of the school, or of the term."),
        *_OPTIONS,
    ),
    Reason.NOT_ENROLLED: Change(Who.SIS, _("The school office keeps who is enrolled.")),
    Reason.NO_PORTAL_RIGHT: Change(Who.SIS, _RELATION),
    Reason.RIGHT_NOT_IN_FORCE: Change(Who.SIS, _RELATION),
    Reason.RESTRICTED: Change(Who.SIS, _CAREFUL),
    Reason.KIND_WITHHELD: Change(Who.SIS, _RELATION),
    Reason.NO_ACCOUNT: Change(
        Who.FAMILY, _("Sign in to the app once, with Stay Logged In marked.")
    ),
    Reason.STAY_LOGGED_IN_OFF: Change(Who.FAMILY, _SIGN_IN),
    Reason.SESSION_ENDED: Change(Who.FAMILY, _SIGN_IN),
    Reason.NOT_SUBSCRIBED: Change(
        Who.FAMILY, _("Switch this kind on for this student in the app.")
    ),
    Reason.BROADCASTS_OFF: Change(
        Who.FAMILY, _("Switch messages from the school on for this student in the app.")
    ),
    Reason.ALREADY_TOLD: Change(Who.NOBODY, _("It stands in the app’s inbox.")),
    Reason.THRESHOLD_NOT_CROSSED: Change(
        Who.FAMILY, _("Choose another threshold in the app, or none, to hear of every change.")
    ),
    Reason.NO_NUMBER: Change(
        Who.FAMILY, _("Choose no threshold in the app, to hear of every change.")
    ),
    Reason.NO_DEVICE: Change(
        Who.FAMILY, _("Open the app once on each phone, and let it show notifications.")
    ),
    Reason.TOO_LATE: Change(Who.NOBODY, _("It stands in the app’s inbox.")),
    Reason.UNDECIDABLE: Change(Who.OPERATOR, _("The alarms on the server say what to mend.")),
    Reason.DEVICE_ALREADY_TOLD: Change(Who.NOBODY, _("Every device shows one message of it.")),
    Reason.TEXT_BLANK: Change(Who.OPERATOR, _TEXTS),
    Reason.TEMPLATE_INVALID: Change(Who.OPERATOR, _TEXTS),
    Reason.CANCELLED: Change(Who.NOBODY, _("Who sent it has cancelled it.")),
}  # fmt: skip
"""Who can change each reason."""

FOR_STAFF: Final[Mapping[Reason, str]] = {
    Reason.TOLD: _("A push went out to each live device."),
    Reason.TOLD_APART: _(
        "The person was told by a notification of its own, because the same phone was told of "
        "another student or record at that moment."
    ),
    Reason.HELD: _("It is held, and told at a later moment."),
    Reason.DISTRICT_OFF: _("Push notifications are switched off for the whole district."),
    Reason.KIND_NOT_SUPPORTED: _(
        "The district does not offer this kind: meal balances need food service."
    ),
    Reason.SUPERSEDED: _(
        "A later change of the same record had been decided before this one arrived."
    ),
    Reason.NOTHING_TO_TELL: _(
        "The record changed in a way that families do not see, or back to nothing."
    ),
    Reason.NEVER_TOLD: _("The record is gone, and this person had not been told of it."),
    Reason.NOT_RELEASED: _(
        "The SIS does not show this record to families yet; its release will notify them."
    ),
    Reason.HIDDEN: _(
        "The SIS does not show this record to families, and the source definition watches nothing "
        "that would tell when it does."
    ),
    Reason.OPENS_LATER: _(
        "The SIS shows this record to families from a later moment; it is looked at again then."
    ),
    Reason.CLOSED: _("The time in which the SIS shows this record to families is over."),
    Reason.YEAR_NOT_ACTIVE: _(
        "The record belongs to a calendar that is not in the active year."
    ),
    Reason.DISPLAY_OPTION_OFF: _(
        "The school's display options hide this tool from this audience."
    ),
    Reason.NOT_ENROLLED: _("The student is not enrolled at this school any more."),
    Reason.NO_PORTAL_RIGHT: _("The relation to the student carries no portal right."),
    Reason.RIGHT_NOT_IN_FORCE: _("The relation to the student has not begun or has ended."),
    Reason.RESTRICTED: _("A restriction stands between this person and the student."),
    Reason.KIND_WITHHELD: _("The right to the student does not reach to this kind."),
    Reason.NO_ACCOUNT: _(
        "The person has never signed in to the app, or the account is disabled."
    ),
    Reason.STAY_LOGGED_IN_OFF: _("The person signed in without Stay Logged In."),
    Reason.SESSION_ENDED: _("The person has signed out, or the sign-in has run out."),
    Reason.NOT_SUBSCRIBED: _("The person has not switched this kind on for this student."),
    Reason.BROADCASTS_OFF: _(
        "The person has switched off messages from the school about this student."
    ),
    Reason.ALREADY_TOLD: _("The last that this person was told of the record says the same."),
    Reason.THRESHOLD_NOT_CROSSED: _(
        "The value did not fall below a threshold of the person with this change."
    ),
    Reason.NO_NUMBER: _(
        "The person set a threshold, and this record has no number to compare with it."
    ),
    Reason.NO_DEVICE: _(
        "The person is signed in, and no device of theirs takes pushes any more."
    ),
    Reason.TOO_LATE: _(
        "It was committed too long ago for a push of its kind; it stands in the inbox alone."
    ),
    Reason.UNDECIDABLE: _(
        "Something that is stored about this person cannot be understood; see the background "
        "tasks."
    ),
    Reason.DEVICE_ALREADY_TOLD: _(
        "Each device of this person was told of this same record already, for another student "
        "or another account on it."
    ),
    Reason.TEXT_BLANK: _(
        "The template came out blank, so nothing was sent; see the background tasks."
    ),
    Reason.TEMPLATE_INVALID: _(
        "The template could not be filled in, so nothing was sent; see the background tasks."
    ),
    Reason.CANCELLED: _("The message was cancelled before this person's turn came."),
}  # fmt: skip
"""The sentence of each reason for staff."""

_NOTHING_NEW: Final = _("There was nothing new to tell.")
_HIDDEN: Final = _("The school does not send this kind of notification at the moment.")
_NOT_FOR_YOU: Final = _("Your account does not receive notifications about this student.")
_OUR_TEXT: Final = _("The school's text for this notification has a fault; staff have been told.")

FOR_FAMILIES: Final[Mapping[Reason, str]] = {
    Reason.TOLD: _("You were notified."),
    Reason.TOLD_APART: _("You were notified."),
    Reason.HELD: _("You will be notified later."),
    Reason.DISTRICT_OFF: _("The district has switched off notifications."),
    Reason.KIND_NOT_SUPPORTED: _HIDDEN,
    Reason.SUPERSEDED: _("A newer value was known already."),
    Reason.NOTHING_TO_TELL: _NOTHING_NEW,
    Reason.NEVER_TOLD: _NOTHING_NEW,
    Reason.NOT_RELEASED: _NOTHING_NEW,
    Reason.HIDDEN: _NOTHING_NEW,
    Reason.OPENS_LATER: _NOTHING_NEW,
    Reason.CLOSED: _NOTHING_NEW,
    Reason.YEAR_NOT_ACTIVE: _("Only the current school year sends notifications."),
    Reason.DISPLAY_OPTION_OFF: _HIDDEN,
    Reason.NOT_ENROLLED: _("Notifications end when a student leaves the school."),
    Reason.NO_PORTAL_RIGHT: _NOT_FOR_YOU,
    Reason.RIGHT_NOT_IN_FORCE: _NOT_FOR_YOU,
    Reason.RESTRICTED: _NOT_FOR_YOU,
    Reason.KIND_WITHHELD: _(
        "Your account does not receive this kind of notification about this student."
    ),
    Reason.NO_ACCOUNT: _("You have not signed in to the app yet."),
    Reason.STAY_LOGGED_IN_OFF: _(
        "Sign in again and mark Stay Logged In to receive notifications."
    ),
    Reason.SESSION_ENDED: _("Sign in again and mark Stay Logged In to receive notifications."),
    Reason.NOT_SUBSCRIBED: _(
        "You have not switched on this kind of notification for this student."
    ),
    Reason.BROADCASTS_OFF: _(
        "You have switched off messages from the school about this student."
    ),
    Reason.ALREADY_TOLD: _("You were told this already."),
    Reason.THRESHOLD_NOT_CROSSED: _("The value did not fall below a threshold of yours."),
    Reason.NO_NUMBER: _("There was no number to compare with your threshold."),
    Reason.NO_DEVICE: _("None of your devices is registered; open the app once on each."),
    Reason.TOO_LATE: _("It was too old for a notification; it is in your inbox."),
    Reason.UNDECIDABLE: _("There is a fault in your settings; staff have been told."),
    Reason.DEVICE_ALREADY_TOLD: _("Your device was notified of this already."),
    Reason.TEXT_BLANK: _OUR_TEXT,
    Reason.TEMPLATE_INVALID: _OUR_TEXT,
    Reason.CANCELLED: _("The school did not send this message."),
}  # fmt: skip
"""The sentence of each reason for the person concerned, which staff may pass on."""


class Tag(NamedTuple):
    """A word that sums up what became of it, and the class of its colours."""

    colours: str
    words: str


_HEARD: Final = Tag("on", _("heard"))
_NOT: Final = Tag("off", _("did not hear"))
_TAGS: Final[Mapping[Reason, Tag]] = {
    Reason.TOLD: _HEARD,
    Reason.TOLD_APART: _HEARD,
    Reason.DEVICE_ALREADY_TOLD: _HEARD,
    Reason.TOO_LATE: Tag("waits", _("in the inbox alone")),
    Reason.HELD: Tag("waits", _("waits")),
    Reason.OPENS_LATER: Tag("waits", _("waits")),
}


def tag_of(reason: Reason) -> Tag:
    """What became of it, in a word."""
    return _TAGS.get(reason, _NOT)


STEPS: Final[Mapping[str, str]] = {
    "district enabled": _("Push notifications are on for the district."),
    "kind supported": _("The district offers this kind."),
    "newest of its record": _("No later change of the same record came first."),
    "something to tell": _("There is something to tell."),
    "released to families": _("The SIS shows the record to families."),
    "active year": _("It belongs to the active school year."),
    "display option": _("The school shows this to the person’s audience."),
    "student enrolled": _("The student is enrolled at the school."),
    "right to the student": _("The person has a right to the student."),
    "stay logged in": _("The person stays logged in to the app."),
    "subscribed": _("The person has switched this kind on."),
    "text not told yet": _("The person was not told the same before."),
    "threshold crossed": _("The value fell below a threshold, or none is set."),
    "live device": _("A device of the person takes pushes."),
    "worth a push": _("It happened lately enough for a push."),
    "device not told yet": _("The device was not told for somebody else."),
    "text complete": _("The text could be made."),
}
"""Each step of a trace, as a sentence that is true where it passed."""

VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.ACCEPTED: _("accepted"),
    Verdict.UNREGISTERED: _("the app is gone from this device"),
    Verdict.DEFERRED: _("put off, and tried again"),
    Verdict.REFUSED: _("refused"),
}

STATES: Final[Mapping[State, str]] = {
    State.HELD: _("held"),
    State.TOLD: _("told"),
    State.REPLACED: _("replaced by a correction"),
    State.WITHDRAWN: _("withdrawn"),
    State.EXPIRED: _("expired"),
}

HOLDS: Final[Mapping[Hold, str]] = {
    Hold.APART: _("apart from another record of the same change"),
    Hold.SETTLE: _("until the record settles"),
    Hold.QUIET_HOURS: _("until quiet hours are over"),
    Hold.DIGEST: _("for a digest"),
    Hold.STORM: _("until a storm of changes is over"),
    Hold.APPROVAL: _("until somebody approves it"),
    Hold.TURN: _("until its turn comes"),
    Hold.CORRECTION: _("for the phones that show what it corrects"),
}
