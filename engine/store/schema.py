"""The schema: every table of ours, wherever it is described."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

from engine.store import tables
from engine.store.staff import tables as of_staff

EVERY_TABLE: Final[MetaData] = tables.metadata
assert of_staff.staff.metadata is EVERY_TABLE  # noqa: S101 - a table elsewhere would not be made
