"""What tools, rights and kinds are called on pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.portal.languages import marked as _
from rules.audience import Audience
from rules.change import Kind
from rules.gateway_state import GatewayState
from rules.privacy import Level
from rules.tool_rights import Right, Tool

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
    Tool.STAFF: _("Staff"),
    Tool.AUDIT: _("Audit log"),
}

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

STAGES: Final[Mapping[str, str]] = {
    "relay": _("Relay: takes from the SIS"),
    "evaluate": _("Evaluate: decides who hears"),
    "deliver": _("Deliver: sends to Google and Apple"),
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
