"""/metrics, for Prometheus: nothing of a person, and yet nothing for the public."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from engine.errors import SchoolbellError
from engine.portal.guards import ThePortal
from engine.portal.metrics import exposition
from engine.portal.portal import Portal

pages = APIRouter(include_in_schema=False)

_REFUSED = (
    "These numbers are for who watches this server. Show [portal] metrics_token as a bearer token, "
    "or, without a public_url, ask from the machine itself.\n"
)


@pages.get("/metrics")
def metrics(request: Request, portal: ThePortal) -> Response:
    """The numbers of the monitor."""
    if not (_shows_token(request, portal) or _is_local(request, portal)):
        return PlainTextResponse(_REFUSED, 403)
    try:
        seen = portal.seen()
    except SchoolbellError:
        seen = None
    return Response(exposition(seen), media_type=CONTENT_TYPE_LATEST)


def _shows_token(request: Request, portal: Portal) -> bool:
    token = portal.district.config.portal.metrics_token
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer"
    return bool(token) and is_bearer and hmac.compare_digest(shown.encode(), token.encode())


def _is_local(request: Request, portal: Portal) -> bool:
    """Whether this machine asks. Behind a web server everybody seems to be this machine."""
    if portal.district.config.portal.public_url or request.client is None:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
