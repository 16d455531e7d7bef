"""Capture: the triggers and the outbox in the SIS, and relaying anew what was captured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from engine.dialects.dialect import Owner
from engine.runtime.district import District
from engine.services import changeover
from engine.sources.capture import Capture, Concern, Grants
from engine.sources.capture import Finding as Finding  # the answer of install and check
from engine.sources.tables_read import tables_read

_NOBODY_YET = ""  # whoever asks what to grant has not installed anything


class Checked(NamedTuple):
    """Whether each table is captured, and what else an operator must know of the SIS."""

    findings: Sequence[Finding]
    concerns: Sequence[Concern]


def install(here: District, *, take_over: bool = False, published: bool = False) -> Checked:
    """Make the outbox and the triggers that are missing or outdated.

    With *take_over* also where another installation captures for a district of this name, and
    with *published* also where the outbox would be published to a subscriber. Raises Misconfigured
    where [source] url names another database than before.
    """
    changeover.require_same(here)
    here.capture.install(take_over=take_over, published=published)
    return check(here)


def check(here: District) -> Checked:
    """Say for each table whether capture is in place, and what it would miss."""
    capture = here.capture
    return Checked(capture.check(), capture.concerns())


def grants(here: District, role: str) -> Grants:
    """What an owner of the SIS runs, so that *role* may do what Schoolbell does and no more."""
    source = here.source
    owner = Owner(here.config.district.id, _NOBODY_YET)
    read = {table for query in source.statements for table in tables_read(query)}
    return Capture(source.database, source.definition, owner).grants(role, read)


def remove(here: District) -> Sequence[str]:
    """Take away every trigger of ours, and our outbox; return the names of the triggers."""
    return here.capture.remove()


def replay(here: District, since: datetime) -> int:
    """Relay again what was captured since a moment, after a broker was lost; return how many.

    What was evaluated already has no effect again.
    """
    return here.outbox.replay(since)
