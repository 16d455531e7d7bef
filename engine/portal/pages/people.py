"""People: whether parents and students have an account, where they are signed in, and invitations.

From a name to a student, from there to a person, as on the page Why. Staff of a school see those
around its students alone. Who could sign in as a person would see all of that person's students: so
an invitation is made only by staff who may do so at the schools of all of them.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

import segno
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from engine.portal.guards import Needs, ThePortal, actor
from engine.portal.languages import marked as _
from engine.portal.portal import Portal
from engine.portal.rendering import page
from engine.portal.typed import Typed, TypedInForm
from engine.services.families import accounts, invitations
from engine.services.families.accounts import Looked
from engine.services.families.standing import FOR_STAFF
from engine.services.staff import auditing, students
from engine.services.staff.signing_in import Visit
from engine.services.staff.students import Family
from rules.change import PersonId, StudentId
from rules.gates import EVERY_SCHOOL
from rules.tool_rights import Right, Schools, Tool

pages = APIRouter(prefix="/people", include_in_schema=False)

May = Annotated[Visit, Depends(Needs(Tool.PEOPLE, anywhere=True))]
MayChange = Annotated[Visit, Depends(Needs(Tool.PEOPLE, Right.WRITE, anywhere=True))]

_NOBODY: Final = (
    _("There is no such person"),
    _("Search by name. You see the families of your schools alone."),
)
_NOT_ALL: Final = (
    _("You cannot invite this person"),
    _("They also see students of other schools. Somebody who may change People there, too, can "
      "invite them."),
)  # fmt: skip


@pages.get("")
def search(request: Request, portal: ThePortal, visit: May, q: Typed = "") -> Response:
    """A person by a name or an id, their own or that of a student around them."""
    database = portal.district.database
    found = students.search(database, q, _schools(visit, Right.READ))
    families = students.described(
        database, [one.id for one in found.students], _schools(visit, Right.READ)
    )
    everybody = {one.person for family in families.values() for one in family.people}
    return page(
        request, "people.html", visit=visit, typed=q, found=found, families=families,
        most=students.MOST_FOUND, accounts=accounts.of(database, everybody, portal.now),
    )  # fmt: skip


@pages.get("/person")
def show(
    request: Request, portal: ThePortal, visit: May, student: Typed = "", person: Typed = ""
) -> Response:
    """The account of one person."""
    family = _family(portal, visit, student, person, Right.READ)
    if family is None:
        return _problem(request, visit, _NOBODY, 404)
    look = _look(portal, person)
    return page(
        request, "people_person.html", visit=visit, family=family,
        around=family.person(PersonId(person)), look=look, why_not=FOR_STAFF,
        writes=_family(portal, visit, student, person, Right.WRITE) is not None,
        may_invite=_reaches_all(portal, visit, look),
    )  # fmt: skip


@pages.post("/person/invite")
def invite(
    request: Request, portal: ThePortal, visit: MayChange, student: TypedInForm, person: TypedInForm
) -> Response:
    """Make a code to sign in with, and show it once."""
    family = _family(portal, visit, student, person, Right.WRITE)
    if family is None:
        return _problem(request, visit, _NOBODY, 404)
    if not _reaches_all(portal, visit, _look(portal, person)):
        return _problem(request, visit, _NOT_ALL, 403)
    made = invitations.invite(
        portal.district.database, actor(portal, visit), PersonId(person), portal.today
    )
    address = f"{portal.app_address(request)}/app/invitation"
    picture = segno.make(f"{address}#{made.code}", error="m").svg_inline(
        scale=5, dark="#000", light="#fff", border=4
    )
    return page(
        request, "people_invitation.html", visit=visit, made=made, address=address,
        back=_address(student, person), lasts=invitations.LASTS,
        picture=Markup(picture),  # noqa: S704 - made by segno of an address and letters of ours
    )  # fmt: skip


@pages.post("/person/take-back")
def take_back(
    request: Request, portal: ThePortal, visit: MayChange, student: TypedInForm, person: TypedInForm
) -> Response:
    """Let the code that a person has do no more."""
    if _family(portal, visit, student, person, Right.WRITE) is None:
        return _problem(request, visit, _NOBODY, 404)
    by = actor(portal, visit)
    invitations.take_back(portal.district.database, by, PersonId(person))
    return _done(student, person, "removed")


@pages.post("/person/disable")
def disable(
    request: Request, portal: ThePortal, visit: MayChange, student: TypedInForm, person: TypedInForm
) -> Response:
    """Let a person sign in no more, and end every login and push at once."""
    if _family(portal, visit, student, person, Right.WRITE) is None:
        return _problem(request, visit, _NOBODY, 404)
    accounts.disable(portal.district.database, actor(portal, visit), PersonId(person))
    return _done(student, person, "saved")


@pages.post("/person/enable")
def enable(
    request: Request, portal: ThePortal, visit: MayChange, student: TypedInForm, person: TypedInForm
) -> Response:
    """Let a person sign in again."""
    if _family(portal, visit, student, person, Right.WRITE) is None:
        return _problem(request, visit, _NOBODY, 404)
    accounts.enable(portal.district.database, actor(portal, visit), PersonId(person))
    return _done(student, person, "saved")


@pages.post("/person/sign-out")
def sign_out(
    request: Request, portal: ThePortal, visit: MayChange, student: TypedInForm, person: TypedInForm
) -> Response:
    """End every login of a person, with the pushes."""
    if _family(portal, visit, student, person, Right.WRITE) is None:
        return _problem(request, visit, _NOBODY, 404)
    by = actor(portal, visit)
    accounts.sign_out_everywhere(portal.district.database, by, PersonId(person))
    return _done(student, person, "logins-ended")


def _schools(visit: Visit, right: Right) -> Schools:
    """Those around whose students somebody may see people, or change their accounts."""
    return visit.rights.schools(Tool.PEOPLE, right)


def _family(portal: Portal, visit: Visit, student: str, person: str, right: Right) -> Family | None:
    """The family by which a person is reached; None where they are not around a student there."""
    where = _schools(visit, right)
    found = students.family(portal.district.database, StudentId(student), where)
    if found is None or found.person(PersonId(person)) is None:
        if student and right is Right.READ and not where.includes(EVERY_SCHOOL):
            by = actor(portal, visit)
            auditing.refuse(portal.district.database, by, f"{Tool.PEOPLE}: student {student}")
        return None
    return found


def _look(portal: Portal, person: str) -> Looked:
    return accounts.look(portal.district.database, PersonId(person), portal.now, portal.today)


def _reaches_all(portal: Portal, visit: Visit, look: Looked) -> bool:
    """Whether somebody may change accounts at the schools of all whom a person sees."""
    where = _schools(visit, Right.WRITE)
    return set(look.sees) <= set(students.described(portal.district.database, look.sees, where))


def _address(student: str, person: str) -> str:
    return f"/people/person?{urlencode({'student': student, 'person': person})}"


def _done(student: str, person: str, what: str) -> Response:
    return RedirectResponse(f"{_address(student, person)}&done={what}", 303)


def _problem(request: Request, visit: Visit, words: tuple[str, str], status: int) -> Response:
    problem, remedy = words
    return page(
        request, "problem.html", status=status, visit=visit, problem=problem, remedy=remedy,
        values={},
    )  # fmt: skip
