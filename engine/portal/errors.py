"""What a person sees where something did not work: what is wrong, and what to do.

Where a neighbour is away (a database, the broker) a form that was sent is not lost: the page sends
it again. How the neighbour is reached is told to those alone who watch the installation.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from engine.errors import Misconfigured, SchoolbellError, Unavailable
from engine.portal.families.declining import Declined
from engine.portal.families.guards import AppIsOff
from engine.portal.guards import UNATTENDED, Forbidden, SignInNeeded, actor, is_api
from engine.portal.languages import marked as _
from engine.portal.portal import portal_of
from engine.portal.rendering import page
from engine.services.broadcasts.refusals import ChangedMeanwhile, NotThere
from engine.services.staff import auditing
from engine.telemetry import Event, emit, frames
from rules.tool_rights import Grant, Right, Tool

_PROBLEM: Final = "application/problem+json"
_TITLES: Final = {
    404: (_("There is no such page"), _("Look at the address, or begin at the start page.")),
    405: (_("This cannot be done here"), _("Go back, and use the page's own buttons.")),
    413: (_("This is too much at once"), _("Send less, or in several parts.")),
}
_STATUS: Final[Mapping[type[SchoolbellError], int]] = {NotThere: 404, ChangedMeanwhile: 409}
_AWAY: Final = (
    _("The portal cannot do this at the moment"),
    _("A database or the message broker, which it needs, does not answer. What was saved before is "
      "not lost. Try again in a minute; if it stays so, tell whoever runs Schoolbell."),
)  # fmt: skip
_SOON: Final = "30"  # seconds, for programs
_SECRET: Final = frozenset(
    {"password", "now", "new", "again", "code", "secret", "setup_code", "credential"}
)
"""Fields that no page repeats, so what holds them is typed again."""
_ANY: Final = (_("This did not work"), _("Go back and try again."))


def handle_errors(app: FastAPI) -> None:
    """Give every error its page, or a problem of RFC 9457 where the API was asked."""
    app.add_exception_handler(SignInNeeded, _sign_in_needed)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(Declined, _declined)
    app.add_exception_handler(AppIsOff, _app_is_off)
    app.add_exception_handler(SchoolbellError, _explained)
    app.add_exception_handler(Unavailable, _away)
    app.add_exception_handler(Misconfigured, _away)
    app.add_exception_handler(RequestValidationError, _not_as_expected)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _sign_in_needed(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInNeeded)  # noqa: S101 - registered for it alone
    if is_api(request):
        return _problem(401, error.problem, error.remedy)
    if UNATTENDED in request.headers:
        return PlainTextResponse("Sign in again.", 401)
    address = f"{request.url.path}?{request.url.query}".rstrip("?")
    back = quote(address, safe="/") if request.method == "GET" else "/"
    return RedirectResponse(f"/sign-in?next={back}", 303)


def _forbidden(request: Request, error: Exception) -> Response:
    assert isinstance(error, Forbidden)  # noqa: S101 - registered for it alone
    portal = portal_of(request)
    grant = error.grant
    try:
        auditing.refuse(
            portal.district.database, actor(portal, error.visit), f"{grant.tool}: {grant.right}"
        )
    except (Unavailable, Misconfigured) as away:
        return _shown_away(request, away, [])
    if is_api(request):
        return _problem(403, f"You may not {grant.right} {grant.tool}.", "Ask an administrator.")
    return page(request, "forbidden.html", status=403, grant=grant, error=error)


def _declined(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, Declined)  # noqa: S101 - registered for it alone
    answer = _problem(error.status, error.problem, error.remedy)
    answer.headers.update(error.headers or {})
    return answer


def _app_is_off(request: Request, error: Exception) -> Response:
    del error
    return _shown(request, 404, *_TITLES[404])


def _explained(request: Request, error: Exception) -> Response:
    assert isinstance(error, SchoolbellError)  # noqa: S101 - registered for it alone
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 422)
    if is_api(request):
        return _problem(status, error.problem, error.remedy)
    return page(
        request, "problem.html", status=status, problem=error.words[0], remedy=error.words[1],
        values=error.values,
    )  # fmt: skip


async def _away(request: Request, error: Exception) -> Response:
    """A neighbour does not answer, or not as it should: nothing that anybody here did wrong."""
    assert isinstance(error, SchoolbellError)  # noqa: S101 - registered for such alone
    is_form = request.method == "POST" and not is_api(request)
    fields = (await request.form()).multi_items() if is_form else []
    sent = [(name, value) for name, value in fields if isinstance(value, str)]
    return await run_in_threadpool(_shown_away, request, error, sent)


def _shown_away(
    request: Request, error: SchoolbellError, sent: Sequence[tuple[str, str]]
) -> Response:
    emit(Event.PAGE_UNAVAILABLE, level=logging.WARNING, problem=error.problem, remedy=error.remedy)
    visit = getattr(request.state, "visit", None)
    watches = visit is not None and visit.may(Grant(Tool.MONITOR, Right.READ))
    headers = {"retry-after": _SOON}
    if is_api(request):
        words = (error.problem, error.remedy) if watches else _AWAY
        return _problem(503, *words, headers)
    answer = page(
        request, "away.html", status=503, problem=_AWAY[0], remedy=_AWAY[1],
        trouble=error if watches else None,
        sent=None if _SECRET & {name for name, _ in sent} else sent,
    )  # fmt: skip
    answer.headers.update(headers)
    return answer


def _not_as_expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    fields = ", ".join(str(one["loc"][-1]) for one in error.errors())
    return _shown(
        request, 422, f"Something is missing or is not readable: {fields}.",
        "Go back and fill it in.",
    )  # fmt: skip


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    return _shown(request, error.status_code, *_TITLES.get(error.status_code, _ANY))


def _unexpected(request: Request, error: Exception) -> Response:
    """A foreign error's words may hold a row or a secret: only its type and frames are logged."""
    emit(
        Event.PAGE_FAILED, level=logging.ERROR,
        problem=f"The portal met an unexpected {type(error).__name__}.",
        remedy="Report the trace to the makers of Schoolbell.", trace=frames(error),
    )  # fmt: skip
    return _shown(request, 500, *_ANY)


def _shown(request: Request, status: int, problem: str, remedy: str) -> Response:
    if is_api(request):
        return _problem(status, problem, remedy)
    return page(request, "problem.html", status=status, problem=problem, remedy=remedy, values={})


def _problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    content = {"type": "about:blank", "status": status, "title": title, "detail": detail}
    return JSONResponse(content, status, headers, media_type=_PROBLEM)
