"""Opening: what families may see from a moment on is looked at again at that moment.

In:         changes that were decided before their records opened.
Out:        the same changes under ids of their own, published for evaluate.
Guarantee:  each is looked at once, however often it is published: evaluate knows the id. One that
            a broker lost is published again. Where a whole school's scores open at one moment, they
            come in portions: what others have to hear is never behind all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from engine.ports import Clock, Ledger, Publisher
from engine.stages.publishing import publish_changes

AT_ONCE: Final = 1_000
_STANDS_STILL: Final = timedelta(seconds=10)  # after which a portion is not waited for any more


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Publishes the changes whose records have opened."""

    ledger: Ledger
    publisher: Publisher
    clock: Clock
    lost_after: timedelta

    def __call__(self) -> int:
        """Publish some of them, once those before have been decided; return how many."""
        now = self.clock()
        self.ledger.settle_openings(now - self.lost_after, AT_ONCE)
        room = AT_ONCE - self.ledger.openings_on_the_way(now - _STANDS_STILL)
        found = self.ledger.opened(now, room) if room > 0 else ()
        if found:
            publish_changes(self.publisher, [one.looked_at_again for one in found])
            self.ledger.opening_published(found, now)
        return len(found)
