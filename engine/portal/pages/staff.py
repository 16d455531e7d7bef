"""Staff: who may sign in, what they may do, and where each right comes from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from engine.errors import SchoolbellError
from engine.portal.guards import Needs, ThePortal, actor
from engine.portal.rendering import page
from engine.services.staff import accounts, rights, single_sign_on
from engine.services.staff.signing_in import Visit
from rules.change import SchoolId
from rules.tool_rights import DISTRICT_ONLY, OFFERED, Grant, GroupId, Right, StaffId, Tool

pages = APIRouter(prefix="/staff", include_in_schema=False)

May = Annotated[Visit, Depends(Needs(Tool.STAFF))]
MayChange = Annotated[Visit, Depends(Needs(Tool.STAFF, Right.WRITE))]
Words = Annotated[str, Form()]
Marks = Annotated[list[str], Form()]

_BY_PROVIDER = "provider"
_CHANGES = {
    "give": rights.give,
    "take": rights.take,
    "leave": rights.leave_to_groups,
}


@pages.get("")
def show(request: Request, portal: ThePortal, visit: May) -> Response:
    """All accounts and groups."""
    return _show(request, portal, visit)


@pages.post("")
def add(
    request: Request, portal: ThePortal, visit: MayChange, username: Words, name: Words,
    password: Words = "", way: Words = "password",
) -> Response:  # fmt: skip
    """Make an account, which signs in with a password or by the provider."""
    try:
        if way == _BY_PROVIDER:
            accounts.require_provider(portal.district.config.portal.oidc)
        made = accounts.add(
            portal.district.database, actor(portal, visit), username, name,
            None if way == _BY_PROVIDER else password,
        )  # fmt: skip
    except SchoolbellError as error:
        return _show(request, portal, visit, error, username=username, name=name)
    return RedirectResponse(f"/staff/{made.id}?done=added", 303)


@pages.post("/groups")
def add_group(request: Request, portal: ThePortal, visit: MayChange, group_name: Words) -> Response:
    """Make a group."""
    try:
        group = rights.add_group(portal.district.database, actor(portal, visit), group_name)
    except SchoolbellError as error:
        return _show(request, portal, visit, error)
    return RedirectResponse(f"/staff/groups/{group}?done=added", 303)


@pages.get("/groups/{group}")
def show_group(request: Request, portal: ThePortal, visit: May, group: str) -> Response:
    """What a group may do."""
    which = GroupId(group)
    return page(
        request, "group.html", visit=visit, group=rights.group(portal.district.database, which),
        grants=rights.of_group(portal.district.database, which), offered=OFFERED,
        district_only=DISTRICT_ONLY, schools=rights.school_names(portal.district.database),
    )  # fmt: skip


@pages.post("/groups/{group}")
def set_group(portal: ThePortal, visit: MayChange, group: str, right: Marks = []) -> Response:  # noqa: B006
    """Say what a group may do; each mark is `tool right school`."""
    rights.set_group(
        portal.district.database,
        actor(portal, visit),
        GroupId(group),
        {_grant(one) for one in right},
    )
    return RedirectResponse(f"/staff/groups/{group}?done=saved", 303)


@pages.post("/groups/{group}/remove")
def remove_group(portal: ThePortal, visit: MayChange, group: str) -> Response:
    """Take a group away."""
    rights.remove_group(portal.district.database, actor(portal, visit), GroupId(group))
    return RedirectResponse("/staff?done=removed", 303)


@pages.get("/{who}")
def show_account(request: Request, portal: ThePortal, visit: May, who: int) -> Response:
    """What one user may do, and where each right comes from."""
    groups = rights.groups(portal.district.database)
    return page(
        request, "staff_account.html", visit=visit,
        held=rights.of(portal.district.database, StaffId(who)), own=rights.OWN,
        groups=groups, names={one.id: one.name for one in groups}, offered=OFFERED,
        district_only=DISTRICT_ONLY,
        schools=rights.school_names(portal.district.database),
        bound=single_sign_on.bound(portal.district.database, StaffId(who)),
    )  # fmt: skip


@pages.post("/{who}/right")
def change_right(
    portal: ThePortal, visit: MayChange, who: int, right: Words, how: Words
) -> Response:
    """Give a right, take it away, or leave it to the groups."""
    change = _CHANGES.get(how)
    if change is None:
        raise SchoolbellError("This cannot be done to a right.", "Choose one of the buttons.")
    change(portal.district.database, actor(portal, visit), StaffId(who), _grant(right))
    return RedirectResponse(f"/staff/{who}?done=saved#rights", 303)


@pages.post("/{who}/groups")
def set_groups(portal: ThePortal, visit: MayChange, who: int, group: Marks = []) -> Response:  # noqa: B006
    """Say which groups somebody is in."""
    number, by = StaffId(who), actor(portal, visit)
    now, wanted = (
        set(rights.of(portal.district.database, number).groups),
        {GroupId(one) for one in group},
    )
    for one in sorted(wanted - now):
        rights.join(portal.district.database, by, number, one)
    for one in sorted(now - wanted):
        rights.leave(portal.district.database, by, number, one)
    return RedirectResponse(f"/staff/{who}?done=saved#groups", 303)


@pages.post("/{who}/password")
def set_password(portal: ThePortal, visit: MayChange, who: int, password: Words) -> Response:
    """Set a new password, and end every session of the account."""
    accounts.set_password(portal.district.database, actor(portal, visit), StaffId(who), password)
    return RedirectResponse(f"/staff/{who}?done=saved", 303)


@pages.post("/{who}/provider")
def sign_in_by_provider(portal: ThePortal, visit: MayChange, who: int) -> Response:
    """Let the account sign in by the provider alone, bound to nobody yet."""
    accounts.require_provider(portal.district.config.portal.oidc)
    accounts.sign_in_by_provider(portal.district.database, actor(portal, visit), StaffId(who))
    return RedirectResponse(f"/staff/{who}?done=saved", 303)


@pages.post("/{who}/setup-code")
def make_setup_code(request: Request, portal: ThePortal, visit: MayChange, who: int) -> Response:
    """Make a code for a first second factor, and show it once."""
    database, number = portal.district.database, StaffId(who)
    code = accounts.new_setup_code(database, actor(portal, visit), number)
    return page(
        request, "setup_code.html", visit=visit, code=code, lasts=accounts.SETUP_CODES_LAST,
        account=rights.of(database, number).account,
    )  # fmt: skip


@pages.post("/{who}/forget-second-factor")
def forget_second_factor(portal: ThePortal, visit: MayChange, who: int) -> Response:
    """Take the app and the passkeys away from somebody who lost them."""
    accounts.forget_second_factor(portal.district.database, actor(portal, visit), StaffId(who))
    return RedirectResponse(f"/staff/{who}?done=saved", 303)


@pages.post("/{who}/disable")
def disable(portal: ThePortal, visit: MayChange, who: int) -> Response:
    """Let somebody sign in no more."""
    accounts.disable(portal.district.database, actor(portal, visit), StaffId(who))
    return RedirectResponse(f"/staff/{who}?done=saved", 303)


@pages.post("/{who}/enable")
def enable(portal: ThePortal, visit: MayChange, who: int) -> Response:
    """Let somebody sign in again."""
    accounts.enable(portal.district.database, actor(portal, visit), StaffId(who))
    return RedirectResponse(f"/staff/{who}?done=saved", 303)


def _show(
    request: Request, portal: ThePortal, visit: Visit, error: SchoolbellError | None = None,
    username: str = "", name: str = "",
) -> Response:  # fmt: skip
    database = portal.district.database
    return page(
        request, "staff.html", visit=visit, status=422 if error else 200, error=error,
        accounts=accounts.every(database), groups=rights.groups(database),
        username=username, name=name,
    )  # fmt: skip


def _grant(words: str) -> Grant:
    """A mark of a page; raises SchoolbellError for what is none."""
    tool, _, rest = words.partition(" ")
    right, _, school = rest.partition(" ")
    try:
        return Grant(Tool(tool), Right(right), SchoolId(school))
    except ValueError:
        raise SchoolbellError(
            "There is no such right.", "Choose one of those on the page."
        ) from None
