"""What tools, rights and kinds are called on pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.portal.languages import marked as _
from engine.services.broadcasts.funnel import Step
from engine.services.staff import passkeys
from engine.services.staff.single_sign_on import Trouble
from rules.audience import Audience
from rules.broadcasts import BroadcastState
from rules.change import Kind
from rules.gateway_state import GatewayState
from rules.privacy import Level
from rules.tool_rights import Right, Tool
from rules.wording.broadcasts import Group, Problem, UnitKind

TOOLS: Final[Mapping[Tool, str]] = {
    Tool.PUSH_NOTIFICATIONS: _("Push Notifications"),
    Tool.FAMILIES: _("Families"),
    Tool.STUDENTS: _("Students"),
    Tool.CLASSES: _("Classes"),
    Tool.CAMPS: _("Camps"),
    Tool.ENROLLMENTS: _("Enrollments"),
    Tool.TEMPLATES: _("Templates"),
    Tool.BROADCASTS: _("Broadcasts"),
    Tool.BACKGROUND_TASKS: _("Background Tasks"),
    Tool.MONITOR: _("Monitor"),
    Tool.WHY: _("Why?"),
    Tool.PEOPLE: _("People"),
    Tool.STAFF: _("Staff"),
    Tool.AUDIT: _("Audit log"),
}

FOR: Final[Mapping[Tool, str]] = {
    Tool.PUSH_NOTIFICATIONS: _("Switch them on or off, and say what is shown."),
    Tool.FAMILIES: _("Write to families that you choose."),
    Tool.STUDENTS: _("Write to the families of students."),
    Tool.CLASSES: _("Write to everybody in a class."),
    Tool.CAMPS: _("Write to those who attend a camp."),
    Tool.ENROLLMENTS: _("Write to enrollments of any type."),
    Tool.TEMPLATES: _("Titles and messages to use again."),
    Tool.BROADCASTS: _("What was written, and what became of it."),
    Tool.BACKGROUND_TASKS: _("What is under way or waits for somebody."),
    Tool.MONITOR: _("What the engine does now, and what to mend."),
    Tool.WHY: _("Why somebody did, or did not, get it."),
    Tool.PEOPLE: _("Invite parents and students, and see who is signed in."),
    Tool.STAFF: _("Who may do what."),
    Tool.AUDIT: _("Who did what, and when."),
}
"""What each tool is for, in a few words."""

RIGHTS: Final[Mapping[Right, str]] = {
    Right.READ: _("See"),
    Right.WRITE: _("Change"),
    Right.SEND: _("Send"),
    Right.APPROVE: _("Approve"),
    Right.EMERGENCY: _("Emergency"),
}

KINDS_OF_CHANGE: Final[Mapping[Kind, str]] = {
    Kind.ASSIGNMENT: _("Assignments"),
    Kind.GRADE: _("Grades"),
    Kind.ATTENDANCE: _("Attendance"),
    Kind.MEAL_BALANCE: _("Meal balance"),
    Kind.RESPONSIVE_SCHEDULE: _("Responsive schedule"),
}

KINDS: Final[Mapping[Kind, str]] = {
    **KINDS_OF_CHANGE,
    Kind.BROADCAST: _("Messages from the school"),
}

AUDIENCES: Final[Mapping[Audience, str]] = {
    Audience.GUARDIAN: _("Guardians"),
    Audience.STUDENT: _("Students"),
}

LEVELS: Final[Mapping[Level, tuple[str, str]]] = {
    Level.GENERIC: (
        _("Only that there is something"),
        _("“There is something new about your child.” No name, no score."),
    ),
    Level.NAMED: (
        _("Whom it is about, and which kind"),
        _("“Attendance: Ada”. The name and the kind, and not what happened."),
    ),
    Level.FULL: (
        _("Everything"),
        _("“Ada was marked absent in Biology 9.” It may stand on a locked phone on a table."),
    ),
}

STANDINGS: Final[Mapping[str, str]] = {
    "approval": _("Waits for approval"),
    "stuck": _("Stands still"),
    "faulty": _("Went wrong for some"),
    "scheduled": _("Scheduled"),
    "going": _("On its way"),
    "done": _("Done"),
    "stopped": _("Stopped"),
    "making": _("Being made"),
    "ready": _("Ready"),
    "failed": _("Failed"),
}

STAGES: Final[Mapping[str, str]] = {
    "relay": _("Relay: takes from the SIS"),
    "evaluate": _("Evaluate: decides who hears"),
    "deliver": _("Deliver: sends to Google and Apple"),
    "broadcasts": _("Deliver: sends broadcasts, after the news"),
    "record": _("Record: keeps the answers"),
}

OUTCOMES: Final[Mapping[str, str]] = {
    "accepted": _("Accepted"),
    "deferred": _("Put off, tried again"),
    "refused": _("Refused"),
    "unregistered": _("Phone is dead"),
    "expired": _("Too late to be worth it"),
    "given_up": _("Given up"),
    "superseded": _("A newer text came"),
    "device_gone": _("Device gone"),
    "signed_out": _("Signed out"),
}

GATEWAY_STATES: Final[Mapping[GatewayState, str]] = {
    GatewayState.OPEN: _("Open"),
    GatewayState.PAUSING: _("Pausing: it makes us wait"),
    GatewayState.STOPPED: _("Stopped: see the alarm"),
}

LANGUAGES: Final[Mapping[str, str]] = {"en": _("English"), "es": _("Spanish")}

UNITS: Final[Mapping[UnitKind, str]] = {
    UnitKind.FAMILY: _("One message for each family"),
    UnitKind.STUDENT: _("One message for each student"),
    UnitKind.ENROLLMENT: _("One message for each enrollment"),
}

STEPS: Final[Mapping[Step, str]] = {
    Step.MAY_HEAR: _("Who may not be told"),
    Step.WITH_DEVICE: _("Who has no device that takes pushes"),
    Step.SWITCHED_ON: _("Who has switched messages off"),
    Step.LATELY: _("Who was not seen in the last 30 days"),
}

BROADCAST_STATES: Final[Mapping[BroadcastState, str]] = {
    BroadcastState.DRAFT: _("Draft"),
    BroadcastState.WAITING: _("Waits for approval"),
    BroadcastState.SCHEDULED: _("Scheduled"),
    BroadcastState.SENDING: _("Being sent"),
    BroadcastState.SENT: _("Sent"),
    BroadcastState.CANCELLED: _("Cancelled"),
}

GROUPS: Final[Mapping[Group, str]] = {
    Group.FAMILY: _("Family"),
    Group.STUDENT: _("Student"),
    Group.CLASS: _("Class"),
    Group.CAMP: _("Camp"),
    Group.ENROLLMENT: _("Enrollment"),
    Group.DISTRICT: _("School and district"),
    Group.DATE: _("Date"),
}

VARIABLES: Final[Mapping[str, str]] = {
    "family_name": _("Family’s name"),
    "student_first_name": _("Student’s first name"),
    "student_last_name": _("Student’s last name"),
    "student_grade": _("Student’s grade level"),
    "student_homeroom": _("Student’s homeroom"),
    "student_year": _("Student’s school year"),
    "class_name": _("Name of the class"),
    "class_teacher": _("Teacher of the class"),
    "class_meets": _("When the class meets"),
    "class_place": _("Where the class meets"),
    "class_starts": _("First day of the class"),
    "class_ends": _("Last day of the class"),
    "camp_name": _("Name of the camp"),
    "camp_place": _("Where the camp is"),
    "camp_starts": _("First day of the camp"),
    "camp_ends": _("Last day of the camp"),
    "enrollment_title": _("Class or camp of the enrollment"),
    "enrollment_session": _("Session of the enrollment"),
    "enrollment_type": _("Type of the enrollment"),
    "enrollment_starts": _("First day of the enrollment"),
    "enrollment_ends": _("Last day of the enrollment"),
    "school_name": _("Name of the school"),
    "district_name": _("Name of the district"),
    "date": _("Day on which it is sent"),
    "weekday": _("Weekday on which it is sent"),
}

PROBLEMS: Final[Mapping[Problem, str]] = {
    Problem.BLANK: _("Nothing is written here."),
    Problem.TOO_LONG: _("This is too long: at most %(what)s characters."),
    Problem.UNREADABLE: _("There is a character here that nobody can read (%(what)s)."),
    Problem.UNCLOSED: _("A variable begins here with {{ and does not end with }}."),
    Problem.UNKNOWN: _("There is no variable “%(what)s”."),
    Problem.NOT_HERE: _("Messages like this one do not know the variable “%(what)s”."),
}

TROUBLES: Final[Mapping[Trouble, str]] = {
    Trouble.AWAY: _(
        "The district’s sign-in does not answer now. Try again in a while; if you have a password "
        "here, sign in with it."
    ),
    Trouble.FAULTY: _(
        "The district’s sign-in and this portal do not understand each other. Tell whoever runs "
        "Schoolbell: its log says what is wrong."
    ),
    Trouble.REFUSED: _("The district’s sign-in was cancelled. Try again when you like."),
    Trouble.STALE: _(
        "This sign-in was begun too long ago, in another browser, or was finished before. Begin "
        "again here."
    ),
    Trouble.UNKNOWN: _(
        "The district knows you, and this portal has no account for you. Ask an administrator of "
        "the portal to make one under your address."
    ),
    Trouble.SOMEBODY_ELSE: _(
        "The account under your address belongs to somebody else at the district’s sign-in. An "
        "administrator of the portal can let it go."
    ),
    Trouble.DISABLED: _("Your account is disabled. Ask an administrator of the portal."),
}

PARTS: Final[Mapping[str, str]] = {
    "class_enrollments": _("Class enrollments"),
    "camp_enrollments": _("Camp enrollments"),
}
"""The two kinds of rows of the page of enrollments."""

COLUMNS: Final[Mapping[str, str]] = {
    "name": _("Name"),
    "school_id": _("School"),
    "year": _("Year"),
    "grade": _("Grade"),
    "homeroom": _("Homeroom"),
    "status": _("Status"),
    "teacher": _("Teacher"),
    "meets": _("Meets"),
    "place": _("Place"),
    "starts": _("First day"),
    "ends": _("Last day"),
    "type": _("Type"),
    "title": _("Title"),
    "session": _("Session"),
}
"""The columns of the pages from which staff write."""

COLUMNS_OF: Final[Mapping[tuple[str, str], str]] = {
    ("families", "name"): _("Family"),
    ("students", "name"): _("Student"),
    ("classes", "name"): _("Class"),
    ("camps", "name"): _("Camp"),
    ("class_enrollments", "name"): _("Student"),
    ("class_enrollments", "title"): _("Class"),
    ("camp_enrollments", "name"): _("Student"),
    ("camp_enrollments", "title"): _("Camp"),
}
"""What a column is called on one page, where that says more."""

PASSKEY_TROUBLES: Final[Mapping[passkeys.Trouble, str]] = {
    passkeys.Trouble.STALE: _("This took too long, or was done before. Try again."),
    passkeys.Trouble.UNKNOWN: _("This passkey is not known here any more. Sign in another way."),
    passkeys.Trouble.NOT_VERIFIED: _(
        "This passkey did not check that it is you, by a PIN or a finger. Sign in with your "
        "password, and use it afterwards."
    ),
    passkeys.Trouble.SUSPECT: _(
        "There may be a copy of this passkey, so it is not taken any more. Sign in another way, "
        "take it away under your account, and tell an administrator."
    ),
    passkeys.Trouble.BY_PROVIDER: _(
        "Sign in with the district’s account first; the passkey is asked for after that."
    ),
    passkeys.Trouble.DISABLED: _("Your account is disabled. Ask an administrator of the portal."),
}
