"""The schema: every table of ours, wherever it is described."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

from engine.store import tables
from engine.store.families import tables as of_families
from engine.store.signing import tables as of_signing
from engine.store.staff import tables as of_staff

EVERY_TABLE: Final[MetaData] = tables.metadata
# A table elsewhere would not be made.
for _one in (of_staff.staff, of_signing.sign_in_failures, of_families.logins):
    assert _one.metadata is EVERY_TABLE  # noqa: S101
