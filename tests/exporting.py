"""Exports, as staff get them."""

from __future__ import annotations

from engine.database import Database
from engine.services import exports
from engine.services.actor import Actor
from engine.services.exports import Wanted
from tests.builders import NOW

SOMEBODY = Actor("a test", NOW)


def exported(database: Database, wanted: Wanted | None = None) -> str:
    """A small export, of the audit log where nothing else is asked for."""
    lines = exports.at_once(database, SOMEBODY, wanted or exports.of_audit())
    assert lines is not None
    return "".join(lines)
