"""Why? For staff whom a family asks why they heard, or did not hear, of something.

From a name to the student, from there to a person, to what became of news for them, gate by gate;
and for one change to everybody whom it concerned. Staff of a school see its students alone, and
every look is in the audit log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from engine.errors import SchoolbellError, Unavailable
from engine.portal import explanations
from engine.portal.guards import Needs, ThePortal, actor
from engine.portal.languages import marked as _
from engine.portal.portal import Portal
from engine.portal.rendering import language_of, page
from engine.portal.typed import Typed
from engine.services import texts, why
from engine.services.broadcasts.received import Received, received
from engine.services.staff import auditing, rights, students
from engine.services.staff.signing_in import Visit
from engine.services.staff.students import Family
from engine.services.typed import MOST_SHOWN
from engine.services.why import Answer
from rules.audience import Audience
from rules.change import ChangeId, Facts, PersonId, StudentId
from rules.gates import EVERY_SCHOOL
from rules.thresholds import written
from rules.tool_rights import Right, Schools, Tool
from rules.wording import Text

pages = APIRouter(prefix="/why", include_in_schema=False)

May = Annotated[Visit, Depends(Needs(Tool.WHY, anywhere=True))]

Titles = Callable[[Facts | None], str]

_SHOWN: Final = 20
_MORE: Final = 5  # times as many

_NO_STUDENT: Final = (
    _("There is no such student"),
    _("Search by name. You see the students of your schools alone."),
)
_NO_PERSON: Final = (
    _("This person has nothing to do with the student"),
    _("The directory knows no relation of the two, and nothing was ever decided. A new relation "
      "arrives with the next reading of the directory."),
)  # fmt: skip
_NO_CHANGE: Final = (
    _("There is no such change"),
    _("It concerns no student of your schools, or it is older than decisions are kept, or it has "
      "not arrived yet."),
)  # fmt: skip


@pages.get("")
def search(request: Request, portal: ThePortal, visit: May, q: Typed = "") -> Response:
    """A student by a name or an id, their own or that of somebody around them."""
    found = students.search(portal.district.database, q, _schools(visit))
    return page(
        request, "why.html", visit=visit, typed=q, found=found, is_id=_is_id(q),
        most=students.MOST_FOUND,
    )  # fmt: skip


@pages.get("/student")
def show_student(
    request: Request, portal: ThePortal, visit: May,
    id: Typed = "",  # noqa: A002 - the address's
) -> Response:  # fmt: skip
    """The people around a student."""
    family = _family(portal, visit, id)
    if family is None:
        return _no_student(request, portal, visit, id)
    _note(portal, visit, [family.student.id])
    return page(request, "why_student.html", visit=visit, family=family)


@pages.get("/person")
def show_person(
    request: Request, portal: ThePortal, visit: May, student: Typed = "", person: Typed = "",
    last: Annotated[int, Query(ge=1, le=MOST_SHOWN)] = _SHOWN,
) -> Response:  # fmt: skip
    """What became of the newest changes for one person, and what would become of one now."""
    family = _family(portal, visit, student)
    if family is None:
        return _no_student(request, portal, visit, student)
    _note(portal, visit, [family.student.id])
    database, who = portal.district.database, PersonId(person)
    if not (family.person(who) or why.decided(database, family.student.id, who, portal.now, 1)):
        return _problem(request, visit, _NO_PERSON)
    decided, standing = why.whole(database, family.student.id, who, portal.now, portal.today, last)
    return _show(
        request, portal, visit, "why_person.html", family, who, decided=decided,
        standing=standing, refusals={one.reason for one in standing},
        waits=why.waits(
            database, family.student.id, portal.now,
            portal.district.config.schedule.directory_trusted,
        ),
        more=min(last * _MORE, MOST_SHOWN) if len(decided) == last < MOST_SHOWN else None,
        last_decided=None if decided else why.last_decided(database),
        received=received(database, family.student.id, who),
        said=_said(request, portal, visit),
    )  # fmt: skip


@pages.get("/decision")
def show_decision(
    request: Request, portal: ThePortal, visit: May, student: Typed = "", person: Typed = "",
    change: Typed = "",
) -> Response:  # fmt: skip
    """One decision, gate by gate, and what the gateways said."""
    family = _family(portal, visit, student)
    if family is None:
        return _no_student(request, portal, visit, student)
    _note(portal, visit, [family.student.id])
    try:
        answer = why.of_change(
            portal.district.database, family.student.id, PersonId(person), ChangeId(change)
        )
    except Unavailable:
        raise
    except SchoolbellError:
        return _problem(request, visit, _NO_CHANGE)
    return _show(
        request, portal, visit, "why_decision.html", family, PersonId(person), answer=answer,
        text=_text(portal, answer),
    )  # fmt: skip


@pages.get("/change")
def show_change(
    request: Request, portal: ThePortal, visit: May,
    id: Typed = "",  # noqa: A002 - the address's
) -> Response:  # fmt: skip
    """Everybody whom a change concerned: who heard of it, who did not, and why."""
    if not _is_id(id):
        return _problem(request, visit, _NO_CHANGE)
    database = portal.district.database
    heard = why.who_heard(database, ChangeId(id))
    known = students.described(database, heard.students if heard else (), _schools(visit))
    ours = heard.only(known) if heard else None
    if ours is None:
        return _problem(request, visit, _NO_CHANGE)
    _note(portal, visit, list(known))
    return page(
        request, "why_change.html", visit=visit, heard=ours, families=known, say=explanations,
        names=students.names(database, ours.people), title=_title(request, portal, visit),
    )  # fmt: skip


def _show(
    request: Request, portal: Portal, visit: Visit, template: str, family: Family,
    person: PersonId, **values: Any,
) -> Response:  # fmt: skip
    names = students.names(portal.district.database, [person])
    return page(
        request, template, visit=visit, family=family, person=person, say=explanations,
        name=names.get(person) or person, around=family.person(person),
        schools=rights.school_names(portal.district.database), limits=_limits,
        title=_title(request, portal, visit), **values,
    )  # fmt: skip


def _schools(visit: Visit) -> Schools:
    """Those whose students somebody may see here."""
    return visit.rights.schools(Tool.WHY, Right.READ)


def _family(portal: Portal, visit: Visit, student: str) -> Family | None:
    return students.family(portal.district.database, StudentId(student), _schools(visit))


def _no_student(request: Request, portal: Portal, visit: Visit, student: str) -> Response:
    """The same answer for whom there is not and for whom another school has."""
    if student and not _schools(visit).includes(EVERY_SCHOOL):
        by = actor(portal, visit)
        auditing.refuse(portal.district.database, by, f"{Tool.WHY}: student {student}")
    return _problem(request, visit, _NO_STUDENT)


def _problem(request: Request, visit: Visit, words: tuple[str, str]) -> Response:
    problem, remedy = words
    return page(
        request, "problem.html", status=404, visit=visit, problem=problem, remedy=remedy,
        values={},
    )  # fmt: skip


def _note(portal: Portal, visit: Visit, seen: Collection[StudentId]) -> None:
    students.looked(portal.district.database, actor(portal, visit), seen)


def _title(request: Request, portal: Portal, visit: Visit) -> Titles:
    """What a record is called, in the reader's language; empty where no family knows of it."""
    language = language_of(request, visit)

    def title(facts: Facts | None) -> str:
        found = texts.text_of(portal.district.wording, facts, Audience.GUARDIAN, language)
        return found.title if found else ""

    return title


def _said(request: Request, portal: Portal, visit: Visit) -> Callable[[Received], str]:
    """What a message of staff is called: as the person reads it, else as it was written."""
    language = language_of(request, visit)

    def said(one: Received) -> str:
        wording = portal.district.wording
        found = texts.text_of(wording, one.message, Audience.GUARDIAN, language)
        return found.title if found else one.title

    return said


def _text(portal: Portal, answer: Answer) -> Text | None:
    """What was told, in the language in which it was; nothing to somebody who was not."""
    person = answer.person
    if person is None or not person.finds_it:
        return None
    return texts.text_of(portal.district.wording, answer.facts, person.audience, person.language)


def _limits(answer: Answer) -> str:
    return " / ".join(written(answer.kind, limit) for limit in answer.below)


def _is_id(typed: str) -> bool:
    try:
        UUID(typed.strip())
    except ValueError:
        return False
    return True
