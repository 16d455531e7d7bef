"""The directory: our copy of who and what the SIS is about."""

from __future__ import annotations

from collections.abc import Mapping

from engine.runtime.directory import SisDirectory
from engine.sources.definition import Entity


def sync(directory: SisDirectory, *, may_shrink: bool = False) -> Mapping[Entity, int]:
    """Read the whole directory again from the SIS; return how many rows of each part.

    Raises Unprocessable where the SIS lists less than half of what was known, unless it
    *may_shrink*.
    """
    return directory.sync(may_shrink=may_shrink)
