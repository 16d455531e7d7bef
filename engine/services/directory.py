"""The directory: our copy of who and what the SIS is about."""

from __future__ import annotations

from collections.abc import Iterator

from engine.runtime.directory import SisDirectory, Synced


def sync(directory: SisDirectory, *, may_shrink: bool = False) -> Synced:
    """Read the whole directory again from the SIS.

    Raises Unprocessable where the SIS lists less than half of what was known, unless it
    *may_shrink*.
    """
    return directory.sync(may_shrink=may_shrink)


def sentences(synced: Synced) -> Iterator[str]:
    """What was read, and what of it cannot be read as it stands."""
    listed = ", ".join(f"{count} {entity}" for entity, count in synced.listed.items())
    yield f"The directory lists {listed}."
    yield from map(str, synced.faults)
