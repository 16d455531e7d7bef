"""The cookies: each goes to this host alone, and no script can read it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from fastapi import Request, Response

NAME: Final = "__Host-schoolbell"
"""Names a session."""
_UNDER_WAY: Final = "__Host-schoolbell-under-way"
"""Says that it was this browser that was sent out to sign in elsewhere."""


def token_in(request: Request) -> str:
    """What the browser shows; empty without a cookie."""
    return request.cookies.get(NAME, "")


def keep(response: Response, token: str) -> None:
    """Let the browser show *token* until it is closed; the session may end before."""
    response.set_cookie(NAME, token, path="/", secure=True, httponly=True, samesite="lax")


def under_way_in(request: Request) -> str:
    """What the browser shows that was sent out; empty without a cookie."""
    return request.cookies.get(_UNDER_WAY, "")


def keep_under_way(response: Response, token: str, life: timedelta) -> None:
    """Let the browser show *token* when it comes back."""
    response.set_cookie(
        _UNDER_WAY, token, max_age=int(life.total_seconds()), path="/", secure=True,
        httponly=True, samesite="lax",
    )  # fmt: skip


def drop(response: Response) -> None:
    """Let the browser forget it."""
    response.delete_cookie(NAME, path="/", secure=True, httponly=True, samesite="lax")
