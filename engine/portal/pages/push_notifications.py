"""The page Push Notifications of the system settings: what the district chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from engine.doctor.diagnosis import Diagnosis
from engine.doctor.hops import walk
from engine.portal.guards import Needs, ThePortal, actor
from engine.portal.rendering import page
from engine.services import channel, display_options, settings
from engine.services.staff.signing_in import Visit
from rules.privacy import Level
from rules.tool_rights import Grant, Right, Tool

pages = APIRouter(prefix="/push-notifications", include_in_schema=False)

TOOL = Tool.PUSH_NOTIFICATIONS
May = Annotated[Visit, Depends(Needs(TOOL, Right.READ, anywhere=True))]
MayChange = Annotated[Visit, Depends(Needs(TOOL, Right.WRITE))]
Words = Annotated[str, Form()]


@pages.get("")
def show(request: Request, portal: ThePortal, visit: May) -> Response:
    """What is chosen now, and who changed the flag last."""
    return _show(request, portal, visit)


@pages.post("/flag")
def set_flag(portal: ThePortal, visit: MayChange, enabled: Words = "") -> Response:
    """Switch push notifications on or off for the whole district, at once."""
    switch = settings.enable if enabled else settings.disable
    switch(portal.district.database, actor(portal, visit))
    return _saved()


@pages.post("/food-service")
def set_food_service(portal: ThePortal, visit: MayChange, offered: Words = "") -> Response:
    """Say whether the district has food service."""
    settings.set_food_service(portal.district.database, actor(portal, visit), offered=bool(offered))
    return _saved("#food-service")


@pages.post("/approval")
def set_approval(
    portal: ThePortal, visit: MayChange, above: Annotated[int, Form(ge=0, lt=2**31)]
) -> Response:
    """Say above how many recipients a message needs a second person's approval."""
    settings.set_approval_above(portal.district.database, actor(portal, visit), above)
    return _saved("#approval")


@pages.post("/youngest-student")
def set_youngest_student(
    portal: ThePortal, visit: MayChange, years: Annotated[int, Form(ge=0, le=settings.MOST_YEARS)]
) -> Response:
    """Say from how many years on students sign in by themselves."""
    settings.set_youngest_student(portal.district.database, actor(portal, visit), years)
    return _saved("#youngest-student")


@pages.post("/privacy")
def set_privacy(
    portal: ThePortal, visit: MayChange, level: Annotated[Level, Form()], sealed: Words = ""
) -> Response:
    """Say what lock screens may show at most, and whether texts are sealed on the way."""
    by = actor(portal, visit)
    settings.set_privacy(portal.district.database, by, level)
    settings.set_end_to_end(portal.district.database, by, sealed=bool(sealed))
    return _saved("#privacy")


@pages.post("/doctor")
def run_doctor(request: Request, portal: ThePortal, visit: MayChange) -> Response:
    """Try every hop between the SIS and the phones, and show what was found."""
    return _show(request, portal, visit, list(walk(portal.config_file)))


def _show(
    request: Request, portal: ThePortal, visit: Visit, diagnoses: Sequence[Diagnosis] = ()
) -> Response:
    chosen = settings.chosen(portal.district.database)
    schools = [
        one
        for one in display_options.of_schools(portal.district.database, portal.today)
        if visit.may(Grant(TOOL, Right.READ, one.school))
    ]
    return page(
        request, "push_notifications.html", visit=visit, chosen=chosen,
        reach=portal.reach(),
        last=settings.last_changed(portal.district.database, settings.ENABLED),
        most_years=settings.MOST_YEARS, channel=channel.of(portal.district.config),
        diagnoses=diagnoses, schools=schools,
    )  # fmt: skip


def _saved(where: str = "") -> Response:
    return RedirectResponse(f"/push-notifications?done=saved{where}", 303)
