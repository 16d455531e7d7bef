"""Capture: the triggers and the outbox in the SIS, and relaying anew what was captured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.sources import capture, outbox
from engine.sources.capture import Finding as Finding  # the answer of install and check
from engine.sources.source import SqlSource


def install(source: SqlSource) -> Sequence[Finding]:
    """Make the outbox and the triggers that are missing or outdated."""
    return capture.install(source.database, source.definition)


def check(source: SqlSource) -> Sequence[Finding]:
    """Say for each table whether capture is in place, and what it would miss."""
    return capture.check(source.database, source.definition)


def remove(source: SqlSource) -> Sequence[str]:
    """Take away every trigger of ours, and the outbox; return the names of the triggers."""
    return capture.remove(source.database)


def replay(source: SqlSource, since: datetime) -> int:
    """Relay again what was captured since a moment, after a broker was lost; return how many.

    What was evaluated already has no effect again.
    """
    return outbox.replay(source.database, since)
