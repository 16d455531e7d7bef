"""Templates: a title and a message that staff keep for one page, to write them again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request, Response
from fastapi.responses import RedirectResponse

from engine.errors import SchoolbellError
from engine.portal.composing import Typed, Words, composed, names_of_variables
from engine.portal.guards import Needs, ThePortal, actor
from engine.portal.rendering import language_of
from engine.portal.rendering import page as shown
from engine.services.broadcasts import templates
from engine.services.broadcasts.templates import Kept, KeptId
from engine.services.broadcasts.writing import Refused, Texts
from engine.services.staff.signing_in import Visit
from rules.tool_rights import Right, Tool
from rules.wording.broadcasts import UNITS

pages = APIRouter(prefix="/templates", include_in_schema=False)

May = Annotated[Visit, Depends(Needs(Tool.TEMPLATES))]
MayChange = Annotated[Visit, Depends(Needs(Tool.TEMPLATES, Right.WRITE))]
Which = Annotated[int, Path(ge=0, lt=2**63)]
_CHECK = "check"


@pages.get("")
def show_all(request: Request, portal: ThePortal, visit: May) -> Response:
    """All templates, by the page that each is for."""
    kept = templates.every(portal.district.database)
    by_page = {page: [one for one in kept if one.page is page] for page in UNITS}
    return shown(request, "templates.html", visit=visit, by_page=by_page)


@pages.get("/new")
def show_new(request: Request, visit: MayChange, page: Tool = Tool.FAMILIES) -> Response:
    """Where a new template for *page* is written."""
    return _show(request, visit, _writable(page), {})


@pages.post("/new")
def add(
    request: Request, portal: ThePortal, visit: MayChange, texts: Typed,
    page: Annotated[Tool, Form()], name: Words = "", do: Words = "",
) -> Response:  # fmt: skip
    """Keep a new template, or look at what is written so far."""
    page = _writable(page)
    if do == _CHECK:
        return _show(request, visit, page, texts, name=name)
    try:
        templates.add(portal.district.database, actor(portal, visit), page, name, texts)
    except SchoolbellError as error:
        return _show(request, visit, page, texts, name=name, error=error)
    return RedirectResponse("/templates?done=added", 303)


@pages.get("/{template}")
def show(request: Request, portal: ThePortal, visit: May, template: Which) -> Response:
    """One template, and where it is changed."""
    kept = templates.one(portal.district.database, KeptId(template))
    return _show(request, visit, kept.page, kept.texts, name=kept.name, kept=kept)


@pages.post("/{template}")
def change(
    request: Request, portal: ThePortal, visit: MayChange, template: Which, texts: Typed,
    version: Annotated[int, Form(ge=0, lt=2**31)] = 0, name: Words = "", do: Words = "",
) -> Response:  # fmt: skip
    """Give a template another name and other texts, or look at what is written so far."""
    which = KeptId(template)
    kept = templates.one(portal.district.database, which)
    was = kept._replace(version=version)
    if do == _CHECK:
        return _show(request, visit, kept.page, texts, name=name, kept=was)
    try:
        by = actor(portal, visit)
        templates.change(portal.district.database, by, which, was.version, name, texts)
    except SchoolbellError as error:
        return _show(request, visit, kept.page, texts, name=name, kept=was, error=error)
    return RedirectResponse("/templates?done=saved", 303)


@pages.post("/{template}/remove")
def remove(portal: ThePortal, visit: MayChange, template: Which) -> Response:
    """Take a template away."""
    templates.remove(portal.district.database, actor(portal, visit), KeptId(template))
    return RedirectResponse("/templates?done=removed", 303)


def _writable(page: Tool) -> Tool:
    if page not in UNITS:
        raise SchoolbellError(
            "Nobody writes to families from such a page.", "Choose one of the pages."
        )
    return page


def _show(
    request: Request, visit: Visit, page: Tool, texts: Texts, *, name: str = "",
    kept: Kept | None = None, error: SchoolbellError | None = None,
) -> Response:  # fmt: skip
    return shown(
        request, "template.html", visit=visit, status=422 if error else 200,
        composed=composed(page, texts, so_far=not error), name=name, kept=kept,
        names=names_of_variables(language_of(request, visit)),
        error=None if isinstance(error, Refused) else error, refused=isinstance(error, Refused),
    )  # fmt: skip
