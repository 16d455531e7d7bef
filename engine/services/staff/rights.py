"""Tool rights: what groups and single users may do, and where each right comes from."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SchoolbellError
from engine.services.actor import Actor
from engine.services.staff.accounts import require_an_administrator, required
from engine.store import district
from engine.store.staff import rights
from engine.store.staff.accounts import Account
from engine.store.staff.rights import Group as Group  # the answer of groups
from rules.change import SchoolId
from rules.gates import EVERY_SCHOOL
from rules.tool_rights import Grant, GroupId, StaffId, ToolRights

_LONGEST_NAME: Final = 100
_GIVEN: Final = "right.given"

OWN: Final = rights.OWN


class Held(NamedTuple):
    """What one user may do, the groups they are in, and what these are called."""

    account: Account
    rights: ToolRights
    groups: Collection[GroupId]


def of(database: Database, who: StaffId) -> Held:
    """What a user may do, and why; raises SchoolbellError where there is no such user."""
    with database.read() as connection:
        return Held(
            required(connection, who), rights.of(connection, who),
            rights.groups_of(connection, who),
        )  # fmt: skip


def groups(database: Database) -> Sequence[Group]:
    """All groups, by name."""
    with database.read() as connection:
        return rights.groups(connection)


def group(database: Database, which: GroupId) -> Group:
    """One group; raises SchoolbellError where there is none."""
    with database.read() as connection:
        return _group(connection, which)


def of_group(database: Database, group: GroupId) -> Collection[Grant]:
    """The rights that a group gives; raises SchoolbellError where there is no such group."""
    with database.read() as connection:
        _group(connection, group)
        return rights.of_group(connection, group)


def add_group(database: Database, by: Actor, name: str) -> GroupId:
    """Make a group without rights; raises SchoolbellError for a name that is taken or none."""
    name = " ".join(name.split())
    group = GroupId(_slug(name))
    if not group or len(name) > _LONGEST_NAME:
        raise SchoolbellError(
            "This can be no name of a group.", "Write 1 to %(most)s characters.", most=_LONGEST_NAME
        )
    with database.write() as connection:
        if not rights.add_group(connection, group, name):
            raise SchoolbellError("There is such a group already.", "Choose another name.")
        by.did(connection, "group.added", name, None, None)
    return group


def remove_group(database: Database, by: Actor, group: GroupId) -> None:
    """Take a group away, with the rights that it gives to its members."""
    with database.write() as connection:
        name = _group(connection, group).name
        before = rights.of_group(connection, group)
        rights.remove_group(connection, group)
        require_an_administrator(connection)
        by.did(connection, "group.removed", name, _listed(before), None)


def set_group(database: Database, by: Actor, group: GroupId, grants: Collection[Grant]) -> None:
    """Say which rights a group gives; raises SchoolbellError for one that there is not."""
    _require_offered(grants)
    with database.write() as connection:
        name = _group(connection, group).name
        _require_schools(connection, {one.school for one in grants})
        before = rights.of_group(connection, group)
        rights.set_group(connection, group, grants)
        require_an_administrator(connection)
        by.did(connection, "group.rights", name, _listed(before), _listed(grants))


def join(database: Database, by: Actor, who: StaffId, group: GroupId) -> None:
    """Make somebody a member of a group."""
    with database.write() as connection:
        account, name = required(connection, who), _group(connection, group).name
        rights.join(connection, who, group)
        by.did(connection, "group.joined", account.username, None, {"group": name})


def leave(database: Database, by: Actor, who: StaffId, group: GroupId) -> None:
    """End somebody's membership of a group."""
    with database.write() as connection:
        account, name = required(connection, who), _group(connection, group).name
        rights.leave(connection, who, group)
        require_an_administrator(connection)
        by.did(connection, "group.left", account.username, {"group": name}, None)


def give(database: Database, by: Actor, who: StaffId, grant: Grant) -> None:
    """Give somebody a right of their own."""
    _change(database, by, who, grant, _GIVEN)


def take(database: Database, by: Actor, who: StaffId, grant: Grant) -> None:
    """Take a right away from somebody, whichever group gives it."""
    _change(database, by, who, grant, "right.taken")


def leave_to_groups(database: Database, by: Actor, who: StaffId, grant: Grant) -> None:
    """Let somebody's groups alone say whether they have a right."""
    _change(database, by, who, grant, "right.left-to-groups")


def school_names(database: Database) -> Mapping[SchoolId, str]:
    """The schools of the district, by name."""
    with database.read() as connection:
        return district.schools_by_name(connection)


_HOW: Final = {
    _GIVEN: rights.give,
    "right.taken": rights.take,
    "right.left-to-groups": rights.leave_to_groups,
}


def _change(database: Database, by: Actor, who: StaffId, grant: Grant, act: str) -> None:
    _require_offered([grant])
    with database.write() as connection:
        account = required(connection, who)
        _require_schools(connection, {grant.school})
        before = rights.of(connection, who).may(*grant)
        _HOW[act](connection, who, grant)
        if act != _GIVEN:
            require_an_administrator(connection)
        after = rights.of(connection, who).may(*grant)
        what = {"right": _named(grant)}
        by.did(connection, act, account.username, {**what, "may": before}, {**what, "may": after})


def _group(connection: Connection, group: GroupId) -> Group:
    for one in rights.groups(connection):
        if one.id == group:
            return one
    raise SchoolbellError("There is no such group.", "It may have been taken away.")


def _require_offered(grants: Collection[Grant]) -> None:
    for one in grants:
        if not one.is_offered:
            raise SchoolbellError(
                "There is no right %(right)s.",
                "Choose one of those on the page.",
                right=_named(one),
            )


def _require_schools(connection: Connection, wanted: Collection[SchoolId]) -> None:
    known = {EVERY_SCHOOL, *district.schools_by_name(connection)}
    if unknown := set(wanted) - known:
        raise SchoolbellError(
            "The directory knows no school %(school)s.",
            "What is new in the SIS arrives with `schoolbell sync`.",
            school=min(unknown),
        )


def _listed(grants: Collection[Grant]) -> dict[str, list[str]]:
    return {"rights": sorted(_named(one) for one in grants)}


def _named(grant: Grant) -> str:
    where = f" at school {grant.school}" if grant.school else ""
    return f"{grant.tool}: {grant.right}{where}"


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.casefold()).strip("-")
