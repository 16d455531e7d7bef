"""The display options of a school: what it shows to whom, in all terms and in each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from engine.portal.guards import Needs, ThePortal, actor, require
from engine.portal.languages import marked as _
from engine.portal.portal import Portal
from engine.portal.rendering import page
from engine.services import display_options
from engine.services.display_options import TOOLS, OfSchool
from engine.services.staff.signing_in import Visit
from rules.audience import Audience
from rules.change import Kind, SchoolId, TermId
from rules.display_options import ALL_TERMS, Tool
from rules.tool_rights import Grant, Right
from rules.tool_rights import Tool as StaffTool

pages = APIRouter(prefix="/push-notifications/display-options", include_in_schema=False)

TOOL = StaffTool.PUSH_NOTIFICATIONS
May = Annotated[Visit, Depends(Needs(TOOL, Right.READ, anywhere=True))]
MayChangeSome = Annotated[Visit, Depends(Needs(TOOL, Right.WRITE, anywhere=True))]

_WISHES: Final = {"show": True, "hide": False, "same": None}
_A_WISH: Final = re.compile(
    "^({}) ({})$".format(
        "|".join(f"{kind} {audience}" for kind, audience in TOOLS), "|".join(_WISHES)
    )
)
Id = Annotated[str, Query(max_length=1_000)]
Typed = Annotated[str, Form(max_length=1_000)]
Wishes = Annotated[
    list[Annotated[str, Field(pattern=_A_WISH.pattern)]], Form(max_length=len(TOOLS))
]


@pages.get("")
def show(
    request: Request, portal: ThePortal, visit: May, school: Id = "", term: Id = ""
) -> Response:
    """What one school shows, term by term; *term* is the one to choose for."""
    schools = _readable(portal, visit)
    found = next((one for one in schools if one.school == school), None)
    within = found.within(TermId(term)) if found else None
    if found is None or within is None:
        return page(
            request, "problem.html", status=404, visit=visit, values={},
            problem=_("There is no such school or term"),
            remedy=_("Choose one from the list on the page Push Notifications."),
        )  # fmt: skip
    database = portal.district.database
    return page(
        request, "display_options.html", visit=visit, of=found, within=within, schools=schools,
        hearing=display_options.hearing(database, found.school, portal.now, portal.today),
        last=display_options.last_changed(database, found.school),
        writes=visit.may(Grant(TOOL, Right.WRITE, found.school)), today=portal.today,
    )  # fmt: skip


@pages.post("")
def choose(
    portal: ThePortal,
    visit: MayChangeSome,
    school: Typed,
    term: Typed = ALL_TERMS,
    wish: Wishes = [],  # noqa: B006
) -> Response:
    """Show or hide tools of one school, in all terms or in one; each *wish* names its tool."""
    where = SchoolId(school)
    require(visit, TOOL, Right.WRITE, where)
    display_options.choose(
        portal.district.database, actor(portal, visit), where, dict(map(_wished, wish)),
        TermId(term),
    )  # fmt: skip
    there = urlencode({"school": school, "term": term, "done": "saved"})
    return RedirectResponse(f"{pages.prefix}?{there}#choose", 303)


def _readable(portal: Portal, visit: Visit) -> Sequence[OfSchool]:
    return [
        one
        for one in display_options.of_schools(portal.district.database, portal.today)
        if visit.may(Grant(TOOL, Right.READ, one.school))
    ]


def _wished(words: str) -> tuple[Tool, bool | None]:
    kind, audience, wish = words.split(" ")
    return (Kind(kind), Audience(audience)), _WISHES[wish]
