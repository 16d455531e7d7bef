"""Families, students, classes, camps and enrollments: where staff choose whom they write to.

A page is one form: whichever button is pressed, it sends what is ticked of the rows shown, which is
kept, and then shows what was asked for. With JavaScript the same form goes by itself. Who may see
and not send has no boxes to tick.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from msgspec.structs import replace

from engine.errors import ConfigError, SchoolbellError
from engine.portal import asked as form
from engine.portal import labels
from engine.portal.asked import Sent
from engine.portal.guards import Needs, SignedIn, ThePortal
from engine.portal.languages import marked as _
from engine.portal.portal import Portal
from engine.portal.rendering import page as rendered
from engine.services.broadcasts import choosing
from engine.services.broadcasts.choosing import Wanted
from engine.services.broadcasts.selection import PARTS, Selection, count, usable
from engine.services.pages import Narrowed, Page
from engine.services.staff import rights
from engine.services.staff.signing_in import Visit
from rules.tool_rights import NOWHERE, Grant, Right, Schools, Tool
from rules.wording.broadcasts import UNITS, UnitKind

pages = APIRouter(include_in_schema=False)

ROWS: Final = 50
_FILTERS: Final[Mapping[str, str]] = {
    "school_id": "school", "year": "year", "grade": "grade", "homeroom": "homeroom", "type": "type",
}  # fmt: skip
"""The columns that filters are for, and what they are called in an address."""

_NOTHING: Final = (
    _("Nobody is selected"), _("Tick whom you want to write to, or select all that match."),
)  # fmt: skip


def _tool(request: Request) -> Tool:
    return Tool(request.url.path.split("/")[1])


ThePage = Annotated[Tool, Depends(_tool)]
FromAddress = Annotated[Sent, Query()]
FromForm = Annotated[Sent, Form()]


def show(
    request: Request, portal: ThePortal, visit: SignedIn, tool: ThePage, sent: FromAddress
) -> Response:
    """Some rows of a page; who may not choose presses the form's buttons here."""
    if sent.go:
        return RedirectResponse(sent.next().address(request.url.path), 303)
    return _show(request, portal, visit, tool, sent)


def choose(
    request: Request, portal: ThePortal, visit: SignedIn, tool: ThePage, sent: FromForm
) -> Response:
    """Keep what is ticked, do what the button says, and show what is asked for."""
    selection = _kept(portal, visit, tool, sent)
    if sent.go == form.SEND:
        return _send(request, portal, visit, tool, selection, sent)
    if sent.go in (form.ALL, form.CLEAR):
        _change_all(portal, visit, tool, sent)
    return RedirectResponse(sent.next().address(f"/{tool}"), 303)


def tick(
    request: Request, portal: ThePortal, visit: SignedIn, tool: ThePage, sent: FromForm
) -> Response:
    """Keep what is ticked, and say how much that is."""
    selection = _kept(portal, visit, tool, sent)
    return rendered(
        request, "choose_selected.html", visit=visit,
        selected=count(portal.district.source, selection, _may_send(visit, tool)),
    )  # fmt: skip


for _one in PARTS:
    _sees = [Depends(Needs(_one, anywhere=True))]
    _sends = [Depends(Needs(_one, Right.SEND, anywhere=True))]
    pages.add_api_route(f"/{_one}", show, methods=["GET"], dependencies=_sees)
    pages.add_api_route(f"/{_one}", choose, methods=["POST"], dependencies=_sends)
    pages.add_api_route(f"/{_one}/tick", tick, methods=["POST"], dependencies=_sends)


def _kept(portal: Portal, visit: Visit, tool: Tool, sent: Sent) -> Selection:
    district, part = portal.district, _part(portal, tool, sent)
    ticked = sent.tick
    if sent.go == form.SHOWN and not set(sent.shown) <= set(sent.tick):
        ticked = sent.shown
    elif sent.go == form.SHOWN:
        ticked = []
    kept = choosing.tick(
        district.database, district.source, visit.account.id, tool, part, sent.shown, ticked,
        _may_send(visit, tool), portal.now,
    )  # fmt: skip
    if tool is not Tool.CAMPS:
        return kept

    def meant(was: Selection) -> Selection:
        unit = UnitKind(sent.one_for) if sent.one_for in list(UnitKind) else was.unit
        return replace(was, unit=unit, attending=form.days(sent.attend_first, sent.attend_last))

    return choosing.change(district.database, visit.account.id, tool, portal.now, meant)


def _change_all(portal: Portal, visit: Visit, tool: Tool, sent: Sent) -> None:
    district, who = portal.district, visit.account.id
    if sent.go == form.CLEAR:
        choosing.clear(district.database, who, tool, portal.now)
        return
    choosing.select_all(
        district.database, district.source, who, tool, _part(portal, tool, sent),
        _narrowed(portal, sent), _may_send(visit, tool), portal.now,
    )  # fmt: skip


def _send(
    request: Request, portal: Portal, visit: Visit, tool: Tool, selection: Selection, sent: Sent
) -> Response:
    if not count(portal.district.source, selection, _may_send(visit, tool)):
        return _show(request, portal, visit, tool, sent, note=_NOTHING)
    where = f"/broadcasts/new?page={tool}"
    if _is_live(request):
        return Response(headers={"hx-redirect": where})
    return RedirectResponse(where, 303)


def _show(
    request: Request, portal: Portal, visit: Visit, tool: Tool, sent: Sent,
    note: tuple[str, str] | None = None,
) -> Response:  # fmt: skip
    district, part = portal.district, _part(portal, tool, sent)
    sees, sends = visit.rights.schools(tool, Right.READ), _may_send(visit, tool)
    kept = choosing.kept(district.database, visit.account.id, tool)
    selection = usable(district.source, kept)
    wanted = Wanted(
        part, _narrowed(portal, sent), sent.order, form.mark(sent.after), form.mark(sent.before),
        sees, sends,
    )  # fmt: skip
    seen = choosing.see(district.source, selection, wanted, ROWS)
    answer = rendered(
        request, "choose.html", visit=visit, status=422 if note and not _is_live(request) else 200,
        tool=tool, part=part, sent=sent, form=form, note=note, seen=seen, selection=selection,
        lost=selection != kept, selected=seen.selected, parts=choosing.parts(district.source, tool),
        may_choose=not sends.is_empty,
        lacks_a_factor=sends.is_empty and visit.rights.may_somewhere(tool, Right.SEND),
        filters=_filters(portal.offers(district.source, part, sees), seen.narrows, sent),
        has_days="days" in seen.narrows, schools=rights.school_names(district.database),
        units=UNITS[tool] if len(UNITS[tool]) > 1 else (),
    )  # fmt: skip
    if note:
        answer.headers["hx-push-url"] = "false"
    return answer


def _is_live(request: Request) -> bool:
    """Whether a script of ours asks."""
    return "hx-request" in request.headers


def _filters(
    offered: Mapping[str, Sequence[str]], able: Collection[str], sent: Sent
) -> list[dict[str, Any]]:
    """The filters of a page: with the values that they offer, or with a field to write into.

    One that offers a single value narrows nothing.
    """
    return [
        {
            "name": name, "column": column, "label": labels.COLUMNS[column],
            "offered": offered.get(column), "value": getattr(sent, name),
        }
        for column, name in _FILTERS.items()
        if column in able
        and (column not in offered or len(offered[column]) > 1 or getattr(sent, name))
    ]  # fmt: skip


def _part(portal: Portal, tool: Tool, sent: Sent) -> Page:
    parts = choosing.parts(portal.district.source, tool)
    if not parts:
        raise ConfigError(
            f"The source definition has no [pages.{PARTS[tool][0]}].",
            "Add the query, or choose from another page.",
        )
    return form.part_of(sent.of, list(parts))


def _narrowed(portal: Portal, sent: Sent) -> Narrowed:
    """What the page is narrowed to; raises SchoolbellError for a school that nobody knows."""
    if sent.school and sent.school not in rights.school_names(portal.district.database):
        raise SchoolbellError("There is no such school.", "Choose one of those on the page.")
    return sent.narrowed


def _may_send(visit: Visit, tool: Tool) -> Schools:
    """The schools whose rows somebody may choose: nowhere while a second factor is missing."""
    if not visit.may_somewhere(Grant(tool, Right.SEND)):
        return NOWHERE
    return visit.rights.schools(tool, Right.SEND).both(visit.rights.schools(tool, Right.READ))
