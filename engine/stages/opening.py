"""Opening: what families may see from a moment on is looked at again at that moment.

In:         changes that were decided before their records opened.
Out:        the same changes under ids of their own, published for evaluate.
Guarantee:  each is looked at once, however often it is published: evaluate knows the id. One that
            a broker lost is published again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from engine.ports import Clock, Ledger, Publisher
from engine.stages.publishing import publish_changes

AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Publishes the changes whose records have opened."""

    ledger: Ledger
    publisher: Publisher
    clock: Clock
    lost_after: timedelta

    def __call__(self) -> int:
        """Publish a batch of them; return how many."""
        now = self.clock()
        self.ledger.settle_openings(now - self.lost_after, AT_ONCE)
        found = self.ledger.opened(now, AT_ONCE)
        if found:
            publish_changes(self.publisher, [one.looked_at_again for one in found])
            self.ledger.opening_published(found, now)
        return len(found)
