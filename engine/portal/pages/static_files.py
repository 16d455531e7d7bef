"""Files that never change under their address."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

from engine.portal.rendering import STATIC, static

pages = APIRouter(include_in_schema=False)

_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_NAMES: Final = frozenset(
    str(file.relative_to(STATIC)) for file in STATIC.rglob("*") if file.suffix in _TYPES
)


@pages.get("/static/{name:path}")
def static_file(request: Request, name: str) -> FileResponse:
    """One file of ours; browsers keep it for as long as they like under its full address."""
    if name not in _NAMES:
        raise HTTPException(404)
    file = STATIC / name
    is_current = request.url.query == static(name).partition("?")[2]
    headers = {"cache-control": _FOR_EVER if is_current else "no-cache"}
    return FileResponse(file, headers=headers, media_type=_TYPES[file.suffix])
