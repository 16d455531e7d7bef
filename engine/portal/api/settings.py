"""What the district chooses: the one flag, food service, what phones show, display options."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from engine.portal.api.document import REFUSALS
from engine.portal.guards import Needs, ThePortal, actor, require
from engine.portal.portal import Portal
from engine.services import display_options, settings
from engine.services.staff.signing_in import Visit
from rules.audience import Audience
from rules.change import Kind, SchoolId, TermId
from rules.privacy import Level
from rules.tool_rights import Grant, Right, Tool

api = APIRouter(prefix="/api/v1", tags=["settings"], responses=REFUSALS)

TOOL = Tool.PUSH_NOTIFICATIONS
May = Annotated[Visit, Depends(Needs(TOOL, Right.READ, anywhere=True))]
MayChange = Annotated[Visit, Depends(Needs(TOOL, Right.WRITE))]
MayChangeSome = Annotated[Visit, Depends(Needs(TOOL, Right.WRITE, anywhere=True))]


class Settings(BaseModel):
    """What holds for the whole district, and whom it reaches."""

    enabled: bool
    food_service: bool
    privacy: Level
    end_to_end: bool
    youngest_student: int
    people_reached: int
    devices_reached: int


class Wished(BaseModel):
    """What is to hold; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool | None = None
    food_service: bool | None = None
    privacy: Level | None = None
    end_to_end: bool | None = None
    youngest_student: Annotated[int, Field(ge=0, le=settings.MOST_YEARS)] | None = None


class DisplayOption(BaseModel):
    """Whether one school shows a tool to an audience: in all terms, or in one.

    *own* is what was chosen for the term itself, null where nothing was; then the term is as a
    longer one around it, or as all terms.
    """

    school: str
    school_name: str
    term: str | None
    term_name: str | None
    kind: Kind
    audience: Audience
    shown: bool
    own: bool | None


class Shown(BaseModel):
    """Whether it is to be shown."""

    model_config = ConfigDict(extra="forbid")

    shown: bool


class ShownInTerm(BaseModel):
    """Whether it is to be shown in a term; with null the term is as all terms are."""

    model_config = ConfigDict(extra="forbid")

    shown: bool | None


@api.get("/settings")
def read_settings(portal: ThePortal, visit: May) -> Settings:
    """What the district chose."""
    del visit
    return _settings(portal)


@api.patch("/settings")
def change_settings(portal: ThePortal, visit: MayChange, wished: Wished) -> Settings:
    """Choose for the whole district, from the next batch on."""
    database, by = portal.district.database, actor(portal, visit)
    if wished.enabled is not None:
        (settings.enable if wished.enabled else settings.disable)(database, by)
    if wished.food_service is not None:
        settings.set_food_service(database, by, offered=wished.food_service)
    if wished.privacy is not None:
        settings.set_privacy(database, by, wished.privacy)
    if wished.end_to_end is not None:
        settings.set_end_to_end(database, by, sealed=wished.end_to_end)
    if wished.youngest_student is not None:
        settings.set_youngest_student(database, by, wished.youngest_student)
    return _settings(portal)


@api.get("/display-options")
def read_display_options(portal: ThePortal, visit: May) -> list[DisplayOption]:
    """Every display option of the schools that you may see: of all terms, and of each."""
    return [
        DisplayOption(
            school=of.school, school_name=of.name, term=term.id or None,
            term_name=term.term.name if term.term else None, kind=kind, audience=audience,
            shown=one.shown, own=one.own,
        )
        for of in display_options.of_schools(portal.district.database, portal.today)
        if visit.may(Grant(TOOL, Right.READ, of.school))
        for term in of.terms
        for (kind, audience), one in term.options.items()
    ]  # fmt: skip


@api.put("/display-options/{school}/{kind}/{audience}", status_code=204)
def change_display_option(
    portal: ThePortal, visit: MayChangeSome, school: str, kind: Kind, audience: Audience,
    wished: Shown,
) -> None:  # fmt: skip
    """Show or hide a tool at one school, to guardians or to students, in all terms."""
    where = SchoolId(school)
    require(visit, TOOL, Right.WRITE, where)
    display_options.choose(
        portal.district.database, actor(portal, visit), where, {(kind, audience): wished.shown}
    )


@api.put("/display-options/{school}/terms/{term}/{kind}/{audience}", status_code=204)
def change_display_option_in_term(
    portal: ThePortal, visit: MayChangeSome, school: str, term: str, kind: Kind,
    audience: Audience, wished: ShownInTerm,
) -> None:  # fmt: skip
    """Show or hide a tool at one school in one term, which counts before all terms."""
    where = SchoolId(school)
    require(visit, TOOL, Right.WRITE, where)
    display_options.choose(
        portal.district.database, actor(portal, visit), where, {(kind, audience): wished.shown},
        TermId(term),
    )  # fmt: skip


def _settings(portal: Portal) -> Settings:
    database = portal.district.database
    chosen, reach = settings.chosen(database), portal.reach()
    return Settings(
        enabled=chosen.enabled, food_service=chosen.food_service, privacy=chosen.privacy.level,
        end_to_end=chosen.privacy.end_to_end, youngest_student=chosen.youngest_student,
        people_reached=reach.people,
        devices_reached=reach.devices,
    )  # fmt: skip
