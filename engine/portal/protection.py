"""What is refused before any page sees it, and the headers that every answer has.

A request that changes something must come from a page of ours: browsers say so in
`Sec-Fetch-Site`, older ones in `Origin`; one that says neither is refused when it shows a cookie.
See the WHATWG's Fetch Metadata, and the OWASP cheat sheet on request forgery.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ANY_NAME: Final = "/health/"  # a load balancer asks by an address
_ANOTHER_NAME: Final = (
    "The portal does not answer to this address. Open the one that your administrator gave you; "
    "administrators set it as public_url in [portal]."
)
_NOT_OURS: Final = (
    "This was not sent from a page of the portal, so nothing was changed. Open the portal and do "
    "it there."
)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS: Final = frozenset({"same-origin", "none"})
_POLICY: Final = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
    "connect-src 'self'", "form-action 'self'", "manifest-src 'self'", "base-uri 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
_ALWAYS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_TWO_YEARS: Final = "max-age=63072000"


class Protection:
    """ASGI middleware: hosts that are ours, requests from our own pages, safe headers."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], *, https_only: bool) -> None:
        self._app = app
        self._hosts = hosts
        self._https_only = https_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        answer = refusal or self._app
        await answer(scope, receive, self._with_headers(send))

    def _refusal(self, method: str, path: str, headers: Headers) -> PlainTextResponse | None:
        if headers.get("host", "") not in self._hosts and not path.startswith(_ANY_NAME):
            return PlainTextResponse(_ANOTHER_NAME, 421)
        if method in _SAFE or self._is_from_us(headers):
            return None
        return PlainTextResponse(_NOT_OURS, 403)

    def _is_from_us(self, headers: Headers) -> bool:
        if site := headers.get("sec-fetch-site"):
            return site in _OURS
        if origin := headers.get("origin"):
            return urlsplit(origin).netloc == headers.get("host")
        return "cookie" not in headers

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
                if self._https_only:
                    headers.setdefault("strict-transport-security", _TWO_YEARS)
            await send(message)

        return sending
