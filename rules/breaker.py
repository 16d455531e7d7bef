"""The breaker: when hardly a phone is alive any more, it is our configuration that is wrong.

A wrong project, endpoint or topic looks exactly like "all tokens are dead". To believe it would
silence a whole district until each family opens the app again. So nothing is retired while hardly
anything of what a gateway is sent is taken, and what is doubtful is believed only while it takes
pushes to most others. After a summer a quarter of the phones may be dead, and for hours: that is
no fault of anybody's, and they are retired. (facts: push 1, 2.5 and 3.4)
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
HARDLY_ANY: Final = 0.05
"""A smaller share of pushes that are taken says that we are wrong, and not the phones."""
MOST: Final = 0.5
"""The largest share of dead phones of which also the doubtful ones are believed."""


class Trust(StrEnum):
    """What the recent answers of a gateway say of our configuration."""

    PROVEN = "it takes pushes to most phones"
    UNPROVEN = "it has taken no push lately"
    DOUBTED = "more phones are dead than alive"
    BROKEN = "hardly a phone is alive"


@dataclass(frozen=True, slots=True)
class Tally:
    """The answers of one gateway within the window, as far as they tell dead phones from live."""

    accepted: int = 0
    dead: int = 0


def trust(tally: Tally) -> Trust:
    """Whether the gateway's word that a phone is dead is to be believed."""
    asked = tally.accepted + tally.dead
    if tally.dead >= FEW and tally.accepted < HARDLY_ANY * asked:
        return Trust.BROKEN
    if tally.dead >= FEW and tally.dead > MOST * asked:
        return Trust.DOUBTED
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
