"""What the document of the API says of families' operations."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from engine.portal.api.document import OF_A_FAMILY, refusal
from engine.portal.families.guards import FamiliesServed

FOR_MEMBERS: Final[dict[str, Any]] = {"security": [{OF_A_FAMILY: []}]}
"""An operation that shows an access token of a family."""
FOR_EVERYBODY: Final[dict[str, Any]] = {"security": []}

_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: refusal("Nobody is signed in, or what was shown is not right or over."),
    403: refusal("Who is signed in, or wants to be, may not."),
    404: refusal("There is no such thing, or it is not one of yours."),
    413: refusal("It is too much at once."),
    422: refusal("Something is missing, is not readable or cannot be done as it is asked."),
    429: refusal("Too many tries; Retry-After says for how many seconds to wait."),
    503: refusal("A database or broker is away; nothing was lost."),
}


def router() -> APIRouter:
    """For a part of the app's API."""
    return APIRouter(
        prefix="/api/v1", tags=["families"], responses=_REFUSALS, dependencies=[FamiliesServed]
    )
