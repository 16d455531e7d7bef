"""The server's clock: changes carry its time, from which the life of a push counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from engine.dialects.dialect import Concern

TOLERATED: Final = timedelta(minutes=5)


def found(connection: Connection, now: datetime) -> Iterator[Concern]:
    """What a clock that is wrong does; *now* is this machine's."""
    theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    apart = theirs - now
    if abs(apart) > TOLERATED:
        minutes = round(abs(apart) / timedelta(minutes=1))
        direction = "behind" if apart < timedelta() else "ahead of"
        yield Concern(
            "clock",
            f"The clock of the SIS's server is {minutes} minutes {direction} this machine's: news"
            " may be taken for too old to ring, or wait for its moment in vain.",
            "Set both clocks by NTP.",
        )
