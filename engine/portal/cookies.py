"""The one cookie: it names a session, goes to this host alone, and no script can read it."""

from __future__ import annotations

from typing import Final

from fastapi import Request, Response

NAME: Final = "__Host-schoolbell"


def token_in(request: Request) -> str:
    """What the browser shows; empty without a cookie."""
    return request.cookies.get(NAME, "")


def keep(response: Response, token: str) -> None:
    """Let the browser show *token* until it is closed; the session may end before."""
    response.set_cookie(NAME, token, path="/", secure=True, httponly=True, samesite="lax")


def drop(response: Response) -> None:
    """Let the browser forget it."""
    response.delete_cookie(NAME, path="/", secure=True, httponly=True, samesite="lax")
