"""Who has which tool rights, by groups and of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    false,
    literal,
    select,
    union_all,
)

from engine.store.bulk import insert_new
from engine.store.staff.tables import group_rights, staff_groups, staff_members, staff_rights
from rules.change import SchoolId
from rules.tool_rights import Grant, GroupId, Right, StaffId, Tool, ToolRights

OWN = GroupId("")
"""Stands for the user where a right is their own."""


class Group(NamedTuple):
    """A group of staff, with how many members it has."""

    id: GroupId
    name: str
    members: int


_GIVEN: Final = group_rights.c
_OWN: Final = staff_rights.c
_OF: Final = union_all(
    select(_GIVEN.group_id, _GIVEN.tool, _GIVEN.right, _GIVEN.school_id, false().label("taken"))
    .join(staff_members, staff_members.c.group_id == _GIVEN.group_id)
    .where(staff_members.c.staff_id == bindparam("who")),
    select(literal(OWN).label("group_id"), _OWN.tool, _OWN.right, _OWN.school_id, _OWN.taken)
    .where(_OWN.staff_id == bindparam("who")),
)  # fmt: skip


def of(connection: Connection, who: StaffId) -> ToolRights:
    """What somebody may do, and where each right comes from."""
    granted: dict[Grant, list[GroupId]] = defaultdict(list)
    taken: set[Grant] = set()
    for row in connection.execute(_OF, {"who": who}):
        if row.taken:
            taken.add(_grant(row))
        else:
            granted[_grant(row)].append(GroupId(row.group_id))
    return ToolRights(dict(granted), frozenset(taken))


def give(connection: Connection, who: StaffId, grant: Grant) -> None:
    """Give somebody a right of their own; what was taken away is given back."""
    _set_own(connection, who, grant, taken=False)


def take(connection: Connection, who: StaffId, grant: Grant) -> None:
    """Take a right away, whoever gives it."""
    _set_own(connection, who, grant, taken=True)


def leave_to_groups(connection: Connection, who: StaffId, grant: Grant) -> None:
    """Let the groups alone say whether somebody has a right."""
    connection.execute(delete(staff_rights).where(*_is_own(who, grant)))


def groups(connection: Connection) -> Sequence[Group]:
    """All groups, by name."""
    members: dict[str, int] = defaultdict(int)
    for group in connection.execute(select(staff_members.c.group_id)).scalars():
        members[group] += 1
    rows = connection.execute(select(staff_groups).order_by(staff_groups.c.name))
    return [Group(GroupId(row.id), row.name, members[row.id]) for row in rows]


def add_group(connection: Connection, group: GroupId, name: str) -> bool:
    """Make a group; False where there is one of this id or name."""
    is_taken = (staff_groups.c.id == group) | (staff_groups.c.name == name)
    if connection.execute(select(staff_groups.c.id).where(is_taken)).first():
        return False
    connection.execute(staff_groups.insert().values(id=group, name=name))
    return True


def remove_group(connection: Connection, group: GroupId) -> None:
    """Take a group away, with the rights that it gives."""
    for table in (staff_members, group_rights):
        connection.execute(delete(table).where(table.c.group_id == group))
    connection.execute(delete(staff_groups).where(staff_groups.c.id == group))


def of_group(connection: Connection, group: GroupId) -> Collection[Grant]:
    """The rights that a group gives."""
    rows = connection.execute(select(group_rights).where(group_rights.c.group_id == group))
    return frozenset(_grant(row) for row in rows)


def set_group(connection: Connection, group: GroupId, grants: Collection[Grant]) -> None:
    """Say which rights a group gives."""
    connection.execute(delete(group_rights).where(group_rights.c.group_id == group))
    if grants:
        rows = [{"group_id": group, **_columns(one)} for one in grants]
        connection.execute(group_rights.insert(), rows)


def groups_of(connection: Connection, who: StaffId) -> Collection[GroupId]:
    """The groups that somebody is in."""
    rows = connection.execute(
        select(staff_members.c.group_id).where(staff_members.c.staff_id == who)
    )
    return frozenset(GroupId(group) for group in rows.scalars())


def join(connection: Connection, who: StaffId, group: GroupId) -> None:
    """Make somebody a member of a group."""
    connection.execute(insert_new(connection, staff_members).values(group_id=group, staff_id=who))


def leave(connection: Connection, who: StaffId, group: GroupId) -> None:
    """End somebody's membership of a group."""
    connection.execute(
        delete(staff_members).where(
            staff_members.c.group_id == group, staff_members.c.staff_id == who
        )
    )


def _set_own(connection: Connection, who: StaffId, grant: Grant, *, taken: bool) -> None:
    leave_to_groups(connection, who, grant)
    connection.execute(staff_rights.insert().values(staff_id=who, taken=taken, **_columns(grant)))


def _is_own(who: StaffId, grant: Grant) -> Sequence[ColumnElement[bool]]:
    return [staff_rights.c.staff_id == who, *_is(staff_rights, grant)]


def _is(table: Table, grant: Grant) -> Sequence[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in _columns(grant).items()]


def _columns(grant: Grant) -> dict[str, str]:
    return {"tool": grant.tool, "right": grant.right, "school_id": grant.school}


def _grant(row: Any) -> Grant:
    return Grant(Tool(row.tool), Right(row.right), SchoolId(row.school_id))
