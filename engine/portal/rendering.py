"""Pages made of templates: in the reader's language, with moments by the district's clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from engine.errors import Misconfigured, Unavailable
from engine.portal import labels, navigation
from engine.portal.browsers import browser
from engine.portal.languages import best_of, catalogues
from engine.portal.languages import marked as _
from engine.portal.portal import portal_of
from engine.services.staff.signing_in import Visit
from rules.tool_rights import Grant, Right, Tool

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"

_LONG: Final = 120  # seconds
_WORDS: Final = 2_000
_NUMBERS: Final = 2_000

DONE: Final[Mapping[str, str]] = {
    "saved": _("Saved."),
    "added": _("Added."),
    "removed": _("Taken away."),
    "tried-again": _("It is tried again."),
    "stopped": _("Whose turn has not come hears nothing."),
    "looked-at": _("It waits for nobody any more."),
    "erased": _("It is stopped, and what was made is erased."),
    "ended": _("The session has ended."),
    "logins-ended": _("This person is signed in nowhere now."),
    "token-ended": _("The access token has ended."),
    "draft": _("It is a draft again."),
    "waiting": _("A second person is asked to approve it."),
    "scheduled": _("It is scheduled."),
    "sending": _("It is being sent."),
    "sent": _("It is sent."),
    "cancelled": _("The rest is stopped."),
    "corrected": _("The correction is being sent."),
    "refused": _("It is a draft again, and is not sent."),
    "password": _("The new password holds. Every other session has ended."),
    "passkey": _("The passkey is asked for from now on."),
    "factor-ended": _("The authenticator app is not asked for any more."),
}
"""What a page says after something was done, by the word in its address."""


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    visit: Visit | None = None,
    **values: Any,
) -> HTMLResponse:
    """The answer that shows *template* with *values*.

    An *error* among them is of what somebody typed or pressed, and they mend it there. One of a
    neighbour that is away is raised: it has a page of its own, and nobody mends it in a form.
    """
    error = values.get("error")
    if isinstance(error, Unavailable | Misconfigured):
        raise error
    visit = visit or getattr(request.state, "visit", None)
    language = language_of(request, visit)
    words = (
        environment(language)
        .get_template(template)
        .render(
            request=request,
            portal=portal_of(request),
            visit=visit,
            may=_may(visit),
            sections=navigation.sections_for(visit, portal_of(request).tools) if visit else (),
            done=DONE.get(request.query_params.get("done", "")),
            **values,
        )
    )
    return HTMLResponse(words, status, {"content-language": language})


def language_of(request: Request, visit: Visit | None) -> str:
    """The language that somebody chose, else the one that their browser asks for."""
    if visit and visit.account.language in catalogues():
        return visit.account.language
    return best_of(request.headers.get("accept-language", ""))


@cache
def environment(language: str) -> Environment:
    """The templates in one language."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_translations(catalogues()[language], newstyle=True)  # type: ignore[attr-defined]
    translation = _translation(language)
    made.globals.update(
        _=translation, language=language, static=static, labels=labels,
        Tool=Tool, Right=Right, Grant=Grant,
        said=lambda words, values=None: _said(words, values or {}, language),
    )  # fmt: skip
    made.filters.update(
        moment=lambda when, zone: _moment(when, zone, language),
        day=lambda when: _day(when, language),
        date=lambda when: format_date(when, "medium", locale=language),
        browser=lambda agent: _browser(agent, language),
        clock=lambda when, zone: _clock(when, zone, language),
        duration=lambda took: _duration(took, language),
        number=lambda value: _number(value, language),
        translated=lambda words: {key: translation(one) for key, one in words.items()},
    )
    return made


def _translation(language: str) -> Callable[..., Markup]:
    """Words of the templates in one language: each is looked up once, for a grid has hundreds."""
    catalogue = catalogues()[language]

    def with_values(words: str, values: Mapping[str, object]) -> Markup:
        return Markup(catalogue.ugettext(words)) % values  # noqa: S704 - what we wrote ourselves

    plain = lru_cache(_WORDS)(lambda words: with_values(words, {}))

    def translated(words: str, **values: object) -> Markup:
        return with_values(words, values) if values else plain(words)

    return translated


@cache
def static(name: str) -> str:
    """The address of a file of ours: it changes with the content, so browsers may keep it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def _may(visit: Visit | None) -> Any:
    """Whether who is signed in may, for templates."""

    def may(tool: Tool, right: Right) -> bool:
        return visit is not None and visit.may(Grant(tool, right))

    return may


def _said(words: str, values: Mapping[str, object], language: str) -> str:
    """Words that a template does not know, translated; without values they are no format."""
    translated: str = catalogues()[language].ugettext(words)
    return translated % values if values else translated


def _moment(when: datetime, zone: Any, language: str) -> str:
    return format_datetime(when, "medium", tzinfo=zone, locale=language)


def _browser(agent: str, language: str) -> str:
    found = browser(agent)
    return catalogues()[language].ugettext(found.words) % found._asdict()


@lru_cache(_NUMBERS)
def _number(value: int | float, language: str) -> str:
    return format_decimal(value, locale=language)


@lru_cache(_NUMBERS)
def _clock(when: datetime, zone: Any, language: str) -> str:
    return format_time(when, "short", tzinfo=zone, locale=language)


def _day(when: date, language: str) -> str:
    return format_date(when, "long", locale=language)


def _duration(took: timedelta, language: str) -> str:
    """To a tenth of a second, or in what is long in words."""
    seconds = max(0.0, took.total_seconds())
    if seconds >= _LONG:
        return format_timedelta(took, threshold=2, locale=language)
    return f"{format_decimal(round(seconds, 1), locale=language)} s"
