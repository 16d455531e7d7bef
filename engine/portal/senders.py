"""Who may write to families, from which page and at which schools: guards of broadcasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request

from engine.errors import SchoolbellError
from engine.portal.guards import Forbidden, Needs, ThePortal, signed_in
from engine.portal.portal import Portal
from engine.services.broadcasts import drafts, following
from engine.services.broadcasts.drafts import Broadcast
from engine.services.broadcasts.refusals import not_there
from engine.services.staff.signing_in import Visit
from rules.broadcasts import BroadcastId
from rules.identity import is_origin
from rules.tool_rights import EVERYWHERE, NOWHERE, Grant, Right, Schools, Tool
from rules.wording.broadcasts import UNITS

_FIRST = next(iter(UNITS))


class Sends(Needs):
    """A dependency: who may send from the page that a request is about; raises Forbidden.

    That is the page of the broadcast, or the one in the address; the first of all where it is none.
    """

    def __init__(self) -> None:
        super().__init__(_FIRST, Right.SEND, anywhere=True)

    def __call__(  # type: ignore[override]
        self, request: Request, portal: ThePortal, visit: Annotated[Visit, Depends(signed_in)]
    ) -> Visit:
        """The visit, where it may."""
        grant = Grant(_page_of(request, portal), Right.SEND)
        if not visit.may_somewhere(grant):
            raise Forbidden(visit, grant)
        return visit


class Sees(Needs):
    """A dependency: who may see broadcasts, or began the one that a request is about."""

    def __init__(self) -> None:
        super().__init__(Tool.BROADCASTS, Right.READ, anywhere=True)

    def __call__(  # type: ignore[override]
        self, request: Request, portal: ThePortal, visit: Annotated[Visit, Depends(signed_in)]
    ) -> Visit:
        """The visit, where it may."""
        one = _asked(request, portal)
        if visit.may_somewhere(self.grant) or (one and one.author_id == visit.account.id):
            return visit
        raise Forbidden(visit, self.grant)


MaySend = Annotated[Visit, Depends(Sends())]
MaySee = Annotated[Visit, Depends(Sees())]
MayApprove = Annotated[Visit, Depends(Needs(Tool.BROADCASTS, Right.APPROVE, anywhere=True))]


def the_page(page: Tool) -> Tool:
    """The page in the address; raises SchoolbellError for one that nobody writes from."""
    if page not in UNITS:
        raise SchoolbellError(
            "Nobody writes to families from such a page.", "Choose one of the pages."
        )
    return page


ThePage = Annotated[Tool, Depends(the_page)]


def _of_address(portal: ThePortal, broadcast: str) -> Broadcast:
    return required(portal, broadcast)


TheBroadcast = Annotated[Broadcast, Depends(_of_address)]


def required(portal: Portal, name: str) -> Broadcast:
    """The broadcast that an address names; raises NotThere."""
    if not is_origin(name):
        raise not_there()
    return drafts.one(portal.district.database, BroadcastId(name))


def schools_for(visit: Visit, tool: Tool, right: Right) -> Schools:
    """Where a right counts now: nowhere while a second factor is missing."""
    if not visit.may_somewhere(Grant(tool, right)):
        return NOWHERE
    return visit.rights.schools(tool, right)


def schools_to_send_to(visit: Visit, page: Tool) -> Schools:
    """Whose rows somebody may choose on a page, and write to."""
    sees = visit.rights.schools(page, Right.READ)
    return schools_for(visit, page, Right.SEND).both(sees)


def may_mark_emergency(visit: Visit, page: Tool) -> bool:
    """Whether somebody may say, at every school that they write to, that this is an emergency."""
    where = schools_for(visit, Tool.BROADCASTS, Right.EMERGENCY)
    return not where.is_empty and where.covers(schools_to_send_to(visit, page))


def sees_all(visit: Visit, one: Broadcast) -> bool:
    """Whether somebody began a broadcast, or may see those of all its schools."""
    return one.author_id == visit.account.id or covers(schools_to_read_of(visit), one)


def seen(portal: Portal, visit: Visit, some: Sequence[Broadcast]) -> Sequence[Broadcast]:
    """Those of some that somebody may see, all of them or what reached families of their schools.

    Nobody has got what has not begun: then it is of no school yet.
    """
    others = [one.id for one in some if not sees_all(visit, one)]
    reached = following.that_reached(portal.district.database, others, schools_to_read_of(visit))
    return [one for one in some if one.id in reached or sees_all(visit, one)]


def schools_to_read_of(visit: Visit) -> Schools:
    """The schools whose families' broadcasts somebody may see."""
    return schools_for(visit, Tool.BROADCASTS, Right.READ)


def sends(visit: Visit, one: Broadcast) -> bool:
    """Whether somebody may change, stop or correct it: as its author, or at all its schools."""
    where = schools_to_send_to(visit, one.page)
    is_author = one.author_id == visit.account.id and not where.is_empty
    return is_author or (sees_all(visit, one) and covers(where, one))


def seen_at(visit: Visit, one: Broadcast) -> Schools:
    """The schools whose students somebody may see behind a broadcast."""
    if sends(visit, one):
        return schools_to_send_to(visit, one.page)
    return schools_to_read_of(visit)


def counted_at(visit: Visit, one: Broadcast) -> Schools:
    """The schools whose families are in the figures that somebody sees of a broadcast."""
    return EVERYWHERE if sees_all(visit, one) else schools_to_read_of(visit)


def approves(visit: Visit, one: Broadcast) -> bool:
    """Whether somebody may agree to a broadcast, as a second person, at all its schools."""
    where = schools_for(visit, Tool.BROADCASTS, Right.APPROVE)
    return one.author_id != visit.account.id and covers(where, one)


def require_to_see(portal: Portal, visit: Visit, one: Broadcast) -> None:
    """Raise Forbidden unless somebody may see it, or what of it reached their schools."""
    if not seen(portal, visit, [one]):
        raise Forbidden(visit, Grant(Tool.BROADCASTS, Right.READ))


def require_to_send(visit: Visit, one: Broadcast) -> None:
    """Raise Forbidden unless somebody may change it."""
    if not sends(visit, one):
        raise Forbidden(visit, Grant(one.page, Right.SEND))


def require_to_approve(visit: Visit, one: Broadcast) -> None:
    """Raise Forbidden unless somebody may agree to it."""
    if not approves(visit, one):
        raise Forbidden(visit, Grant(Tool.BROADCASTS, Right.APPROVE))


def covers(where: Schools, one: Broadcast) -> bool:
    """A draft is of no school yet, so it is for those who may everywhere."""
    of = one.schools or EVERYWHERE
    return not where.is_empty and where.covers(of)


def _page_of(request: Request, portal: Portal) -> Tool:
    if one := _asked(request, portal):
        return one.page
    named = request.query_params.get("page", "")
    return Tool(named) if named in UNITS else _FIRST


def _asked(request: Request, portal: Portal) -> Broadcast | None:
    name = request.path_params.get("broadcast")
    try:
        return required(portal, name) if name else None
    except SchoolbellError:
        return None
