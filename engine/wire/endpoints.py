"""Push endpoints: the address that a browser gives for itself, and who may be sent to by it.

A browser names the address to which its messages are posted. Whoever could name any address could
have our servers call it. So an endpoint is of a host on a list, when it is registered and again
before each message is sent, and it is spelled so plainly that no two programs read it differently.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

PUSH_SERVICES: Final = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
)
"""Those of Chrome, Firefox, Safari and Edge."""

LONGEST: Final = 2_000  # characters; those of today have at most 500
_HTTPS: Final = ":443"
_HOST: Final = (
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_PORT: Final = r"(?::[1-9][0-9]{0,4})?"
_ENDPOINT: Final = re.compile(rf"https://({_HOST}{_PORT})(/[A-Za-z0-9._~:/?=&%+@!$'()*,;-]*)")
_LISTED: Final = re.compile(rf"(?:\*\.)?{_HOST}{_PORT}")


class Endpoint(NamedTuple):
    """The *origin* of an endpoint, like `https://web.push.apple.com`, and the *path* below it."""

    origin: str
    path: str


def read(endpoint: str) -> Endpoint | None:
    """The parts of an *endpoint*; None where it is spelled as none is."""
    found = _ENDPOINT.fullmatch(endpoint) if len(endpoint) <= LONGEST else None
    return Endpoint(f"https://{found[1].removesuffix(_HTTPS)}", found[2]) if found else None


def is_listed(origin: str, hosts: Collection[str]) -> bool:
    """Whether the host of an *origin* is among *hosts*, of which `*.` stands for any names below.

    Where a host names no port, it is that of HTTPS.
    """
    host = origin.removeprefix("https://")
    return any(
        host.endswith(one[1:]) if one.startswith("*.") else host == one
        for one in (listed.removesuffix(_HTTPS) for listed in hosts)
    )


def may_be_listed(host: str) -> bool:
    """Whether *host* is spelled as one of a list is."""
    return _LISTED.fullmatch(host) is not None
