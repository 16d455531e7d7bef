"""Every operation of the portal, as its own table of routes says."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi.routing import RouteContext, iter_route_contexts

from engine.portal.app import application
from engine.portal.guards import Needs
from engine.portal.portal import Portal

PUBLIC = {
    "/health/live", "/health/ready", "/metrics", "/static/{name:path}", "/sign-in", "/sign-in/code",
    "/sign-out", "/sign-in/oidc", "/sign-in/oidc/callback", "/sign-in/oidc/end",
    "/sign-in/oidc/back-channel-logout",
    *(f"/sign-in{way}passkey{rest}" for way in ("/", "/code/") for rest in ("", "/options")),
}  # fmt: skip
OF_EVERYBODY = {"/", *(f"/account{rest}" for rest in (
    "", "/language", "/password", "/authenticator", "/authenticator/end", "/sessions/end",
    "/sessions/end-others", "/tokens", "/tokens/end",
    *(f"/passkeys{one}" for one in ("", "/options", "/remove")),
)), "/api/v1/me"}  # fmt: skip

OF_FAMILIES = {f"/api/v1{path}" for path in (
    "/session", "/session/invitation", "/session/refresh", "/logins", "/logins/{login}",
    "/devices", "/devices/{device}", "/devices/{device}/test",
    "/web-push",
)}  # fmt: skip
"""What members of families ask; `test_families.py` walks over it."""


A_TASK = "01a208d0-5240-7000-8000-000000000001"


def routes(portal: Portal) -> Iterator[RouteContext]:
    """Every operation of staff; the document of the API is no page."""
    for route in iter_route_contexts(application(portal).routes):
        if hasattr(route, "dependant") and route.path not in OF_FAMILIES:
            yield route


def dependencies(route: RouteContext) -> list[object]:
    waiting, found = [route.dependant], []
    while waiting:
        one = waiting.pop()
        found.append(one.call)
        waiting += one.dependencies
    return found


def needs(route: RouteContext) -> list[Needs]:
    return [one for one in dependencies(route) if isinstance(one, Needs)]


def paths(portal: Portal) -> Iterator[tuple[str, str, Needs]]:
    """Every guarded operation, with something in place of its parameters."""
    for route in routes(portal):
        for one in needs(route):
            for method in route.methods or ():
                yield method, filled(route.path), one


def filled(path: str) -> str:
    """A route's path with something in place of its parameters."""
    return path.format(
        who="1", group="administrators", school="1", kind="grade", audience="student",
        template="1", term="22", broadcast=A_TASK, task=A_TASK
    )  # fmt: skip
