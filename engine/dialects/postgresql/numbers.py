"""Places in PostgreSQL's write-ahead log, which number the rows of an outbox there."""

from __future__ import annotations


def as_number(place: str) -> int:
    """A place as PostgreSQL writes it, `16/B374D848`, as a number of bytes."""
    high, _, low = place.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def as_place(number: int) -> str:
    """The same the other way round."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"
