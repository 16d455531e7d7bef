"""The tools, as they are listed beside every page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from engine.portal.labels import TOOLS
from engine.portal.languages import marked as _
from engine.services.staff.signing_in import Visit
from rules.tool_rights import Grant, Right, Tool


class Entry(NamedTuple):
    """A page of a tool."""

    path: str
    tool: Tool

    @property
    def label(self) -> str:
        """What it is called."""
        return TOOLS[self.tool]


class Section(NamedTuple):
    """Some of the tools."""

    label: str
    entries: Sequence[Entry]


SECTIONS: Final = (
    Section(
        _("Messages to families"),
        (
            Entry("/families", Tool.FAMILIES),
            Entry("/students", Tool.STUDENTS),
            Entry("/classes", Tool.CLASSES),
            Entry("/camps", Tool.CAMPS),
            Entry("/enrollments", Tool.ENROLLMENTS),
            Entry("/broadcasts", Tool.BROADCASTS),
            Entry("/templates", Tool.TEMPLATES),
            Entry("/background-tasks", Tool.BACKGROUND_TASKS),
        ),
    ),
    Section(_("Support"), (Entry("/why", Tool.WHY), Entry("/people", Tool.PEOPLE))),
    Section(
        _("System Settings"),
        (
            Entry("/push-notifications", Tool.PUSH_NOTIFICATIONS),
            Entry("/monitor", Tool.MONITOR),
            Entry("/staff", Tool.STAFF),
            Entry("/audit", Tool.AUDIT),
        ),
    ),
)


def sections_for(visit: Visit, there: Collection[Tool]) -> Sequence[Section]:
    """What somebody may see of the tools that are *there*, without sections that would be empty."""
    found = []
    for section in SECTIONS:
        entries = [
            one
            for one in section.entries
            if one.tool in there and visit.may_somewhere(Grant(one.tool, Right.READ))
        ]
        if entries:
            found.append(Section(section.label, entries))
    return found
