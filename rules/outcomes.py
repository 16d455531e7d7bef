"""Outcomes: what a gateway said of a push, and what follows from it."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What the gateway said. Accepted is not yet read: no gateway tells that."""

    ACCEPTED = "accepted"
    UNREGISTERED = "unregistered"
    DEFERRED = "deferred"
    REFUSED = "refused"
