"""The document of the API (OpenAPI 3.1), as a program reads it at /openapi.json."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict

_PROBLEM: Final = "application/problem+json"
_BEARER: Final = "accessToken"
OF_A_FAMILY: Final = "familyAccessToken"
_ABOUT: Final = (
    "What staff do on the pages of the portal, for their programs. Show an access token, which its "
    "owner makes on the page of their account: it may do what its owner may. What is tagged "
    "families is for the app of a district: its /session gives another token. Errors are problem "
    "details (RFC 9457), with what is wrong as title and what to do as detail."
)


class Problem(BaseModel):
    """What is wrong, and what to do (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: str
    status: int
    title: str
    detail: str


def refusal(description: str) -> dict[str, Any]:
    """A problem as an answer."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {_PROBLEM: {"schema": schema}}}


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: refusal("Nobody is signed in, or the access token is over."),
    403: refusal("The owner of the token may not do this; the audit log keeps that it was asked."),
    404: refusal("There is no such thing, or it is not one of yours."),
    409: refusal("Somebody else has changed it since you read it."),
    413: refusal("It is too much at once."),
    422: refusal("Something is missing, is not readable or cannot be done as it is asked."),
    503: refusal("A database or broker is away; nothing was lost."),
}
"""How every operation may be refused."""


def describe(app: FastAPI) -> None:
    """Let the document say what answers look like here, and how a program shows who it is."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _made(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _made(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
    parts = made.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema()
    bearer = {"type": "http", "scheme": "bearer"}
    parts["securitySchemes"] = {_BEARER: bearer, OF_A_FAMILY: bearer}
    made["security"] = [{_BEARER: []}]
    return made
