"""The portal put together: its pages, their protection, and what a person sees on an error."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from engine.portal.api import audit as audit_api
from engine.portal.api import background_tasks as tasks_api
from engine.portal.api import broadcasts as broadcasts_api
from engine.portal.api import me as me_api
from engine.portal.api import monitor as monitor_api
from engine.portal.api import settings as settings_api
from engine.portal.api.document import describe
from engine.portal.errors import handle_errors
from engine.portal.families.api import devices as devices_api
from engine.portal.families.api import logins as logins_api
from engine.portal.families.api import session as session_api
from engine.portal.families.api import web_push as web_push_api
from engine.portal.pages import (
    account,
    audit,
    background_tasks,
    broadcasts,
    choosing,
    display_options,
    health,
    home,
    metrics,
    monitor,
    passkeys,
    people,
    push_notifications,
    sign_in,
    single_sign_on,
    staff,
    static_files,
    templates,
    why,
    writing,
)
from engine.portal.portal import Portal
from engine.portal.protection import Protection

_LARGEST_BODY: Final = 1_000_000  # bytes
_PAGES: Final = (
    health, metrics, static_files, sign_in, single_sign_on, home, account, push_notifications,
    display_options, passkeys, monitor, people, staff, audit, why, templates, choosing, writing,
    broadcasts, background_tasks,
)  # fmt: skip
_API: Final = (
    me_api, settings_api, broadcasts_api, monitor_api, audit_api, tasks_api, session_api,
    logins_api, devices_api, web_push_api,
)  # fmt: skip


def build(portal: Portal) -> ASGIApp:
    """What a server serves for *portal*."""
    return Protection(application(portal), portal.hosts, https_only=portal.is_behind_https)


def application(portal: Portal) -> FastAPI:
    """The pages, without what protects them from other sites."""
    app = FastAPI(
        title="Schoolbell", version="1", docs_url=None, redoc_url=None,
        max_body_size=_LARGEST_BODY,
    )  # fmt: skip
    app.state.portal = portal
    handle_errors(app)
    for module in _PAGES:
        app.include_router(module.pages)
    for part in _API:
        app.include_router(part.api)
    describe(app)
    return app
