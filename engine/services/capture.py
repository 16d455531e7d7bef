"""Capture: the triggers and the outbox in the SIS, and relaying anew what was captured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.runtime.district import District
from engine.sources.capture import Finding as Finding  # the answer of install and check


def install(here: District, *, take_over: bool = False) -> Sequence[Finding]:
    """Make the outbox and the triggers that are missing or outdated.

    With *take_over* also where another installation captures for a district of this name.
    """
    return here.capture.install(take_over=take_over)


def check(here: District) -> Sequence[Finding]:
    """Say for each table whether capture is in place, and what it would miss."""
    return here.capture.check()


def remove(here: District) -> Sequence[str]:
    """Take away every trigger of ours, and our outbox; return the names of the triggers."""
    return here.capture.remove()


def replay(here: District, since: datetime) -> int:
    """Relay again what was captured since a moment, after a broker was lost; return how many.

    What was evaluated already has no effect again.
    """
    return here.outbox.replay(since)
