"""Tool rights: what a staff user may see and do, for the whole district or for some schools.

A right comes from the user's groups or is the user's own; one that is taken away from the user
holds no longer, whoever gave it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, NewType

from rules.change import SchoolId
from rules.gates import EVERY_SCHOOL

GroupId = NewType("GroupId", str)
StaffId = NewType("StaffId", int)


class Tool(StrEnum):
    """A part of the portal that rights are given for."""

    PUSH_NOTIFICATIONS = "push-notifications"
    FAMILIES = "families"
    STUDENTS = "students"
    CLASSES = "classes"
    CAMPS = "camps"
    ENROLLMENTS = "enrollments"
    TEMPLATES = "templates"
    BROADCASTS = "broadcasts"
    BACKGROUND_TASKS = "background-tasks"
    MONITOR = "monitor"
    WHY = "why"
    PEOPLE = "people"
    STAFF = "staff"
    AUDIT = "audit"


class Right(StrEnum):
    """What one may do with a tool."""

    READ = "read"
    WRITE = "write"
    SEND = "send"
    APPROVE = "approve"
    EMERGENCY = "emergency"


_READ: Final = frozenset({Right.READ})
_READ_WRITE: Final = frozenset({Right.READ, Right.WRITE})
_READ_SEND: Final = frozenset({Right.READ, Right.SEND})

OFFERED: Final[Mapping[Tool, frozenset[Right]]] = {
    Tool.PUSH_NOTIFICATIONS: _READ_WRITE,
    Tool.FAMILIES: _READ_SEND,
    Tool.STUDENTS: _READ_SEND,
    Tool.CLASSES: _READ_SEND,
    Tool.CAMPS: _READ_SEND,
    Tool.ENROLLMENTS: _READ_SEND,
    Tool.TEMPLATES: _READ_WRITE,
    Tool.BROADCASTS: frozenset({Right.READ, Right.APPROVE, Right.EMERGENCY}),
    Tool.BACKGROUND_TASKS: _READ_WRITE,
    Tool.MONITOR: _READ,
    Tool.WHY: _READ,
    Tool.PEOPLE: _READ_WRITE,
    Tool.STAFF: _READ_WRITE,
    Tool.AUDIT: _READ,
}
"""Which rights there are for each tool."""

DISTRICT_ONLY: Final = frozenset({Tool.STAFF, Tool.AUDIT, Tool.MONITOR, Tool.TEMPLATES})
"""Tools that cannot be divided by school."""


class Grant(NamedTuple):
    """One right for one tool, at one school or, with EVERY_SCHOOL, for the whole district."""

    tool: Tool
    right: Right
    school: SchoolId = EVERY_SCHOOL

    @property
    def is_offered(self) -> bool:
        """Whether there is such a right."""
        divides = self.tool not in DISTRICT_ONLY or self.school == EVERY_SCHOOL
        return self.right in OFFERED[self.tool] and divides

    @property
    def needs_second_factor(self) -> bool:
        """Whether a password alone is too little: what reaches families, or lets others in."""
        if self.right is Right.WRITE:
            return self.tool in (Tool.STAFF, Tool.PUSH_NOTIFICATIONS, Tool.PEOPLE)
        return self.right is not Right.READ


EVERYTHING: Final = frozenset(
    Grant(tool, right) for tool, rights in OFFERED.items() for right in rights
)
"""All rights for the whole district: those of an administrator."""


@dataclass(frozen=True, slots=True)
class ToolRights:
    """What one staff user may do.

    *granted* names where each right comes from: the groups that give it, and the empty id where it
    is the user's own. *taken* are those that the user does not have although a group gives them.
    """

    granted: Mapping[Grant, Collection[GroupId]]
    taken: Collection[Grant] = frozenset()

    def may(self, tool: Tool, right: Right, school: SchoolId = EVERY_SCHOOL) -> bool:
        """Whether *right* holds at *school*; for the whole district where none is named.

        What is taken away at one school is no right for the whole district any more.
        """
        return self.schools(tool, right).includes(school)

    def may_somewhere(self, tool: Tool, right: Right) -> bool:
        """Whether *right* holds for the district or for any school."""
        return not self.schools(tool, right).is_empty

    def schools(self, tool: Tool, right: Right) -> Schools:
        """Where *right* holds."""
        given = _schools(self.granted, tool, right)
        taken = _schools(self.taken, tool, right)
        if EVERY_SCHOOL in taken:
            return NOWHERE
        if EVERY_SCHOOL in given:
            return Schools(frozenset(), but_not=taken, everywhere=True)
        return Schools(given - taken)

    def in_force(self, grant: Grant) -> bool:
        """Whether a right that is granted has not been taken away."""
        return grant in self.granted and self.may(*grant)


@dataclass(frozen=True, slots=True)
class Schools:
    """Those schools at which a right holds: *only* some, or *everywhere* *but_not* at some."""

    only: frozenset[SchoolId]
    but_not: frozenset[SchoolId] = frozenset()
    everywhere: bool = False

    def includes(self, school: SchoolId) -> bool:
        """Whether *school* is one of them; EVERY_SCHOOL asks for all there are."""
        if school == EVERY_SCHOOL:
            return self.everywhere and not self.but_not
        return school in self.only or (self.everywhere and school not in self.but_not)

    def both(self, other: Schools) -> Schools:
        """Those that are among these and among *other*."""
        if self.everywhere and other.everywhere:
            return Schools(frozenset(), but_not=self.but_not | other.but_not, everywhere=True)
        some, rest = (other, self) if self.everywhere else (self, other)
        return Schools(frozenset(one for one in some.only if rest.includes(one)))

    def covers(self, other: Schools) -> bool:
        """Whether all of *other* are among these."""
        if other.everywhere:
            return self.everywhere and self.but_not <= other.but_not
        return all(map(self.includes, other.only))

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return not self.everywhere and not self.only


NOWHERE: Final = Schools(frozenset())
EVERYWHERE: Final = Schools(frozenset(), everywhere=True)


def _schools(grants: Iterable[Grant], tool: Tool, right: Right) -> frozenset[SchoolId]:
    return frozenset(one.school for one in grants if one.tool is tool and one.right is right)
