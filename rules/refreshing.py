"""Refreshing: what becomes of a refresh token that somebody shows.

Each token of a login has one successor. Who shows the newest gets the next one. Two tabs that show
the same, and a phone that never saw the answer, get the same successor again. A token whose
successor somebody went on with is shown by nobody honest: then the login ends for both.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

GRACE: Final = timedelta(seconds=30)
"""How long requests may be under way that show a token whose successor is in use already."""


class Turn(StrEnum):
    """What is done."""

    RENEW = "renew"
    KEEP = "keep"
    REPEAT = "repeat"
    REVOKE = "revoke"


class Newest(NamedTuple):
    """The newest token of a login: when it was made, and since when it is in use, if it is.

    Moments are of whichever server did it: one may be a little later than *now* of another.
    """

    made_at: datetime
    used_at: datetime | None


def turn(behind: int, newest: Newest, now: datetime, at_least: timedelta = GRACE) -> Turn:
    """What to do with a token of *behind* generations before the newest.

    The newest is renewed when it is *at_least* so old, and never within GRACE: so all that is under
    way with another is of the generation before.
    """
    if behind == 0:
        is_young = now - newest.made_at < max(at_least, GRACE)
        return Turn.KEEP if is_young else Turn.RENEW
    if behind == 1 and (newest.used_at is None or now - newest.used_at <= GRACE):
        return Turn.REPEAT
    return Turn.REVOKE
