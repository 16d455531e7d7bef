"""The breaker: when too many phones die at once, it is our configuration that is wrong.

A wrong project, endpoint or topic looks exactly like "all tokens are dead". To believe it would
silence a whole district until each family opens the app again. So nothing is retired while too
large a share of a gateway's recent answers says so, and what is doubtful is believed only while
the gateway takes pushes to others. (facts: push 1 and 3.4)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from rules.outcomes import Retire

WINDOW: Final = timedelta(minutes=10)
FEW: Final = 20
"""So many dead phones are no sign of anything: a class that changed its phones."""
MOST: Final = 0.2
"""The largest share of dead phones that is believed."""


class Trust(StrEnum):
    """What the recent answers of a gateway say of our configuration."""

    PROVEN = "it takes pushes, and few phones are dead"
    UNPROVEN = "it has taken no push lately"
    BROKEN = "too many phones are dead at once"


@dataclass(frozen=True, slots=True)
class Tally:
    """The answers of one gateway within the window, as far as they tell dead phones from live."""

    accepted: int = 0
    dead: int = 0


def trust(tally: Tally) -> Trust:
    """Whether the gateway's word that a phone is dead is to be believed."""
    if tally.dead >= FEW and tally.dead > MOST * (tally.accepted + tally.dead):
        return Trust.BROKEN
    return Trust.PROVEN if tally.accepted else Trust.UNPROVEN


def may_retire(wish: Retire, found: Trust) -> bool:
    """Whether a device is retired, given what its answer asks for."""
    match wish:
        case Retire.NO:
            return False
        case Retire.AT_ONCE:
            return found is not Trust.BROKEN
        case Retire.WHEN_OTHERS_LIVE:
            return found is Trust.PROVEN
