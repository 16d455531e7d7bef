"""What identifies a record, as `Change.key` carries it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

_PARTS = msgspec.json.Decoder(list[str | None])


def parts(key: str, columns: Sequence[str]) -> tuple[str, ...] | None:
    """The values of the key *columns*, or None where the record has none.

    One column is its plain text, several are a JSON array of texts. The same values may be written
    in two ways, so keys are compared by their parts, never as texts.
    """
    if len(columns) == 1:
        return (key,) if key else None
    try:
        found = _PARTS.decode(key)
    except (msgspec.DecodeError, ValueError):  # of a definition that had another key
        return None
    values = tuple(part for part in found if part is not None)
    return values if len(values) == len(columns) == len(found) else None
