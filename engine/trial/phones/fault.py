"""A fault, as somebody asks for one: which, at which gateway, and for which requests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final, Literal

import msgspec

from engine.errors import SchoolbellError

FaultyGateway = Literal["fcm", "apns", "web_push", "oauth"]
"""Who misbehaves. *oauth* is Google's token endpoint, which a sender to FCM asks first."""

ONE_LINE: Final = re.compile("[ -~]*")  # it becomes a header


class BadFault(SchoolbellError):
    """There is no such fault, or it cannot be as asked for."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fault *name* at *gateway*, for the requests that all of these hold for.

    *token*: those to this device. *share*: this part of them, 0 to 1; which ones depends on
    *seed*, the token and the how many-th request to it, so another run meets the same. *count*:
    the next so many of those. *seconds*: those that come within so many seconds.

    Some faults take more: *retry_after* is the header's text as it is sent, or `date:N` for an
    HTTP date N seconds ahead; *timestamp* is since when a 410 calls the token dead, in
    milliseconds since the epoch (now, when it is not given); *delay* is in seconds.

    Raises BadFault for numbers that make no sense; `Faults.inject` also for a name that is not
    in the catalogue.
    """

    gateway: FaultyGateway
    name: str
    token: str | None = None
    share: float = 1.0
    count: int | None = None
    seconds: float | None = None
    seed: int = 0
    retry_after: str | None = None
    timestamp: int | None = None
    delay: float | None = None

    def __post_init__(self) -> None:
        for is_good, sentence in (
            (0 <= self.share <= 1, "share is a part of all requests: from 0 to 1."),
            (self.count is None or self.count >= 1, "count is a number of requests: 1 or more."),
            (self.seconds is None or self.seconds > 0, "seconds is more than 0."),
            (self.delay is None or self.delay >= 0, "delay is in seconds, not negative."),
            (
                self.retry_after is None or ONE_LINE.fullmatch(self.retry_after) is not None,
                "retry_after becomes a header: one line of ASCII.",
            ),
        ):
            if not is_good:
                raise BadFault(f"The fault {self.name} cannot be like this.", sentence)

    def __repr__(self) -> str:
        """Without the token, which is a secret."""
        return f"Fault({self.gateway} {self.name})"


def nearest(name: str, names: Iterable[str]) -> str:
    """The one of *names* that was probably meant."""
    by_lower_case = {known.lower(): known for known in names}
    [found] = get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.0)
    return by_lower_case[found]
